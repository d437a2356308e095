"""What an HDF5 file holds, whatever the netCDF library lists of it: asked of the HDF5 library itself."""

import ctypes
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_int64, c_size_t, c_uint64
from dataclasses import dataclass

from netCDF4 import _netCDF4

# netCDF4-python's extension module is linked with the HDF5 library that netCDF reads with.
HDF5 = ctypes.CDLL(_netCDF4.__file__)
hid = c_int64
ROOT, DEFAULT, BY_NAME, INCREASING = b".", hid(0), c_int(0), c_int(0)
NAME_BYTES = 4096
# H5Ipublic.h, H5Tpublic.h, H5Lpublic.h, H5Dpublic.h
GROUP, TYPE, DATASET = 2, 3, 5
FLOAT, STRING = 1, 3
HARD_LINK, VIRTUAL = 0, 3
# What netCDF and HDF5's dimension scales write for themselves.
OWN_ATTRIBUTES = {
    *("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS"),
    *("_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties", "_NCCOPY", "_nc3_strict"),
}
NON_COORDINATE = "_nc4_non_coord_"

for _function in (
    *("H5Fopen", "H5Oopen", "H5Dopen2", "H5Dget_type", "H5Dget_space", "H5Dget_create_plist"),
    *("H5Lget_name_by_idx", "H5Aget_name_by_idx"),
):
    getattr(HDF5, _function).restype = hid
HDF5.H5Tget_size.restype = c_size_t


@dataclass
class Held:
    """An object of a file: what it is, the names of its attributes, and of a dataset what its values are.

    `extent` is its shape, `half` whether it holds floats of two bytes, `problem` why its values are not in the file.
    """

    what: str
    attributes: list[str]
    type_class: int | None = None
    half: bool = False
    extent: tuple[int, ...] | None = None
    problem: str = ""


def held(path: str) -> dict[str, Held]:
    """Return what lies at the root of an HDF5 file by name, the file itself as ""; nothing for other files.

    What netCDF and dimension scales write for themselves is left out. Raises RuntimeError where HDF5 cannot open it.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        if file.read(3) == b"CDF":
            return {}
    HDF5.H5open()
    HDF5.H5Eset_auto2(DEFAULT, None, None)
    fid = HDF5.H5Fopen(str(path).encode(), c_int(0), DEFAULT)
    if fid < 0:
        raise RuntimeError("H5Fopen: HDF5 cannot open it")
    try:
        found = {"": Held("file", _attributes(hid(fid)))}
        for name in _names(HDF5.H5Lget_name_by_idx, hid(fid)):
            thing = _object(hid(fid), name)
            if thing:
                found[name.decode("utf-8", "replace").removeprefix(NON_COORDINATE)] = thing
        return found
    finally:
        HDF5.H5Fclose(hid(fid))


def _names(function: Callable[..., int], where: hid) -> list[bytes]:
    """Return the names of all links in a group, or of all attributes of an object."""
    names: list[bytes] = []
    buffer = ctypes.create_string_buffer(NAME_BYTES)
    while True:
        number, size = c_uint64(len(names)), c_size_t(NAME_BYTES)
        if function(where, ROOT, BY_NAME, INCREASING, number, buffer, size, DEFAULT) < 0:
            return names
        names.append(buffer.value)


def _attributes(where: hid) -> list[str]:
    names = [name.decode("utf-8", "replace") for name in _names(HDF5.H5Aget_name_by_idx, where)]
    return [name for name in names if name not in OWN_ATTRIBUTES]


def _object(fid: hid, name: bytes) -> Held | None:
    """Return what a link of the root group leads to; None for a type, which holds no values."""
    link = ctypes.create_string_buffer(64)  # H5L_info2_t begins with the type of the link
    HDF5.H5Lget_info2(fid, c_char_p(name), link, DEFAULT)
    is_hard = int.from_bytes(link.raw[:4], "little") == HARD_LINK
    oid = HDF5.H5Oopen(fid, c_char_p(name), DEFAULT)
    if oid < 0:
        return Held("object that HDF5 cannot open", [])
    try:
        kind = HDF5.H5Iget_type(hid(oid))
        if kind == TYPE:
            return None
        if kind != DATASET:
            return Held("group" if kind == GROUP else "object", _attributes(hid(oid)))
        thing = _dataset(hid(oid))
        if not is_hard:
            thing.problem = "it is a link, and its values may lie in another file"
        return thing
    finally:
        HDF5.H5Oclose(hid(oid))


def _dataset(oid: hid) -> Held:
    tid, sid, pid = (hid(getattr(HDF5, f"H5Dget_{what}")(oid)) for what in ("type", "space", "create_plist"))
    rank = max(0, HDF5.H5Sget_simple_extent_ndims(sid))
    extent = (c_uint64 * max(1, rank))()
    HDF5.H5Sget_simple_extent_dims(sid, byref(extent), None)
    kind, size = HDF5.H5Tget_class(tid), HDF5.H5Tget_size(tid)
    problem = "its values lie in other files" if HDF5.H5Pget_external_count(pid) > 0 else ""
    if HDF5.H5Pget_layout(pid) == VIRTUAL:
        problem = "it is a virtual dataset, and its values lie in other files"
    for close, what in ((HDF5.H5Tclose, tid), (HDF5.H5Sclose, sid), (HDF5.H5Pclose, pid)):
        close(what)
    half = kind == FLOAT and size not in (4, 8)
    return Held("dataset", _attributes(oid), kind, half, tuple(extent)[:rank], problem)
