"""Copy a sealed store to another home, object by object, and seal it there when it has been proven there.

What travels is what the ledger says: an object of the source that is not what its entry says is rot and is not sent,
and the copy is read back whole. A copy that was cut off goes on where it was.
"""

from dataclasses import replace
from functools import partial

import xxhash

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import JSON
from cmip6zarr.store import audit, ledger, zarr_store
from cmip6zarr.store.interface import Home, Written
from cmip6zarr.store.ledger_writer import LedgerWriter, Owner


def copy(
    source: Home,
    target: Home,
    dataset: str,
    zarr_format: int,
    memory_bytes: int,
    owner: Owner,
) -> JSON:
    """Copy a sealed store with what lies beside it, replacing one of ours; return how much was sent, and is there.

    At most `memory_bytes` of objects are held, but one. Raises DatasetError if the source is not sealed (`store`), not
    that of the dataset or not what its ledger says (`ledger`, `rot`), if there is something else at the target
    (`store`), if another campaign writes it (`busy`), if it was published for another owner (`owner`), or if what is
    there in the end is not what was sent (`publish`).
    """
    first, entries = ledger.load(source)
    if not zarr_store.is_sealed(source):
        raise DatasetError("store", f"{source}: found no sealed store to publish.", "Run the workflow first.")
    if wrong := audit.beside(source, first, dataset):
        message = f"{source}: {audit.told(wrong)}; nothing was sent."
        raise DatasetError("rot", message, "Run again: what is not right is converted again.")
    beside = source.read_beside(zarr_store.PROVENANCE)
    if beside is None:
        message = f"{source}{zarr_store.PROVENANCE}: found none, expected the provenance; nothing was sent."
        raise DatasetError("provenance", message, "Convert the dataset again.")
    zarr_store.check_ours(target)
    if is_copy(target, first, entries):
        return figures(first, entries, 0)
    with LedgerWriter(target, owner) as book:
        kept = book.begin({name: first[name] for name in ledger.HEAD})
        zarr_store.sweep(target, kept)
        target.write_beside(zarr_store.PROVENANCE, beside.decode())
        missing = [entry for key, entry in entries.items() if key not in kept]
        send(source, target, missing, book, memory_bytes)
        book.complete(proven=bool(first.get("provenance")))
        audit.check(target, "publish", book)
        zarr_store.seal(target, zarr_format)
    return figures(first, entries, len(missing))


def send(source: Home, target: Home, missing: list[ledger.Entry], book: LedgerWriter, memory_bytes: int) -> None:
    """Copy objects, each if it is what its entry says; raises DatasetError (`rot`) for one that is not."""
    held = memory_bytes // max((entry.bytes for entry in missing), default=1)
    with target.writing(min(target.uploads, held - 1)) as put:
        for entry in missing:
            data = source.read(entry.key)
            if xxhash.xxh3_128_hexdigest(data) != entry.xxh3:
                message = f"{source}/{entry.key}: is not what the ledger says, and was not sent."
                raise DatasetError("rot", message, "Run again: what is not right is converted again.")
            # Under the names of a store that is not sealed: it opens when it is proven.
            put(zarr_store.held(entry.key), [data], partial(note, book, entry))


def note(book: LedgerWriter, entry: ledger.Entry, made: Written) -> None:
    """Write down an object that has arrived."""
    book.add(replace(entry, md5=made.md5))


def is_copy(target: Home, first: JSON, entries: dict[str, ledger.Entry]) -> bool:
    """Tell whether a store has been copied already, with its provenance, and is whole."""
    if not zarr_store.is_sealed(target):
        return False
    theirs, copied = ledger.load(target)
    same = copied == entries and theirs.get("provenance") == first.get("provenance")
    return same and not audit.problems(target, dataset=first["dataset"])


def figures(first: JSON, entries: dict[str, ledger.Entry], sent: int) -> JSON:
    """Return the facts of a receipt: objects and bytes of the store, and how many objects were sent."""
    return {
        "provenance": "proven" if first.get("provenance") else "not proven",
        "objects": len(entries),
        "stored_bytes": sum(entry.bytes for entry in entries.values()),
        "objects_sent": sent,
        "sealed": True,
    }
