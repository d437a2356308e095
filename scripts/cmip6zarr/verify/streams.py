"""Compare what was copied compressed as it is stored: blocks of the store with chunks of the file, nothing inflated.

That what is equal compressed is equal in its values follows where both are decoded alike: type, byte order, shuffle and
chunk shape are compared, and a sample of every file is decoded both ways. Whatever is not equal, or stored in another
way, is compared by its values, so that nothing is taken on trust.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from math import ceil, prod

import numpy as np
import xxhash
from numcodecs.fletcher32 import Fletcher32

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.progress import Progress
from cmip6zarr.store import zarr_store
from cmip6zarr.verify import raw_chunks
from cmip6zarr.verify.frames import Form, begins_as_zlib, blocks_of, chunks_of, form_of, inflates
from cmip6zarr.verify.raw_chunks import DEFLATE, FLETCHER32, SHUFFLE, Pipeline, RawChunks
from cmip6zarr.verify.source import FETCH
from cmip6zarr.verify.tally import Tally
from cmip6zarr.verify.values import CONVERT_AGAIN, Part, compare_blocks

Region = tuple[slice, ...]
Index = tuple[int, ...]
COPIED = ([DEFLATE], [SHUFFLE, DEFLATE], [DEFLATE, FLETCHER32], [SHUFFLE, DEFLATE, FLETCHER32])
CUT_OFF = 4  # bytes of a Fletcher-32


@dataclass(frozen=True)
class Copy:
    """A part of an array whose chunks were copied, by the metadata of the array and the pipeline of the file.

    `native` is the shape of a chunk in the file.
    """

    part: Part
    form: Form
    native: tuple[int, ...]
    pipeline: Pipeline

    def file_start(self, start: Index) -> Index:
        """Return indices in the store as those of the file."""
        shift = self.part.file.skip - self.part.file.start
        return (start[0] + shift, *start[1:])


@dataclass
class Seen:
    """What of a part has been compared as it is stored, and what is left to be compared by its values.

    `filler` is a block beyond the array that inflates to the size of one.
    """

    blocks: int = 0
    left: list[Region] = field(default_factory=list)
    filler: bytes = b""


def compare_copied(part: Part, tally: Tally, progress: Progress) -> int | None:
    """Compare a part, if its chunks were copied, and return how many values were compared decoded.

    None, and no value compared, if they were not; a mismatch is noted where they are, and the metadata of the array are
    not those of such a copy. Raises DatasetError (`source`, `chunks`) where either side cannot be read.
    """
    form = form_of(part.array)
    if form is None or part.axis != 0 or part.clocks or part.variable.extent not in (None, part.variable.shape):
        return None
    if len(part.region) != part.array.ndim or not part.lies_within:
        return None
    part.source.close()
    seen = Seen()
    with raw_chunks.opened(part.source.header.path, part.name) as chunks:
        pipeline = chunks.pipeline() if chunks else None
        if chunks is None or pipeline is None or list(pipeline.filters) not in COPIED or not pipeline.partial:
            return None
        if problem := differing(form, pipeline, chunks):
            tally.wrong(f"{part.source.header.path}: {part.name!r}: {problem}")
            return None
        copy = Copy(part, form, pipeline.chunks, pipeline)
        for place, data in read_ahead(copy):
            compare_object(copy, chunks, place, data, seen)
    seen.left += samples(copy)
    tally.blocks_compared += seen.blocks
    count = compare_blocks(part, seen.left, tally, progress, None)
    # Of some of the values, so it tells nothing.
    tally.default_fill.pop((part.name, part.source.header.path), None)
    return count


def differing(form: Form, pipeline: Pipeline, chunks: RawChunks) -> str | None:
    """Return in words how the streams of a file decode otherwise than blocks of the frames of an array; None: alike."""
    steps = max(1, form.block_bytes // (prod(form.chunks[1:]) * form.itemsize))
    found = (form.shuffled, (steps, *form.chunks[1:]), form.chunks[0] % steps, form.block_bytes)
    block_bytes = prod(pipeline.chunks) * form.itemsize
    expected = (SHUFFLE in pipeline.filters, pipeline.chunks, 0, block_bytes)
    if found == expected and chunks.is_of(form.kind, form.order):
        return None
    return (
        f"found blocks of {form.block_bytes} bytes of {form.order}{form.kind}, chunks of {form.chunks}, "
        f"{'shuffled' if form.shuffled else 'not shuffled'}, expected those of the file: {block_bytes} bytes, "
        f"{pipeline.chunks}, filters {pipeline.filters} of HDF5"
    )


def read_ahead(copy: Copy) -> Iterator[tuple[Index, memoryview]]:
    """Yield the objects that hold values of a part, each with its indices; the next is read meanwhile."""
    array, axes = copy.part.array, zip(copy.part.region, copy.form.shards, strict=True)
    places = list(product(*(range(r.start // n, ceil(r.stop / n)) for r, n in axes)))
    with ThreadPoolExecutor(1) as reader:
        reading = [reader.submit(zarr_store.read_chunk, array, places[0])] if places else []
        for number, place in enumerate(places, 1):
            data = reading.pop().result()
            if number < len(places):
                reading.append(reader.submit(zarr_store.read_chunk, array, places[number]))
            yield place, memoryview(data)


def compare_object(copy: Copy, chunks: RawChunks, place: Index, data: memoryview, seen: Seen) -> None:
    """Compare the chunks of one object that hold values of a part, and note those to be compared by values."""
    form, array = copy.form, copy.part.array
    try:
        for within, frame in chunks_of(data, form):
            axes = zip(place, form.shards, within, form.chunks, strict=True)
            start = tuple(i * shard + j * n for i, shard, j, n in axes)
            region = inside(start, form.chunks, copy.part.region)
            if region is None:
                continue
            blocks = None if frame is None else blocks_of(frame, form)
            if blocks is None or not compare_frame(copy, chunks, start, blocks, seen):
                seen.left.append(region)
    except ValueError as error:
        message = f"{array.name!r}: object {zarr_store.chunk_key(array, place)!r}: {error}."
        raise DatasetError("chunks", message, CONVERT_AGAIN) from error


def inside(start: Index, shape: Index, region: Region) -> Region | None:
    """Return what a block has in common with a region, None for nothing."""
    axes = [slice(max(s, r.start), min(s + n, r.stop)) for s, n, r in zip(start, shape, region, strict=True)]
    return tuple(axes) if all(axis.start < axis.stop for axis in axes) else None


def compare_frame(copy: Copy, chunks: RawChunks, first: Index, blocks: list[memoryview], seen: Seen) -> bool:
    """Tell whether each block of the frame that begins at some indices is the file's chunk as it is stored there.

    Blocks of other files are passed over; those beyond the array must inflate to a block.
    """
    part, steps = copy.part, copy.native[0]
    total = part.array.shape[0]
    for number, block in enumerate(blocks):
        start = first[0] + number * steps
        if start >= total:
            if seen.filler != block and not inflates(block, copy.form.block_bytes):
                return False
            seen.filler = bytes(block)
        elif part.file.start < start + steps and start < part.file.stop:
            begin = copy.file_start((start, *first[1:]))
            ends_within = start + steps > part.file.stop and part.file.stop < total
            if begin[0] < 0 or begin[0] % steps or ends_within or not is_chunk(copy, chunks, begin, block):
                return False
            seen.blocks += 1
    return True


def is_chunk(copy: Copy, chunks: RawChunks, start: Index, block: memoryview) -> bool:
    """Tell whether a block is the chunk of the file that begins at some indices, as it is stored there."""
    path = copy.part.source.header.path
    try:
        found = chunks.read(start)
    except OSError as error:
        message = f"{path}: {copy.part.name!r}: {error}."
        raise DatasetError("source", message, FETCH) from error
    if found is None:
        return False
    stream, mask = found
    filters = [f for number, f in enumerate(copy.pipeline.filters) if not mask >> number & 1]
    if FLETCHER32 in filters:
        stream = summed(stream, f"{path}: {copy.part.name!r}: the chunk at {list(start)}")
    if (SHUFFLE in filters) != copy.form.shuffled:
        return False
    # A block of its raw size is one that is not deflated, and any other is.
    if (DEFLATE in filters) == (len(block) == copy.form.block_bytes):
        return False
    if DEFLATE in filters and not begins_as_zlib(block):
        return False
    return bool(np.array_equal(np.asarray(stream), np.asarray(block)))


def summed(stream: memoryview, what: str) -> memoryview:
    """Return the bytes of a chunk without the Fletcher-32 behind them; raises DatasetError where it is not theirs."""
    try:
        Fletcher32().decode(np.asarray(stream))
    except RuntimeError as error:
        raise DatasetError("source", f"{what}: its Fletcher-32 is not that of its bytes.", FETCH) from error
    return stream[:-CUT_OFF]


def samples(copy: Copy) -> list[Region]:
    """Return what of a part is decoded both ways: the values of a native chunk at a place that its path decides.

    Of the first and the last file, the first and the last chunk too.
    """
    part, steps = copy.part, copy.native[0]
    start, stop = part.file.start, part.file.stop
    count = ceil((stop - start) / steps)
    chosen = {xxhash.xxh3_64_intdigest(f"{part.source.header.path} {part.name}".encode()) % count}
    chosen |= {0} if start == 0 else set()
    chosen |= {count - 1} if stop == part.array.shape[0] else set()
    rows = (slice(start + n * steps, min(start + (n + 1) * steps, stop)) for n in sorted(chosen))
    return [within(copy, row) for row in rows]


def within(copy: Copy, row: slice) -> Region:
    """Return the region of a native chunk in a row of them, in the middle of space."""
    part = copy.part
    middle = tuple(
        slice(size // 2 // n * n, min(size // 2 // n * n + n, size))
        for size, n in zip(part.array.shape[1:], copy.native[1:], strict=True)
    )
    return (row, *middle)
