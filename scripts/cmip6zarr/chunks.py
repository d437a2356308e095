"""How a dataset is cut, in pure integers: chunks, shards, slabs, pieces, memory, reads. No I/O, no array library.

A **chunk** is what is compressed at once, a **shard** what is written at once (one chunk, where there is no sharding),
a **slab** what is in memory at once: a whole number of shards along every axis.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

MIB = 2**20
# Peak RSS of convert on a dataset of a few kB, 82 to 86 MiB, and room for the netCDF library where it has to read.
BASE_BYTES = 110 * MIB
# What Blosc compresses at once, if a chunk has as much: larger blocks make little smaller.
BLOCK_BYTES = 8 * MIB
# Blosc's own buffers: three blocks.
CODEC_BYTES = 3 * BLOCK_BYTES
# HDF5's chunk cache of netCDF-C 4.9; a larger native chunk is inflated outside it, beside its compressed form.
CACHE_BYTES = 16 * MIB
# Blosc cannot compress 2 GiB or more at once.
MOST_CHUNK_BYTES = 2**31 - 2**20
# Large enough that the fixed cost of a slab is nothing, small enough to be nothing in memory.
LEAST_SLAB_BYTES = 16 * MIB
# Reads of up to this much more than is needed are as good as none.
GOOD_AMPLIFICATION = 1.05
MOST_AMPLIFICATION = 1.5


class PlanError(ValueError):
    """What was asked for cannot be done within the memory, or not at all; says what it would take."""


@dataclass(frozen=True)
class Array:
    """One array to be written.

    `axis` is the time axis or None, `field` whether the chunk rule cuts it, `native` the chunk shapes in the files
    (None: contiguous), `shuffled` whether all of them are shuffled, `files` their [start, stop) along the time axis.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    itemsize: int
    axis: int | None = None
    field: bool = False
    native: tuple[tuple[int, ...] | None, ...] = ()
    shuffled: bool = False
    files: tuple[tuple[int, int], ...] = ()

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.itemsize

    def bytes_of(self, shape) -> int:
        """Return the bytes of a block, of which only what lies in the array counts."""
        return prod(min(n, size) for n, size in zip(shape, self.shape, strict=True)) * self.itemsize


@dataclass(frozen=True)
class Cut:
    """How one array is cut; every shard is a whole number of chunks, every slab one of shards, on every axis.

    In a cut that is `apart` each shard is read, compressed and written by itself, and so is the slab of a thread.
    """

    array: Array
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    slab: tuple[int, ...]
    read_amplification: float
    apart: bool = False

    def __post_init__(self):
        for inner, outer in ((self.chunks, self.shards), (self.shards, self.slab)):
            if any(b % a for a, b in zip(inner, outer, strict=True)):
                raise AssertionError(f"{self.array.name}: {outer} is no whole number of {inner}")

    @property
    def streamed(self) -> bool:
        """Whether no chunk is ever whole in memory: it is compressed block by block as it is read."""
        return self.apart and streams(self.array, self.chunks)

    @property
    def objects(self) -> int:
        return prod(ceil(size / shard) for size, shard in zip(self.array.shape, self.shards, strict=True))

    def slabs(self) -> Iterator[tuple[slice, ...]]:
        """Yield the regions of the array that are in memory at once, in order; together they are the array."""
        return regions(tuple(slice(0, size) for size in self.array.shape), self.slab)

    def shards_of(self, slab: tuple[slice, ...]) -> Iterator[tuple[slice, ...]]:
        """Yield the regions of the shards of a slab."""
        return regions(slab, self.shards)


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
        """Source bytes that are inflated for each that is needed: 1.0 is none too many."""
        needed = sum(cut.array.bytes for cut in self.cuts)
        return sum(cut.array.bytes * cut.read_amplification for cut in self.cuts) / needed if needed else 1.0


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


def streams(array: Array, chunks: tuple[int, ...]) -> bool:
    """Tell whether each chunk is a number of whole, shuffled native chunks one after another in C order.

    Only along the first axis the last chunk may be short, so that what it lacks comes after what it has.

    >>> ta = Array("ta", (10, 6, 8), ("time", "plev", "x"), 4, 0, True, ((1, 3, 8),), True, ((0, 5), (5, 10)))
    >>> streams(ta, (4, 6, 8)), streams(ta, (4, 6, 4)), streams(ta, (4, 4, 8))
    (True, False, False)
    """
    if not array.shuffled or len(array.native) != 1 or array.native[0] is None or array.axis not in (None, 0):
        return False
    (native,) = array.native
    first = next((axis for axis, n in enumerate(native) if n > 1), 0)
    for axis, (size, chunk, n) in enumerate(zip(array.shape, chunks, native, strict=True)):
        ends = {stop for _, stop in array.files} if axis == array.axis else {size}
        if chunk % n or any(end % n for end in ends) or (axis and size % chunk) or (axis > first and chunk != n):
            return False
    return True


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


def slab_lengths(size: int, shard: int, natives: set[int]) -> list[int]:
    """Return the slab lengths worth considering on an axis: doublings of the shard, what covers native chunks, all.

    >>> slab_lengths(360, 4, {180}), slab_lengths(10, 10, {3})
    ([4, 8, 16, 32, 64, 128, 180, 256, 360], [10])
    """
    whole = ceil(max(1, size) / shard) * shard
    wanted = {shard * 2**n for n in range((whole // shard).bit_length())}
    wanted |= {ceil(native / shard) * shard for native in natives}
    return [*sorted(n for n in wanted if n < whole), whole]


def amplification_of(array: Array, shape: tuple[int, ...]) -> float:
    """Return how much more is inflated than needed when an array is read in blocks of a shape."""
    return prod(amplifications(array, axis, [n])[0] for axis, n in enumerate(shape))


def choose_slab(array: Array, shards: tuple[int, ...], most_bytes: int, threads: int) -> tuple[tuple[int, ...], float]:
    """Return the slab and its read amplification: the least one that reads nothing twice and keeps `threads` at work.

    If no slab of at most `most_bytes` does the first, the one that comes nearest.
    """
    axes = range(len(shards))
    natives = [{native[axis] for native in array.native if native} for axis in axes]
    lengths = [slab_lengths(array.shape[axis], shards[axis], natives[axis]) for axis in axes]
    factors = [dict(zip(lengths[axis], amplifications(array, axis, lengths[axis]), strict=True)) for axis in axes]
    least = min(array.bytes, max(LEAST_SLAB_BYTES, threads * array.bytes_of(shards)))

    def cost(slab):
        amplification, size = prod(factors[axis][n] for axis, n in enumerate(slab)), array.bytes_of(slab)
        too_small = max(0, least - size)
        return max(amplification, GOOD_AMPLIFICATION), too_small, size, [-n for n in reversed(slab)]

    fitting = [slab for slab in product(*lengths) if array.bytes_of(slab) <= most_bytes]
    slab = min(fitting, key=cost, default=tuple(shards))
    return slab, prod(factors[axis][n] for axis, n in enumerate(slab))


def memory_of(cut: Cut, threads: int) -> int:
    """Return the most bytes that are held while an array is converted, where nothing can be compressed.

    Beside the slab, which is each thread's own where shards are apart, each thread holds a shard compressed, and a copy
    of a chunk that is not contiguous in the slab, or it inflates a native chunk; HDF5 holds its cache where it is asked
    to read. Where a cut is streamed each thread holds a shard compressed and the chunk of it that is at hand, a block,
    and what is inflated into it.
    """
    array = cut.array
    native = max((prod(chunks) for chunks in array.native if chunks), default=0) * array.itemsize
    shard, chunk = array.bytes_of(cut.shards), array.bytes_of(cut.chunks)
    if cut.streamed:
        frame = shard if cut.shards == cut.chunks else shard + chunk
        # A block of one native chunk is inflated in place.
        block = native if native >= BLOCK_BYTES else min(chunk, BLOCK_BYTES) + native
        return BASE_BYTES + threads * (frame + block + native)
    contiguous = all(n >= size for n, size in zip(cut.chunks[1:], array.shape[1:], strict=True))
    encoding = shard + (0 if contiguous else chunk) + min(CODEC_BYTES, 3 * chunk)
    beside = BASE_BYTES + threads * max(encoding, 2 * native) + min(CACHE_BYTES, array.bytes)
    return beside + (threads if cut.apart else 1) * array.bytes_of(cut.slab)


def cut(array: Array, chunks: tuple[int, ...], shards: tuple[int, ...], memory_bytes: int, threads: int) -> Cut:
    """Return how one array is cut; raises PlanError with the MiB that would do if `memory_bytes` do not."""
    one = prod(chunks) * array.itemsize
    if one > MOST_CHUNK_BYTES:
        message = f"{array.name}: a chunk {chunks} would hold {one} bytes, expected at most {MOST_CHUNK_BYTES}"
        raise PlanError(f"{message}: choose shorter chunks in config key `chunks`.")
    apart = Cut(array, chunks, shards, shards, amplification_of(array, shards), apart=True)
    if apart.read_amplification <= GOOD_AMPLIFICATION and memory_of(apart, threads) <= memory_bytes:
        return apart
    chosen = wide = apart
    if not apart.streamed:
        beside = memory_of(Cut(array, chunks, shards, shards, 1.0), threads) - array.bytes_of(shards)
        chosen = Cut(array, chunks, shards, *choose_slab(array, shards, memory_bytes - beside, threads))
        wide = Cut(array, chunks, shards, *choose_slab(array, shards, array.bytes, threads))
        if wide.read_amplification > MOST_AMPLIFICATION:
            whole = tuple(ceil(max(1, n) / shard) * shard for n, shard in zip(array.shape, shards, strict=True))
            wide = Cut(array, chunks, shards, whole, 1.0)
        if memory_of(chosen, threads) <= memory_bytes and chosen.read_amplification <= MOST_AMPLIFICATION:
            return chosen
    needed = ceil(memory_of(wide, threads) / MIB)
    raise PlanError(
        f"{array.name}: shards {shards} of native chunks {array.native} need {needed} MiB with {threads} threads, "
        f"expected at most memory_mib = {memory_bytes // MIB} (with less, each source byte would be read "
        f"{chosen.read_amplification:.1f} times): raise memory_mib to {needed}, or choose other chunks."
    )


def plan(
    arrays: list[Array],
    rule: dict[str, int] | None,
    chunk_bytes: int,
    shard_bytes: int,
    memory_bytes: int,
    threads: int,
) -> Plan:
    """Return how to cut the arrays so that converting them takes at most `memory_bytes` with `threads` at work.

    `rule` and `chunk_bytes` as in `chunk_shapes`; `shard_bytes` is the size of shards, 0 for none. Raises PlanError,
    with the number that would do for all arrays, if it cannot be.
    """
    shapes = chunk_shapes(arrays, rule, chunk_bytes)
    cuts, errors = [], []
    for array in arrays:
        chunks = shapes[array.name]
        shards = shard_shape(array, chunks, shard_bytes) if array.field and shard_bytes else chunks
        try:
            cuts.append(cut(array, chunks, shards, memory_bytes, threads))
        except PlanError as error:
            errors.append(str(error))
    if errors:
        raise PlanError(" ".join(errors))
    peak = max((memory_of(cut, threads) for cut in cuts), default=BASE_BYTES)
    return Plan(tuple(cuts), peak)
