"""What one NetCDF file says of itself, asked of the netCDF C library: names, types, dimensions, attributes as bytes.

netCDF4-python is not asked: it leaves out what it has no Python form for, and changes what it has one for.
"""

import ctypes
from ctypes import byref, c_int, c_size_t
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from netCDF4 import _netCDF4

from cmip6zarr.verify import held

# The functions of the library are found through the extension module, whatever file it is linked with.
NETCDF = ctypes.CDLL(_netCDF4.__file__)
NETCDF.nc_strerror.restype = ctypes.c_char_p
# netcdf.h: the external types.
KINDS = {
    **{1: "int8", 2: "char", 3: "int16", 4: "int32", 5: "float32", 6: "float64"},
    **{7: "uint8", 8: "uint16", 9: "uint32", 10: "int64", 11: "uint64", 12: "string"},
}
USER_DEFINED = "user-defined"
NAME_BYTES = 257
NC_GLOBAL, NC_CHUNKED = -1, 0

Value = str | float | list[str] | list[float]
"""An attribute in plain Python; an integer is an int."""


class Attribute(NamedTuple):
    """An attribute as it is stored: the name of its type, and its bytes in memory; of texts, those of each."""

    kind: str
    data: bytes | tuple[bytes | None, ...]

    @property
    def numbers(self) -> np.ndarray:
        """The numbers, 1-D; empty for what is text."""
        return np.frombuffer(self.data, self.kind) if isinstance(self.data, bytes) and self.is_number else np.empty(0)

    @property
    def is_number(self) -> bool:
        return self.kind not in ("char", "string", USER_DEFINED)

    @property
    def value(self) -> Value:
        """The value in plain Python: text, number, or a list of them; zero bytes behind a text do not count."""
        if self.kind == "char" and isinstance(self.data, bytes):
            return text(self.data)
        values = [text(t or b"") for t in self.data] if isinstance(self.data, tuple) else self.numbers.tolist()
        return values[0] if len(values) == 1 else values


def text(data: bytes) -> str:
    """Return bytes as text: UTF-8, else Latin-1 byte for byte; without zero bytes behind it."""
    try:
        return data.decode().rstrip("\0")
    except UnicodeDecodeError:
        return data.decode("latin-1").rstrip("\0")


@dataclass
class Variable:
    """A variable of a file. `kind` is a numpy name without byte order, `char`, `string` or `user-defined`.

    `chunks` are those of the file (None: contiguous or classic). `extent` is the shape that HDF5 holds, where an
    unlimited dimension is longer than it: netCDF fills up the rest.
    """

    kind: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: dict[str, Attribute]
    chunks: tuple[int, ...] | None = None
    extent: tuple[int, ...] | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of a value in memory; of a text, what is taken for one."""
        return {"char": 1, "string": 32}.get(self.kind) or np.dtype(self.kind).itemsize

    def value(self, name: str) -> Value | None:
        """Return the plain value of an attribute, None if it is absent."""
        return self.attributes[name].value if name in self.attributes else None


@dataclass
class Header:
    """One file: dims in their order; `unlisted` names what HDF5 holds and no store can hold.

    `elsewhere` names variables whose values lie in other files.
    """

    path: str
    dims: dict[str, int] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def call(function: str, *args: Any) -> None:
    """Call a function of the library; raises RuntimeError if it fails."""
    status = getattr(NETCDF, function)(*args)
    if status:
        raise RuntimeError(f"{function}: {NETCDF.nc_strerror(status).decode()}")


def read(path: str) -> Header:
    """Return the header of a NetCDF file; raises RuntimeError where the library cannot read it."""
    ncid = c_int()
    call("nc_open", str(path).encode(), 0, byref(ncid))
    try:
        header = Header(str(path))
        for dimid in _ids("nc_inq_dimids", ncid, c_int(0)):
            dim, size = ctypes.create_string_buffer(NAME_BYTES), c_size_t()
            call("nc_inq_dim", ncid, dimid, dim, byref(size))
            header.dims[dim.value.decode()] = size.value
        for varid in _ids("nc_inq_varids", ncid):
            name, variable = _variable(ncid, varid, list(header.dims.items()))
            header.variables[name] = variable
        header.attributes = _attributes(ncid, NC_GLOBAL)
        groups = _ids("nc_inq_grps", ncid)
    finally:
        NETCDF.nc_close(ncid)
    if groups:
        header.unlisted.append(f"{len(groups)} groups")
    holders = {"": header.attributes} | {name: v.attributes for name, v in header.variables.items()}
    for holder, attributes in holders.items():
        hidden = [name for name, attribute in attributes.items() if attribute.kind == USER_DEFINED]
        header.unlisted += [f"attribute {holder}:{name} of a user-defined type" for name in hidden]
    _compare_with_hdf5(header, holders)
    return header


def _compare_with_hdf5(header: Header, holders: dict[str, dict[str, Attribute]]) -> None:
    """Note what HDF5 holds beyond the names that the library lists, and how far variables reach."""
    for name, thing in held.held(header.path).items():
        listed = holders.get(name)
        if listed is None and name not in header.dims:
            header.unlisted.append(f"{thing.what} {name!r}")
            continue
        header.unlisted += [f"attribute {name}:{a}" for a in thing.attributes if a not in (listed or thing.attributes)]
        if thing.problem:
            header.elsewhere.append(f"variable {name!r}: {thing.problem}")
        variable = header.variables.get(name)
        if variable is None:
            continue
        if (variable.kind == "string" and thing.type_class != held.STRING) or thing.half:
            variable.kind = USER_DEFINED
        if variable.kind == USER_DEFINED:
            header.unlisted.append(f"variable {name!r} of a type that is neither number, character nor text")
        if thing.extent is not None and len(thing.extent) == len(variable.shape) and thing.extent != variable.shape:
            variable.extent = thing.extent


def _ids(function: str, ncid: c_int, *more: c_int) -> list[int]:
    """Return the ids that a function of the library lists."""
    count = c_int()
    call(function, ncid, byref(count), None, *more)
    ids = (c_int * max(1, count.value))()
    call(function, ncid, byref(count), ids, *more)
    return list(ids)[: count.value]


def _variable(ncid: c_int, varid: int, dims: list[tuple[str, int]]) -> tuple[str, Variable]:
    name, code, rank = ctypes.create_string_buffer(NAME_BYTES), c_int(), c_int()
    call("nc_inq_var", ncid, varid, name, byref(code), byref(rank), None, None)
    dimids = (c_int * max(1, rank.value))()
    call("nc_inq_vardimid", ncid, varid, dimids)
    order = _ids("nc_inq_dimids", ncid, c_int(0))
    chosen = [dims[order.index(dimid)] for dimid in list(dimids)[: rank.value]]
    layout, chunks = c_int(), (c_size_t * max(1, rank.value))()
    call("nc_inq_var_chunking", ncid, varid, byref(layout), chunks)
    is_chunked = layout.value == NC_CHUNKED and rank.value
    return name.value.decode(), Variable(
        KINDS.get(code.value, USER_DEFINED),
        tuple(dim for dim, _ in chosen),
        tuple(size for _, size in chosen),
        _attributes(ncid, varid),
        tuple(chunks)[: rank.value] if is_chunked else None,
    )


def _attributes(ncid: c_int, varid: int) -> dict[str, Attribute]:
    """Return the attributes of a variable, or of the file, in their order."""
    count = c_int()
    found: dict[str, Attribute] = {}
    call("nc_inq_varnatts", ncid, varid, byref(count))
    for number in range(count.value):
        name, code, size = ctypes.create_string_buffer(NAME_BYTES), c_int(), c_size_t()
        call("nc_inq_attname", ncid, varid, number, name)
        call("nc_inq_att", ncid, varid, name.value, byref(code), byref(size))
        kind = KINDS.get(code.value, USER_DEFINED)
        data: bytes | tuple[bytes | None, ...] = b""
        if kind == "string":
            texts = (ctypes.c_char_p * max(1, size.value))()
            call("nc_get_att_string", ncid, varid, name.value, texts)
            data = tuple(texts)[: size.value]
            call("nc_free_string", size, texts)
        elif kind != USER_DEFINED:
            itemsize = 1 if kind == "char" else np.dtype(kind).itemsize
            buffer = ctypes.create_string_buffer(max(1, size.value * itemsize))
            call("nc_get_att", ncid, varid, name.value, buffer)
            data = buffer.raw[: size.value * itemsize]
        found[name.value.decode()] = Attribute(kind, data)
    return found
