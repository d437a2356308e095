"""Every value of a variable in one file against its place in the store."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod

import numpy as np
from zarr.types import AnyArray

from cmip6zarr.core.chunks import Array, regions, shard_shape
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.progress import Progress
from cmip6zarr.model.inventory import SourceFile
from cmip6zarr.verify import default_fill, times
from cmip6zarr.verify.header import Variable
from cmip6zarr.verify.readers import Readers
from cmip6zarr.verify.source import Source
from cmip6zarr.verify.sums import Sums
from cmip6zarr.verify.tally import Tally, bits
from cmip6zarr.verify.times import Clock

# Compared at once, if no shard is larger: enough that the cost of a call is nothing.
BLOCK_BYTES = 32 * 2**20
# Taken for a chunk of the store, however small: what zarr needs to read one.
CHUNK_BYTES = 16 * 2**10
CONVERT_AGAIN = "Run again: the dataset will be converted again."


Clocks = tuple[Clock, Clock]
"""How the store counts time, and how a file does."""


@dataclass(frozen=True)
class Part:
    """What one file has of a variable, and where that lies in an array of the store.

    `readers` read the file, which is the one of that `number`. `time_name` is the time coordinate of the dataset.
    `clocks` are those of what counts time, else None.
    """

    array: AnyArray
    readers: Readers
    number: int
    file: SourceFile
    time_name: str | None
    clocks: Clocks | None = None

    @property
    def source(self) -> Source:
        return self.readers.sources[self.number]

    @property
    def name(self) -> str:
        return self.array.name.lstrip("/")

    @property
    def variable(self) -> Variable:
        return self.source.header.variables[self.name]

    @property
    def axis(self) -> int | None:
        """The axis of time; None for a static variable."""
        dims = self.variable.dims
        return dims.index(self.time_name) if self.time_name in dims else None

    @property
    def region(self) -> tuple[slice, ...]:
        """Its indices in the store: without the steps of the file that are skipped."""
        steps = slice(self.file.start, self.file.stop)
        return tuple(steps if n == self.axis else slice(0, size) for n, size in enumerate(self.variable.shape))

    @property
    def size(self) -> int:
        """How many values it has."""
        return prod(r.stop - r.start for r in self.region)

    @property
    def lies_within(self) -> bool:
        """Tell whether the array has all indices of the part."""
        return all(r.stop <= size for r, size in zip(self.region, self.array.shape, strict=True))

    def in_file(self, region: tuple[slice, ...]) -> tuple[slice, ...]:
        """Return indices in the store as those of the same values in the file."""
        axis, shift = self.axis, self.file.skip - self.file.start
        return tuple(slice(r.start + shift, r.stop + shift) if n == axis else r for n, r in enumerate(region))

    def blocks(self, memory_bytes: int) -> Iterator[tuple[slice, ...]]:
        """Yield regions of the array that cover the part: whole chunks or shards, small enough for the memory."""
        array, variable = self.array, self.variable
        shape = Array(array.name, array.shape, variable.dims, variable.itemsize, axis=self.axis)
        unit = array.shards or array.chunks
        target = min(memory_bytes // 8, BLOCK_BYTES)
        smallest = max(1, shape.bytes_of(array.chunks))
        if smallest < CHUNK_BYTES:
            target = max(1, target * smallest // CHUNK_BYTES)
        yield from regions(self.region, shard_shape(shape, unit, target))


def compare_variable(part: Part, memory_bytes: int, tally: Tally, progress: Progress, sums: Sums | None) -> int:
    """Compare all values of a part with its place in the store, as `compare_blocks` does."""
    if len(part.region) != part.array.ndim or not part.lies_within:
        return 0  # the difference in shape has been noted
    return compare_blocks(part, list(part.blocks(memory_bytes)), tally, progress, sums)


def compare_blocks(
    part: Part, blocks: Sequence[tuple[slice, ...]], tally: Tally, progress: Progress, sums: Sums | None
) -> int:
    """Compare the values of a part in some regions of the array, and return how many there were.

    The store is read ahead by another thread, and `sums` takes there what it reads. Raises DatasetError (`source`,
    `chunks`) where either cannot be read.
    """
    array, name, variable, path = part.array, part.name, part.variable, part.source.header.path

    def read(region: tuple[slice, ...]) -> np.ndarray:
        found = np.asarray(array[region or ...])
        if sums:
            sums.add(region, found)
        return found

    declared = missing_numbers(variable)
    count = 0
    values = part.readers.read(part.number, name, [part.in_file(region) for region in blocks])
    with ThreadPoolExecutor(1) as store_reader:
        ahead = [store_reader.submit(read, region) for region in blocks[:1]]
        for number, (region, expected) in enumerate(zip(blocks, values, strict=True), 1):
            try:
                found = ahead.pop().result()
                ahead += [store_reader.submit(read, following) for following in blocks[number : number + 1]]
            except (OSError, RuntimeError, ValueError) as error:
                message = f"{name!r} at {[(r.start, r.stop) for r in region]}: zarr cannot read it: {error}."
                raise DatasetError("chunks", message, CONVERT_AGAIN) from error
            count += expected.size
            if fills := default_fill.count(expected, declared):
                tally.default_fill[name, path] += fills
            progress.add(expected.size * variable.itemsize)
            compare_block(part, region, found, expected, tally)
    return count


def compare_block(part: Part, region: tuple[slice, ...], found: np.ndarray, expected: np.ndarray, tally: Tally) -> None:
    """Note a mismatch for each value of a block that differs; the message names the first by its index in the store."""
    what = f"{part.source.header.path}: {part.name!r}"
    if found.shape != expected.shape:
        message = f"{what}: found the shape {found.shape}, expected {expected.shape}"
        tally.wrong(message, max(1, expected.size))
        return
    count, local, value, wanted = differences(found, expected, part.clocks)
    if count:
        index = [i + r.start for i, r in zip(local, region, strict=True)]
        many = f"; {count} values differ from there on" if count > 1 else ""
        tally.wrong(f"{what} at {index} of the store: found {value}, expected {wanted}{many}", count)


def differences(
    found: np.ndarray, expected: np.ndarray, clocks: Clocks | None
) -> tuple[int, tuple[int, ...], str, str]:
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
    first = tuple(int(i) for i in np.unravel_index(where[0], found.shape))
    return len(where), first, repr(found[first]), repr(expected[first])


def missing_numbers(variable: Variable) -> list[np.generic]:
    """Return the numbers that mark missing values of a variable, whatever attribute or list they are in."""
    found = (
        variable.attributes[name].numbers for name in ("_FillValue", "missing_value") if name in variable.attributes
    )
    return [value for numbers in found for value in numbers]


def size_of(variable: Variable) -> int:
    """Return the bytes that the values of a variable of one file have."""
    return prod(variable.shape) * variable.itemsize
