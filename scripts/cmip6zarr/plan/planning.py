"""How a dataset is converted, in pure integers: cuts, slabs, memory, reads. No I/O, no array library.

A **slab** is what is in memory at once: a whole number of shards along every axis.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, prod

from cmip6zarr.core.chunks import (
    BLOCK_BYTES,
    CACHE_BYTES,
    FILES_INDEXED,
    INDEX_BYTES,
    MIB,
    MOST_CHUNK_BYTES,
    Array,
    amplification_of,
    amplifications,
    chunk_shapes,
    folders_of,
    regions,
    shard_shape,
)
from cmip6zarr.plan import native_copy
from cmip6zarr.plan.budget import Budget, ChunkRule

# Peak RSS of convert on a dataset of a few kB, 82 to 86 MiB, and room for the netCDF library where it has to read.
BASE_BYTES = 110 * MIB
# Blosc's own buffers: three blocks.
CODEC_BYTES = 3 * BLOCK_BYTES
# Large enough that the fixed cost of a slab is nothing, small enough to be nothing in memory.
LEAST_SLAB_BYTES = 16 * MIB
# Reads of up to this much more than is needed are as good as none.
GOOD_AMPLIFICATION = 1.05
MOST_AMPLIFICATION = 1.5


class PlanError(ValueError):
    """What was asked for cannot be done within the memory, or not at all; says what it would take.

    `kind` is the class of failure.
    """

    kind = "memory"


class LayoutError(PlanError):
    """The chunk rule is for other dimensions than those of the dataset."""

    kind = "layout"


@dataclass(frozen=True)
class Cut:
    """How one array is cut; every shard is a whole number of chunks, every slab one of shards, on every axis.

    Shards that are `independent` share almost no native chunks: each is one task, with a slab per thread.
    """

    array: Array
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    slab: tuple[int, ...]
    read_amplification: float
    independent: bool = False

    def __post_init__(self) -> None:
        for inner, outer in ((self.chunks, self.shards), (self.shards, self.slab)):
            if any(b % a for a, b in zip(inner, outer, strict=True)):
                raise AssertionError(f"{self.array.name}: {outer} is no whole number of {inner}")

    @property
    def streamed(self) -> bool:
        """Whether no chunk is ever whole in memory: it is compressed, or copied, block by block as it is read."""
        return self.independent and (self.array.not_copied is None or streams(self.array, self.chunks))

    @property
    def grid(self) -> tuple[int, ...]:
        """How many shards there are along each axis."""
        return tuple(ceil(size / shard) for size, shard in zip(self.array.shape, self.shards, strict=True))

    @property
    def objects(self) -> int:
        return prod(self.grid)

    @property
    def folders(self) -> int:
        return folders_of(self.grid)

    def slabs(self) -> Iterator[tuple[slice, ...]]:
        """Yield the regions of the array that are in memory at once, in order; together they are the array."""
        return regions(tuple(slice(0, size) for size in self.array.shape), self.slab)

    def shards_of(self, slab: tuple[slice, ...]) -> Iterator[tuple[slice, ...]]:
        """Yield the regions of the shards of a slab."""
        return regions(slab, self.shards)


@dataclass(frozen=True)
class Plan:
    """The cuts of all arrays of a dataset; fields have one chunk length along time, so that they open as one.

    `uploads` is how many shards may wait, compressed, for a store that takes its time.
    """

    cuts: tuple[Cut, ...]
    planned_bytes: int
    uploads: int = 0

    def __post_init__(self) -> None:
        lengths = {cut.chunks[cut.array.time_axis] for cut in self.cuts if cut.array.field}
        if len(lengths) > 1:
            raise AssertionError(f"fields are cut differently along time: {sorted(lengths)}")

    @property
    def objects(self) -> int:
        return sum(cut.objects for cut in self.cuts)

    @property
    def folders(self) -> int:
        return sum(cut.folders for cut in self.cuts)

    @property
    def read_amplification(self) -> float:
        """Source bytes that are inflated for each that is needed: 1.0 is none too many."""
        needed = sum(cut.array.bytes for cut in self.cuts)
        return sum(cut.array.bytes * cut.read_amplification for cut in self.cuts) / needed if needed else 1.0


def streams(array: Array, chunks: tuple[int, ...]) -> bool:
    """Tell whether each chunk is a number of whole, shuffled native chunks one after another in C order.

    Only along the first axis the last chunk may be short, so that what it lacks comes after what it has.

    >>> files = {"native": ((1, 3, 8),), "shuffled": True, "files": ((0, 5), (5, 10))}
    >>> ta = Array("ta", (10, 6, 8), ("time", "plev", "x"), 4, axis=0, field=True, **files)
    >>> streams(ta, (4, 6, 8)), streams(ta, (4, 6, 4)), streams(ta, (4, 4, 8))
    (True, False, False)
    """
    native = array.native[0] if len(array.native) == 1 else None
    if not array.shuffled or native is None or array.axis not in (None, 0):
        return False
    first = next((axis for axis, n in enumerate(native) if n > 1), 0)
    for axis, (size, chunk, n) in enumerate(zip(array.shape, chunks, native, strict=True)):
        ends = {stop for _, stop in array.files} if axis == array.axis else {size}
        if chunk % n or any(end % n for end in ends) or (axis and size % chunk) or (axis > first and chunk != n):
            return False
    return True


def slab_lengths(size: int, shard: int, natives: set[int]) -> list[int]:
    """Return the slab lengths worth considering on an axis: doublings of the shard, what covers native chunks, all.

    >>> slab_lengths(360, 4, {180}), slab_lengths(10, 10, {3})
    ([4, 8, 16, 32, 64, 128, 180, 256, 360], [10])
    """
    whole = ceil(max(1, size) / shard) * shard
    wanted = {shard * 2**n for n in range((whole // shard).bit_length())}
    wanted |= {ceil(native / shard) * shard for native in natives}
    return [*sorted(n for n in wanted if n < whole), whole]


def choose_slab(array: Array, shards: tuple[int, ...], most_bytes: int, threads: int) -> tuple[tuple[int, ...], float]:
    """Return the slab and its read amplification: the least one that reads nothing twice and keeps `threads` at work.

    If no slab of at most `most_bytes` does the first, the one that comes nearest.
    """
    axes = range(len(shards))
    natives = [{native[axis] for native in array.native if native} for axis in axes]
    lengths = [slab_lengths(array.shape[axis], shards[axis], natives[axis]) for axis in axes]
    factors = [dict(zip(lengths[axis], amplifications(array, axis, lengths[axis]), strict=True)) for axis in axes]
    least = min(array.bytes, max(LEAST_SLAB_BYTES, threads * array.bytes_of(shards)))

    def cost(slab: tuple[int, ...]) -> tuple[float, int, int, list[int]]:
        amplification, size = prod(factors[axis][n] for axis, n in enumerate(slab)), array.bytes_of(slab)
        too_small = max(0, least - size)
        return max(amplification, GOOD_AMPLIFICATION), too_small, size, [-n for n in reversed(slab)]

    fitting = [slab for slab in product(*lengths) if array.bytes_of(slab) <= most_bytes]
    slab = min(fitting, key=cost, default=tuple(shards))
    return slab, prod(factors[axis][n] for axis, n in enumerate(slab))


def memory_of(cut: Cut, threads: int) -> int:
    """Return the most bytes that are held while an array is converted, where nothing can be compressed.

    Beside the slab, one for each thread where shards are independent, each thread holds a shard compressed, and a copy
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
    return beside + (threads if cut.independent else 1) * array.bytes_of(cut.slab)


def cut(array: Array, chunks: tuple[int, ...], shards: tuple[int, ...], budget: Budget, waiting_bytes: int = 0) -> Cut:
    """Return how one array is cut; raises PlanError with the MiB that would do if the budget does not.

    `waiting_bytes` of its memory are not the array's: so much may wait to be written, or is held of other arrays.
    """
    memory_bytes, threads = budget.memory_bytes - waiting_bytes, budget.threads
    one = prod(chunks) * array.itemsize
    if one > MOST_CHUNK_BYTES:
        message = f"{array.name}: a chunk {chunks} would hold {one} bytes, expected at most {MOST_CHUNK_BYTES}"
        raise PlanError(f"{message}: choose shorter chunks in config key `chunks`.")
    single = Cut(array, chunks, shards, shards, amplification_of(array, shards), independent=True)
    if single.read_amplification <= GOOD_AMPLIFICATION and memory_of(single, threads) <= memory_bytes:
        return single
    chosen = wide = single
    if not single.streamed:
        beside = memory_of(Cut(array, chunks, shards, shards, 1.0), threads) - array.bytes_of(shards)
        chosen = Cut(array, chunks, shards, *choose_slab(array, shards, memory_bytes - beside, threads))
        wide = Cut(array, chunks, shards, *choose_slab(array, shards, array.bytes, threads))
        if wide.read_amplification > MOST_AMPLIFICATION:
            whole = tuple(ceil(max(1, n) / shard) * shard for n, shard in zip(array.shape, shards, strict=True))
            wide = Cut(array, chunks, shards, whole, 1.0)
        if memory_of(chosen, threads) <= memory_bytes and chosen.read_amplification <= MOST_AMPLIFICATION:
            return chosen
    needed = ceil((memory_of(wide, threads) + waiting_bytes) / MIB)
    raise PlanError(
        f"{array.name}: shards {shards} of native chunks {array.native} need {needed} MiB with {threads} threads, "
        f"expected at most memory_mib = {budget.memory_bytes // MIB} (with less, each source byte would be read "
        f"{chosen.read_amplification:.1f} times): raise memory_mib to {needed}, or choose other chunks."
    )


def index_bytes(arrays: list[Array]) -> int:
    """Return what the places of all chunks take of the files of which they are held at once."""
    files = max((len(array.files) for array in arrays), default=0)
    share = min(1.0, FILES_INDEXED / max(1, files))
    return ceil(INDEX_BYTES * share * sum(array.native_chunks for array in arrays))


def check_rule(arrays: list[Array], rule: ChunkRule) -> None:
    """Raise LayoutError if a chunk rule names no dimension of the fields, which it would leave in one chunk each."""
    dims = sorted({dim for array in arrays if array.field for dim in array.dims})
    if rule.lengths and dims and not set(rule.lengths).intersection(dims):
        raise LayoutError(
            f"config key `chunks` names {sorted(rule.lengths)}, and the fields have the dimensions {dims}: name one of "
            "them, or select these datasets apart."
        )


def plan(arrays: list[Array], rule: ChunkRule, budget: Budget) -> Plan:
    """Return how to cut the arrays by a rule so that converting them keeps to the budget.

    Where there is no memory for all uploads of the budget there are fewer, but one. Raises LayoutError as `check_rule`
    does, and PlanError, with the number that would do for all arrays, if the memory is too small.
    """
    check_rule(arrays, rule)
    arrays, shapes = native_copy.fit(arrays, chunk_shapes(arrays, rule.lengths, rule.chunk_bytes))
    shards = {
        array.name: shard_shape(array, shapes[array.name], rule.shard_bytes)
        if array.field and rule.shard_bytes
        else shapes[array.name]
        for array in arrays
    }
    largest = max((array.bytes_of(shards[array.name]) for array in arrays), default=0)
    waiting_bytes = index_bytes(arrays) + budget.uploads * largest
    cuts, errors = [], []
    for array in arrays:
        try:
            cuts.append(cut(array, shapes[array.name], shards[array.name], budget, waiting_bytes))
        except PlanError as error:
            errors.append(str(error))
    if errors and budget.uploads > 1:
        return plan(arrays, rule, replace(budget, uploads=budget.uploads // 2))
    if errors:
        raise PlanError(" ".join(errors))
    peak = max((memory_of(cut, budget.threads) for cut in cuts), default=BASE_BYTES) + waiting_bytes
    return Plan(tuple(cuts), peak, budget.uploads)
