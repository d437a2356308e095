"""What one NetCDF file says of itself: header and coordinates, no data.

Attributes are kept with their type, since JSON has none: `[type, value]` with the type `char` (text), `string`
(text of variable length) or a numpy name; numbers that JSON cannot hold are spelled as text.
"""

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import netCDF4
import numpy as np

from . import netcdf3
from .errors import Refused

# HDF5 filters that are on, as netCDF4 names them, in the words of the receipt.
NO_FILTERS = ("complevel", "blosc_shuffle")


@dataclass
class Variable:
    """One variable of one file: `dtype` is a numpy name without byte order, `str` or `S1`; contiguous: no `chunks`."""

    dtype: str
    dims: list[str]
    shape: list[int]
    chunks: list[int] | None
    filters: list[str]
    attributes: dict[str, list]


@dataclass
class Header:
    """One file: `bytes` and `mtime_ns` as the file system has them; dims in order of the file."""

    path: str
    bytes: int
    mtime_ns: int
    dims: dict[str, int]
    unlimited: list[str]
    variables: dict[str, Variable] = field(default_factory=dict)
    attributes: dict[str, list] = field(default_factory=dict)

    def as_json(self) -> dict:
        return asdict(self)


def open_raw(path) -> netCDF4.Dataset:
    """Open a file so that reads return what is stored: no mask, no scale, characters as characters.

    Raises Refused (`unreadable`) if the netCDF library cannot open it.
    """
    try:
        nc = netCDF4.Dataset(path)
    except (OSError, RuntimeError) as error:
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
    except (OSError, RuntimeError, IndexError) as error:
        raise unreadable(path, error) from error


def unreadable(path, error) -> Refused:
    """Return the refusal of a file that the netCDF library cannot read."""
    return Refused(
        "unreadable",
        f"{path}: the netCDF library cannot read it: {error}.",
        "Fetch the file again, or set policy.unreadable to leave_out.",
    )


def typed(value) -> list:
    """Return an attribute's value with its type, fit for JSON.

    >>> typed("K"), typed(np.float32(1e20)), typed(np.array([1, 2], "i4")), typed(np.float64("nan"))
    (['char', 'K'], ['float32', 1.0000000200408773e+20], ['int32', [1, 2]], ['float64', 'nan'])
    """
    if isinstance(value, str):
        return ["char", value]
    if isinstance(value, list):
        return ["string", value]
    array = np.asarray(value)
    plain = array.tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        plain = [str(v) for v in plain] if array.ndim else str(plain)
    return [array.dtype.newbyteorder("=").name, plain]


def untyped(attribute: list):
    """Return the value of a typed attribute: text, list of texts, numpy scalar or 1-D array.

    >>> untyped(["float32", "nan"]), untyped(["int32", [1, 2]])
    (np.float32(nan), array([1, 2], dtype=int32))
    """
    kind, value = attribute
    if kind in ("char", "string"):
        return value
    return np.array(value, dtype=kind)[()] if not isinstance(value, str) else np.dtype(kind).type(value)


def read_header(path) -> Header:
    """Return the header of a NetCDF file; raises Refused if it cannot be read or holds what Zarr has no name for."""
    try:
        stat = Path(path).stat()
        expected = netcdf3.expected_bytes(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if expected is not None and stat.st_size < expected:
        message = f"{path}: is cut off: found {stat.st_size} bytes, expected {expected} by its own header."
        raise Refused("unreadable", message, "Fetch the file again, or set policy.unreadable to leave_out.")
    with open_raw(path) as nc:
        if nc.groups:
            raise Refused("structure", f"{path}: has groups {list(nc.groups)}; CMIP6 files have none.", "Flatten it.")
        try:
            return Header(
                path=str(path),
                bytes=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
                dims={name: len(dim) for name, dim in nc.dimensions.items()},
                unlimited=[name for name, dim in nc.dimensions.items() if dim.isunlimited()],
                variables={name: variable_header(path, variable) for name, variable in nc.variables.items()},
                attributes={name: typed(nc.getncattr(name)) for name in nc.ncattrs()},
            )
        except (RuntimeError, UnicodeDecodeError) as error:
            raise unreadable(path, error) from error


def variable_header(path, variable: netCDF4.Variable) -> Variable:
    """Return what the file at `path` says of one variable; raises Refused for compound, enum, vlen and opaque types."""
    if variable.dtype is str:
        dtype = "str"
    elif isinstance(variable.datatype, np.dtype):
        dtype = "S1" if variable.dtype == "S1" else np.dtype(variable.dtype).newbyteorder("=").name
    else:
        message = f"{path}: variable {variable.name!r} has the user-defined type {variable.datatype!r}."
        raise Refused("structure", message, "Only numbers, characters and strings have a Zarr form.")
    chunks = None if variable.chunking() in ("contiguous", None) else list(variable.chunking())
    filters = variable.filters() or {}
    return Variable(
        dtype=dtype,
        dims=list(variable.dimensions),
        shape=list(variable.shape),
        chunks=chunks,
        filters=sorted(name for name, on in filters.items() if on and name not in NO_FILTERS),
        attributes={name: typed(variable.getncattr(name)) for name in variable.ncattrs()},
    )
