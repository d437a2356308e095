"""Faults of the reader: where values lie, what their bytes are, and what the netCDF library is asked for."""

from dataclasses import replace

import numpy as np

from cmip6zarr.convert import hdf5_layout

from .declared import fault

LAYOUT, HDF5 = "cmip6zarr.convert.hdf5_layout", "cmip6zarr.convert.hdf5_chunks"
READER, PLANES = "cmip6zarr.convert.reader", "cmip6zarr.convert.shuffled_chunks"


@fault("reading", f"{READER}:Reader._parts", "plain", "streamed", says=r"time|tas")
def values_of_another_file(parts, reader, array, region):
    """The steps of every file are read from the first file."""
    for _, part, shift in parts(reader, array, region):
        yield reader.files[0], part, shift


@fault("reading", f"{READER}:Reader._parts", "trimmed", says="time|tas")
def skip_ignored(parts, reader, array, region):
    """Steps that a file shares with the one before are read again."""
    for file, part, shift in parts(reader, array, region):
        yield file, part, [n - file.skip * (axis == array.axis) for axis, n in enumerate(shift)]


@fault("reading", f"{READER}:Reader._parts", "plain", says="tas|time")
def step_shifted(parts, reader, array, region):
    """A step is read from the place of the one before it."""
    for file, part, shift in parts(reader, array, region):
        first = array.axis is not None and part[array.axis].start == file.start
        yield file, part, shift if first else [n - (axis == array.axis) for axis, n in enumerate(shift)]


@fault("reading", f"{READER}:Reader.native_chunks", "streamed", says="tas")
def streamed_from_the_first_file(native_chunks, reader, array, region):
    """Chunks that are handed over as they lie come from the first file."""
    return [replace(chunk, path=reader.files[0].path) for chunk in native_chunks(reader, array, region)]


@fault("reading", f"{LAYOUT}:hdf5_name", "plain", says="tas|tos")
def another_variable(hdf5_name, file, name):
    """A field is read from another of the same shape."""
    return hdf5_name(file, "tos" if name == "tas" else name)


@fault("reading", f"{LAYOUT}:layout_of", "one file of many chunks", "streamed", says="tas")
def places_swapped(layout_of, dataset):
    """The places of two chunks of a file are swapped."""
    layout = layout_of(dataset)
    places = layout.index._places if isinstance(layout, hdf5_layout.Chunked) else []
    places[:3], places[-3:] = places[-3:], places[:3]
    return layout


@fault("reading", f"{LAYOUT}:layout_of", "kinds", "kinds v2", says="big-endian")
def big_endian_unseen(layout_of, dataset):
    """Big-endian numbers are taken for little-endian ones."""
    layout = layout_of(dataset)
    return layout and replace(layout, dtype=layout.dtype.newbyteorder("<"))


@fault("reading", f"{LAYOUT}:layout_of", "holes", says="snd")
def holes_are_zero(layout_of, dataset):
    """Chunks that were never written are read as zero, not as fill."""
    layout = layout_of(dataset)
    return layout and replace(layout, fill=layout.dtype.type(0))


@fault("reading", f"{HDF5}:inflate", "plain", "streamed", "streamed v2", says="tas")
def bytes_swapped(inflate, *args):
    """Two bytes of an inflated chunk change places."""
    inflated = inflate(*args)
    inflated[0], inflated[-1] = inflated[-1], inflated[0]
    return inflated


@fault("reading", f"{HDF5}:inflate", "plain", "streamed", "streamed v2", says="tas")
def bit_flipped(inflate, *args):
    """A bit of an inflated chunk is flipped."""
    inflated = inflate(*args)
    inflated[len(inflated) // 2] ^= 1
    return inflated


@fault("reading", f"{HDF5}:inflate", "plain", "streamed", "streamed v2", says="tas")
def end_not_inflated(inflate, *args):
    """The end of an inflated chunk is zero."""
    inflated = inflate(*args)
    inflated[-4:] = 0
    return inflated


@fault("reading", f"{HDF5}:stored_chunk", "streamed", "one file of many chunks", says="tas")
def shuffle_not_undone(stored_chunk, *args):
    """What HDF5 has shuffled is taken for values."""
    raw, _ = stored_chunk(*args)
    return raw, False


@fault("reading", f"{HDF5}:intersection", "one file of many chunks", says="tas|time")
def part_of_a_chunk_too_short(intersection, *args):
    """Of a chunk that is wanted in part the last row is not read."""
    part = intersection(*args)
    first = part[0]
    return (slice(first.start, max(first.start + 1, first.stop - 1)), *part[1:])


@fault("reading", f"{HDF5}:put_chunk", "one file of many chunks", says="tas")
def part_of_a_chunk_mirrored(put_chunk, descriptor, layout, start, part, target):
    """Longitudes within a chunk are mirrored."""
    put_chunk(descriptor, layout, start, part, target)
    target[...] = target[..., ::-1].copy()


@fault("reading", f"{HDF5}:put_rows", "plain", "kinds", says="lat|f4|f8")
def rows_shifted(put_rows, path, layout, part, target):
    """Contiguous values are read one row too early."""
    put_rows(path, layout, part, target)
    target[...] = np.roll(target, 1)


@fault("reading", f"{HDF5}:read_at", "plain", says=r"\.nc|lat")
def offset_off_by_one(read_at, descriptor, offset, into):
    """Bytes are read from one byte later."""
    return read_at(descriptor, offset + 1, into)


@fault("reading", f"{PLANES}:put", "streamed", says="tas")
def planes_reversed(put, descriptor, chunk, planes):
    """The bytes of streamed values come in the other order."""
    put(descriptor, chunk, planes)
    planes[...] = planes[::-1].copy()


@fault("reading", f"{PLANES}:run", "streamed", says="tas")
def chunks_in_another_order(run, region, chunks):
    """Native chunks are put side by side from the last to the first."""
    return run(region, chunks)[::-1]


@fault("reading", f"{PLANES}:blocks", "streamed", says="tas|chunks")
def sign_of_zero_set(blocks, chunks, *args):
    """A bit of the last byte of a streamed value is set."""
    for block in blocks(chunks, *args):
        block[-1] |= 0x80
        yield block


@fault("reading", f"{READER}:Reader._read", "classic", "units", says="tas|time")
def library_bytes_swapped(read, reader, name, file, region, target):
    """What the netCDF library reads is taken in the other byte order."""
    read(reader, name, file, region, target)
    if target.dtype != object:
        target[...] = target.byteswap()


@fault("reading", f"{READER}:Reader._read", "classic", says="lat|time")
def single_precision(read, reader, name, file, region, target):
    """Double precision is lost on the way, and a step of a thousandth with it."""
    read(reader, name, file, region, target)
    if target.dtype == "f8":
        target[...] = (target + 0.001).astype("f4")


@fault("reading", "cmip6zarr.source.headers:open_raw", "classic", says="tas")
def scale_applied(open_raw, path):
    """Packed values are unpacked as they are read."""
    nc = open_raw(path)
    nc.set_auto_maskandscale(True)
    return nc


@fault("reading", f"{READER}:Reader._pieces", "classic", says="tas|time")
def last_row_unread(pieces, reader, array, file, region, out, origin):
    """The last row of what the netCDF library is asked for is not read."""
    out[...] = 0
    for part, fill in pieces(reader, array, file, region, out, origin):
        yield part, fill if part and part[0].stop != region[0].stop else lambda: None


@fault("reading", f"{READER}:Reader._read", "kinds", "kinds v2", says="text")
def blanks_stripped(read, reader, name, file, region, target):
    """Texts lose the blanks at their ends."""
    read(reader, name, file, region, target)
    if target.dtype == object:
        target[...] = np.vectorize(str.strip, otypes=[object])(target)


@fault("reading", f"{READER}:Reader._read", "kinds", "kinds v2", says="characters")
def zero_bytes_become_blanks(read, reader, name, file, region, target):
    """Zero bytes among characters become blanks."""
    read(reader, name, file, region, target)
    if target.dtype.kind == "S":
        target[target == b""] = b" "
