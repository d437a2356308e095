"""Copy native chunks into Blosc frames as they are: what HDF5 shuffles and deflates is a block of Blosc with zlib.

Nothing is inflated, so a bit that has flipped in a file is found by verify and not here. What is seen without inflating
is checked: that a stream begins as zlib does, and the Fletcher-32 of a chunk that has one.
"""

import struct
import zlib
from functools import lru_cache
from itertools import groupby, product
from pathlib import Path

import numpy as np
from numcodecs.shuffle import Shuffle

from cmip6zarr.convert.codecs import BLOSC_HEADER, Blosc
from cmip6zarr.convert.hdf5_chunks import applied, checked, read_at, stored_chunk
from cmip6zarr.convert.hdf5_layout import DEFLATE, FLETCHER32, SHUFFLE, Chunked, Region
from cmip6zarr.convert.shuffled_chunks import NativeChunk
from cmip6zarr.core.buffers import Bytes, scratch
from cmip6zarr.core.errors import reading_source

LEAST_STREAM = 8  # bytes: zlib's header, an empty block, the checksum


def native_chunks(path: str, name: str, layout: Chunked, region: Region) -> list[NativeChunk]:
    """Return the deflated chunks of a file that, one after another, are a region; empty if it is not so.

    They begin where the region begins, and only along the first axis there are several. Those at the edge of the file's
    values reach beyond it.
    """
    if DEFLATE not in layout.filters:
        return []
    for axis, (r, n, size) in enumerate(zip(region, layout.chunks, layout.shape, strict=True)):
        if r.start % n or (r.stop % n and r.stop != size) or (axis and r.stop - r.start > n):
            return []
    starts = product(*(range(r.start, r.stop, n) for r, n in zip(region, layout.chunks, strict=True)))
    return [NativeChunk(path, name, layout, start) for start in starts]


def frame(chunks: list[NativeChunk], count: int, beyond: bytes) -> memoryview:
    """Return the Blosc frame of `count` native chunks of one shape, of which those after `chunks` are beyond the array.

    These hold the value of bytes `beyond` alone. The frame is valid until the next call in the same thread. Raises
    DatasetError (`source`) where a file does not hold what it should.
    """
    layout = chunks[0].layout
    starts: list[int] = []
    places = [chunk.layout.index.get(chunk.start) for chunk in chunks]
    end = BLOSC_HEADER.size + 4 * count
    most = sum(4 + max(layout.chunk_bytes, place[1]) if place else 4 + layout.chunk_bytes for place in places)
    out = scratch.get("blosc", end + most + (count - len(chunks)) * (4 + layout.chunk_bytes))
    for path, group in groupby(chunks, key=lambda chunk: chunk.path):
        where = f"the chunks from {chunks[len(starts)].start} on"
        with reading_source(path, chunks[0].name, where), Path(path).open("rb", buffering=0) as file:
            for chunk in group:
                starts.append(end)
                end += put_block(file.fileno(), chunk, out[end:])
    for _ in range(count - len(chunks)):
        starts.append(end)
        end += put_bytes(constant(beyond, layout.chunk_bytes, SHUFFLE in layout.filters), out[end:])
    codec = Blosc("zlib", 1, layout.chunk_bytes, shuffle=SHUFFLE in layout.filters)
    return codec.framed(out[:end], layout.dtype.itemsize, count * layout.chunk_bytes, layout.chunk_bytes, starts)


def put_block(descriptor: int, chunk: NativeChunk, out: Bytes) -> int:
    """Put the block that is a native chunk into `out`, and return how many bytes of it that takes."""
    layout, place = chunk.layout, chunk.layout.index.get(chunk.start)
    shuffle = SHUFFLE in layout.filters
    if place is None:
        return put_bytes(constant(layout.fill.tobytes(), layout.chunk_bytes, shuffle), out)
    offset, size, mask = place
    filters = applied(layout, mask)
    if DEFLATE in filters and (SHUFFLE in filters) == shuffle:
        stream = read_at(descriptor, offset, out[4 : 4 + size])
        stream = checked(stream) if FLETCHER32 in filters else stream
        check_stream(stream)
        if len(stream) < layout.chunk_bytes:
            struct.pack_into("<I", out.data, 0, len(stream))
            return 4 + len(stream)
    # A block of its own size is one that is not compressed, so a stream of as much cannot be one.
    raw, shuffled = stored_chunk(descriptor, layout, place, None)
    return put_bytes(raw if shuffled == shuffle else Shuffle(layout.dtype.itemsize).encode(raw), out)


def check_stream(stream: Bytes) -> None:
    """Raise ValueError for bytes that do not begin as a zlib stream, or are too few to be one."""
    if len(stream) < LEAST_STREAM:
        raise ValueError(f"a stream of {len(stream)} bytes, expected at least {LEAST_STREAM}")
    method, flags = int(stream[0]), int(stream[1])
    if method & 15 != zlib.DEFLATED or method >> 4 > 7 or flags & 32 or (method << 8 | flags) % 31:
        raise ValueError(f"a stream that begins with the bytes {method} and {flags}, expected the header of zlib")


def put_bytes(block: Bytes | bytes, out: Bytes) -> int:
    """Put a block with its length before it into `out`, and return how many bytes of it that takes."""
    struct.pack_into("<I", out.data, 0, len(block))
    out[4 : 4 + len(block)] = np.frombuffer(block, "u1")
    return 4 + len(block)


@lru_cache(16)
def constant(value: bytes, chunk_bytes: int, shuffle: bool) -> bytes:
    """Return the block that is a chunk all of one value, of its bytes: deflated, if that makes it smaller."""
    times = chunk_bytes // len(value)
    raw = np.repeat(np.frombuffer(value, "u1"), times).tobytes() if shuffle else value * times
    return min(zlib.compress(raw, 1), raw, key=len)
