"""Read chunks of NetCDF-4 variables past the HDF5 library, whose one lock and filter pipeline are the slow part.

The library is asked once where the chunks of a file lie; then their bytes are read, inflated and unshuffled here, in as
many threads as there are. Whatever is not a plain number in shuffled, deflated or bare chunks is left to the library.
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from math import prod
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
from numcodecs.fletcher32 import Fletcher32
from numcodecs.shuffle import Shuffle

from cmip6zarr.core import open_timeout
from cmip6zarr.core.buffers import Bytes, scratch
from cmip6zarr.core.chunks import CHUNKS_HELD, FILES_INDEXED
from cmip6zarr.core.errors import LIBRARY_ERRORS
from cmip6zarr.source.hdf5_contents import NOT_A_COORDINATE

DEFLATE, SHUFFLE, FLETCHER32 = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32
# In the order in which they are applied; a bit of a chunk's filter mask tells that its filter was left out.
# Fletcher-32 is known where it is of the compressed bytes, as h5repack has it, and not of the values, as netCDF has it.
UNCHECKED: tuple[list[int], ...] = ([], [DEFLATE], [SHUFFLE], [SHUFFLE, DEFLATE])
KNOWN_PIPELINES = (*UNCHECKED, *([*some, FLETCHER32] for some in UNCHECKED))
JOB_BYTES = 4 * 2**20  # chunks much smaller than this share a job

Region = tuple[slice, ...]
Job = tuple[Region, Callable[[], None]]
"""A part of a slab, and what fills it."""


class Index:
    """Where the chunks of a variable lie that were written, in chunks.INDEX_BYTES each: they may be a million."""

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
        counts = [-(-size // n) for size, n in zip(shape, chunks, strict=True)]
        self._weights = [prod(counts[axis + 1 :]) for axis in range(len(counts))]
        self._chunks, self._numbers, self._places = chunks, array("Q"), array("Q")

    def add(self, start: tuple[int, ...], place: tuple[int, int, int]) -> None:
        """Note the place of a chunk: (byte offset, bytes, filter mask) by the indices of its first value."""
        self._numbers.append(self._number(start))
        self._places.extend(place)

    def sort(self) -> None:
        """Put the chunks in the order of their numbers, as `get` needs them; HDF5 lists most so already."""
        numbers = np.frombuffer(self._numbers, "u8")
        if (numbers[1:] <= numbers[:-1]).any():
            order = np.argsort(numbers)
            places = np.frombuffer(self._places, "u8").reshape(-1, 3)[order].tobytes()
            self._numbers, self._places = array("Q", numbers[order].tobytes()), array("Q", places)

    def get(self, start: tuple[int, ...]) -> tuple[int, int, int] | None:
        """Return the place of a chunk, None if it was never written."""
        number = self._number(start)
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers) or self._numbers[at] != number:
            return None
        offset, size, mask = self._places[3 * at : 3 * at + 3]
        return offset, size, mask

    def _number(self, start: tuple[int, ...]) -> int:
        return sum(s // n * w for s, n, w in zip(start, self._chunks, self._weights, strict=True))


@dataclass(frozen=True)
class Layout:
    """Where the values of one variable lie in a file; those that were never written are all `fill`."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fill: np.generic


@dataclass(frozen=True)
class Contiguous(Layout):
    """All values from byte `offset` on, in C order; None: never written."""

    offset: int | None


@dataclass(frozen=True)
class Chunked(Layout):
    """Values in chunks, of which `index` has the places; `filters` are HDF5's numbers, in the order of writing."""

    filters: tuple[int, ...]
    chunks: tuple[int, ...]
    index: Index

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk before compression."""
        return prod(self.chunks) * self.dtype.itemsize


@lru_cache(FILES_INDEXED)
def layouts(path: str) -> dict[str, Layout]:
    """Return the layouts of a file's variables that can be read here; the others, and files not HDF5, are left out.

    Links that may lead out of the file are not followed.
    """
    try:
        with open_timeout.opening(path), h5py.File(path) as file:
            if file.userblock_size:
                return {}
            hard = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
            names = {name.removeprefix(NOT_A_COORDINATE) for name in hard if isinstance(file[name], h5py.Dataset)}
            found = {name: layout_of(file[hdf5_name(file, name)]) for name in names}
    except LIBRARY_ERRORS:
        return {}  # no HDF5, or damaged: the netCDF library will say what is wrong
    return {name: layout for name, layout in found.items() if layout}


def hdf5_name(file: h5py.File, name: str) -> str:
    """Return the name that a NetCDF variable has in HDF5: another if it is named as a dimension that is not its own."""
    return NOT_A_COORDINATE + name if NOT_A_COORDINATE + name in file else name


def layout_of(dataset: h5py.Dataset) -> Layout | None:
    """Return the layout of an HDF5 dataset, or None if the library must read it."""
    properties = dataset.id.get_create_plist()
    kind, dtype = properties.get_layout(), dataset.dtype
    if dtype.kind not in "iuf" or dtype.metadata or properties.get_external_count() or 0 in dataset.shape:
        return None
    fill = np.asarray(dataset.fillvalue, dtype).reshape(-1)[0]
    if kind == h5py.h5d.CONTIGUOUS:
        return Contiguous(dataset.shape, dtype, fill, dataset.id.get_offset())
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if kind != h5py.h5d.CHUNKED or filters not in KNOWN_PIPELINES:
        return None
    index = index_of(dataset, filters)
    return None if index is None else Chunked(dataset.shape, dtype, fill, tuple(filters), dataset.chunks, index)


def index_of(dataset: h5py.Dataset, filters: list[int]) -> Index | None:
    """Return where the chunks of a dataset lie, or None if those at its edge may be stored unfiltered.

    No function of h5py tells of that setting (H5Pset_chunk_opts): such chunks have the size of whole ones.
    """
    shape, chunks = dataset.shape, dataset.chunks
    index, whole = Index(shape, chunks), prod(chunks) * dataset.dtype.itemsize
    ragged = filters and any(size % n for size, n in zip(shape, chunks, strict=True))

    def note(chunk: h5py.h5d.StoreInfo) -> bool | None:
        start = chunk.chunk_offset
        index.add(start, (chunk.byte_offset, chunk.size, chunk.filter_mask))
        if ragged and chunk.size == whole and not chunk.filter_mask:
            return any(s + n > size for s, n, size in zip(start, chunks, shape, strict=True)) or None
        return None

    unfiltered = dataset.id.chunk_iter(note)
    index.sort()
    return None if unfiltered else index


def jobs(path: str, layout: Layout, region: Region, out: np.ndarray, origin: Sequence[int]) -> Iterator[Job]:
    """Yield the jobs that together put a region of a variable into `out`.

    `out` begins at index `origin` of the file and has the variable's dtype in little-endian order. A job comes with the
    part of `region` that it fills. It raises OSError, ValueError or imagecodecs.DeflateError for bytes that are not
    what they should be.
    """
    if isinstance(layout, Contiguous):
        yield from contiguous_jobs(path, layout, region, out, origin)
    elif isinstance(layout, Chunked):
        yield from chunked_jobs(path, layout, region, out, origin)


def chunked_jobs(path: str, layout: Chunked, region: Region, out: np.ndarray, origin: Sequence[int]) -> Iterator[Job]:
    """Yield jobs that read some chunks each."""
    together = max(1, min(JOB_BYTES // layout.chunk_bytes, CHUNKS_HELD))
    starts = [range(r.start // c * c, r.stop, c) for r, c in zip(region, layout.chunks, strict=True)]
    batch: list[tuple[int, ...]] = []
    for start in product(*starts):
        batch.append(start)
        if len(batch) == together:
            yield chunk_job(path, layout, region, out, origin, batch)
            batch = []
    if batch:
        yield chunk_job(path, layout, region, out, origin, batch)


def chunk_job(
    path: str, layout: Chunked, region: Region, out: np.ndarray, origin: Sequence[int], starts: list[tuple[int, ...]]
) -> Job:
    """Return the job that puts some chunks into `out`, with the box around what it fills."""
    parts = [intersection(start, layout.chunks, region) for start in starts]
    around = tuple(slice(min(p[i].start for p in parts), max(p[i].stop for p in parts)) for i in range(len(region)))

    def fill() -> None:
        with Path(path).open("rb", buffering=0) as file:
            for start, part in zip(starts, parts, strict=True):
                put_chunk(file.fileno(), layout, start, part, view_of(out, part, origin))

    return around, fill


def view_of(values: np.ndarray, region: Region, origin: Sequence[int]) -> np.ndarray:
    """Return the view of a region in `values`, which begin at the indices `origin`."""
    inside = tuple(slice(r.start - o, r.stop - o) for r, o in zip(region, origin, strict=True))
    return values[inside] if inside else values


def intersection(start: tuple[int, ...], chunks: tuple[int, ...], region: Region) -> Region:
    """Return what a chunk has in common with a region."""
    return tuple(slice(max(s, r.start), min(s + c, r.stop)) for s, c, r in zip(start, chunks, region, strict=True))


def put_chunk(descriptor: int, layout: Chunked, start: tuple[int, ...], part: Region, target: np.ndarray) -> None:
    """Read one chunk and put the `part` of it that is wanted into `target`."""
    place = layout.index.get(start)
    if place is None:
        target[...] = layout.fill
        return
    whole = target.shape == layout.chunks and target.flags.c_contiguous and layout.dtype == target.dtype
    values = target.reshape(-1).view("u1") if whole else scratch.get("values", layout.chunk_bytes)
    raw, shuffled = stored_chunk(descriptor, layout, place, None if SHUFFLE in layout.filters else values)
    if shuffled:
        Shuffle(layout.dtype.itemsize).decode(raw, out=values)
    elif raw is not values:
        values[:] = raw
    if not whole:
        box = tuple(slice(p.start - s, p.stop - s) for p, s in zip(part, start, strict=True))
        target[...] = values.view(layout.dtype).reshape(layout.chunks)[box]


def stored_chunk(
    descriptor: int, layout: Chunked, place: tuple[int, int, int], into: Bytes | None
) -> tuple[Bytes, bool]:
    """Return the bytes of the chunk at a place of the index, and whether they are shuffled.

    They are inflated into `into`, if it is given.

    Raises OSError, ValueError or imagecodecs.DeflateError for bytes that are not what they should be.
    """
    offset, size, mask = place
    raw = read_at(descriptor, offset, scratch.get("raw", size))
    filters = applied(layout, mask)
    if FLETCHER32 in filters:
        raw = checked(raw)
    if DEFLATE in filters:
        raw = inflate(raw, scratch.get("inflated", layout.chunk_bytes) if into is None else into)
    if len(raw) != layout.chunk_bytes:
        raise ValueError(f"a chunk of {len(raw)} bytes, expected {layout.chunk_bytes}")
    return raw, SHUFFLE in filters


def applied(layout: Chunked, mask: int) -> list[int]:
    """Return the filters through which a chunk with a filter mask has gone."""
    return [f for i, f in enumerate(layout.filters) if not mask >> i & 1]


def checked(raw: Bytes) -> Bytes:
    """Return the bytes of a chunk without the Fletcher-32 behind them; raises ValueError if it is not theirs."""
    try:
        Fletcher32().decode(raw)
    except RuntimeError as error:
        raise ValueError(f"the Fletcher-32 of a chunk of {len(raw)} bytes is not that of its bytes") from error
    return raw[:-4]


def inflate(raw: Bytes, out: Bytes) -> Bytes:
    """Return `out` with the zlib stream `raw` inflated into it; raises ValueError if it is of another length."""
    inflated = imagecodecs.deflate_decode(raw, out=out)
    if len(inflated) != len(out):
        raise ValueError(f"a chunk inflates to {len(inflated)} bytes, expected {len(out)}")
    return out


def read_at(descriptor: int, offset: int, into: Bytes) -> Bytes:
    """Return `into`, filled with the bytes of a file at an offset; raises OSError where the file ends before."""
    done = 0
    while done < len(into):
        count = os.preadv(descriptor, [into.data[done:]], offset + done)
        if not count:
            raise OSError(f"the file ends at byte {offset + done}, {len(into) - done} bytes too early")
        done += count
    return into


def contiguous_jobs(
    path: str, layout: Contiguous, region: Region, out: np.ndarray, origin: Sequence[int]
) -> Iterator[Job]:
    """Yield jobs that read rows of a contiguous variable."""
    if not layout.shape:
        yield region, partial(put_rows, path, layout, region, out)
        return
    row_bytes = prod(layout.shape[1:]) * layout.dtype.itemsize
    rows = max(1, JOB_BYTES // max(1, row_bytes))
    for start in range(region[0].start, region[0].stop, rows):
        part = (slice(start, min(start + rows, region[0].stop)), *region[1:])
        yield part, partial(put_rows, path, layout, part, view_of(out, part, origin))


def put_rows(path: str, layout: Contiguous, part: Region, target: np.ndarray) -> None:
    """Read whole rows of a contiguous variable and put the part of them that is wanted into `target`."""
    if layout.offset is None:
        target[...] = layout.fill
        return
    first, count = (part[0].start, part[0].stop - part[0].start) if part else (0, 1)
    row_bytes = prod(layout.shape[1:]) * layout.dtype.itemsize
    with Path(path).open("rb", buffering=0) as file:
        raw = read_at(file.fileno(), layout.offset + first * row_bytes, scratch.get("raw", count * row_bytes))
    rows = raw.view(layout.dtype).reshape(count, *layout.shape[1:]) if part else raw.view(layout.dtype).reshape(())
    target[...] = rows[(slice(None), *part[1:])] if part else rows
