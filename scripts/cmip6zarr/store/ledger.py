"""The ledger of a store: what has been written, object by object; of a sealed store it is the manifest.

It lies beside the store as lines of JSON. The first says what the store is made of, each other what an object holds:

    {"ledger": 1, "dataset": ..., "recipe": ..., "made_of": digest of sources, plan and codecs}
    {"key": "ta/c/0/0/0/0", "array": "ta", "bytes": 12345, "xxh3": "...", "raw_xxh3": "..."}
    {"store": "CMIP6/.../v20190406.zarr", "provenance": {"bytes": 12345, "xxh3": "..."}, "owner": {"results": ...}}

The last says, when all is written, which store this is the ledger of, what the provenance beside it holds, for which
folder of results it was written and where; ledgers of stores that were written before have no such line.

`xxh3` is XXH3-128 of the object as stored; a CRC would not do, since that of any bytes and their own CRC, as the codec
crc32c writes it, is always the same. `raw_xxh3` (none for metadata and texts) is the sum of its values, as `raw_sum`
makes it. Of two lines with one key the last counts.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import xxhash

from cmip6zarr import RECIPE
from cmip6zarr.catalogue import drs
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import JSON
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import Inventory, SourceFile
from cmip6zarr.store import backend, zarr_store
from cmip6zarr.store.backend import Place
from cmip6zarr.store.interface import LEDGER, Home

FORM = 1
HEAD = ("ledger", "dataset", "recipe", "made_of")
COPIED = "copied"
"""Is `raw_xxh3` of an object whose chunks were copied compressed: nobody has seen its values."""


@dataclass(frozen=True)
class Entry:
    """What one object of a store holds; `md5` only where its home has told it, and as long as it is not yet proven."""

    key: str
    array: str
    bytes: int
    xxh3: str
    md5: str | None = None
    raw_xxh3: str | None = None


def digest_of_all(entries: Mapping[str, Entry]) -> str:
    """Return the digest of all objects of a sealed store: the SHA-256, in hexadecimal digits, of a line for each.

    A line is the XXH3-128 of the object, two spaces and its key, as `xxh128sum` prints it; they are in the order of the
    bytes of the keys.
    """
    lines = (f"{entries[key].xxh3}  {key}\n" for key in sorted(entries, key=str.encode))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def path_of(store: Place) -> Path:
    """Return where the ledger of a store lies."""
    return backend.at(store).ledger


def head(inventory: Inventory, made_of: JSON) -> JSON:
    """Return the first line of the ledger of a store that is made of the files of an inventory, and of `made_of`."""
    sources = to_json([lasting(inventory.files), inventory.variables, inventory.attributes])
    text = json.dumps([*sources, made_of], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"ledger": FORM, "dataset": inventory.dataset, "recipe": RECIPE, "made_of": digest}


def lasting(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
    """Return what inventory says of files, but for what changes when they move to another file system as they are."""
    return tuple(replace(file, inode=None, ctime_ns=None) for file in files)


def parse(data: bytes) -> tuple[JSON, dict[str, Entry], int]:
    """Return the first line of a ledger, its entries by key, and the bytes of the sound lines before any other.

    What the last line of a ledger says is added to the first: `store`, `provenance`, `owner`.
    """
    first: JSON = {}
    entries: dict[str, Entry] = {}
    good = 0
    for line in data.splitlines(keepends=True):
        try:
            facts: Any = json.loads(line) if line.endswith(b"\n") else None
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


def last_of(store: str, provenance: JSON | None, owner: JSON | None = None) -> JSON:
    """Return the last line of a ledger; raises TypeError for other types."""
    kinds = {"bytes": int, "xxh3": str} if provenance is not None else {}
    kinds |= {"results": str, "place": str} if owner is not None else {}
    told = {name: type(value) for name, value in ((provenance or {}) | (owner or {})).items()}
    if not isinstance(store, str) or told != kinds:
        raise TypeError("not the last line of a ledger")
    return {"store": store, "provenance": provenance, "owner": owner}


def digest_of(data: bytes) -> JSON:
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


def line_of(entry: Entry) -> JSON:
    """Return an entry as its line has it."""
    facts = asdict(entry)
    if entry.md5 is None:
        del facts["md5"]
    return facts


def holds(store: Place, entry: Entry) -> bool:
    """Tell whether an object of a store is there and is what its entry says."""
    try:
        return zarr_store.digest(store, entry.key) == (entry.bytes, entry.xxh3)
    except (OSError, ValueError):  # the latter for what can be no name of a file
        return False


def read(store: Place) -> dict[str, Entry]:
    """Return the entries of a store's ledger by key; raises DatasetError (`ledger`) where it is not whole."""
    return load(store)[1]


def expect_store(home: Home) -> None:
    """Raise DatasetError (`store`) where there is neither a ledger nor an object of a store: nothing was ever there."""
    if home.read_beside(LEDGER) is None and not home.list():
        raise DatasetError("store", f"{home}: found no store.", "Correct the path: it ends in .zarr.")


def load(store: Place) -> tuple[JSON, dict[str, Entry]]:
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
