"""What a store needs of the place where its objects lie; a folder and a prefix of an S3 bucket both have it.

A **home** has the objects of one store by key, and a few small ones beside it: its provenance, its ledger.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from zarr.abc.store import Store

from cmip6zarr.core.buffers import Parts

READ_BYTES = 2**22
LEDGER = ".ledger.jsonl"  # beside a store


class Written(NamedTuple):
    """What is known of an object that has been written: length, XXH3-128, and its MD5 where the home has told it."""

    bytes: int
    xxh3: str
    md5: str | None = None


Put = Callable[[str, Parts, Callable[[Written], None]], None]
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
    def put(self, key: str, parts: Parts) -> Written:
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
