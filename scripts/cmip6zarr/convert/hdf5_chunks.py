"""Read chunks of NetCDF-4 variables past the HDF5 library, whose one lock and filter pipeline are the slow part.

Where they lie is known from `hdf5_layout`; their bytes are read, inflated and unshuffled here, in as many threads as
there are. What has no layout is left to the library.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from math import prod
from pathlib import Path

import imagecodecs
import numpy as np
from numcodecs.fletcher32 import Fletcher32
from numcodecs.shuffle import Shuffle

from cmip6zarr.convert.hdf5_layout import (
    DEFLATE,
    FLETCHER32,
    SHUFFLE,
    ZSTD,
    Chunked,
    Contiguous,
    Layout,
    Region,
    intersection,
    starts_in,
)
from cmip6zarr.core.buffers import Bytes, scratch
from cmip6zarr.core.chunks import CHUNKS_HELD

DECODERS = {DEFLATE: imagecodecs.deflate_decode, ZSTD: imagecodecs.zstd_decode}
JOB_BYTES = 4 * 2**20  # chunks much smaller than this share a job

Job = tuple[Region, Callable[[], None]]
"""A part of a slab, and what fills it."""


def jobs(path: str, layout: Layout, region: Region, out: np.ndarray, origin: Sequence[int]) -> Iterator[Job]:
    """Yield the jobs that together put a region of a variable into `out`.

    `out` begins at index `origin` of the file and has the variable's dtype in little-endian order. A job comes with the
    part of `region` that it fills. It raises OSError, ValueError or RuntimeError for bytes that are not
    what they should be.
    """
    if isinstance(layout, Contiguous):
        yield from contiguous_jobs(path, layout, region, out, origin)
    elif isinstance(layout, Chunked):
        yield from chunked_jobs(path, layout, region, out, origin)


def chunked_jobs(path: str, layout: Chunked, region: Region, out: np.ndarray, origin: Sequence[int]) -> Iterator[Job]:
    """Yield jobs that read some chunks each."""
    together = max(1, min(JOB_BYTES // layout.chunk_bytes, CHUNKS_HELD))
    batch: list[tuple[int, ...]] = []
    for start in product(*starts_in(layout, region)):
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

    Raises OSError, ValueError or RuntimeError for bytes that are not what they should be.
    """
    offset, size, mask = place
    raw = read_at(descriptor, offset, scratch.get("raw", size))
    filters = applied(layout, mask)
    if FLETCHER32 in filters:
        raw = checked(raw)
    for number in DECODERS.keys() & set(filters):
        out = scratch.get("inflated", layout.chunk_bytes) if into is None else into
        raw = inflate(raw, out, DECODERS[number])
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


def inflate(raw: Bytes, out: Bytes, decode: Callable[..., Bytes]) -> Bytes:
    """Return `out` with the stream `raw` decompressed into it; raises ValueError if it is of another length."""
    size = len(decode(raw, out=out))
    if size != len(out):
        raise ValueError(f"a chunk inflates to {size} bytes, expected {len(out)}")
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
