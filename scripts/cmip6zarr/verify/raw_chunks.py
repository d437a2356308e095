"""The chunks of a source file as they are stored, handed out by the HDF5 library: H5Dread_chunk."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64
from dataclasses import dataclass

import numpy as np

from cmip6zarr.verify.held import DEFAULT, HDF5, NON_COORDINATE, hid

# H5Dpublic.h, H5Zpublic.h
CHUNKED, MOST_FILTERS = 2, 32
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
MOST_RANK = 32

# Its first form has a number in its name where the library has a second.
READ_CHUNK = "H5Dread_chunk1" if hasattr(HDF5, "H5Dread_chunk1") else "H5Dread_chunk"


@dataclass(frozen=True)
class Pipeline:
    """How the values of an HDF5 dataset are stored in chunks: shape of a chunk, filters in the order of writing.

    `partial` tells whether chunks at the edge are filtered like any other.
    """

    chunks: tuple[int, ...]
    filters: tuple[int, ...]
    partial: bool


class RawChunks:
    """The chunks of one variable of an open file."""

    def __init__(self, dataset: hid):
        self._dataset, self._buffer = dataset, np.empty(0, "u1")

    def is_of(self, kind: str, order: str) -> bool:
        """Tell whether its values are in HDF5 what a numpy name and a byte order (`<`, `>`) say."""
        family = {"float": "IEEE_F", "int": "STD_I", "uint": "STD_U"}.get(kind.rstrip("0123456789"))
        if family is None:
            return False
        bits = kind.lstrip("abcdefghijklmnopqrstuvwxyz")
        # A byte has no order, though HDF5 notes one.
        orders = {"<": ("LE",), ">": ("BE",)}[order] if bits != "8" else ("LE", "BE")
        held = hid(HDF5.H5Dget_type(self._dataset))
        try:
            return any(HDF5.H5Tequal(held, c_int64.in_dll(HDF5, f"H5T_{family}{bits}{each}_g")) > 0 for each in orders)
        finally:
            HDF5.H5Tclose(held)

    def pipeline(self) -> Pipeline | None:
        """Return how the values are stored; None where not in chunks."""
        properties = hid(HDF5.H5Dget_create_plist(self._dataset))
        try:
            if HDF5.H5Pget_layout(properties) != CHUNKED:
                return None
            shape, options = (c_uint64 * MOST_RANK)(), c_uint()
            rank = HDF5.H5Pget_chunk(properties, c_int(MOST_RANK), shape)
            HDF5.H5Pget_chunk_opts(properties, byref(options))
            count = HDF5.H5Pget_nfilters(properties)
            filters = tuple(_filter(properties, number) for number in range(count))
            return Pipeline(tuple(shape)[:rank], filters, not options.value)
        finally:
            HDF5.H5Pclose(properties)

    def read(self, start: tuple[int, ...]) -> tuple[memoryview, int] | None:
        """Return the stored bytes of the chunk that begins at some indices, and the mask of the filters left out.

        They are valid until the next call. None for a chunk that is not there, as one that was never written. Raises
        OSError where HDF5 cannot read it.
        """
        where, size, mask = (c_uint64 * len(start))(*start), c_uint64(), c_uint32()
        # HDF5 calls it an error, or 0 bytes, by its version.
        if HDF5.H5Dget_chunk_storage_size(self._dataset, where, byref(size)) < 0 or not size.value:
            return None
        if size.value > len(self._buffer):
            self._buffer = np.empty(size.value, "u1")
        into = self._buffer.ctypes.data_as(ctypes.c_void_p)
        if getattr(HDF5, READ_CHUNK)(self._dataset, DEFAULT, where, byref(mask), into) < 0:
            raise OSError(f"HDF5 does not read the chunk at {list(start)}")
        return self._buffer[: size.value].data, mask.value


def _filter(properties: hid, number: int) -> int:
    flags, count, name = c_uint(), c_size_t(0), ctypes.create_string_buffer(1)
    arguments = (c_uint(number), byref(flags), byref(count), None, c_size_t(1), name, None)
    return int(HDF5.H5Pget_filter2(properties, *arguments))


@contextmanager
def opened(path: str, name: str) -> Iterator[RawChunks | None]:
    """Open a variable of a file; None where HDF5 does not open it. The netCDF library must not have the file open."""
    file = hid(HDF5.H5Fopen(path.encode(), c_uint(0), DEFAULT))
    if file.value < 0:
        yield None
        return
    dataset = hid(-1)
    try:
        for each in (NON_COORDINATE + name, name):
            if dataset.value < 0:
                dataset = hid(HDF5.H5Dopen2(file, each.encode(), DEFAULT))
        yield RawChunks(dataset) if dataset.value >= 0 else None
    finally:
        if dataset.value >= 0:
            HDF5.H5Dclose(dataset)
        HDF5.H5Fclose(file)
