"""What one NetCDF file says of itself: header and coordinates, no data."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Any

import netCDF4
import numpy as np

from cmip6zarr.core import chunks, open_timeout
from cmip6zarr.core.errors import LIBRARY_ERRORS, Refused
from cmip6zarr.core.files import JSON
from cmip6zarr.model.inventory import Attributes
from cmip6zarr.source import hdf5_contents, netcdf3_size, netcdf_c
from cmip6zarr.source.attributes import exact, read_attribute, typed
from cmip6zarr.source.hdf5_contents import Contents, Unfit
from cmip6zarr.source.time_units import TimeConversion

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
    attributes: Attributes
    exact: Attributes = field(default_factory=dict)
    storage: JSON | None = None


@dataclass
class Header:
    """One file: `bytes` and `mtime_ns` as the file system has them; dims, variables and attributes in their order.

    `format` is netCDF's name of it, `types` are the user-defined types that it declares, `unseen` says in words what it
    holds beyond this header.
    """

    path: str
    bytes: int
    mtime_ns: int
    dims: dict[str, int]
    unlimited: list[str]
    variables: dict[str, Variable] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)
    exact: Attributes = field(default_factory=dict)
    format: str = "NETCDF4"
    types: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    inode: int | None = None
    ctime_ns: int | None = None


@dataclass
class File:
    """One file of the source: `time` are its time values as the store has them, `days` those of `time_units.days_of`.

    `conversions`, `dtypes` and `off` (by how many microseconds at most) say how its times come into the store; `kept`
    are its values that a store does not give back, as `file_form.difference` has them.
    """

    header: Header
    time: np.ndarray
    days: np.ndarray
    skip: int = 0
    conversions: dict[str, TimeConversion] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    off: dict[str, float] = field(default_factory=dict)
    kept: dict[str, str | list[Any] | None] = field(default_factory=dict)


def open_raw(path: str | Path) -> netCDF4.Dataset:
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
def reading(path: str | Path) -> Iterator[None]:
    """Turn what the netCDF library raises while it reads values of a file into the refusal of the file."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: Exception) -> Refused:
    """Return the refusal of a file that the netCDF library cannot read."""
    return Refused(
        "unreadable",
        f"{path}: the netCDF library cannot read it: {error}.",
        "Fetch the file again, or set policy.unreadable to leave_out.",
    )


def read_header(path: str | Path, drop: bool = False) -> Header:
    """Return the header of a NetCDF file; raises Refused if it cannot be read or holds what Zarr has no name for.

    What the file holds and no store can hold is refused too (`unseen`), or with `drop` left out of the header.
    """
    try:
        stat = Path(path).stat()
        if not S_ISREG(stat.st_mode):  # to open a pipe would wait for ever
            raise ValueError("it is no regular file")
        expected = netcdf3_size.expected_bytes(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if expected is not None and stat.st_size < expected:
        message = f"{path}: is cut off: found {stat.st_size} bytes, expected {expected} by its own header."
        raise Refused("unreadable", message, "Fetch the file again, or set policy.unreadable to leave_out.")
    with open_timeout.opening(path):
        holds = read_contents(path)
        unfit = holds.unfit()
        if not drop:
            check_seen(path, unfit)
        with open_raw(path) as nc, reading(path):
            listed = {name: variable.ncattrs() for name, variable in nc.variables.items()}
            if holds.variables or holds.attributes:
                unfit = holds.beyond(listed, nc.ncattrs()) | unfit
            if not drop:
                check_seen(path, unfit)
            attributes, exactly = attributes_of(nc, nc, "", unfit)
            variables = {name: v for name, v in nc.variables.items() if (name, "") not in unfit}
            hdf5_contents.check_whole(path, holds, {name: list(v.shape) for name, v in variables.items()})
            return Header(
                path=str(path),
                bytes=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
                dims={name: len(dim) for name, dim in nc.dimensions.items()},
                unlimited=[name for name, dim in nc.dimensions.items() if dim.isunlimited()],
                variables={name: variable_header(path, nc, v, holds, unfit) for name, v in variables.items()},
                attributes=attributes,
                exact=exactly,
                format=nc.data_model,
                types=holds.types,
                unseen=hdf5_contents.told(unfit),
                inode=stat.st_ino,
                ctime_ns=stat.st_ctime_ns,
            )


def read_contents(path: str | Path) -> Contents:
    """Return what HDF5 holds in a file, nothing for one of another format; raises Refused for groups and links."""
    with reading(path):
        holds = hdf5_contents.contents_of(path) if hdf5_contents.is_hdf5(path) else Contents()
    if holds.groups:
        raise Refused(
            "structure",
            f"{path}: has groups {holds.groups}; CMIP6 files have none.",
            "Flatten it, or set policy.structure to leave_out.",
        )
    return holds


def check_seen(path: str | Path, unfit: Unfit) -> None:
    """Raise Refused (`unseen`) if a file holds what no store can hold."""
    if unfit:
        message = f"{path}: holds what no store can hold: {', '.join(hdf5_contents.told(unfit))}."
        remedy = "Take it out of the file, or set policy.unseen to drop (convert without it) or leave_out."
        raise Refused("unseen", message, remedy)


def attributes_of(
    nc: netCDF4.Dataset, holder: "netCDF4.Dataset | netCDF4.Variable[Any]", variable: str, unfit: Unfit
) -> tuple[Attributes, Attributes]:
    """Return the typed attributes of a file ("") or of a variable in it, and those of which that does not say all.

    Those in `unfit`, (variable, attribute), are left out.
    """
    names = [name for name in holder.ncattrs() if (variable, name) not in unfit]
    varid = holder._varid if variable else netcdf_c.GLOBAL
    attributes = {name: typed(read_attribute(holder, name)) for name in names}
    forms = {name: exact(a, *netcdf_c.read_attribute(nc._grpid, varid, name)) for name, a in attributes.items()}
    return attributes, {name: form for name, form in forms.items() if form}


def variable_header(
    path: str | Path, nc: netCDF4.Dataset, variable: "netCDF4.Variable[Any]", holds: Contents, unfit: Unfit
) -> Variable:
    """Return what the file at `path` says of one variable, but its attributes in `unfit`.

    Raises Refused for a name that no folder can have, or that is one of a store's own metadata (`structure`), and for a
    filter that the library lacks (`unreadable`).
    """
    if not re.fullmatch(NAME, variable.name) or len(variable.name.encode()) > MOST_NAME_BYTES:
        message = f"{path}: variable {variable.name!r} has a name that no array of a Zarr store can have."
        raise Refused("structure", message, "Rename it, or set policy.structure to leave_out.")
    if variable.name in holds.variables:
        check_filters(path, nc, variable.name, holds.variables[variable.name].filters)
    if variable.dtype is str:
        dtype = "str"
    else:
        dtype = "S1" if variable.dtype == "S1" else np.dtype(variable.dtype).newbyteorder("=").name
    native = variable.chunking()
    filters = variable.filters() or {}
    classic = nc.data_model.startswith("NETCDF3")
    attributes, exactly = attributes_of(nc, variable, variable.name, unfit)
    return Variable(
        dtype=dtype,
        dims=list(variable.dimensions),
        shape=list(variable.shape),
        chunks=None if native is None or isinstance(native, str) else list(native),
        filters=sorted(name for name, on in filters.items() if on and name not in NO_FILTERS),
        attributes=attributes,
        exact=exactly,
        storage=None if classic else netcdf_c.storage(nc._grpid, variable._varid, variable.ndim),
    )


def check_filters(path: str | Path, nc: netCDF4.Dataset, name: str, filters: list[tuple[int, str]]) -> None:
    """Raise Refused (`unreadable`) for a filter of a variable that the library has no plugin for."""
    for number, words in filters:
        if not netcdf_c.has_filter(nc._grpid, number):
            message = (
                f"{path}: variable {name!r} is compressed by the HDF5 filter {number} ({words or 'without a name'}), "
                "for which the netCDF library has no plugin."
            )
            remedy = (
                "Install HDF5's plugin for it and name its folder in HDF5_PLUGIN_PATH, or write the file again with "
                "deflate, or set policy.unreadable to leave_out."
            )
            raise Refused("unreadable", message, remedy)


def read_whole(header: Header, name: str) -> np.ndarray:
    """Return all of one small variable, raw.

    It is read in pieces where it has many chunks: the netCDF library keeps some memory for each until it closes a file.
    """
    variable = header.variables[name]
    parts: list[np.ndarray] = []
    rows = chunks.rows_at_once(variable.shape, variable.chunks)
    for start in range(0, variable.shape[0] if variable.shape else 1, rows):
        with open_raw(header.path) as nc, reading(header.path):
            parts.append(np.asarray(nc[name][start : start + rows] if variable.shape else nc[name][...]))
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty(variable.shape)
