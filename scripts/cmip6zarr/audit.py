"""Is a store still what its ledger says? Checksums prove it without the sources, as long as the store lives."""

from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor

from . import ledger, objects, stores
from .errors import DatasetError
from .ledger import Entry

MOST_NAMED = 10  # objects that a message spells out


def problems(store, unread: Container[str] = ()) -> list[dict]:
    """Return what is wrong with the objects of a store, sealed or not, as [{key, kind, found, expected}].

    Kinds are `missing`, `extra`, `short`, `long` and `changed` (same length, other checksum); of objects with keys in
    `unread` only the length is looked at. Raises DatasetError where the ledger is not whole (`ledger`) or an object
    cannot be read (`store`).
    """
    home = objects.at(store)
    entries = ledger.read(home)
    listed = {stores.sealed_name(key): size for key, size in home.list().items()}

    def fault(key: str) -> dict | None:
        entry, size = entries.get(key), listed.get(key)
        if entry is None:
            return {"key": key, "kind": "extra", "found": size, "expected": None}
        if size is None:
            return {"key": key, "kind": "missing", "found": None, "expected": entry.bytes}
        if size != entry.bytes:
            kind = "short" if size < entry.bytes else "long"
            return {"key": key, "kind": kind, "found": size, "expected": entry.bytes}
        return None if key in unread else changed(home, entry)

    with ThreadPoolExecutor(home.threads) as pool:
        return [fault for fault in pool.map(fault, sorted(entries.keys() | listed.keys())) if fault]


def changed(home: objects.Home, entry: Entry) -> dict | None:
    """Return what is wrong with the bytes of an object whose length is right."""
    try:
        _, checksum = stores.digest(home, entry.key)
    except OSError as error:
        message = f"{home}/{entry.key}: cannot be read: {error.strerror or error}."
        raise DatasetError("store", message, "See to where the store lies, then run again.") from error
    if checksum == entry.xxh3:
        return None
    return {"key": entry.key, "kind": "changed", "found": checksum, "expected": entry.xxh3}


def check(store, kind: str, book: ledger.Ledger | None = None, unread: Container[str] = ()) -> dict:
    """Return how many objects and bytes of a store are right; raises DatasetError (`kind`) that names what is wrong.

    The ledger of one that is not sealed yet, `book`, is told. `unread` is as in `problems`.
    """
    found = problems(store, unread)
    if found:
        if book:
            book.doubt([problem["key"] for problem in found])
        raise DatasetError(kind, f"{store}: {told(found)}.", "Run again: what is not right is converted again.")
    entries = ledger.read(store).values()
    return {"objects": len(entries), "stored_bytes": sum(entry.bytes for entry in entries)}


def told(found: list[dict]) -> str:
    """Return problems in words, the first few by name.

    >>> told([{"key": "ta/c.0", "kind": "short", "found": 3, "expected": 9}])
    "1 of its objects are not what the ledger says: 'ta/c.0' is short (found 3, expected 9)"
    """
    words = [f"{p['key']!r} is {p['kind']} (found {p['found']}, expected {p['expected']})" for p in found[:MOST_NAMED]]
    more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return f"{len(found)} of its objects are not what the ledger says: " + ", ".join(words + more)
