"""Faults of preset native: plans of copies, frames of chunks as they lie, and what is published of the files."""

import struct
from dataclasses import replace

import numpy as np

from cmip6zarr.convert.codecs import BLOSC_HEADER

from .declared import fault

FRAMES, HDF5 = "cmip6zarr.convert.native_frames", "cmip6zarr.convert.hdf5_chunks"
PLAN, BLOSC = "cmip6zarr.plan.native_copy", "cmip6zarr.convert.codecs:Blosc"
PUBLISHED = "cmip6zarr.verify.published"
BY_STREAMS = ("native", "native v2", "native shards")
COPIED = (*BY_STREAMS, "native by values")


@fault("copying", f"{FRAMES}:put_block", *COPIED, says="tas")
def block_of_another_step(put_block, descriptor, chunk, out):
    """A block is that of the step before it."""
    start = (max(0, chunk.start[0] - chunk.layout.chunks[0]), *chunk.start[1:])
    return put_block(descriptor, replace(chunk, start=start), out)


@fault("copying", f"{FRAMES}:put_block", *COPIED, says="tas")
def block_cut(put_block, descriptor, chunk, out):
    """A block lacks its last byte, and says so."""
    size = put_block(descriptor, chunk, out) - 1
    struct.pack_into("<I", out.data, 0, size - 4)
    return size


@fault("copying", f"{FRAMES}:put_block", *COPIED, says="tas")
def bit_of_a_block_flipped(put_block, descriptor, chunk, out):
    """A bit of a stream is flipped when it has been read."""
    size = put_block(descriptor, chunk, out)
    out[size // 2] ^= 4
    return size


@fault("copying", f"{FRAMES}:put_block", *COPIED, says="tas")
def sum_of_a_block_flipped(put_block, descriptor, chunk, out):
    """A bit of the Adler-32 behind a stream is flipped: its values are right, and zlib refuses them."""
    size = put_block(descriptor, chunk, out)
    out[size - 1] ^= 1
    return size


@fault("copying", f"{FRAMES}:put_block", *COPIED, says="tas")
def length_of_a_block(put_block, descriptor, chunk, out):
    """A block is said to be one byte longer than it is."""
    size = put_block(descriptor, chunk, out)
    struct.pack_into("<I", out.data, 0, size - 3)
    return size


@fault("copying", f"{FRAMES}:frame", *COPIED, says="tas")
def blocks_in_another_order(frame, chunks, count, beyond):
    """The blocks of a frame come from the last to the first."""
    return frame(chunks[::-1], count, beyond)


@fault("copying", f"{FRAMES}:frame", *COPIED, says="tas")
def blocks_of_the_first_file(frame, chunks, count, beyond):
    """All blocks of a frame are read from the file of the first."""
    return frame([replace(chunk, path=chunks[0].path) for chunk in chunks], count, beyond)


@fault("copying", f"{FRAMES}:frame", "native", "native v2", "native by values", says="tas")
def last_block_lost(frame, chunks, count, beyond):
    """The last block of a frame is taken to be beyond the array."""
    return frame(chunks[:-1] or chunks, count, beyond)


@fault("copying", f"{FRAMES}:native_chunks", *COPIED, says="tas")
def places_shifted(native_chunks, path, name, layout, region):
    """Chunks are taken from the next place along the last axis, or the first one."""
    size, n = layout.shape[-1], layout.chunks[-1]
    found = native_chunks(path, name, layout, region)
    return [replace(chunk, start=(*chunk.start[:-1], (chunk.start[-1] + n) % size // n * n)) for chunk in found]


@fault("copying", f"{FRAMES}:constant", "native holes", says="snd")
def holes_are_zeros(constant, value, chunk_bytes, shuffle):
    """Chunks that were never written are zero, not fill."""
    return constant(bytes(len(value)), chunk_bytes, shuffle)


@fault("copying", f"{FRAMES}:constant", "native holes", says="snd")
def holes_are_not_shuffled(constant, value, chunk_bytes, shuffle):
    """The block of a chunk that was never written is not shuffled, where the others are."""
    return constant(value, chunk_bytes, not shuffle)


@fault("copying", f"{FRAMES}:constant", *COPIED, says="tas")
def beyond_does_not_inflate(constant, *args):
    """The block beyond the array is no stream that inflates: readers could not read the others of its frame."""
    return constant(*args)[:-1]


@fault("copying", f"{BLOSC}.framed", *COPIED, says="tas")
def typesize_of_a_frame(framed, codec, frame, itemsize, *args):
    """A frame of copied blocks says that its values are half as long, so that they are not put together again."""
    return framed(codec, frame, itemsize // 2, *args)


@fault("copying", f"{BLOSC}.framed", *COPIED, says="tas")
def shuffle_of_a_frame(framed, codec, *args):
    """A frame says that its blocks are not shuffled."""
    return framed(replace(codec, shuffle=False), *args)


@fault("copying", f"{BLOSC}.framed", *COPIED, says="tas")
def starts_of_blocks_swapped(framed, codec, frame, itemsize, values_bytes, block_bytes, starts):
    """A frame says that its blocks lie in the other order."""
    return framed(codec, frame, itemsize, values_bytes, block_bytes, starts[::-1])


@fault("copying", f"{BLOSC}.framed", *COPIED, says="tas")
def values_of_a_frame(framed, codec, *args):
    """A frame says that it has one value less."""
    data = framed(codec, *args)
    (values_bytes,) = struct.unpack_from("<I", data, BLOSC_HEADER.size - 12)
    struct.pack_into("<I", data, BLOSC_HEADER.size - 12, values_bytes - args[1])
    return data


@fault("copying", f"{FRAMES}:check_stream", "native, no stream", says="tas")
def no_stream_copied(check_stream, stream):
    """What does not begin as a zlib stream in a damaged file is copied all the same."""


@fault("copying", f"{HDF5}:checked", "native, other sum", says="tas.*Fletcher")
def fletcher32_not_checked(checked, raw):  # noqa: ARG001
    """The Fletcher-32 of a damaged chunk is left out unread."""
    return raw[:-4]


@fault(
    "copying",
    f"{HDF5}:checked",
    "native, sums",
    says="",
    listed="zlib ends where its stream ends: the values of a chunk with four bytes more are the same",
)
def fletcher32_not_left_out(checked, raw):
    """The Fletcher-32 of a chunk stays behind its stream."""
    checked(raw)
    return raw


@fault("copying", f"{HDF5}:applied", "native, filters skipped", says="tas")
def masks_ignored(applied, layout, mask):  # noqa: ARG001
    """A chunk whose filters were skipped is taken for one with all of them."""
    return applied(layout, 0)


@fault("copying", f"{HDF5}:stored_chunk", "native, filters skipped", says="tas")
def shuffled_twice(stored_chunk, *args):
    """A chunk whose deflate was skipped is shuffled though it is."""
    raw, _ = stored_chunk(*args)
    return raw, False


@fault("copying", f"{HDF5}:read_at", *COPIED, says="tas")
def read_one_byte_on(read_at, descriptor, offset, into):
    """Chunks are read from the byte behind where they begin."""
    return read_at(descriptor, offset + 1, into)


@fault("copying", f"{HDF5}:inflate", "streamed", "native, not whole", says="tas")
def chunk_of_before(inflate, raw, out, decode):
    """What a buffer held before is taken for the chunk."""
    kept = np.array(out)
    inflate(raw, out, decode)
    out[:] = kept
    return out


@fault("copying", f"{PLAN}:obstacle", "native, not whole", says="tas")
def all_is_copied(obstacle, array):
    """Native chunks that cross the end of a file are said to fit."""
    return None if array.field else obstacle(array)


@fault("published", f"{PUBLISHED}:sum_of", "as published", says="checksum|SHA256")
def sum_of_an_empty_file(sum_of, path, kind):  # noqa: ARG001
    """The checksum of nothing is taken for that of each file."""
    return sum_of("/dev/null", kind)


@fault("published", f"{PUBLISHED}:published", "as published", says="SHA256")
def sums_of_other_files(published, row, *args):
    """Each file is compared with what was published of another one."""
    return published(replace(row, published=row.published[::-1]), *args)
