"""A file of a work list: what it is checked for, and what becomes of one that cannot be used."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cmip6zarr.catalogue import drs
from cmip6zarr.catalogue.naming import REMOTE
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.catalogue.templates import SAFE
from cmip6zarr.core.text import printable

DIGITS = {"SHA256": 64, "MD5": 32}
"""Kind of checksum -> its hexadecimal digits."""

MOST_FOLDERS = 3
"""Folders that are named of all whose files were left aside for one reason."""


class Unusable(ValueError):
    """A line of a work list cannot be used; `kind` is the sort of reason, of which the first is told in full."""

    def __init__(self, kind: str, found: object = "", expected: str = "") -> None:
        words = f"{kind} {printable(str(found)):.200}" if found != "" else kind
        super().__init__(f"{words}, expected {expected}" if expected else words)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A file that a work list names: its dataset, path, and what the list says of its bytes."""

    facets: Mapping[str, str]
    project: Project
    path: str
    size: int | None = None
    checksum: str | None = None
    checksum_type: str | None = None


@dataclass
class LeftAside:
    """What was left aside, counted by reason: the first line of each sort is named, and the folders with most files."""

    first: dict[str, str] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    folders: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, kind: str, told: str) -> None:
        """Count something, told in a line."""
        self.first.setdefault(kind, told)
        self.numbers[kind] += 1

    def add_file(self, kind: str, path: str) -> None:
        """Count a file or folder of a tree."""
        self.add(kind, kind)
        self.folders.setdefault(kind, Counter())[os.path.dirname(path)] += 1  # noqa: PTH120

    @property
    def reasons(self) -> dict[str, int]:
        return {self.first[kind] + self._where(kind): number for kind, number in self.numbers.items()}

    def _where(self, kind: str) -> str:
        folders = self.folders.get(kind, Counter())
        told = [f"{number} in {printable(folder)}" for folder, number in folders.most_common(MOST_FOLDERS)]
        more = sum(folders.values()) - sum(number for _, number in folders.most_common(MOST_FOLDERS))
        told += [f"{more} in {len(folders) - MOST_FOLDERS} other folders"] if more else []
        return f": {', '.join(told)}" if told else ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How work lists are read: the projects, and where files lie whose listed paths begin in some way."""

    projects: Sequence[Project]
    moved: Mapping[str, str] = field(default_factory=dict)

    def path(self, listed: str) -> str:
        """Return where a listed file lies; raises Unusable for what is no path of a file on this file system."""
        path = listed.strip()
        for begin, at in self.moved.items():
            if path.startswith(begin):
                path = f"{at.rstrip('/')}/{path.removeprefix(begin).lstrip('/')}"
                break
        path = path.removeprefix("file://")
        if re.match(REMOTE, path):
            raise Unusable("remote file", path)
        if not path.startswith("/"):
            raise Unusable("path is", repr(path), "one that begins with /, or a --moved FROM=TO that makes it one")
        if not re.fullmatch(SAFE, path) or not path.isprintable() or ".." in path.split("/"):
            raise Unusable("path is", repr(path), "no control characters, * or ?, and no ..")
        if not path.endswith(".nc"):
            raise Unusable("file is", repr(os.path.basename(path)), "a name that ends in .nc")  # noqa: PTH119
        return os.path.normpath(path)

    def dataset(self, published: str, path: str) -> tuple[Project, dict[str, str]]:
        """Return the project and facets of a file by the id under which an archive lists it; raises Unusable."""
        name = os.path.basename(path)  # noqa: PTH119
        for project in self.projects:
            if not (match := project.published.fullmatch(published)):
                continue
            words = match.groupdict()
            if any(f.name not in words and not f.default for f in project.facets.values()):
                in_name = project.file.fullmatch(name)
                words = (in_name.groupdict() if in_name else {}) | words
            try:
                facets = project.dataset(words)
            except KeyError as error:
                raise Unusable("file is", repr(name), f"a name of {project.name} that says {error}") from None
            if not project.is_of(name, facets):
                raise Unusable("file is", repr(name), f"a name of the dataset {published}")
            if not drs.is_id(".".join(facets.values())):
                raise Unusable("dataset id is", repr(published), f"at most {drs.MOST_ID_BYTES} characters")
            return project, facets
        raise Unusable("dataset id is", repr(published), "one of a known project, with its version")


def checksum_of(value: str, kind: str) -> tuple[str, str]:
    """Return a checksum in lower case and its kind, told by its length where that is empty; raises Unusable.

    >>> checksum_of("D41D8CD98F00B204E9800998ECF8427E", "")
    ('d41d8cd98f00b204e9800998ecf8427e', 'MD5')
    """
    kind = kind.upper().replace("-", "") or {n: name for name, n in DIGITS.items()}.get(len(value), "")
    if kind not in DIGITS:
        raise Unusable("checksum_type is", repr(kind), f"one of {', '.join(DIGITS)}")
    if not re.fullmatch(f"[0-9A-Fa-f]{{{DIGITS[kind]}}}", value):
        raise Unusable("checksum is", repr(value), f"{DIGITS[kind]} hexadecimal digits of {kind}")
    return value.lower(), kind


def size_of(value: object) -> int | None:
    """Return a number of bytes, None where none is told; raises Unusable for what is no number of bytes."""
    if value in (None, ""):
        return None
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch("[0-9]{1,18}", text):
        raise Unusable("size is", repr(value), "a number of bytes")
    return int(text)
