"""Every value of a variable in one file against its place in the store."""

from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
import zarr

from cmip6zarr.core.chunks import Array, regions, shard_shape
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.progress import Progress
from cmip6zarr.model.inventory import SourceFile
from cmip6zarr.verify import default_fill, times
from cmip6zarr.verify.header import Variable
from cmip6zarr.verify.source import Source
from cmip6zarr.verify.sums import Sums
from cmip6zarr.verify.tally import Tally, bits
from cmip6zarr.verify.times import Clock

# Compared at once, if no shard is larger: enough that the cost of a call is nothing.
BLOCK_BYTES = 32 * 2**20
# Taken for a chunk of the store, however small: what zarr needs to read one.
CHUNK_BYTES = 16 * 2**10
CONVERT_AGAIN = "Run again: the dataset will be converted again."


def blocks(array: zarr.Array, variable: Variable, whole: tuple[slice, ...], axis: int | None, memory_bytes: int):
    """Yield regions of an array that cover `whole`: whole chunks or shards, few and small enough for the memory."""
    shape = Array(array.name, array.shape, variable.dims, variable.itemsize, axis=axis)
    unit = array.shards or array.chunks
    target = min(memory_bytes // 8, BLOCK_BYTES)
    smallest = max(1, shape.bytes_of(array.chunks))
    if smallest < CHUNK_BYTES:
        target = max(1, target * smallest // CHUNK_BYTES)
    yield from regions(whole, shard_shape(shape, unit, target))


def compare_variable(
    array: zarr.Array,
    source: Source,
    file: SourceFile,
    time_name: str | None,
    clocks: tuple[Clock, Clock] | None,
    memory_bytes: int,
    tally: Tally,
    progress: Progress,
    sums: Sums | None,
) -> int:
    """Compare all values of one variable in one file with their place in the store and return how many there were.

    Skipped steps are left out. `clocks` are those of the store and of the file, of what counts time. The store is read
    by another thread while the netCDF library reads the file; `sums` takes what it reads. Raises DatasetError
    (`source`, `chunks`) where either cannot be read.
    """
    name = array.name.lstrip("/")
    variable = source.header.variables[name]
    axis = variable.dims.index(time_name) if time_name in variable.dims else None
    whole = [slice(0, size) for size in variable.shape]
    if axis is not None:
        whole[axis] = slice(file.start, file.stop)
    if len(whole) != array.ndim or any(w.stop > size for w, size in zip(whole, array.shape, strict=True)):
        return 0  # the difference in shape has been noted
    shift = file.skip - file.start
    declared = missing_numbers(variable)
    count = 0
    with ThreadPoolExecutor(1) as store_reader:
        for region in blocks(array, variable, tuple(whole), axis, memory_bytes):
            steps = list(region)
            if axis is not None:
                steps[axis] = slice(region[axis].start + shift, region[axis].stop + shift)
            reading = store_reader.submit(array.__getitem__, region or ...)
            expected = source.read(name, tuple(steps))
            try:
                found = np.asarray(reading.result())
            except (OSError, RuntimeError, ValueError) as error:
                message = f"{name!r} at {[(r.start, r.stop) for r in region]}: zarr cannot read it: {error}."
                raise DatasetError("chunks", message, CONVERT_AGAIN) from error
            count += expected.size
            if fills := default_fill.count(expected, declared):
                tally.default_fill[name, source.header.path] += fills
            progress.add(expected.size * variable.itemsize)
            if sums:
                sums.add(region, found)
            compare_block(source.header.path, name, region, found, expected, clocks, tally)
    return count


def compare_block(path: str, name: str, region, found, expected, clocks, tally: Tally) -> None:
    """Note a mismatch for each value of a block that differs; the message names the first by its index in the store."""
    if found.shape != expected.shape:
        message = f"{path}: {name!r}: found the shape {found.shape}, expected {expected.shape}"
        tally.wrong(message, max(1, expected.size))
        return
    count, local, *values = differences(found, expected, clocks)
    if count:
        index = [int(i) + r.start for i, r in zip(local, region, strict=True)]
        many = f"; {count} values differ from there on" if count > 1 else ""
        tally.wrong(f"{path}: {name!r} at {index} of the store: found {values[0]}, expected {values[1]}{many}", count)


def differences(found: np.ndarray, expected: np.ndarray, clocks: tuple[Clock, Clock] | None) -> tuple:
    """Return how many values of two arrays of one shape differ, and the first: its index, and both in words.

    NaN payloads and the sign of zero count. Times of two clocks (those of `found` and of `expected`), or of two dtypes,
    are compared as instants.
    """
    same_dtype = found.dtype.kind in "OTU" or found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    if clocks and found.dtype.kind in "fiu" and not (same_dtype and clocks[0] == clocks[1]):
        other = times.compare(found, expected, *clocks)
        return (other.count, *other.named[0]) if other.count else (0, (), "", "")
    where = np.flatnonzero(bits(found) != bits(expected) if same_dtype else found != expected)
    if not len(where):
        return 0, (), "", ""
    first = np.unravel_index(where[0], found.shape)
    return len(where), first, repr(found[first]), repr(expected[first])


def missing_numbers(variable: Variable) -> list:
    """Return the numbers that mark missing values of a variable, whatever attribute or list they are in."""
    found = (
        variable.attributes[name].numbers for name in ("_FillValue", "missing_value") if name in variable.attributes
    )
    return [value for numbers in found for value in numbers]


def size_of(variable: Variable) -> int:
    """Return the bytes that the values of a variable of one file have."""
    return prod(variable.shape) * variable.itemsize
