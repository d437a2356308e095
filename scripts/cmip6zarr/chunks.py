"""How a dataset is cut, in pure integers: chunks, slabs, pieces of files, memory, reads. No I/O, no array library.

An array is written in **chunks**; a **slab** is what is in memory at once, a whole number of chunks; a **piece** is the
part of a slab that lies in one file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

MIB = 2**20
# Measured: peak RSS of convert on a dataset of a few kB, on Python 3.11 and 3.12.
BASE_BYTES = 130 * MIB
# What encoding one chunk holds besides the slab: a contiguous copy, the compressed bytes, the same with a checksum.
COPIES = 3
# HDF5's chunk cache of netCDF-C 4.9; a larger native chunk is inflated outside it, beside its compressed form.
CACHE_BYTES = 16 * MIB
# Blosc cannot compress 2 GiB or more at once.
MOST_CHUNK_BYTES = 2**31 - 2**20
# Large enough that a read's fixed cost is nothing, small enough to be nothing beside a slab.
PIECE_BYTES = 16 * MIB


class PlanError(ValueError):
    """What was asked for cannot be done within the memory, or not at all; says what it would take."""


@dataclass(frozen=True)
class Array:
    """One array to be written: `axis` is the time axis or None; `field`: it is cut by the chunk rule."""

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    itemsize: int
    axis: int | None = None
    field: bool = False
    native: tuple[tuple[int, ...] | None, ...] = ()

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.itemsize


@dataclass(frozen=True)
class Cut:
    """How one array is cut: `chunks` as written, `slab` as held in memory, a whole number of chunks on every axis."""

    array: Array
    chunks: tuple[int, ...]
    slab: tuple[int, ...]

    def __post_init__(self):
        for size, chunk, slab in zip(self.array.shape, self.chunks, self.slab, strict=True):
            if not (slab % chunk == 0 or slab >= size):
                raise AssertionError(f"{self.array.name}: slab {self.slab} is no whole number of chunks {self.chunks}")

    @property
    def objects(self) -> int:
        return prod(ceil(size / chunk) for size, chunk in zip(self.array.shape, self.chunks, strict=True))

    @property
    def chunk_bytes(self) -> int:
        return prod(self.chunks) * self.array.itemsize

    def slabs(self) -> Iterator[tuple[slice, ...]]:
        """Yield the regions of the array that are in memory at once, in order; together they are the array."""
        return regions(tuple(slice(0, size) for size in self.array.shape), self.slab)

    def chunks_of(self, slab: tuple[slice, ...]) -> Iterator[tuple[slice, ...]]:
        """Yield the regions of the chunks of a slab."""
        return regions(slab, self.chunks)


@dataclass(frozen=True)
class Plan:
    """The cuts of all arrays of a dataset; fields have one chunk length along time, so that they open as one."""

    cuts: tuple[Cut, ...]
    planned_bytes: int

    def __post_init__(self):
        lengths = {cut.chunks[cut.array.axis] for cut in self.cuts if cut.array.field}
        if len(lengths) > 1:
            raise AssertionError(f"fields are cut differently along time: {sorted(lengths)}")

    @property
    def objects(self) -> int:
        return sum(cut.objects for cut in self.cuts)

    @property
    def read_amplification(self) -> float:
        """Source values that are inflated for each that is needed: 1.0 is none too many."""
        needed = sum(cut.array.bytes for cut in self.cuts)
        return sum(cut.array.bytes * amplification(cut) for cut in self.cuts) / needed if needed else 1.0


def regions(whole: tuple[slice, ...], step: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield blocks of `step` that cover `whole`, in C order; the last on an axis may be short.

    >>> [(a.start, a.stop, b.start, b.stop) for a, b in regions((slice(4, 9), slice(0, 2)), (4, 2))]
    [(4, 8, 0, 2), (8, 9, 0, 2)]
    """
    axes = [
        [slice(start, min(start + size, axis.stop)) for start in range(axis.start, axis.stop, size)]
        for axis, size in zip(whole, step, strict=True)
    ]
    return product(*axes)


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
    order = {a.name: sorted(range(len(a.shape)), key=lambda axis, a=a: axis != a.axis) for a in arrays}
    shapes = {a.name: fit(a.shape, a.itemsize, target_bytes, tuple(order[a.name])) for a in arrays}
    fields = [a for a in arrays if a.field]
    steps = min((shapes[a.name][a.axis] for a in fields), default=1)
    for a in fields:
        wanted = [*shapes[a.name]]
        wanted[a.axis] = steps
        if rule:
            wanted = [rule.get(dim, size) for dim, size in zip(a.dims, a.shape, strict=True)]
        shapes[a.name] = tuple(max(1, min(n, size)) for n, size in zip(wanted, a.shape, strict=True))
    return shapes


def grow(array: Array, chunks: tuple[int, ...], budget_bytes: int) -> tuple[int, ...]:
    """Return the slab: as many whole chunks as fit into `budget_bytes`, last axes first, the time axis last of all.

    >>> grow(Array("ta", (100, 8, 10, 10), ("time", "plev", "lat", "lon"), 4, axis=0), (4, 8, 10, 10), 2**16)
    (20, 8, 10, 10)
    """
    slab = list(chunks)
    for axis in sorted(range(len(slab)), key=lambda axis: (axis == array.axis, -axis)):
        times = max(1, budget_bytes // (prod(slab) * array.itemsize))
        slab[axis] = min(slab[axis] * times, ceil(max(1, array.shape[axis]) / slab[axis]) * slab[axis])
        if slab[axis] < array.shape[axis]:
            break
    return tuple(slab)


def plan(arrays: list[Array], rule: dict[str, int] | None, chunk_bytes: int, memory_bytes: int, threads: int) -> Plan:
    """Return how to cut the arrays so that converting them takes at most `memory_bytes` with `threads` at work.

    `rule` and `chunk_bytes` as in `chunk_shapes`. Raises PlanError, with the number that would do, if it cannot be.
    """
    shapes = chunk_shapes(arrays, rule, chunk_bytes)
    cuts, peak = [], BASE_BYTES
    for array in arrays:
        chunks = shapes[array.name]
        one = prod(chunks) * array.itemsize
        if one > MOST_CHUNK_BYTES:
            raise PlanError(
                f"{array.name}: a chunk {chunks} would hold {one} bytes, expected at most {MOST_CHUNK_BYTES}: "
                "choose shorter chunks in config key `chunks`."
            )
        fixed = BASE_BYTES + COPIES * threads * one + native_bytes(array) + PIECE_BYTES
        if fixed + one > memory_bytes:
            raise PlanError(
                f"{array.name}: a chunk {chunks} of {one / MIB:.0f} MiB needs {ceil((fixed + one) / MIB)} MiB "
                f"with {threads} threads, expected at most memory_mib = {memory_bytes // MIB}: "
                "raise memory_mib or choose smaller chunks."
            )
        slab = grow(array, chunks, memory_bytes - fixed)
        cuts.append(Cut(array, chunks, slab))
        held = prod(min(n, size) for n, size in zip(slab, array.shape, strict=True)) * array.itemsize
        peak = max(peak, fixed + held)
    return Plan(tuple(cuts), peak)


def native_bytes(array: Array) -> int:
    """Return what HDF5 holds while it reads: its cache, or a chunk too large for it and its compressed form."""
    largest = max((prod(chunks) for chunks in array.native if chunks), default=0) * array.itemsize
    return 2 * largest if largest > CACHE_BYTES else min(CACHE_BYTES, array.bytes)


def amplification(cut: Cut) -> float:
    """Return source values inflated for each needed when the array is read slab by slab; the axes multiply.

    Files are taken to begin at a native chunk's edge, and the worst of the native layouts to hold for all.

    >>> ta = Array("ta", (360, 10), ("time", "x"), 4, axis=0, field=True, native=((180, 10),))
    >>> amplification(Cut(ta, (4, 10), (60, 10)))
    3.0
    """
    worst = 1.0
    for native in filter(None, cut.array.native):
        factor = 1.0
        for size, chunk, step in zip(cut.array.shape, native, cut.slab, strict=True):
            if size == 0:
                return 1.0
            edges = range(0, size, step)
            touched = sum(min(size, ceil(min(size, e + step) / chunk) * chunk) - e // chunk * chunk for e in edges)
            factor *= touched / size
        worst = max(worst, factor)
    return worst


def pieces(files: list[tuple[int, int]], start: int, stop: int, steps: int) -> Iterator[tuple[int, int, int]]:
    """Yield (file, start, stop) that cover [start, stop) of the time axis, each in one file and at most `steps` long.

    `files` are their [start, stop) along the axis.

    >>> list(pieces([(0, 5), (5, 9)], 3, 8, 2))
    [(0, 3, 5), (1, 5, 7), (1, 7, 8)]
    """
    for index, (first, last) in enumerate(files):
        for a in range(max(start, first), min(stop, last), steps):
            yield index, a, min(a + steps, last, stop)
