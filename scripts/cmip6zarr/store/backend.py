"""Where the objects of a store lie: a folder, or a prefix of an S3 bucket. Nothing else knows the difference.

A **home** has the objects of one store by key, and a few small ones beside it: its provenance, its ledger. Whatever
takes a store takes its home, or a path or URL, of which `at` makes one.
"""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import xxhash
from zarr.abc.store import Store
from zarr.storage import LocalStore

from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError

READ_BYTES = 2**22
SCHEME = "s3://"
LEDGER = ".ledger.jsonl"  # beside a store


class Written(NamedTuple):
    """What is known of an object that has been written: length, XXH3-128, and its MD5 where the home has told it."""

    bytes: int
    xxh3: str
    md5: str | None = None


Put = Callable[[str, list, Callable[[Written], None]], None]
"""Writes an object, given its key and its bytes in parts, and calls back when it is there."""


class Home(ABC):
    """Where one store lies; `str` of it is its path or URL.

    `guard` is set while a ledger of the store is open: it raises where another process has taken the store meanwhile.
    """

    guard: Callable[[bool], None] | None = None

    def fence(self, now: bool = False) -> None:
        """Raise DatasetError (`busy`) if this process is not the store's writer any more; asked before each change.

        Without `now`, what costs a request is asked again after some seconds only.
        """
        if self.guard:
            self.guard(now)
        elif now:
            self.check_claim()

    @property
    @abstractmethod
    def name(self) -> str:
        """The last word of where it is."""

    @property
    @abstractmethod
    def threads(self) -> int:
        """How many objects are read at once."""

    @property
    @abstractmethod
    def uploads(self) -> int:
        """How many objects, at most, wait to be written while others are made."""

    @property
    @abstractmethod
    def ledger(self) -> Path:
        """The file to which the ledger is written, line by line, while the store is."""

    @abstractmethod
    def room(self) -> os.statvfs_result | None:
        """Return what room there is for the store; None where that cannot be asked."""

    @abstractmethod
    def reach(self) -> None:
        """Raise DatasetError (`store`) within half a minute if the home cannot be asked."""

    @abstractmethod
    def zarr_store(self, read_only: bool = True) -> Store:
        """Return the store as zarr-python sees it."""

    @abstractmethod
    def list(self) -> dict[str, int]:
        """Return {key: bytes} of every object; empty where there is no store."""

    @abstractmethod
    def strangers(self) -> dict[str, str]:
        """Return {key: what it is} of whatever lies in the store and is no object: links, pipes, empty folders."""

    @abstractmethod
    def md5s(self) -> dict[str, str | None]:
        """Return {key: MD5} of the objects, as far as the home tells without reading them."""

    @abstractmethod
    def has(self, key: str) -> bool:
        """Tell whether an object is there."""

    @abstractmethod
    def put(self, key: str, parts: list) -> Written:
        """Write an object, the bytes of `parts` one after another. It is there whole or not at all."""

    @abstractmethod
    def writing(self, uploads: int) -> AbstractContextManager[Put]:
        """Give what writes an object, and calls back when it is there; with room for so many that are on their way.

        All of them are there, or have raised, when the context ends.
        """

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Return the bytes of an object; raises as `digest` does."""

    @abstractmethod
    def digest(self, key: str) -> tuple[int, str]:
        """Return the bytes of an object and its XXH3-128; raises OSError, FileNotFoundError if it is not there."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Give a small object another key; raises FileNotFoundError if it is not there."""

    @abstractmethod
    def delete(self, keys: Collection[str]) -> None:
        """Delete objects."""

    @abstractmethod
    def clear(self) -> None:
        """Delete all objects, and what they lie in."""

    @abstractmethod
    def occupied(self) -> bool:
        """Tell whether there is anything at the place of the store."""

    @abstractmethod
    def genuine(self) -> bool:
        """Tell whether what is at the place of the store can be one: no file, and no link to elsewhere."""

    @abstractmethod
    def read_beside(self, end: str) -> bytes | None:
        """Return what lies beside the store under its name and `end`, None where nothing does; raises OSError."""

    @abstractmethod
    def write_beside(self, end: str, text: str) -> None:
        """Write a text beside the store, whole or not at all."""

    @abstractmethod
    def put_ledger(self, lines: Iterable[str]) -> None:
        """Put the ledger of a store that is complete beside it, unless that is where it has been written."""

    @abstractmethod
    def claimed(self) -> bool:
        """Tell whether this campaign is the writer of the store; raises DatasetError (`busy`) if another one is."""

    @abstractmethod
    def claim(self) -> None:
        """Become the writer of the store; raises DatasetError (`busy`) if another campaign is."""

    @abstractmethod
    def check_claim(self) -> None:
        """Raise DatasetError (`busy`) unless this campaign still is the writer of the store."""

    @abstractmethod
    def release(self) -> None:
        """Let others write the store from now on."""


class Folder(Home):
    """A store in a folder of a file system; each object is a file, and the lock on its ledger keeps writers apart."""

    def __init__(self, path: Path):
        self.path = path

    def __str__(self):
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def threads(self) -> int:
        return len(os.sched_getaffinity(0))

    @property
    def uploads(self) -> int:
        return 0

    @property
    def ledger(self) -> Path:
        return self.beside(LEDGER)

    def beside(self, end: str) -> Path:
        """Return where something lies beside the store."""
        return self.path.with_name(self.path.name + end)

    def room(self) -> os.statvfs_result:
        return os.statvfs(next(parent for parent in self.path.absolute().parents if parent.is_dir()))

    def reach(self) -> None:
        pass  # a file system says so when it is used

    def zarr_store(self, read_only: bool = True) -> Store:
        return LocalStore(self.path, read_only=read_only)

    def list(self) -> dict[str, int]:
        return {key: entry.stat().st_size for key, entry in self._walk() if kind_of(entry) == "file"}

    def strangers(self) -> dict[str, str]:
        return {key: kind for key, entry in self._walk() if (kind := kind_of(entry)) != "file"}

    def _walk(self) -> Iterator[tuple[str, os.DirEntry]]:
        """Yield keys and entries of all that is no folder with something in it; no link is followed."""
        waiting = [""] if self.path.is_dir() else []
        while waiting:
            folder = waiting.pop()
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    key = f"{folder}{entry.name}"
                    if kind_of(entry) == "folder":
                        waiting.append(f"{key}/")
                    else:
                        yield key, entry

    def md5s(self) -> dict[str, str | None]:
        return {}

    def has(self, key: str) -> bool:
        return (self.path / key).is_file()

    def put(self, key: str, parts: list) -> Written:
        target = self.path / key
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        checksum, size = xxhash.xxh3_128(), 0
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb", buffering=0) as file:
                for data in parts:
                    checksum.update(data)
                    size += len(data)
                    written = 0
                    while written < len(data):
                        written += file.write(memoryview(data)[written:])
            self.fence()
            part.replace(target)
        except (OSError, DatasetError):
            part.unlink(missing_ok=True)  # on a full disk it stands in the way of all others
            raise
        return Written(size, checksum.hexdigest())

    @contextmanager
    def writing(self, uploads: int) -> Iterator[Put]:  # noqa: ARG002
        yield lambda key, parts, then: then(self.put(key, parts))

    def read(self, key: str) -> bytes:
        return (self.path / key).read_bytes()

    def digest(self, key: str) -> tuple[int, str]:
        checksum, size = xxhash.xxh3_128(), 0
        with (self.path / key).open("rb", buffering=0) as file:
            while data := file.read(READ_BYTES):
                checksum.update(data)
                size += len(data)
        return size, checksum.hexdigest()

    def rename(self, old: str, new: str) -> None:
        self.fence()
        (self.path / old).replace(self.path / new)

    def delete(self, keys: Collection[str]) -> None:
        self.fence()
        for key in keys:
            path = self.path / key
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def clear(self) -> None:
        self.fence()
        if self.path.exists():
            shutil.rmtree(self.path)

    def occupied(self) -> bool:
        return self.path.exists() or self.path.is_symlink()

    def genuine(self) -> bool:
        return self.path.is_dir() and not self.path.is_symlink()

    def read_beside(self, end: str) -> bytes | None:
        try:
            return self.beside(end).read_bytes()
        except FileNotFoundError:
            return None

    def write_beside(self, end: str, text: str) -> None:
        self.fence()
        files.write_text(self.beside(end), text)

    def put_ledger(self, lines: Iterable[str]) -> None:
        pass

    # The lock on the ledger, and that it still is the ledger, is all that a folder needs.

    def claimed(self) -> bool:
        return True

    def claim(self) -> None:
        pass

    def check_claim(self) -> None:
        pass

    def release(self) -> None:
        pass


def kind_of(entry: os.DirEntry) -> str:
    """Return what a thing in a folder is, without following it.

    "file", "folder" (with something in it), "link", "empty folder", or "neither file nor folder", such as a pipe.
    """
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        with os.scandir(entry) as within:
            return "folder" if any(True for _ in within) else "empty folder"
    return "file" if entry.is_file(follow_symlinks=False) else "neither file nor folder"


def at(place, settings=None, draft=None) -> Home:
    """Return the home of the store at a path or URL; of a home, itself.

    For a store in a bucket `settings` say how it is asked, and `draft` is the file that is its ledger while it is
    written. Raises DatasetError (`store`) for a URL that is none.
    """
    if isinstance(place, Home):
        return place
    if isinstance(place, str) and place.startswith(SCHEME):
        from cmip6zarr.store import (
            s3,
            s3_client,  # only who needs them waits for them
        )

        return s3.Prefix(place, settings or s3_client.Settings(), draft)
    return Folder(Path(place))
