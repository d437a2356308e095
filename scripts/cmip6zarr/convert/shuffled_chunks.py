"""Hand native chunks over as they lie, shuffled: HDF5 and Blosc both put the first bytes of all values first.

To unshuffle what is shuffled again at once costs half as much as to inflate it. And block by block, a chunk is never
whole in memory but compressed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path

import numpy as np
from numcodecs.shuffle import Shuffle

from cmip6zarr.convert.hdf5_chunks import stored_chunk
from cmip6zarr.convert.hdf5_layout import SHUFFLE, Chunked, Region
from cmip6zarr.core.buffers import Bytes, scratch
from cmip6zarr.core.errors import reading_source


@dataclass(frozen=True)
class NativeChunk:
    """A chunk of a variable in a file: `start` are the indices of its first value there."""

    path: str
    name: str
    layout: Chunked
    start: tuple[int, ...]


def native_chunks(path: str, name: str, layout: Chunked, region: Region) -> list[NativeChunk]:
    """Return the shuffled chunks of a file that, one after another, are a region in C order; empty if it is not so."""
    if SHUFFLE not in layout.filters or layout.dtype != layout.dtype.newbyteorder("<"):
        return []
    return [NativeChunk(path, name, layout, start) for start in run(region, layout.chunks)]


def run(region: Region, chunks: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return where the chunks begin that, one after another, are a region in C order; empty where there are none.

    They are that if all are whole and have one value along each axis before some axis, and all of the region along each
    after it.

    >>> run((slice(4, 6), slice(0, 8), slice(0, 9)), (1, 4, 9))
    [(4, 0, 0), (4, 4, 0), (5, 0, 0), (5, 4, 0)]
    >>> run((slice(4, 6), slice(0, 8), slice(0, 9)), (2, 4, 9)), run((slice(4, 6), slice(0, 9)), (1, 5))
    ([], [])
    """
    first = next((axis for axis, n in enumerate(chunks) if n > 1), 0)
    for axis, (r, n) in enumerate(zip(region, chunks, strict=True)):
        if r.start % n or r.stop % n or (axis > first and r.stop - r.start != n):
            return []
    return list(product(*(range(r.start, r.stop, n) for r, n in zip(region, chunks, strict=True))))


def blocks(chunks: list[NativeChunk], count: int, block_bytes: int, beyond: bytes) -> Iterator[Bytes]:
    """Yield `count` chunks of one shape in blocks of at most `block_bytes` (at least one chunk), each block shuffled.

    What lies beyond `chunks` is all the value of bytes `beyond`. A block is valid until the next one. Raises
    DatasetError (`source`) where a file does not hold what it should.
    """
    layout = chunks[0].layout
    together = max(1, block_bytes // layout.chunk_bytes)
    for first in range(0, count, together):
        some = chunks[first : first + together]
        size = min(together, count - first)
        block = scratch.get("block", size * layout.chunk_bytes)
        planes = block.reshape(layout.dtype.itemsize, size, -1)
        place = 0
        for path, group in groupby(some, key=lambda chunk: chunk.path):
            where = f"the chunks from {some[place].start} on"
            with reading_source(path, some[place].name, where), Path(path).open("rb", buffering=0) as file:
                for chunk in group:
                    put(file.fileno(), chunk, planes[:, place])
                    place += 1
        planes[:, place:] = np.frombuffer(beyond, "u1")[:, None, None]
        yield block


def put(descriptor: int, chunk: NativeChunk, planes: Bytes) -> None:
    """Put a chunk, shuffled, into `planes`: (itemsize, values) bytes."""
    layout = chunk.layout
    place = layout.index.get(chunk.start)
    if place is None:
        planes[...] = np.frombuffer(layout.fill.tobytes(), "u1")[:, None]
        return
    straight = planes.reshape(-1) if planes.flags.c_contiguous else None
    raw, shuffled = stored_chunk(descriptor, layout, place, straight)
    if not shuffled:
        raw = np.frombuffer(Shuffle(layout.dtype.itemsize).encode(raw), "u1")
    if raw is not straight:
        planes[...] = raw.reshape(planes.shape)
