"""Write a NetCDF file of a dataset again, from its sealed store and the provenance beside that.

What cannot be written as it was is refused; nothing is restored approximately.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import ceil, prod
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from zarr.types import AnyArray

from cmip6zarr.convert import encoding
from cmip6zarr.core import chunks
from cmip6zarr.core.chunks import STRING_BYTES
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.provenance import Provenance
from cmip6zarr.restore import copied_chunks
from cmip6zarr.source import file_form, netcdf_c
from cmip6zarr.source.attributes import bytes_of, missing_values
from cmip6zarr.source.headers import Header, read_header
from cmip6zarr.source.time_units import TimeConversion, convert
from cmip6zarr.store import ledger, zarr_store
from cmip6zarr.store.provenance import CONVERT_AGAIN, KEEP, Original, name_of, original

TYPES = {"str": "string", "S1": "char"}
# Read and written at once, if no shard is larger.
BLOCK_BYTES = 32 * 2**20
# HDF5 holds native chunks that are half written up to this; larger ones it compresses more than once.
MOST_CACHE_BYTES = 256 * 2**20


def open_arrays(store: str | Path, provenance: Provenance) -> dict[str, AnyArray]:
    """Return the arrays of a sealed store; a chunk that is missing or not what the ledger says raises when it is read.

    Raises DatasetError if there is no sealed store, its arrays are not those of the provenance (`store`), or there is
    no whole ledger (`ledger`).
    """
    with zarr_store.quiet():
        checksums = {entry.key: entry.xxh3 for entry in ledger.read(store).values()}
        arrays = dict(zarr_store.open_sealed(store, checksums).arrays())
    for name, variable in provenance.variables.items():
        expected = (list(variable.shape), variable.dtype)
        found = (list(arrays[name].shape), dtype_name(arrays[name].dtype)) if name in arrays else None
        if found != expected:
            message = f"{store}: {name!r}: found {found}, expected {expected} by its provenance."
            raise DatasetError("store", message, CONVERT_AGAIN)
    return arrays


def dtype_name(dtype: np.dtype) -> str:
    """Return the name that the dtype of an array has in the provenance."""
    return "str" if dtype.kind in "OTU" else "S1" if dtype == "S1" else dtype.newbyteorder("=").name


def restore(arrays: dict[str, AnyArray], provenance: Provenance, number: int, folder: str | Path) -> Path:
    """Write one of the source files of a store into a folder, whole or not at all, and return its path.

    `arrays` are those of the store, from `open_arrays`. Raises DatasetError if something is there already or it cannot
    be written as it was (`restore`), if the provenance does not fit (`provenance`), or a chunk is not there (`chunks`).
    """
    source = original(provenance, number)
    target = Path(folder, name_of(source.file))
    check_absent(target)
    check_possible(source, arrays)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".restore.{os.getpid()}.part")
    try:
        with zarr_store.quiet():
            write(arrays, source, part)
        check_header(read_header(part), source)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.utime(part, ns=(source.file.mtime_ns, source.file.mtime_ns))
        check_absent(target)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def check_absent(target: Path) -> None:
    """Raise DatasetError (`restore`) if there is anything at the place of a file: nothing is replaced."""
    if target.exists() or target.is_symlink():
        message = f"{target}: exists, expected nothing there."
        raise DatasetError("restore", message, "Choose another folder, or move it away.")


def check_possible(source: Original, arrays: dict[str, AnyArray]) -> None:
    """Raise DatasetError for what cannot be restored (`restore`), or has no place in the arrays (`provenance`)."""
    for name in source.form["order"]:
        facts, stop = source.variables[name], source.file.stop
        ours = zip(facts.dims, source.shape(name), arrays[name].shape, strict=True)
        if any(stop > size if dim == source.time_name else size != n for dim, n, size in ours):
            message = (
                f"{source.path}: {name!r} of shape {source.shape(name)} up to step {stop}: found an array of "
                f"{arrays[name].shape} in the store, expected one that has it."
            )
            raise DatasetError("provenance", message, CONVERT_AGAIN)
    if source.form["types"]:
        message = f"{source.path}: holds what its store does not, {source.form['types']}, expected nothing of the kind."
        raise DatasetError("restore", message, KEEP)
    for name, kept in source.kept.items():
        if kept is None:
            message = (
                f"{source.path}: {name!r} differs from the first file's; its values were found too many to keep, "
                f"expected at most {file_form.MOST_RAW_BYTES} bytes, and {file_form.MOST_KEPT_BYTES} of what differs."
            )
            raise DatasetError("restore", message, KEEP)


@contextmanager
def writing(source: Original, what: str) -> Iterator[None]:
    """Turn what the netCDF library raises while it writes into a DatasetError (`restore`)."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        message = f"{source.path}: {what} cannot be written as it was: {error}."
        raise DatasetError("restore", message, f"Make room if there is none. {KEEP}") from error


def write(arrays: dict[str, AnyArray], source: Original, part: Path) -> None:
    """Write a file that is not there yet: its header as it was, then its values, and chunks that are as they were."""
    with writing(source, "the file"):
        with netCDF4.Dataset(part, "x", format=source.form["format"]) as nc:
            define(nc._grpid, source)
        copied = copied_chunks.copies(part, arrays, source)
        with netCDF4.Dataset(part, "r+", format=source.form["format"]) as nc:
            nc.set_auto_maskandscale(False)
            nc.set_auto_chartostring(False)
            for name in [name for name in source.form["order"] if name not in copied]:
                with writing(source, repr(name)):
                    fill(nc[name], arrays[name], source)
        if copied:
            copied_chunks.write(part, copied, source)


def define(ncid: int, source: Original) -> None:
    """Write the dimensions, variables and attributes of an open file."""
    unlimited = source.form["unlimited"]
    dimids = {n: netcdf_c.define_dimension(ncid, n, 0 if n in unlimited else size) for n, size in source.dims.items()}
    put_attributes(ncid, netcdf_c.GLOBAL, "", source)
    for name in source.form["order"]:
        variable, stored = source.variables[name], source.form["variables"][name]["storage"]
        kind = TYPES.get(variable.dtype, variable.dtype)
        with writing(source, repr(name)):
            varid = netcdf_c.define(ncid, name, kind, [dimids[dim] for dim in variable.dims], stored)
        put_attributes(ncid, varid, name, source)


def put_attributes(ncid: int, varid: int, variable: str, source: Original) -> None:
    """Write the attributes of a variable ("": global ones) in their order, with their types and bytes."""
    exact = source.exact(variable)
    for name, value in source.attributes[variable].items():
        with writing(source, f"attribute {variable}:{name} = {value}"):
            netcdf_c.write_attribute(ncid, varid, name, *bytes_of(value, exact.get(name)))


def fill(variable: "netCDF4.Variable[Any]", array: AnyArray, source: Original) -> None:
    """Copy the values of a file from the store, some shards at a time."""
    name, facts, file = variable.name, source.variables[variable.name], source.file
    shape, dims = source.shape(name), facts.dims
    axis = dims.index(source.time_name) if source.time_name in dims else None
    shift = [file.start - file.skip if n == axis else 0 for n in range(len(shape))]
    kept = source.kept.get(name)
    own = None if kept is None else file_form.undo(kept, shape, encoding.dtype_of(facts.dtype))
    back = TimeConversion(*map(Fraction, file.moves[name])).inverse if name in file.moves else None
    itemsize = STRING_BYTES if facts.dtype == "str" else encoding.dtype_of(facts.dtype).itemsize
    plan = chunks.Array(name, array.shape, dims, itemsize, axis=axis)
    block = chunks.shard_shape(plan, array.shards or array.chunks, BLOCK_BYTES)
    enlarge_cache(variable, source.form["variables"][name]["storage"], axis or 0)
    whole = tuple(slice(by, by + size) for by, size in zip(shift, shape, strict=True))
    for region in chunks.regions(whole, block):
        here = tuple(slice(r.start - by, r.stop - by) for r, by in zip(region, shift, strict=True))
        try:
            values = np.asarray(array[region or ...])
        except (OSError, RuntimeError, ValueError) as error:
            message = f"{source.path}: {name!r} cannot be read from the store at {region}: {error}."
            raise DatasetError("chunks", message, CONVERT_AGAIN) from error
        values = values.astype(object) if facts.dtype == "str" else values
        if back:
            values, _ = convert(values, back, missing_values(source.attributes[name]), encoding.dtype_of(facts.dtype))
        values = file_form.cast(values, encoding.dtype_of(facts.dtype))
        if own is not None:
            values = file_form.applied(values, own[here])
        if values.size:
            variable[here or ...] = values if here else values[()]


def enlarge_cache(variable: "netCDF4.Variable[Any]", stored: dict[str, Any] | None, axis: int) -> None:
    """Let HDF5 hold a row of native chunks along an axis, which are then compressed once each."""
    if stored and stored["chunks"] and variable.dtype is not str:
        counts = [ceil(size / n) for size, n in zip(variable.shape, stored["chunks"], strict=True)]
        counts[axis] = 1
        row = prod(counts) * prod(stored["chunks"]) * variable.dtype.itemsize
        if chunks.CACHE_BYTES < row <= MOST_CACHE_BYTES:
            variable.set_var_chunk_cache(row)


def check_header(header: Header, source: Original) -> None:
    """Raise DatasetError (`restore`) unless the header of the written file is that of the original in all it says."""
    found, expected = file_form.form(header, None), source.form | {"dims": [[*row] for row in source.dims.items()]}
    pairs = [(key, found[key], expected[key]) for key in expected if key != "variables"]
    pairs.append(("attributes", header.attributes, source.attributes[""]))
    for name, variable in header.variables.items():
        facts, ours = source.variables[name], (variable.dtype, variable.dims, tuple(variable.shape))
        pairs.append((repr(name), ours, (facts.dtype, list(facts.dims), source.shape(name))))
        pairs.append((f"attributes of {name!r}", variable.attributes, source.attributes[name]))
        theirs = expected["variables"][name]
        pairs += [(f"{key} of {name!r}", found["variables"][name][key], theirs[key]) for key in theirs]
    for what, ours, theirs in pairs:
        if ours != theirs:
            message = f"{source.path}: {what} cannot be written as it was: found {ours}, expected {theirs}."
            raise DatasetError("restore", message, KEEP)
