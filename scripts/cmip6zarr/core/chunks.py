"""The shapes of chunks and shards, and what reading a block of them takes, in pure integers.

A **chunk** is what is compressed at once, a **shard** what is written at once (one chunk, where there is no sharding).
"""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import product
from math import ceil, prod

MIB = 2**20
# Taken for one text of variable length where sizes are planned.
STRING_BYTES = 32
# What Blosc compresses at once, if a chunk has as much: larger blocks make little smaller.
BLOCK_BYTES = 8 * MIB
# HDF5's chunk cache of netCDF-C 4.9; a larger native chunk is inflated outside it, beside its compressed form.
CACHE_BYTES = 16 * MIB
# netCDF-C and HDF5 keep about 6 kB for each chunk of an open file that they have touched: 26 MB.
CHUNKS_HELD = 4096
# Convert notes where each chunk of its files lies: four numbers of 8 bytes, and room to grow; of so many files at once.
INDEX_BYTES = 40
FILES_INDEXED = 256
# Why native chunks are not copied by any preset but native.
ANEW = "the preset compresses anew"
# Blosc cannot compress 2 GiB or more at once.
MOST_CHUNK_BYTES = 2**31 - 2**20


@dataclass(frozen=True)
class Array:
    """One array to be written.

    `axis` is the time axis or None, `field` whether the chunk rule cuts it, `native` the chunk shapes in the files
    (None: contiguous), `shuffled` whether all of them are shuffled, `big` whether they are to be copied and big-endian,
    `files` the [start, stop) of files along the time axis.
    `not_copied` says why the native chunks are compressed anew, None: they are copied as they are.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    itemsize: int
    _: KW_ONLY
    axis: int | None = None
    field: bool = False
    native: tuple[tuple[int, ...] | None, ...] = ()
    shuffled: bool = False
    big: bool = False
    files: tuple[tuple[int, int], ...] = ()
    not_copied: str | None = ANEW

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.itemsize

    @property
    def time_axis(self) -> int:
        """The time axis of an array that has one, as every field does."""
        if self.axis is None:
            raise AssertionError(f"{self.name}: found no time axis among {self.dims}, expected one")
        return self.axis

    @property
    def steps_together(self) -> int:
        """The most steps of time in a native chunk; 0 without any."""
        return max((some[self.time_axis] for some in self.native if some), default=0)

    @property
    def native_chunks(self) -> int:
        """How many chunks it has in its files, at most."""
        counts = (
            prod(ceil(size / n) for size, n in zip(self.shape, some, strict=True)) for some in self.native if some
        )
        return max(counts, default=0)

    def bytes_of(self, shape: Sequence[int]) -> int:
        """Return the bytes of a block, of which only what lies in the array counts."""
        return prod(min(n, size) for n, size in zip(shape, self.shape, strict=True)) * self.itemsize


def regions(whole: tuple[slice, ...], step: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield what `whole` has of the blocks of a grid of `step`, in C order.

    >>> [(a.start, a.stop, b.start, b.stop) for a, b in regions((slice(3, 9), slice(0, 2)), (4, 2))]
    [(3, 4, 0, 2), (4, 8, 0, 2), (8, 9, 0, 2)]
    """
    axes = [
        [
            slice(max(start, axis.start), min(start + size, axis.stop))
            for start in range(axis.start // size * size, axis.stop, size)
        ]
        for axis, size in zip(whole, step, strict=True)
    ]
    return product(*axes)


def rows_at_once(shape: Sequence[int], native: Sequence[int] | None, axis: int = 0) -> int:
    """Return how many rows along an axis have CHUNKS_HELD native chunks at most, in whole chunks; at least one.

    >>> rows_at_once((10**6,), (1,)), rows_at_once((10**6, 90), (2, 10)), rows_at_once((5,), None)
    (4096, 910, 5)
    """
    if not native or not shape:
        return max(1, shape[axis]) if shape else 1
    counts = [ceil(max(1, size) / n) for size, n in zip(shape, native, strict=True)]
    return native[axis] * max(1, CHUNKS_HELD * counts[axis] // prod(counts))


def chunks_of(region: tuple[slice, ...], native: tuple[int, ...]) -> int:
    """Return how many native chunks a region has a part of.

    >>> chunks_of((slice(3, 9), slice(0, 2)), (4, 2))
    3
    """
    return prod(ceil(r.stop / n) - r.start // n for r, n in zip(region, native, strict=True))


def fit(shape: tuple[int, ...], itemsize: int, target_bytes: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of at most `target_bytes`: axes are cut in `order`, each only if the ones before are 1 long.

    >>> fit((1980, 192, 288), 4, 100 * MIB, (0, 1, 2))
    (474, 192, 288)
    >>> fit((10, 1000, 1000), 4, MIB, (0, 1, 2))
    (1, 262, 1000)
    """
    cut = [max(1, size) for size in shape]
    for axis in order:
        rest = prod(cut) // cut[axis] * itemsize
        cut[axis] = min(cut[axis], max(1, target_bytes // rest))
        if prod(cut) * itemsize <= target_bytes:
            break
    return tuple(cut)


def chunk_shapes(arrays: list[Array], rule: dict[str, int] | None, target_bytes: int) -> dict[str, tuple[int, ...]]:
    """Return the chunk shape of each array.

    With a `rule` ({dimension: length}) fields follow it, whole along the dimensions that it does not name. Without, all
    fields get the chunk length along time that brings the largest of them to `target_bytes`. What is no field
    (coordinates, bounds, single series, static variables) is one chunk, or chunks of at most `target_bytes`.
    """
    shapes = {a.name: fit(a.shape, a.itemsize, target_bytes, _time_first(a)) for a in arrays}
    fields = [a for a in arrays if a.field]
    steps = min((shapes[a.name][a.time_axis] for a in fields), default=1)
    for a in fields:
        wanted = [*shapes[a.name]]
        wanted[a.time_axis] = steps
        if rule:
            wanted = [rule.get(dim, size) for dim, size in zip(a.dims, a.shape, strict=True)]
        shapes[a.name] = tuple(max(1, min(n, size)) for n, size in zip(wanted, a.shape, strict=True))
    return shapes


def _time_first(array: Array) -> tuple[int, ...]:
    return tuple(sorted(range(len(array.shape)), key=lambda axis: axis != array.axis))


def shard_shape(array: Array, chunks: tuple[int, ...], target_bytes: int) -> tuple[int, ...]:
    """Return whole chunks of at most `target_bytes` (at least one), last axes first, the time axis last of all.

    >>> ta = Array("ta", (100, 8, 10, 10), ("time", "plev", "lat", "lon"), 4, axis=0)
    >>> shard_shape(ta, (4, 8, 10, 10), 2**16), shard_shape(ta, (4, 8, 10, 10), 0)
    ((20, 8, 10, 10), (4, 8, 10, 10))
    """
    shard = list(chunks)
    for axis in sorted(range(len(shard)), key=lambda axis: (axis == array.axis, -axis)):
        times = max(1, target_bytes // (prod(shard) * array.itemsize))
        shard[axis] *= min(times, ceil(max(1, array.shape[axis]) / shard[axis]))
        if shard[axis] < array.shape[axis]:
            break
    return tuple(shard)


def touched(size: int, step: int, native: int, files: tuple[tuple[int, int], ...]) -> int:
    """Return how many values of an axis are inflated when it is read in blocks of `step` and stored in `native` ones.

    Native chunks begin anew in every file.

    >>> touched(360, 60, 180, ((0, 360),)), touched(360, 60, 180, ((0, 180), (180, 360))), touched(10, 4, 1, ())
    (1080, 1080, 10)
    """
    total = 0
    for first, last in files or ((0, size),):
        for start in range(first // step * step, last, step):
            a, b = max(start, first) - first, min(start + step, last) - first
            total += min(ceil(b / native) * native, last - first) - a // native * native
    return total


def amplifications(array: Array, axis: int, steps: list[int]) -> list[float]:
    """Return for each slab length of an axis how much more is inflated than needed, for the worst native layout."""
    size, files = array.shape[axis], array.files if axis == array.axis else ()
    lengths = {native[axis] for native in array.native if native} or {1}
    return [max(touched(size, s, n, files) for n in lengths) / max(1, size) for s in steps]


def amplification_of(array: Array, shape: tuple[int, ...]) -> float:
    """Return how much more is inflated than needed when an array is read in blocks of a shape."""
    return prod(amplifications(array, axis, [n])[0] for axis, n in enumerate(shape))


def folders_of(grid: Sequence[int]) -> int:
    """Return how many folders hold the chunks of a grid, so many along each axis, if their keys are such as c/4/0/0.

    >>> folders_of((12, 1, 1)), folders_of((3,)), folders_of(())
    (25, 1, 0)
    """
    return sum(prod(grid[:axis]) for axis in range(len(grid)))
