"""Is there room for a store, in bytes and in files?"""

from collections.abc import Iterable, Mapping

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.text import human
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.store.backend import Place, at
from cmip6zarr.store.ledger import Entry

# Of the NetCDF bytes: no preset has made more of a compressed source, and less is no use to begin with.
MOST_GROWTH = 1.5
SMALL_FILE_BYTES = 4096  # what a small file takes


def needed_bytes(inventory: Inventory, inodes: int) -> int:
    """Return the bytes that a store is expected to take at most: no more than its values, nor half as much again as its
    files."""
    values = min(inventory.raw_bytes, int(MOST_GROWTH * inventory.source_bytes))
    return values + inodes * SMALL_FILE_BYTES


def inodes_of(keys: Iterable[str]) -> int:
    """Return how many files and folders the objects with these keys are, below the folders of their arrays.

    >>> inodes_of(["tas/c/0/0", "tas/c/0/1", "lat/c.0"])
    5
    """
    there = set(keys)
    waiting = list(there)
    while waiting:
        folder = waiting.pop().rpartition("/")[0]
        if "/" in folder and folder not in there:
            there.add(folder)
            waiting.append(folder)
    return len(there)


def check(path: Place, inventory: Inventory, inodes: int, kept: Mapping[str, Entry]) -> None:
    """Raise DatasetError (`space`) unless there is room for what a store still lacks, as far as its home can tell.

    `inodes` are files and folders of the chunks, `kept` the ledger entries of objects that are there. A quota is seen
    only by file systems that show it as their size.
    """
    room = at(path).room()
    if room is None:
        return
    bytes_ = needed_bytes(inventory, inodes) - sum(entry.bytes for entry in kept.values())
    files = inodes - inodes_of(kept)
    free = room.f_bavail * room.f_frsize
    if bytes_ > free:
        message = f"{path}: the store may take another {human(bytes_)}, and its file system has room for {human(free)}."
        raise DatasetError("space", message, "Make room or choose another store_root, then run again: it goes on.")
    if room.f_files and files > room.f_favail:
        message = f"{path}: the store takes another {files} files and folders, and there is room for {room.f_favail}."
        raise DatasetError("space", message, "Use larger chunks or shards, or another store_root, then run again.")
