"""Write native chunks back into a NetCDF-4 file as they are in the store: the compressed bytes are the source's."""

from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from pathlib import Path

import h5py
import numpy as np
from numcodecs.fletcher32 import Fletcher32
from zarr.types import AnyArray

from cmip6zarr.convert.hdf5_layout import hdf5_name
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.store import zarr_store
from cmip6zarr.store.provenance import CONVERT_AGAIN, Original
from cmip6zarr.verify.frames import Form, blocks_of, chunks_of, form_of
from cmip6zarr.verify.raw_chunks import DEFLATE, FLETCHER32, SHUFFLE
from cmip6zarr.verify.streams import COPIED

Index = tuple[int, ...]


@dataclass(frozen=True)
class Copy:
    """A variable of a file whose chunks are in the store as they were.

    `shift` is what takes a step of the file to one of the store, `shape` is its shape in the file, `native` that of a
    chunk there. `filters` are HDF5's, in the order of writing.
    """

    array: AnyArray
    form: Form
    shift: int
    shape: tuple[int, ...]
    native: tuple[int, ...]
    filters: tuple[int, ...]


def copies(part: Path, arrays: dict[str, AnyArray], source: Original) -> dict[str, Copy]:
    """Return the variables of a file that chunks can be written to as they are in the store, by name.

    Only the header is written of the file at `part`. What sets the lengths of unlimited dimensions is left to netCDF.
    """
    if not source.form["format"].startswith("NETCDF4"):
        return {}
    found = {}
    with h5py.File(part) as file:
        for name in source.form["order"]:
            form = form_of(arrays[name])
            if form is not None and name not in source.file.moves and name not in source.kept:
                copy = copy_of(file[hdf5_name(file, name)], arrays[name], form, source, name)
                if copy is not None:
                    found[name] = copy
    others = {dim for name in source.form["order"] if name not in found for dim in source.variables[name].dims}
    lengths = others | (source.dims.keys() - set(source.form["unlimited"]))
    return {name: copy for name, copy in found.items() if lengths.issuperset(source.variables[name].dims)}


def copy_of(dataset: h5py.Dataset, array: AnyArray, form: Form, source: Original, name: str) -> Copy | None:
    """Return how chunks of an array become those of an HDF5 dataset, None where they are not such."""
    dims, native, properties = source.variables[name].dims, dataset.chunks, dataset.id.get_create_plist()
    static = source.time_name not in dims
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    shift = 0 if static else source.file.start - source.file.skip
    if filters not in COPIED or (not static and dims[0] != source.time_name) or dataset.dtype != form.dtype:
        return None
    found = (form.shuffled, form.chunks[1:], form.chunks[0] % native[0], form.block_bytes, shift % native[0])
    expected = (SHUFFLE in filters, native[1:], 0, prod(native) * form.itemsize, 0)
    return Copy(array, form, shift, source.shape(name), native, tuple(filters)) if found == expected else None


def write(part: Path, copied: dict[str, Copy], source: Original) -> None:
    """Write the chunks of variables into a file.

    Raises DatasetError (`chunks`) where an object of the store is not what it should be, OSError where HDF5 cannot
    write.
    """
    with h5py.File(part, "r+") as file:
        for name, copy in copied.items():
            dataset = file[hdf5_name(file, name)]
            if dataset.shape != copy.shape:
                dataset.resize(copy.shape)
            try:
                for place in places(copy):
                    write_object(dataset, copy, place)
            except ValueError as error:
                message = f"{source.path}: {name!r} cannot be read from the store: {error}."
                raise DatasetError("chunks", message, CONVERT_AGAIN) from error


def places(copy: Copy) -> "product[Index]":
    """Return the indices of the objects that hold chunks of the file."""
    starts, stops = (copy.shift, *[0] * (len(copy.shape) - 1)), (copy.shift + copy.shape[0], *copy.shape[1:])
    axes = zip(starts, stops, copy.form.shards, strict=True)
    return product(*(range(start // n, ceil(stop / n)) for start, stop, n in axes))


def write_object(dataset: h5py.Dataset, copy: Copy, place: Index) -> None:
    """Write the chunks of one object that are of the file; a frame of other blocks is written by its values."""
    form = copy.form
    data = memoryview(zarr_store.read_chunk(copy.array, place))
    for within, frame in chunks_of(data, form):
        axes = zip(place, form.shards, within, form.chunks, strict=True)
        start = tuple(i * shard + j * n for i, shard, j, n in axes)
        first = (start[0] - copy.shift, *start[1:])
        blocks = None if frame is None else blocks_of(frame, form)
        if blocks is None:
            write_values(dataset, copy, first)
            continue
        for number, block in enumerate(blocks):
            step = first[0] + number * copy.native[0]
            if 0 <= step < copy.shape[0]:
                mask, stored = stored_as(block, copy)
                dataset.id.write_direct_chunk((step, *first[1:]), stored, filter_mask=mask)


def stored_as(block: memoryview, copy: Copy) -> tuple[int, bytes]:
    """Return the filter mask and the bytes with which HDF5 stores a block: one of its raw size is not deflated."""
    mask = 1 << copy.filters.index(DEFLATE) if len(block) == copy.form.block_bytes else 0
    if FLETCHER32 in copy.filters:
        return mask, bytes(Fletcher32().encode(np.asarray(block)))
    return mask, bytes(block)


def write_values(dataset: h5py.Dataset, copy: Copy, first: Index) -> None:
    """Write the values of the chunk of the store that begins at some indices of the file."""
    ends = zip(first, copy.form.chunks, copy.shape, strict=True)
    here = tuple(slice(max(0, start), min(start + n, size)) for start, n, size in ends)
    if all(axis.start < axis.stop for axis in here):
        shifted = (slice(here[0].start + copy.shift, here[0].stop + copy.shift), *here[1:])
        dataset[here] = np.asarray(copy.array[shifted])
