"""Read the source of a dataset as one array per variable: the only place where convert touches NetCDF files.

Plain numbers in NetCDF-4 files are read past the HDF5 library (`direct`; `shuffled`, where they are handed over as they
lie; `copied`, where they are not even inflated), everything else through netCDF4 (`netcdf4`).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

import numpy as np

from cmip6zarr.convert import hdf5_chunks, hdf5_layout, native_frames, shuffled_chunks
from cmip6zarr.convert.hdf5_chunks import Job
from cmip6zarr.convert.hdf5_layout import Region
from cmip6zarr.core import chunks
from cmip6zarr.core.errors import DatasetError, reading_source
from cmip6zarr.model.inventory import Inventory, SourceFile
from cmip6zarr.source.attributes import missing_values
from cmip6zarr.source.time_units import TimeConversion, convert

if TYPE_CHECKING:
    import netCDF4

OPEN_FILES = 4
# What the netCDF library is asked for at once, if no native chunk is larger.
PIECE_BYTES = 16 * 2**20


class Reader:
    """The files of an inventory as arrays; use as a context manager.

    `used` tells by which ways each variable was read.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.files, self.variables = inventory.files, inventory.variables
        self.used: dict[str, set[str]] = {name: set() for name in self.variables}
        self._opened: OrderedDict[str, netCDF4.Dataset] = OrderedDict()
        self._touched: dict[str, int] = {}  # chunks of open files, for each of which the netCDF library holds memory
        self._lock = Lock()  # the netCDF library is not thread-safe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        hdf5_layout.layouts.cache_clear()  # the files may be others when a name is read again
        while self._opened:
            self._opened.popitem()[1].close()

    def jobs(self, array: chunks.Array, slab: Region, out: np.ndarray) -> Iterator[Job]:
        """Yield the jobs that fill `out` with a slab of an array: raw, little-endian, times in the first file's units.

        Each comes with the part of the slab (in indices of the whole dataset) that it fills. It raises DatasetError
        (`source`) where the file cannot be read.
        """
        for file, part, shift in self._parts(array, slab):
            region, origin = shifted(part, shift), tuple(axis.start for axis in shifted(slab, shift))
            layout = self._layout(array, file)
            self.used[array.name].add("direct" if layout else "netcdf4")
            if layout:
                work = hdf5_chunks.jobs(file.path, layout, region, out, origin)
            else:
                work = self._pieces(array, file, region, out, origin)
            back = [-n for n in shift]
            for covered, fill in work:
                yield shifted(covered, back), named(fill, array.name, file.path, covered)

    def native_chunks(self, array: chunks.Array, region: Region) -> list[shuffled_chunks.NativeChunk]:
        """Return the native chunks that one after another are a region of an array; empty if it is not so.

        They are those of `native_frames` where the array's are copied, else those of `shuffled_chunks`.
        """
        copied = array.not_copied is None
        find = native_frames.native_chunks if copied else shuffled_chunks.native_chunks
        parts = list(self._parts(array, region))
        found: list[shuffled_chunks.NativeChunk] = []
        if len(parts) > 1 and any(r.stop - r.start > 1 for r in region[: array.axis]):
            return []
        for file, part, shift in parts:
            layout = self._layout(array, file)
            if not isinstance(layout, hdf5_layout.Chunked):
                return []
            if layout.dtype != layout.dtype.newbyteorder(">" if array.big and copied else "<"):
                return []
            some = find(file.path, array.name, layout, shifted(part, shift))
            if not some or some[0].layout.chunks != (found or some)[0].layout.chunks:
                return []
            found += some
        self.used[array.name].add("copied" if copied else "shuffled")
        return found

    def stored_bytes(self, array: chunks.Array, regions: Sequence[Region]) -> int | None:
        """Return what regions of an array take in the files, as they are compressed there; None if it is not known."""
        taken = 0.0
        for region in regions:
            for file, part, shift in self._parts(array, region):
                layout = self._layout(array, file)
                if layout is None:
                    return None
                taken += hdf5_layout.stored_bytes(layout, shifted(part, shift))
        return round(taken)

    def _parts(self, array: chunks.Array, region: Region) -> Iterator[tuple[SourceFile, Region, list[int]]]:
        """Yield the files that hold a region, the part of it that each holds, and what takes indices to the file's."""
        axis, shift = array.axis, [0] * len(region)
        if axis is None:
            yield self.files[0], region, shift
            return
        for file in self.files:
            steps = slice(max(region[axis].start, file.start), min(region[axis].stop, file.stop))
            if steps.start < steps.stop:
                shift[axis] = file.skip - file.start
                yield file, (*region[:axis], steps, *region[axis + 1 :]), list(shift)

    def _layout(self, array: chunks.Array, file: SourceFile) -> hdf5_layout.Layout | None:
        """Return where the values of a variable lie in a file, or None if netCDF4 must read it."""
        layout = hdf5_layout.layouts(file.path).get(array.name)
        expected = list(array.shape)
        if array.axis is not None:
            expected[array.axis] = file.steps
        # A variable shorter than an unlimited dimension is filled up by the netCDF library.
        return layout if layout and list(layout.shape) == expected and array.name not in file.moves else None

    def _pieces(
        self, array: chunks.Array, file: SourceFile, region: Region, out: np.ndarray, origin: Sequence[int]
    ) -> Iterator[Job]:
        """Yield jobs that read rows of a region through netCDF4, whole native chunks at a time."""
        axis = array.axis or 0
        if not region:
            yield region, partial(self._read, array, file, region, out)
            return
        row_bytes = max(1, array.itemsize * int(np.prod([r.stop - r.start for i, r in enumerate(region) if i != axis])))
        native = max((native[axis] for native in array.native if native), default=1)
        rows = max(native, PIECE_BYTES // row_bytes // native * native)
        held = min((chunks.rows_at_once(array.shape, some, axis) for some in array.native if some), default=rows)
        rows = max(native, min(rows, held // native * native))
        for start in range(region[axis].start, region[axis].stop, rows):
            piece = (*region[:axis], slice(start, min(start + rows, region[axis].stop)), *region[axis + 1 :])
            yield piece, partial(self._read, array, file, piece, hdf5_chunks.view_of(out, piece, origin))

    def _read(self, array: chunks.Array, file: SourceFile, region: Region, target: np.ndarray) -> None:
        """Put a region of a variable, as netCDF4 reads it, into `target`."""
        name, path = array.name, file.path
        with self._lock:
            values = np.asarray(self._open(path)[name][region or ...])
            self._touched[path] += max((chunks.chunks_of(region, some) for some in array.native if some), default=0)
            if self._touched[path] > chunks.CHUNKS_HELD:
                self._opened.pop(path).close()
        if name in file.moves:
            by, keep = TimeConversion(*map(Fraction, file.moves[name])), missing_values(self.variables[name].attributes)
            values = convert(values, by, keep, target.dtype)[0]
        target[...] = values

    def _open(self, path: str) -> "netCDF4.Dataset":
        """Return the open file; closes the one opened first if there are too many."""
        from cmip6zarr.source.headers import open_raw  # netCDF4 costs a tenth of a second, and most datasets do without

        if path not in self._opened:
            self._opened[path], self._touched[path] = open_raw(path), 0
            if len(self._opened) > OPEN_FILES:
                self._opened.popitem(last=False)[1].close()
        return self._opened[path]


def shifted(region: Region, by: Sequence[int]) -> Region:
    """Return a region with the indices of each axis shifted."""
    return tuple(slice(r.start + n, r.stop + n) for r, n in zip(region, by, strict=True))


def named(fill: Callable[[], None], name: str, path: str, region: Region) -> Callable[[], None]:
    """Return a job that says what it read where it cannot."""

    def job() -> None:
        with reading_source(path, name, [(r.start, r.stop) for r in region]):
            fill()

    return job


def check_unchanged(file: SourceFile) -> None:
    """Raise DatasetError (`source`) unless a file still is the one of the inventory.

    Its size and times are compared, and which file it is; receipts of before have no `inode` and `ctime_ns`.
    """
    try:
        stat = Path(file.path).stat()
    except OSError as error:
        message = f"{file.path}: {error.strerror}."
        raise DatasetError("source", message, "Bring the file back and run again.") from error
    found = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino, "ctime_ns": stat.st_ctime_ns}
    if changed := [name for name, value in found.items() if getattr(file, name) not in (value, None)]:
        differ = ", ".join(f"{name} {found[name]}, expected {getattr(file, name)}" for name in changed)
        message = f"{file.path}: has changed since the inventory: found {differ}."
        raise DatasetError("source", message, "Run again: the dataset starts anew.")
