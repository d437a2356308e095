"""The ledger of a store: what has been written, object by object; of a sealed store it is the manifest.

It lies beside the store as lines of JSON. The first says what the store is made of, each other what an object holds:

    {"ledger": 1, "dataset": ..., "recipe": ..., "made_of": digest of sources, plan and codecs}
    {"key": "ta/c.0.0.0.0", "array": "ta", "bytes": 12345, "xxh3": "...", "raw_xxh3": "..."}

`xxh3` is XXH3-128 of the object as stored. `raw_xxh3` (none for metadata and texts) is of its values, whatever the
codec: for each byte of a value, the least significant first, XXH3-128 of this byte of all values, chunk after chunk in
C order, each chunk whole and in C order; and XXH3-128 of these digests. Of two lines with one key the last counts. A
CRC would not do for objects: that of any bytes and their own CRC, as the codec crc32c writes it, is always the same.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from threading import Lock

import numpy as np
import xxhash
from numcodecs.shuffle import Shuffle

from . import RECIPE, objects, stores
from .errors import DatasetError
from .scratch import scratch

FORM = 1
BLOCK_VALUES = 2**17  # shuffled at once to be summed: what is in the cache of a core


@dataclass(frozen=True)
class Entry:
    """What one object of a store holds; `md5` only where its home has told it, and as long as it is not yet proven."""

    key: str
    array: str
    bytes: int
    xxh3: str
    md5: str | None = None
    raw_xxh3: str | None = None


def path_of(store) -> Path:
    """Return where the ledger of a store lies."""
    return objects.at(store).ledger


def head(inventory: dict, made_of: dict) -> dict:
    """Return the first line of the ledger of a store that is made of the files of an inventory, and of `made_of`."""
    sources = [inventory[key] for key in ("files", "variables", "attributes")]
    text = json.dumps([*sources, made_of], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"ledger": FORM, "dataset": inventory["dataset"], "recipe": RECIPE, "made_of": digest}


def parse(data: bytes) -> tuple[dict, dict[str, Entry], int]:
    """Return the first line of a ledger, its entries by key, and the bytes of the sound lines before any other."""
    first, entries, good = {}, {}, 0
    for line in data.splitlines(keepends=True):
        try:
            facts = json.loads(line) if line.endswith(b"\n") else None
            if not good:
                first = facts | {}
            else:
                entry = entry_of(**facts)
                entries[entry.key] = entry
        except (ValueError, TypeError, RecursionError):
            break
        good += len(line)
    return first, entries, good


def entry_of(key: str, array: str, bytes: int, xxh3: str, raw_xxh3: str | None, md5: str | None = None) -> Entry:
    """Return an entry; raises TypeError for other types, ValueError for a key that leaves the store."""
    texts = (key, array, xxh3, md5 or "", raw_xxh3 or "")
    if not all(isinstance(text, str) for text in texts) or type(bytes) is not int:
        raise TypeError("not an entry")
    if Path(key).is_absolute() or {"..", ""} & set(key.split("/")):
        raise ValueError(f"{key!r} is no key of a store")
    return Entry(key, array, bytes, xxh3, md5, raw_xxh3)


def line_of(entry: Entry) -> dict:
    """Return an entry as its line has it."""
    facts = asdict(entry)
    if entry.md5 is None:
        del facts["md5"]
    return facts


class Ledger:
    """The ledger of a store that is being written or proven; use as a context manager.

    It is locked as long as it is open: raises DatasetError (`busy`) where another process, or campaign, has it.
    """

    def __init__(self, store):
        self.store = objects.at(store)
        self.path = self.store.ledger
        self._lock = Lock()

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            message = f"{self.store}: another process is writing or verifying this store; it holds {self.path}."
            raise DatasetError("busy", message, "Wait for it or end it, then run again.") from error
        except OSError as error:
            os.close(self._file)
            message = f"{self.path}: cannot be locked against a second writer: {error.strerror}."
            raise DatasetError("store", message, "Choose a file system that has flock.") from error
        try:
            if not self.store.claimed():
                # What stands here is of a store that has been sealed since, perhaps by another campaign.
                os.ftruncate(self._file, 0)
                os.write(self._file, self.store.read_beside(objects.LEDGER) or b"")
                self.store.claim()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_):
        os.close(self._file)

    def begin(self, first: dict) -> dict[str, Entry]:
        """Make this the ledger of what `first` says; return what an earlier one of the same holds and the store has.

        An object is kept only if its length and checksum are those of the ledger; one that is torn is not. It is read
        for that, unless the home tells its MD5.
        """
        data = self.path.read_bytes()
        found, entries, good = parse(data)
        if found != first:
            os.ftruncate(self._file, 0)
            self._write(first)
            return {}
        os.ftruncate(self._file, good)  # the rest is a line that was cut off
        md5s = self.store.md5s() if any(entry.md5 for entry in entries.values()) else {}

        def sound(entry):
            known = entry.md5 and md5s.get(entry.key) == entry.md5
            return entry.raw_xxh3 and (known or holds(self.store, entry))

        with ThreadPoolExecutor(self.store.threads) as pool:
            kept = pool.map(sound, entries.values())
            return {entry.key: entry for entry, held in zip(entries.values(), kept, strict=True) if held}

    def add(self, entry: Entry) -> None:
        """Write down an object that has been written, and wait until the line is on disk."""
        self._write(line_of(entry))

    def forget(self) -> None:
        """Give up all that is written down: what it says of the store has been proven wrong."""
        os.ftruncate(self._file, 0)

    def complete(self) -> None:
        """Write down all objects that are in the store and not yet here: metadata, and what zarr has written.

        From now on the ledger lies beside the store.
        """
        first, entries, _ = parse(self.path.read_bytes())
        for key in sorted(self.store.list()):
            name = stores.sealed_name(key)
            if name not in entries:
                entries[name] = Entry(name, name.rpartition("/")[0], *stores.digest(self.store, key))
                self.add(entries[name])
        self.store.check_claim()
        # Whoever reads it later has nothing but the store: there an MD5 that has been told once proves nothing.
        lines = chain([first], (line_of(replace(entry, md5=None)) for entry in entries.values()))
        self.store.put_ledger(json.dumps(line) + "\n" for line in lines)

    def doubt(self, keys: Collection[str]) -> None:
        """Have objects read, whatever their home tells of them, before they are kept again: they are not right."""
        _, entries, _ = parse(self.path.read_bytes())
        for key in keys:
            if key in entries and entries[key].md5:
                self.add(replace(entries[key], md5=None))

    def _write(self, facts: dict) -> None:
        line = (json.dumps(facts) + "\n").encode()
        with self._lock:
            os.write(self._file, line)
            os.fdatasync(self._file)


def holds(store, entry: Entry) -> bool:
    """Tell whether an object of a store is there and is what its entry says."""
    try:
        return stores.digest(store, entry.key) == (entry.bytes, entry.xxh3)
    except (OSError, ValueError):  # the latter for what can be no name of a file
        return False


def read(store) -> dict[str, Entry]:
    """Return the entries of a store's ledger by key; raises DatasetError (`ledger`) where it is not whole."""
    home, remedy = objects.at(store), "Remove the dataset's convert receipt and run again: its store is written anew."
    path = f"{home}{objects.LEDGER}"
    try:
        data = home.read_beside(objects.LEDGER)
    except OSError as error:
        raise DatasetError("ledger", f"{path}: cannot be read: {error.strerror}.", remedy) from error
    if data is None:
        raise DatasetError("ledger", f"{path}: cannot be read: there is none.", remedy)
    first, entries, good = parse(data)
    if first.get("ledger") != FORM or good != len(data) or not entries:
        message = (
            f"{path}: found {len(entries)} entries in {good} of {len(data)} bytes, and form {first.get('ledger')!r}; "
            f"expected a whole ledger of form {FORM}."
        )
        raise DatasetError("ledger", message, remedy)
    return entries


class RawSum:
    """The checksum of the raw values of a shard, fed in order with values or with blocks of them that are shuffled."""

    def __init__(self, itemsize: int):
        self._planes = [xxhash.xxh3_128() for _ in range(itemsize)]

    def update_shuffled(self, block: np.ndarray) -> None:
        """Add a block of values, shuffled: bytes."""
        for plane, part in zip(self._planes, block.reshape(len(self._planes), -1), strict=True):
            plane.update(part)

    def update(self, values: np.ndarray) -> None:
        """Add values, contiguous and little-endian."""
        data, step = values.reshape(-1).view("u1"), BLOCK_VALUES * len(self._planes)
        shuffled = scratch.get("shuffled", min(step, data.nbytes))
        for start in range(0, data.nbytes, step):
            block = data[start : start + step]
            self.update_shuffled(Shuffle(len(self._planes)).encode(block, out=shuffled[: block.nbytes]))

    def hexdigest(self) -> str:
        return xxhash.xxh3_128(b"".join(plane.digest() for plane in self._planes)).hexdigest()
