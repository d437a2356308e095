"""Where the objects of a store lie: a folder, or a prefix of an S3 bucket. Nothing else knows the difference.

A **home** has the objects of one store by key, and a few small ones beside it: its provenance, its ledger. Whatever
takes a store takes its home, or a path or URL, of which `at` makes one.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import xxhash
from zarr.abc.store import Store
from zarr.storage import LocalStore

from . import receipts

READ_BYTES = 2**22
LEDGER = ".ledger.jsonl"  # beside a store


class Written(NamedTuple):
    """What is known of an object that has been written: length, XXH3-128, and its MD5 where the home has told it."""

    bytes: int
    xxh3: str
    md5: str | None = None


@dataclass(frozen=True)
class Folder:
    """A store in a folder of a file system; each object is a file."""

    path: Path

    def __str__(self):
        return str(self.path)

    @property
    def name(self) -> str:
        """The last word of where it is."""
        return self.path.name

    @property
    def threads(self) -> int:
        """How many objects are read at once."""
        return len(os.sched_getaffinity(0))

    @property
    def ledger(self) -> Path:
        """The file that is written line by line while the store is: the ledger beside it."""
        return self.beside(LEDGER)

    def beside(self, end: str) -> Path:
        """Return where something lies beside the store."""
        return self.path.with_name(self.path.name + end)

    def room(self) -> os.statvfs_result | None:
        """Return how much room the file system has for the store."""
        return os.statvfs(next(parent for parent in self.path.absolute().parents if parent.is_dir()))

    def reach(self) -> None:
        """Raise DatasetError (`store`) if the home cannot be asked; a file system says so when it is used."""

    def zarr_store(self, read_only: bool = True) -> Store:
        """Return the store as zarr-python sees it."""
        return LocalStore(self.path, read_only=read_only)

    def list(self) -> dict[str, int]:
        """Return {key: bytes} of every object; empty where there is no store."""
        files = (file for file in self.path.rglob("*") if file.is_file())
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}

    def md5s(self) -> dict[str, str]:
        """Return {key: MD5} of the objects, where the home knows it without reading them."""
        return {}

    def has(self, key: str) -> bool:
        """Tell whether an object is there."""
        return (self.path / key).is_file()

    def rename(self, old: str, new: str) -> None:
        """Rename a small object: put under the new name, then deleted under the old; raises FileNotFoundError."""
        (self.path / old).replace(self.path / new)

    def put(self, key: str, parts: list) -> Written:
        """Write an object, the bytes of `parts` one after another. It is there whole or not at all."""
        target = self.path / key
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        checksum, size = xxhash.xxh3_128(), 0
        try:
            with part.open("wb", buffering=0) as file:
                for data in parts:
                    checksum.update(data)
                    size += len(data)
                    written = 0
                    while written < len(data):
                        written += file.write(memoryview(data)[written:])
            part.replace(target)
        except OSError:
            part.unlink(missing_ok=True)  # on a full disk it stands in the way of all others
            raise
        return Written(size, checksum.hexdigest())

    @contextmanager
    def writing(self) -> Iterator[Callable[[str, list, Callable[[Written], None]], None]]:
        """Give what writes objects, key and parts, and calls back for each that is there.

        All are there, or have raised, when the context ends.
        """
        yield lambda key, parts, then: then(self.put(key, parts))

    def digest(self, key: str) -> tuple[int, str]:
        """Return the bytes of an object and its XXH3-128; raises OSError where it cannot be read."""
        checksum, size = xxhash.xxh3_128(), 0
        with (self.path / key).open("rb", buffering=0) as file:
            while data := file.read(READ_BYTES):
                checksum.update(data)
                size += len(data)
        return size, checksum.hexdigest()

    def delete(self, keys: Collection[str]) -> None:
        """Delete objects."""
        for key in keys:
            (self.path / key).unlink()

    def clear(self) -> None:
        """Delete all objects, and what they lie in."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def occupied(self) -> bool:
        """Tell whether there is anything at the place of the store."""
        return self.path.exists() or self.path.is_symlink()

    def genuine(self) -> bool:
        """Tell whether what is at the place of the store can be one: no file, and no link to elsewhere."""
        return self.path.is_dir() and not self.path.is_symlink()

    def read_beside(self, end: str) -> bytes | None:
        """Return what lies beside the store, None where nothing does; raises OSError."""
        try:
            return self.beside(end).read_bytes()
        except FileNotFoundError:
            return None

    def write_beside(self, end: str, text: str) -> None:
        """Write a text beside the store, whole or not at all."""
        receipts.write_text(self.beside(end), text)


def at(place) -> Folder:
    """Return the home of the store at a path."""
    return place if isinstance(place, Folder) else Folder(Path(place))
