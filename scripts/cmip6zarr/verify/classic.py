"""Is a classic NetCDF file as long as its header says? The C library reads what is cut off as zeros, without a word."""

from math import prod
from pathlib import Path

import netCDF4

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.verify.header import Attribute, Header
from cmip6zarr.verify.source import FETCH

# NetCDF classic format specification: bytes of a count and of an offset, by the fourth byte of the file.
COUNT_BYTES, OFFSET_BYTES = {1: 4, 2: 4, 5: 8}, {1: 4, 2: 8, 5: 8}
TAG_BYTES = 4


def check_whole(header: Header) -> None:
    """Raise DatasetError (`source`) if a classic file is shorter than what it holds; other files pass."""
    with Path(header.path).open("rb") as file:
        magic = file.read(4)
    if magic[:3] != b"CDF" or magic[3] not in COUNT_BYTES:
        return
    with netCDF4.Dataset(header.path) as nc:
        record_dims = {name for name, dim in nc.dimensions.items() if dim.isunlimited()}
    found, expected = Path(header.path).stat().st_size, least_bytes(header, magic[3], record_dims)
    if found < expected:
        message = f"{header.path}: is cut off: found {found} bytes, expected at least {expected} by what it declares."
        raise DatasetError("source", message, FETCH)


def least_bytes(header: Header, version: int, record_dims: set[str]) -> int:
    """Return the length of a classic file of some version without room to spare between its parts.

    It is the length of the header, reckoned from what is in it, and that of the values; padding behind the last values
    does not count.
    """
    count, offset = COUNT_BYTES[version], OFFSET_BYTES[version]

    def attributes(held: dict[str, Attribute]) -> int:
        each = (count + padded(len(n.encode())) + TAG_BYTES + count + padded(len(a.data)) for n, a in held.items())
        return TAG_BYTES + count + sum(each)

    total = len("CDF1") + count + attributes(header.attributes) + 2 * (TAG_BYTES + count)
    total += sum(2 * count + padded(len(name.encode())) for name in header.dims)
    fixed, records, steps = [], [], 0
    for name, variable in header.variables.items():
        total += count + padded(len(name.encode())) + count * (1 + len(variable.dims)) + attributes(variable.attributes)
        total += TAG_BYTES + count + offset
        if set(variable.dims) & record_dims:
            steps = variable.shape[0]
            records.append(prod(variable.shape[1:]) * variable.itemsize)
        else:
            fixed.append(prod(variable.shape) * variable.itemsize)
    if not records or not steps:
        return total + sum(map(padded, fixed[:-1])) + sum(fixed[-1:])
    # A single record variable is not padded.
    record = records[0] if len(records) == 1 else sum(map(padded, records))
    return total + sum(map(padded, fixed)) + record * (steps - 1) + sum(map(padded, records[:-1])) + records[-1]


def padded(size: int) -> int:
    """Return a length brought to a whole number of four bytes."""
    return -(-size // 4) * 4
