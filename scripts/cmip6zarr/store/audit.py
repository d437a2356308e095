"""Is a store still what its ledger says? Checksums prove it without the sources, as long as the store lives."""

from collections.abc import Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from cmip6zarr.catalogue import drs
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import JSON
from cmip6zarr.store import backend, ledger, zarr_store
from cmip6zarr.store.backend import Place
from cmip6zarr.store.interface import LEDGER, Home
from cmip6zarr.store.ledger import Entry
from cmip6zarr.store.ledger_writer import LedgerWriter

MOST_NAMED = 10  # objects that a message spells out


class Problem(TypedDict):
    """What is wrong with an object, or with the ledger, and what the ledger expects: bytes, a checksum or a place.

    Kinds are `missing`, `extra`, `short`, `long` and `changed` (same length, other checksum); `link`, `empty folder`
    and `neither file nor folder` of what is no object; `of another store`, if the ledger is not that of this place or
    of the dataset that is asked for.
    """

    key: str
    kind: str
    found: int | str | None
    expected: int | str | None


def problems(store: Place, unread: Container[str] = (), dataset: str | None = None) -> list[Problem]:
    """Return what is wrong with a store, sealed or not, and what lies beside it.

    The ledger is to be that of a `dataset`, where it is given. Of objects with keys in `unread` only the length is
    looked at. Raises DatasetError where the ledger is not whole (`ledger`) or an object cannot be read (`store`).
    """
    home = backend.at(store)
    first, entries = ledger.load(home)
    strangers = without_hollow(home.strangers(), entries)
    listed = {zarr_store.sealed_name(key): size for key, size in home.list().items()}

    def fault(key: str) -> Problem | None:
        entry, size = entries.get(key), listed.get(key)
        if key in strangers:
            return {"key": key, "kind": strangers[key], "found": None, "expected": entry.bytes if entry else None}
        if entry is None:
            return {"key": key, "kind": "extra", "found": size, "expected": None}
        if size is None:
            return {"key": key, "kind": "missing", "found": None, "expected": entry.bytes}
        if size != entry.bytes:
            kind = "short" if size < entry.bytes else "long"
            return {"key": key, "kind": kind, "found": size, "expected": entry.bytes}
        return None if key in unread else changed(home, entry)

    with ThreadPoolExecutor(home.threads) as pool:
        faults = pool.map(fault, sorted(entries.keys() | listed.keys() | strangers.keys()))
        return beside(home, first, dataset) + [fault for fault in faults if fault]


def without_hollow(strangers: dict[str, str], entries: Iterable[str]) -> dict[str, str]:
    """Return strangers but for the empty folders that objects should lie in: it is these that are missing.

    >>> without_hollow({"tas/c/1": "empty folder", "x": "empty folder"}, ["tas/c/1/0", "tas/c/2/0"])
    {'x': 'empty folder'}
    """
    hollow = {key for key, kind in strangers.items() if kind == "empty folder"}
    missed = {key for key in hollow if any(each.startswith(f"{key}/") for each in entries)}
    return {key: kind for key, kind in strangers.items() if key not in missed}


def beside(home: Home, first: JSON, dataset: str | None) -> list[Problem]:
    """Return what is wrong with what lies beside a store; `first` is what the ledger says of the store itself."""
    found: list[Problem] = []
    known = first.get("dataset")
    if dataset not in (None, known):
        found.append({"key": LEDGER, "kind": "of another store", "found": known, "expected": dataset})
    elif (place := misplaced(home, first)) is not None:
        found.append({"key": LEDGER, "kind": "of another store", "found": place, "expected": str(home)})
    expected = first.get("provenance")
    data = home.read_beside(zarr_store.PROVENANCE) if expected else None
    if expected and (data is None or ledger.digest_of(data) != expected):
        kind, checksum = ("missing", None) if data is None else ("changed", ledger.digest_of(data)["xxh3"])
        found.append({"key": zarr_store.PROVENANCE, "kind": kind, "found": checksum, "expected": expected["xxh3"]})
    return found


def misplaced(home: Home, first: JSON) -> str | None:
    """Return where a store lies by its ledger, if that is elsewhere.

    Of a store whose ledger does not say so, the place is known if it lies in a folder of the same era's DRS.
    """
    dataset = first.get("dataset")
    if not isinstance(dataset, str) or not drs.is_id(dataset):
        return repr(dataset)
    places, folder = ledger.places(home, dataset), drs.store_folder(dataset)
    if "store" in first:
        return None if first["store"] in places else first["store"]
    words = dataset.count(".") + 1
    other = ".".join(str(home).removesuffix(".zarr").split("/")[-words:])
    drs_of_era = drs.is_id(other) and other.split(".")[0] == dataset.split(".")[0]
    return folder if drs_of_era and folder not in places else None


def changed(home: Home, entry: Entry) -> Problem | None:
    """Return what is wrong with the bytes of an object whose length is right."""
    try:
        _, checksum = zarr_store.digest(home, entry.key)
    except OSError as error:
        message = f"{home}/{entry.key}: cannot be read: {error.strerror or error}."
        raise DatasetError("store", message, "See to where the store lies, then run again.") from error
    if checksum == entry.xxh3:
        return None
    return {"key": entry.key, "kind": "changed", "found": checksum, "expected": entry.xxh3}


def check(
    store: Place, kind: str, book: LedgerWriter | None = None, unread: Container[str] = (), dataset: str | None = None
) -> JSON:
    """Return how many objects and bytes of a store are right; raises DatasetError (`kind`) that names what is wrong.

    `provenance` tells whether its checksum is known and right: `proven` or `not proven`; `store_digest` is the digest
    of all objects. The ledger of a store that is not sealed yet, `book`, is told what is wrong, and that it is the one
    to seal by. `unread` and `dataset` are as in `problems`.
    """
    if book:
        book.witness()
    found = problems(store, unread, dataset)
    if found:
        if book:
            book.doubt([problem["key"] for problem in found])
        raise DatasetError(kind, f"{store}: {told(found)}.", "Run again: what is not right is converted again.")
    first, entries = ledger.load(store)
    return {
        "objects": len(entries),
        "stored_bytes": sum(entry.bytes for entry in entries.values()),
        "provenance": "proven" if first.get("provenance") else "not proven",
        "store_digest": ledger.digest_of_all(entries),
    }


def told(found: list[Problem]) -> str:
    """Return problems in words, the first few by name.

    >>> told([{"key": "ta/c/0", "kind": "short", "found": 3, "expected": 9}])
    "1 of its objects are not what the ledger says: 'ta/c/0' is short (found 3, expected 9)"
    """
    words = [f"{p['key']!r} is {p['kind']} (found {p['found']}, expected {p['expected']})" for p in found[:MOST_NAMED]]
    more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return f"{len(found)} of its objects are not what the ledger says: " + ", ".join(words + more)
