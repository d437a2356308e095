"""The ledger of a store: what has been written, object by object; of a sealed store it is the manifest.

It lies beside the store as lines of JSON. The first says what the store is made of, each other what an object holds:

    {"ledger": 1, "dataset": ..., "recipe": ..., "made_of": digest of sources, plan and codecs}
    {"key": "ta/c.0.0.0.0", "array": "ta", "bytes": 12345, "xxh3": "...", "raw_xxh3": "..."}
    {"store": "CMIP6/.../v20190406.zarr", "provenance": {"bytes": 12345, "xxh3": "..."}, "owner": {"results": ...}}

The last says, when all is written, which store this is the ledger of, what the provenance beside it holds, for which
folder of results it was written and where; ledgers of stores that were written before have no such line.

`xxh3` is XXH3-128 of the object as stored. `raw_xxh3` (none for metadata and texts) is of its values, whatever the
codec: for each byte of a value, the least significant first, XXH3-128 of this byte of all values, chunk after chunk in
C order, each chunk whole and in C order; and XXH3-128 of these digests. Of two lines with one key the last counts. A
CRC would not do for objects: that of any bytes and their own CRC, as the codec crc32c writes it, is always the same.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain
from math import inf
from pathlib import Path
from threading import Lock

import numpy as np
import xxhash
from numcodecs.shuffle import Shuffle

from cmip6zarr import RECIPE
from cmip6zarr.catalogue import drs
from cmip6zarr.core.buffers import scratch
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import Inventory, SourceFile
from cmip6zarr.store import backend, zarr_store
from cmip6zarr.store.interface import LEDGER, Home

FORM = 1
HEAD = ("ledger", "dataset", "recipe", "made_of")
CLAIM_SECONDS = 5  # between two requests whether the claim on a store in a bucket still holds
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
    return backend.at(store).ledger


def head(inventory: Inventory, made_of: dict) -> dict:
    """Return the first line of the ledger of a store that is made of the files of an inventory, and of `made_of`."""
    sources = to_json([lasting(inventory.files), inventory.variables, inventory.attributes])
    text = json.dumps([*sources, made_of], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"ledger": FORM, "dataset": inventory.dataset, "recipe": RECIPE, "made_of": digest}


def lasting(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
    """Return what inventory says of files, but for what changes when they move to another file system as they are."""
    return tuple(replace(file, inode=None, ctime_ns=None) for file in files)


def parse(data: bytes) -> tuple[dict, dict[str, Entry], int]:
    """Return the first line of a ledger, its entries by key, and the bytes of the sound lines before any other.

    What the last line of a ledger says is added to the first: `store`, `provenance`, `owner`.
    """
    first, entries, good = {}, {}, 0
    for line in data.splitlines(keepends=True):
        try:
            facts = json.loads(line) if line.endswith(b"\n") else None
            if not good:
                first = facts | {}
            elif "store" in facts:
                first |= last_of(**facts)
            else:
                entry = entry_of(**facts)
                entries[entry.key] = entry
        except (ValueError, TypeError, AttributeError, RecursionError):
            break
        good += len(line)
    return first, entries, good


def last_of(store: str, provenance: dict | None, owner: dict | None = None) -> dict:
    """Return the last line of a ledger; raises TypeError for other types."""
    kinds = {"bytes": int, "xxh3": str} if provenance is not None else {}
    kinds |= {"results": str, "place": str} if owner is not None else {}
    told = {name: type(value) for name, value in ((provenance or {}) | (owner or {})).items()}
    if not isinstance(store, str) or told != kinds:
        raise TypeError("not the last line of a ledger")
    return {"store": store, "provenance": provenance, "owner": owner}


def digest_of(data: bytes) -> dict:
    """Return what a ledger says of an object beside the store that holds some bytes."""
    return {"bytes": len(data), "xxh3": xxhash.xxh3_128_hexdigest(data)}


def places(store: Home, dataset: str) -> list[str]:
    """Return the names under which a ledger may know where its store lies, as asked for and with links followed.

    A name is the folder of the dataset below any store root, or just the last word for a store that lies elsewhere.
    """
    path = str(store)
    paths = [place(store)] if path.startswith(backend.SCHEME) else [str(Path(path).absolute()), place(store)]
    folder = drs.store_folder(dataset)
    return [folder if path.endswith(f"/{folder}") else path.rpartition("/")[2] for path in paths]


def place(store: Home) -> str:
    """Return where a store lies: its URL, or its path without links."""
    path = str(store)
    return path if path.startswith(backend.SCHEME) else str(Path(path).resolve())


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

    It is locked as long as it is open: raises DatasetError (`busy`) where another process, or campaign, has it. The
    store's home asks it before each change whether that is so still. `results` is the folder of results for which the
    store is written, and `take_over` another whose stores may be written anew for it.
    """

    def __init__(self, store, results=None, take_over: str = ""):
        self.store = backend.at(store)
        self.owner = None if results is None else {"results": str(Path(results).resolve()), "place": place(self.store)}
        self.take_over = take_over
        self.path = self.store.ledger
        self._lock = Lock()
        self._claim_seen, self._proven = -inf, None

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
                os.write(self._file, self.store.read_beside(LEDGER) or b"")
                self.store.claim()
            self.check(now=True)
        except BaseException:
            os.close(self._file)
            raise
        self.store.guard = self.check
        return self

    def __exit__(self, *_):
        self.store.guard = None
        os.close(self._file)

    def check(self, now: bool = False) -> None:
        """Raise DatasetError (`busy`) unless this process still is the only one that may change the store.

        The file that is locked must be the one that others find. That the campaign still has its claim, which is a
        request, is asked again after CLAIM_SECONDS, or `now`; then the ledger must be the one that was proven, too.
        """
        ours, remedy = os.fstat(self._file), "Let one campaign alone write the store, then run again."
        try:
            theirs = self.path.stat()
        except FileNotFoundError:
            theirs = None
        if theirs is None or not os.path.samestat(ours, theirs):
            found = "is gone" if theirs is None else "is another file"
            message = f"{self.store}: its ledger {self.path} {found}, expected the one that this process has locked."
            raise DatasetError("busy", message, remedy)
        if now or time.monotonic() - self._claim_seen > CLAIM_SECONDS:
            self.store.check_claim()
            self._claim_seen = time.monotonic()
        if now and self._proven not in (None, self._digest()):
            message = f"{self.store}: its ledger has changed while the store was proven by it, expected the same."
            raise DatasetError("busy", message, remedy)

    def witness(self) -> None:
        """Remember the ledger that lies beside the store: what it says is being proven, and nothing else is sealed."""
        self._proven = self._proven or self._digest()

    def _digest(self) -> dict:
        return digest_of(self.store.read_beside(LEDGER) or b"")

    def begin(self, first: dict) -> dict[str, Entry]:
        """Make this the ledger of what `first` says; return what an earlier one of the same holds and the store has.

        An object is kept only if its length and checksum are those of the ledger; one that is torn is not. It is read
        for that, unless the home tells its MD5. Raises DatasetError (`owner`) if nothing would be kept of a store that
        was written for other results.
        """
        data = self.path.read_bytes()
        found, entries, good = parse(data)
        if any(found.get(name) != value for name, value in first.items()):
            self._check_owner(found.get("owner"))
            os.ftruncate(self._file, 0)
            self._write(first)
            return {}
        os.ftruncate(self._file, good)  # the rest is a line that was cut off
        strangers = self.store.strangers()
        md5s = self.store.md5s() if any(entry.md5 for entry in entries.values()) else {}

        def sound(entry):
            if any(f"{entry.key}/".startswith(f"{key}/") for key in strangers):
                return False  # behind a link it is not ours
            known = entry.md5 and md5s.get(entry.key) == entry.md5
            return entry.raw_xxh3 and (known or holds(self.store, entry))

        with ThreadPoolExecutor(self.store.threads) as pool:
            kept = pool.map(sound, entries.values())
            return {entry.key: entry for entry, held in zip(entries.values(), kept, strict=True) if held}

    def _check_owner(self, found: dict | None) -> None:
        # One that was copied or moved with its results still names those of before.
        if self.owner is None or found is None or found["place"] != self.owner["place"]:
            return
        theirs, ours = found["results"], self.owner["results"]
        if theirs in (ours, self.take_over):
            return
        self.store.release()
        message = (
            f"{self.store}: was written for the results in {theirs}, expected those in {ours}, for which it would be "
            "written anew."
        )
        remedy = f"Choose another root; or, if those results are given up, set the config key take_over: {theirs}"
        raise DatasetError("owner", message, remedy)

    def add(self, entry: Entry) -> None:
        """Write down an object that has been written, and wait until the line is on disk."""
        self._write(line_of(entry))

    def forget(self) -> None:
        """Give up all that is written down: what it says of the store has been proven wrong."""
        os.ftruncate(self._file, 0)

    def complete(self, proven: bool = True) -> None:
        """Write down all objects that are in the store and not yet here: metadata, and what zarr has written.

        From now on the ledger lies beside the store, and says which store that is. If the provenance is not `proven`,
        because it comes from a store whose ledger does not know it, neither does this one.
        """
        first, entries, _ = parse(self.path.read_bytes())
        for key in sorted(self.store.list()):
            name = zarr_store.sealed_name(key)
            if name not in entries:
                entries[name] = Entry(name, name.rpartition("/")[0], *zarr_store.digest(self.store, key))
                self.add(entries[name])
        kept = digest_of(self.store.read_beside(zarr_store.PROVENANCE) or b"") if proven else None
        last = {"store": places(self.store, first["dataset"])[0], "provenance": kept, "owner": self.owner}
        self._write(last)
        self.store.fence(now=True)
        # Whoever reads it later has nothing but the store: there an MD5 that has been told once proves nothing.
        head = {name: value for name, value in first.items() if name not in last}
        lines = chain([head], (line_of(replace(entry, md5=None)) for entry in entries.values()), [last])
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
        return zarr_store.digest(store, entry.key) == (entry.bytes, entry.xxh3)
    except (OSError, ValueError):  # the latter for what can be no name of a file
        return False


def read(store) -> dict[str, Entry]:
    """Return the entries of a store's ledger by key; raises DatasetError (`ledger`) where it is not whole."""
    return load(store)[1]


def load(store) -> tuple[dict, dict[str, Entry]]:
    """Return what a ledger says of its store (as `parse`), and its entries; raises DatasetError as `read` does."""
    home, remedy = backend.at(store), "Remove the dataset's convert receipt and run again: its store is written anew."
    path = f"{home}{LEDGER}"
    try:
        data = home.read_beside(LEDGER)
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
    return first, entries


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
