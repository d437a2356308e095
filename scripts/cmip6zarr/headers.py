"""What one NetCDF file says of itself: header and coordinates, no data."""

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

import netCDF4
import numpy as np

from . import library, netcdf3, watch
from .attributes import exact, read_attribute, typed
from .errors import LIBRARY_ERRORS, Refused
from .timeaxis import Move

# A variable becomes a folder: this is netCDF's own rule for names, which the header of a file may break, without what
# Zarr takes for a separator, and the names of its metadata.
NAME = r"(?!zarr\.json(\.unsealed)?$)[\w\x80-\U0010ffff]([^/\\\x00-\x1f\x7f]*[^/\\\x00-\x20\x7f])?"
MOST_NAME_BYTES = 255
# HDF5 filters that are on, as netCDF4 names them, in the words of the receipt.
NO_FILTERS = ("complevel", "blosc_shuffle")


@dataclass
class Variable:
    """One variable of one file: `dtype` is a numpy name without byte order, `str` or `S1`; contiguous: no `chunks`.

    `exact` has the bytes of attributes of which the typed form does not say all, `storage` what `library.storage` says;
    a classic file says nothing.
    """

    dtype: str
    dims: list[str]
    shape: list[int]
    chunks: list[int] | None
    filters: list[str]
    attributes: dict[str, list]
    exact: dict[str, list] = field(default_factory=dict)
    storage: dict | None = None


@dataclass
class Header:
    """One file: `bytes` and `mtime_ns` as the file system has them; dims, variables and attributes in their order.

    `format` is netCDF's name of it, `types` are the user-defined types that it declares.
    """

    path: str
    bytes: int
    mtime_ns: int
    dims: dict[str, int]
    unlimited: list[str]
    variables: dict[str, Variable] = field(default_factory=dict)
    attributes: dict[str, list] = field(default_factory=dict)
    exact: dict[str, list] = field(default_factory=dict)
    format: str = "NETCDF4"
    types: list[str] = field(default_factory=list)


@dataclass
class File:
    """One file of the source: `time` are its time values as the store has them, `days` those of `timeaxis.days_of`.

    `moves`, `dtypes` and `off` (by how many microseconds at most) say how variables come from the file into the store;
    `kept` are its values that a store does not give back, as `originals.difference` has them.
    """

    header: Header
    time: np.ndarray
    days: np.ndarray
    skip: int = 0
    moves: dict[str, Move] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    off: dict[str, float] = field(default_factory=dict)
    kept: dict[str, str | list | None] = field(default_factory=dict)


def open_raw(path) -> netCDF4.Dataset:
    """Open a file so that reads return what is stored: no mask, no scale, characters as characters.

    Raises Refused (`unreadable`) if the netCDF library cannot open it.
    """
    try:
        nc = netCDF4.Dataset(path)
    except LIBRARY_ERRORS as error:
        raise unreadable(path, error) from error
    nc.set_auto_maskandscale(False)
    nc.set_auto_chartostring(False)
    nc.set_always_mask(False)
    return nc


@contextmanager
def reading(path):
    """Turn what the netCDF library raises while it reads values of a file into the refusal of the file."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise unreadable(path, error) from error


def unreadable(path, error) -> Refused:
    """Return the refusal of a file that the netCDF library cannot read."""
    return Refused(
        "unreadable",
        f"{path}: the netCDF library cannot read it: {error}.",
        "Fetch the file again, or set policy.unreadable to leave_out.",
    )


def read_header(path) -> Header:
    """Return the header of a NetCDF file; raises Refused if it cannot be read or holds what Zarr has no name for."""
    try:
        stat = Path(path).stat()
        if not S_ISREG(stat.st_mode):  # to open a pipe would wait for ever
            raise ValueError("it is no regular file")
        expected = netcdf3.expected_bytes(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if expected is not None and stat.st_size < expected:
        message = f"{path}: is cut off: found {stat.st_size} bytes, expected {expected} by its own header."
        raise Refused("unreadable", message, "Fetch the file again, or set policy.unreadable to leave_out.")
    with watch.opening(path), open_raw(path) as nc:
        if nc.groups:
            raise Refused(
                "structure",
                f"{path}: has groups {list(nc.groups)}; CMIP6 files have none.",
                "Flatten it, or set policy.structure to leave_out.",
            )
        try:
            attributes, exactly = attributes_of(nc, nc, library.GLOBAL)
            return Header(
                path=str(path),
                bytes=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
                dims={name: len(dim) for name, dim in nc.dimensions.items()},
                unlimited=[name for name, dim in nc.dimensions.items() if dim.isunlimited()],
                variables={name: variable_header(path, nc, variable) for name, variable in nc.variables.items()},
                attributes=attributes,
                exact=exactly,
                format=nc.data_model,
                types=[*nc.cmptypes, *nc.vltypes, *nc.enumtypes],
            )
        except LIBRARY_ERRORS as error:
            raise unreadable(path, error) from error


def attributes_of(nc: netCDF4.Dataset, holder, varid: int) -> tuple[dict[str, list], dict[str, list]]:
    """Return the typed attributes of a file or of a variable in it, and those of which that does not say all."""
    attributes = {name: typed(read_attribute(holder, name)) for name in holder.ncattrs()}
    forms = {name: exact(a, *library.read_attribute(nc._grpid, varid, name)) for name, a in attributes.items()}
    return attributes, {name: form for name, form in forms.items() if form}


def variable_header(path, nc: netCDF4.Dataset, variable: netCDF4.Variable) -> Variable:
    """Return what the file at `path` says of one variable; raises Refused for what Zarr has no form for.

    Those are compound, enum, vlen and opaque types, and names that are no folder's or those of a store's own metadata.
    """
    if not re.fullmatch(NAME, variable.name) or len(variable.name.encode()) > MOST_NAME_BYTES:
        message = f"{path}: variable {variable.name!r} has a name that no array of a Zarr store can have."
        raise Refused("structure", message, "Rename it, or set policy.structure to leave_out.")
    if variable.dtype is str:
        dtype = "str"
    elif isinstance(variable.datatype, np.dtype):
        dtype = "S1" if variable.dtype == "S1" else np.dtype(variable.dtype).newbyteorder("=").name
    else:
        message = f"{path}: variable {variable.name!r} has the user-defined type {variable.datatype!r}."
        raise Refused(
            "structure",
            message,
            "Only numbers, characters and texts have a Zarr form: drop it, or set policy.structure to leave_out.",
        )
    chunks = None if variable.chunking() in ("contiguous", None) else list(variable.chunking())
    filters = variable.filters() or {}
    classic = nc.data_model.startswith("NETCDF3")
    attributes, exactly = attributes_of(nc, variable, variable._varid)
    return Variable(
        dtype=dtype,
        dims=list(variable.dimensions),
        shape=list(variable.shape),
        chunks=chunks,
        filters=sorted(name for name, on in filters.items() if on and name not in NO_FILTERS),
        attributes=attributes,
        exact=exactly,
        storage=None if classic else library.storage(nc._grpid, variable._varid, variable.ndim),
    )


def read_whole(header: Header, name: str) -> np.ndarray:
    """Return all of one small variable, raw."""
    with open_raw(header.path) as nc, reading(header.path):
        return np.asarray(nc[name][...])
