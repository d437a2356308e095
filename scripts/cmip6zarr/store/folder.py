"""A store in a folder of a file system: each object is a file."""

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import xxhash
from zarr.abc.store import Store
from zarr.storage import LocalStore

from cmip6zarr.core import files
from cmip6zarr.core.buffers import Parts
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.store.interface import LEDGER, READ_BYTES, Home, Put, Written


class Folder(Home):
    """A store in a folder of a file system; each object is a file, and the lock on its ledger keeps writers apart."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
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
        return {key: entry.stat().st_size for key, kind, entry in self._walk() if kind == "file"}

    def strangers(self) -> dict[str, str]:
        return {key: kind for key, kind, _ in self._walk() if kind != "file"}

    def _walk(self) -> Iterator[tuple[str, str, os.DirEntry[str]]]:
        """Yield keys, kinds and entries of all that is no folder with something in it; no link is followed."""
        waiting = list(_entries(self.path)) if self.path.is_dir() else []
        while waiting:
            entry = waiting.pop()
            key, kind = entry.path[len(str(self.path)) + 1 :], kind_of(entry)
            if kind == "folder" and (within := _entries(entry)):
                waiting += within
            else:
                yield key, "empty folder" if kind == "folder" else kind, entry

    def md5s(self) -> dict[str, str | None]:
        return {}

    def has(self, key: str) -> bool:
        return (self.path / key).is_file()

    def put(self, key: str, parts: Parts) -> Written:
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
        for folder in {(self.path / key).parent for key in keys}:
            self._remove_if_empty(folder)

    def _remove_if_empty(self, folder: Path) -> None:
        """Remove a folder in the store, and those it lies in, as far as nothing else does."""
        with suppress(FileNotFoundError):
            while folder != self.path and not _entries(folder):
                folder.rmdir()
                folder = folder.parent

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


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def kind_of(entry: os.DirEntry[str]) -> str:
    """Return what a thing in a folder is, without following it.

    "file", "folder", "link", or "neither file nor folder", such as a pipe.
    """
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "neither file nor folder"
