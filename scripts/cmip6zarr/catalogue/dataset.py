"""A dataset as the catalogue lists it, and the small file in which the controller hands it to its jobs."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError

FOLDER = "datasets"
"""Of these files, in the results."""


@dataclass(frozen=True, slots=True)
class Published:
    """What an archive has published of the bytes of a file: a checksum, in hexadecimal digits, and how many they are.

    `kind` is SHA256 or MD5; `bytes` is None where it is not told. A number of bytes alone proves nothing: without a
    checksum there is none of this.
    """

    kind: str
    checksum: str
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset's id and its files: absolute paths in order, or one glob pattern; their bytes, where all are told.

    `own` is the file of its project, where that is none of the built-in ones. `published` has what the archive says of
    the bytes of each file; it is empty where no file has a checksum.
    """

    id: str
    files: tuple[str, ...]
    source_bytes: int | None = None
    own: str | None = None
    published: tuple[Published | None, ...] = ()

    @property
    def project(self) -> Project:
        """The project in whose words the id is; raises ProjectError where its file cannot be used."""
        return projects.load(self.own) if self.own else projects.of(self.id)

    @property
    def facets(self) -> dict[str, str]:
        """The words of the id, by the facets of the project."""
        return self.project.words(self.id)

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change when the id, the list of files or a published checksum does, and only then."""
        words = (self.id, *self.files, *(str(said and astuple(said)) for said in self.published))
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def path_of(results: str | Path, name: str) -> Path:
    """Return where the file of a dataset lies."""
    return Path(results, FOLDER, f"{name}.json")


def hand_over(results: str | Path, rows: Iterable[Dataset]) -> None:
    """Write the files of datasets, for jobs that then need not read the catalogue; one that is right already stays.

    They are not synced: a run writes them again. Raises DatasetError as `files.writing` does.
    """
    with files.writing(path_of(results, "")):
        Path(results, FOLDER).mkdir(parents=True, exist_ok=True)
    for row in rows:
        path = path_of(results, row.id)
        told = {"dataset": row.id, "files": row.files, "source_bytes": row.source_bytes, "project": row.own}
        published = {"published": [said and astuple(said) for said in row.published]} if row.published else {}
        text = json.dumps(told | published) + "\n"
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        with files.writing(path):
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)


def handed_over(results: str | Path, name: str, digest: str | None = None) -> Dataset:
    """Return a dataset from its file; raises DatasetError (`catalogue`) if it is not there, or has another digest."""
    path = path_of(results, name)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        published = tuple(said and Published(*said) for said in told.get("published", ()))
        row = Dataset(told["dataset"], tuple(told["files"]), told["source_bytes"], told.get("project"), published)
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{path}: not the file of a dataset, which a run writes when it begins: {error!r}."
        remedy = "Run again; a Snakefile that takes these rules as a module must call its onstart."
        raise DatasetError("catalogue", message, remedy) from error
    if row.id != name or digest not in (None, row.digest):
        message = f"{path}: found the files of {row.id} with digest {row.digest}, expected {name} with {digest}."
        raise DatasetError("catalogue", message, "The catalogue changed after the start: run again.")
    return row
