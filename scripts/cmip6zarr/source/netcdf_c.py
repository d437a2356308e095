"""The netCDF C library itself, asked for what netCDF4-python does not tell: types of attributes, storage settings.

Handles (`ncid`, `varid`) are those of an open netCDF4.Dataset. What the library reports is raised as RuntimeError, as
netCDF4-python does.
"""

import ctypes
import sys
from ctypes import byref, c_int, c_size_t, c_uint
from typing import Any

import netCDF4
import numpy as np

from cmip6zarr.core.files import JSON
from cmip6zarr.source.attributes import Encoded

# The names of its functions are found through the extension module, whatever library that is linked with.
NETCDF = ctypes.CDLL(sys.modules[netCDF4.Dataset.__module__].__file__)
NETCDF.nc_strerror.restype = ctypes.c_char_p

# netcdf.h: nc_type of what numpy, or an attribute with its type, calls so.
TYPES = {
    **{"int8": 1, "char": 2, "int16": 3, "int32": 4, "float32": 5, "float64": 6},
    **{"uint8": 7, "uint16": 8, "uint32": 9, "int64": 10, "uint64": 11, "string": 12},
}
NAMES = {code: name for name, code in TYPES.items()}
USER_DEFINED = "user-defined"
FILL_VALUE = "_FillValue"
WHILE_WRITTEN = "_fill_value_while_written"
HDF5_FORMATS = (3, 4)
GLOBAL = -1
LAYOUTS = ("chunked", "contiguous", "compact", "unknown", "virtual")
ENDIANS = ("native", "little", "big")


def call(function: str, *args: Any) -> None:
    """Call a function of the library; raises RuntimeError if it fails."""
    status = getattr(NETCDF, function)(*args)
    if status:
        raise RuntimeError(f"{function}: {NETCDF.nc_strerror(status).decode()}")


def read_attribute(ncid: int, varid: int, name: str) -> tuple[str, Encoded]:
    """Return the type of an attribute and its bytes as in memory; of texts a list of them, None for no text."""
    code, count, where = c_int(), c_size_t(), (ncid, varid, name.encode())
    call("nc_inq_att", *where, byref(code), byref(count))
    kind = NAMES.get(code.value, USER_DEFINED)
    if kind == USER_DEFINED:
        return kind, b""
    if kind == "string":
        texts = (ctypes.c_char_p * count.value)()
        call("nc_get_att_string", *where, texts)
        found = list(texts)
        call("nc_free_string", count, texts)
        return kind, found
    data = ctypes.create_string_buffer(count.value * itemsize(kind))
    call("nc_get_att", *where, data)
    return kind, data.raw


def write_attribute(ncid: int, varid: int, name: str, kind: str, data: Encoded) -> None:
    """Write an attribute as `read_attribute` returns it; raises RuntimeError for one of a user-defined type."""
    if kind == USER_DEFINED:
        raise RuntimeError("its type is user-defined, expected numbers, characters or texts")
    count = len(data) if isinstance(data, list) else len(data) // itemsize(kind)
    # The library refuses to write a fill value of another type, but in HDF5 not to give an attribute that name.
    is_renamed = name == FILL_VALUE and varid != GLOBAL and is_odd(ncid, varid, TYPES[kind], count)
    where = (ncid, varid, (WHILE_WRITTEN if is_renamed else name).encode())
    if isinstance(data, list):
        call("nc_put_att_string", *where, c_size_t(count), (ctypes.c_char_p * count)(*data))
    else:
        call("nc_put_att", *where, TYPES[kind], c_size_t(count), data)
    if is_renamed:
        call("nc_rename_att", *where, name.encode())


def is_odd(ncid: int, varid: int, kind: int, count: int) -> bool:
    """Tell whether so many numbers of an nc_type are no fill value of a variable; RuntimeError in a classic file."""
    code, form = c_int(), c_int()
    call("nc_inq_vartype", ncid, varid, byref(code))
    call("nc_inq_format", ncid, byref(form))
    if (kind, count) == (code.value, 1):
        return False
    if form.value not in HDF5_FORMATS:  # the library would fail when it closes the file, and crash after that
        raise RuntimeError("a classic file has no fill value of another type than its variable")
    return True


def itemsize(kind: str) -> int:
    """Return the bytes of one number or character in memory."""
    return 1 if kind == "char" else np.dtype(kind).itemsize


def storage(ncid: int, varid: int, rank: int) -> JSON:
    """Return how a variable of `rank` dimensions in an HDF5 file is stored: all of it that `define` can ask for."""
    layout, chunks = c_int(), (c_size_t * rank)()
    call("nc_inq_var_chunking", ncid, varid, byref(layout), chunks)
    endian, no_fill = c_int(), c_int()
    call("nc_inq_var_endian", ncid, varid, byref(endian))
    call("nc_inq_var_fill", ncid, varid, byref(no_fill), None)
    word = LAYOUTS[layout.value]
    return {
        "layout": word,
        "chunks": list(chunks) if word == "chunked" else [],
        "filters": filters(ncid, varid),
        "endian": ENDIANS[endian.value],
        "no_fill": bool(no_fill.value),
    }


def filters(ncid: int, varid: int) -> list[list[Any]]:
    """Return [HDF5 id, parameters] of a variable's filters, in their order: shuffle (2), deflate (1), checksum (3)."""
    count = c_size_t()
    call("nc_inq_var_filter_ids", ncid, varid, byref(count), None)
    ids, found = (c_uint * count.value)(), []
    call("nc_inq_var_filter_ids", ncid, varid, byref(count), ids)
    for number in ids:
        call("nc_inq_var_filter_info", ncid, varid, c_uint(number), byref(count), None)
        parameters = (c_uint * count.value)()
        call("nc_inq_var_filter_info", ncid, varid, c_uint(number), byref(count), parameters)
        found.append([number, list(parameters)])
    return found


def has_filter(ncid: int, number: int) -> bool:
    """Tell whether the library can apply the HDF5 filter of a number."""
    return not NETCDF.nc_inq_filter_avail(ncid, c_uint(number))


def define_dimension(ncid: int, name: str, size: int) -> int:
    """Add a dimension, unlimited if `size` is 0, and return its id."""
    dimid = c_int()
    call("nc_def_dim", ncid, name.encode(), c_size_t(size), byref(dimid))
    return dimid.value


def define(ncid: int, name: str, kind: str, dimids: list[int], stored: JSON | None) -> int:
    """Add a variable that is stored as `storage` says (None: a classic file, which has no choice); return its id."""
    varid = c_int()
    call("nc_def_var", ncid, name.encode(), TYPES[kind], len(dimids), (c_int * len(dimids))(*dimids), byref(varid))
    if stored is None:
        return varid.value
    where = (ncid, varid)
    if dimids:
        chunks = (c_size_t * len(dimids))(*stored["chunks"]) if stored["chunks"] else None
        call("nc_def_var_chunking", *where, LAYOUTS.index(stored["layout"]), chunks)
    for number, parameters in stored["filters"]:
        values = (c_uint * len(parameters))(*parameters)
        call("nc_def_var_filter", *where, c_uint(number), c_size_t(len(parameters)), values)
    if stored["endian"] != "native":
        call("nc_def_var_endian", *where, ENDIANS.index(stored["endian"]))
    if stored["no_fill"]:
        call("nc_def_var_fill", *where, 1, None)
    return varid.value
