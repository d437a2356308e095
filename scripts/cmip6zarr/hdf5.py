"""Read chunks of NetCDF-4 variables past the HDF5 library, whose one lock and filter pipeline are the slow part.

The library is asked once where the chunks of a file lie; then their bytes are read, inflated and unshuffled here, in as
many threads as there are. Whatever is not a plain number in shuffled, deflated or bare chunks is left to the library.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
from numcodecs.shuffle import Shuffle

from . import watch
from .errors import LIBRARY_ERRORS
from .scratch import scratch

DEFLATE, SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE
# In the order in which they are applied; a bit of a chunk's filter mask tells that its filter was left out.
KNOWN_PIPELINES = ([], [DEFLATE], [SHUFFLE], [SHUFFLE, DEFLATE])
NOT_A_COORDINATE = "_nc4_non_coord_"
JOB_BYTES = 4 * 2**20  # chunks much smaller than this share a job
FILES_INDEXED = 256

Region = tuple[slice, ...]
Job = tuple[Region, Callable[[], None]]
"""A part of a slab, and what fills it."""


@dataclass(frozen=True)
class Layout:
    """Where the values of one variable lie in a file.

    `chunks` None: contiguous, at `offset` (None: never written). Otherwise `index` has (byte offset, bytes, filter
    mask) by the indices of a chunk's first value; a chunk that is not there is all `fill`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fill: np.generic
    filters: tuple[int, ...]
    chunks: tuple[int, ...] | None
    offset: int | None
    index: dict[tuple[int, ...], tuple[int, int, int]]

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk before compression."""
        return prod(self.chunks) * self.dtype.itemsize


@lru_cache(FILES_INDEXED)
def layouts(path: str) -> dict[str, Layout]:
    """Return the layouts of a file's variables that can be read here; the others, and files not HDF5, are left out."""
    try:
        with watch.opening(path), h5py.File(path) as file:
            if file.userblock_size:
                return {}
            items = file.items()
            names = {name.removeprefix(NOT_A_COORDINATE) for name, item in items if isinstance(item, h5py.Dataset)}
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
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    index: dict = {}
    if kind == h5py.h5d.CHUNKED and filters in KNOWN_PIPELINES:

        def note(chunk):
            index[chunk.chunk_offset] = (chunk.byte_offset, chunk.size, chunk.filter_mask)

        dataset.id.chunk_iter(note)
    elif kind != h5py.h5d.CONTIGUOUS:
        return None
    fill = np.asarray(dataset.fillvalue, dtype)[()]
    return Layout(dataset.shape, dtype, fill, tuple(filters), dataset.chunks, dataset.id.get_offset(), index)


def jobs(path: str, layout: Layout, region: Region, out: np.ndarray, origin: tuple[int, ...]) -> Iterator[Job]:
    """Yield the jobs that together put a region of a variable into `out`.

    `out` begins at index `origin` of the file and has the variable's dtype in little-endian order. A job comes with the
    part of `region` that it fills. It raises OSError, ValueError or imagecodecs.DeflateError for bytes that are not
    what they should be.
    """
    if layout.chunks is None:
        yield from contiguous_jobs(path, layout, region, out, origin)
        return
    together = max(1, JOB_BYTES // layout.chunk_bytes)
    starts = [range(r.start // c * c, r.stop, c) for r, c in zip(region, layout.chunks, strict=True)]
    batch: list[tuple[int, ...]] = []
    for start in product(*starts):
        batch.append(start)
        if len(batch) == together:
            yield chunk_job(path, layout, region, out, origin, batch)
            batch = []
    if batch:
        yield chunk_job(path, layout, region, out, origin, batch)


def chunk_job(path, layout, region, out, origin, starts: list[tuple[int, ...]]) -> Job:
    """Return the job that puts some chunks into `out`, with the box around what it fills."""
    parts = [intersection(start, layout.chunks, region) for start in starts]
    around = tuple(slice(min(p[i].start for p in parts), max(p[i].stop for p in parts)) for i in range(len(region)))

    def fill():
        with Path(path).open("rb", buffering=0) as file:
            for start, part in zip(starts, parts, strict=True):
                target = out[tuple(slice(p.start - o, p.stop - o) for p, o in zip(part, origin, strict=True))]
                put_chunk(file.fileno(), layout, start, part, target)

    return around, fill


def intersection(start: tuple[int, ...], chunks: tuple[int, ...], region: Region) -> Region:
    """Return what a chunk has in common with a region."""
    return tuple(slice(max(s, r.start), min(s + c, r.stop)) for s, c, r in zip(start, chunks, region, strict=True))


def put_chunk(descriptor: int, layout: Layout, start, part: Region, target: np.ndarray) -> None:
    """Read one chunk and put the `part` of it that is wanted into `target`."""
    if start not in layout.index:
        target[...] = layout.fill
        return
    whole = target.shape == layout.chunks and target.flags.c_contiguous and layout.dtype == target.dtype
    values = target.reshape(-1).view("u1") if whole else scratch.get("values", layout.chunk_bytes)
    raw, shuffled = stored_chunk(descriptor, layout, start, None if SHUFFLE in layout.filters else values)
    if shuffled:
        Shuffle(layout.dtype.itemsize).decode(raw, out=values)
    elif raw is not values:
        values[:] = raw
    if not whole:
        box = tuple(slice(p.start - s, p.stop - s) for p, s in zip(part, start, strict=True))
        target[...] = values.view(layout.dtype).reshape(layout.chunks)[box]


def stored_chunk(descriptor: int, layout: Layout, start, into: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """Return the bytes of a chunk, and whether they are shuffled; inflated into `into`, if it is given.

    Raises OSError, ValueError or imagecodecs.DeflateError for bytes that are not what they should be.
    """
    offset, size, mask = layout.index[start]
    raw = read_at(descriptor, offset, scratch.get("raw", size))
    filters = [f for i, f in enumerate(layout.filters) if not mask >> i & 1]
    if DEFLATE in filters:
        raw = inflate(raw, scratch.get("inflated", layout.chunk_bytes) if into is None else into)
    if len(raw) != layout.chunk_bytes:
        raise ValueError(f"a chunk of {len(raw)} bytes, expected {layout.chunk_bytes}")
    return raw, SHUFFLE in filters


def inflate(raw: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Return `out` with the zlib stream `raw` inflated into it; raises ValueError if it is of another length."""
    inflated = imagecodecs.deflate_decode(raw, out=out)
    if len(inflated) != len(out):
        raise ValueError(f"a chunk inflates to {len(inflated)} bytes, expected {len(out)}")
    return out


def read_at(descriptor: int, offset: int, into: np.ndarray) -> np.ndarray:
    """Return `into`, filled with the bytes of a file at an offset; raises OSError where the file ends before."""
    done = 0
    while done < len(into):
        count = os.preadv(descriptor, [memoryview(into)[done:]], offset + done)
        if not count:
            raise OSError(f"the file ends at byte {offset + done}, {len(into) - done} bytes too early")
        done += count
    return into


def contiguous_jobs(path, layout: Layout, region: Region, out: np.ndarray, origin) -> Iterator[Job]:
    """Yield jobs that read rows of a contiguous variable."""
    if not layout.shape:
        yield region, lambda: put_rows(path, layout, region, out)
        return
    row_bytes = prod(layout.shape[1:]) * layout.dtype.itemsize
    rows = max(1, JOB_BYTES // max(1, row_bytes))
    for start in range(region[0].start, region[0].stop, rows):
        part = (slice(start, min(start + rows, region[0].stop)), *region[1:])
        target = out[tuple(slice(p.start - o, p.stop - o) for p, o in zip(part, origin, strict=True))]
        yield part, lambda part=part, target=target: put_rows(path, layout, part, target)


def put_rows(path, layout: Layout, part: Region, target: np.ndarray) -> None:
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
