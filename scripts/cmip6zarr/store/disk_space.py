"""Is there room for a store, in bytes and in files?"""

from collections.abc import Mapping

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.text import human
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.store.backend import Place, at
from cmip6zarr.store.ledger import Entry

# Of the NetCDF bytes: no preset has made more of a compressed source, and less is no use to begin with.
MOST_GROWTH = 1.5
SMALL_FILE_BYTES = 4096  # what a small file takes


def needed_bytes(inventory: Inventory, objects: int) -> int:
    """Return the bytes that a store is expected to take at most: no more than its values, nor half as much again as its
    files."""
    values = min(inventory.raw_bytes, int(MOST_GROWTH * inventory.source_bytes))
    return values + objects * SMALL_FILE_BYTES


def check(path: Place, inventory: Inventory, objects: int, kept: Mapping[str, Entry]) -> None:
    """Raise DatasetError (`space`) unless there is room for what a store still lacks, as far as its home can tell.

    `kept` are the ledger entries of objects that are there. A quota is seen only by file systems that show it as their
    size.
    """
    room = at(path).room()
    if room is None:
        return
    bytes_, files = needed_bytes(inventory, objects) - sum(e.bytes for e in kept.values()), objects - len(kept)
    free = room.f_bavail * room.f_frsize
    if bytes_ > free:
        message = f"{path}: the store may take another {human(bytes_)}, and its file system has room for {human(free)}."
        raise DatasetError("space", message, "Make room or choose another store_root, then run again: it goes on.")
    if room.f_files and files > room.f_favail:
        message = f"{path}: the store takes another {files} files, and its file system has room for {room.f_favail}."
        raise DatasetError("space", message, "Use larger chunks or shards, or another store_root, then run again.")
