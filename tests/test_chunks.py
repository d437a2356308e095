"""How arrays are cut: every value once, within the memory."""

import re
from dataclasses import replace
from math import ceil, prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cmip6zarr import chunks, planes
from cmip6zarr.chunks import BASE_BYTES, MIB, Array, Cut, PlanError

DIMS = ("time", "plev", "lat", "lon")
RULES = st.one_of(st.none(), st.dictionaries(st.sampled_from(DIMS), st.integers(1, 30), min_size=1))
TARGETS = st.integers(1, 5000)
patient = settings(deadline=None)  # the machine may be busy


@st.composite
def arrays(draw):
    """Return one to three arrays as of one dataset: a dimension has one length wherever it occurs."""
    lengths = {dim: draw(st.integers(0, 25)) for dim in DIMS}
    drawn = []
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        dims = tuple(draw(st.lists(st.sampled_from(DIMS), unique=True, max_size=4)))
        shape = tuple(lengths[dim] for dim in dims)
        native = tuple(draw(st.integers(1, max(1, size))) for size in shape)
        axis = dims.index("time") if "time" in dims else None
        field = axis is not None and len(dims) > 1 and draw(st.booleans())
        drawn.append(Array(name, shape, dims, draw(st.sampled_from([1, 2, 4, 8, 32])), axis, field, (native, None)))
    return drawn


def coverage(shape, regions):
    """Return how often each value of an array lies in one of the regions."""
    counts = np.zeros(shape, int)
    for region in regions:
        counts[region] += 1
    return counts


@patient
@given(arrays(), RULES, TARGETS, st.sampled_from([0, 500, 5000]), st.integers(0, 20_000))
def test_slabs_and_their_shards_cover_an_array_once(listed, rule, target, shard, spare):
    """Whatever the rule and the memory, slabs cover an array once, and the shards of a slab cover that once."""
    memory = BASE_BYTES + 30 * MIB + spare
    for cut in chunks.plan(listed, rule, target, shard, memory, 1).cuts:
        slabs = list(cut.slabs())
        assert (coverage(cut.array.shape, slabs) == 1).all()
        within = [shard for slab in slabs for shard in cut.shards_of(slab)]
        assert (coverage(cut.array.shape, within) == 1).all()
        assert cut.objects == len(within)
        # No shard is written by two slabs: every shard begins on the grid of shards.
        assert all(part.start % n == 0 for shard in within for part, n in zip(shard, cut.shards, strict=True))
        assert all(s % c == 0 for s, c in zip(cut.shards, cut.chunks, strict=True))


@patient
@given(arrays(), RULES, TARGETS, st.integers(1, 3), st.integers(0, 20_000))
def test_plan_keeps_within_the_memory(listed, rule, target, threads, spare):
    """A slab and what is held beside it stay within the memory, and so does the plan's own sum."""
    memory = BASE_BYTES + 30 * MIB + spare
    plan = chunks.plan(listed, rule, target, 0, memory, threads)
    assert BASE_BYTES <= plan.planned_bytes <= memory
    for cut in plan.cuts:
        held = max((prod(s.stop - s.start for s in slab) for slab in cut.slabs()), default=0) * cut.array.itemsize
        assert BASE_BYTES + (0 if cut.streamed else held) <= chunks.memory_of(cut, threads) <= plan.planned_bytes


@patient
@given(arrays(), RULES, st.integers(1, 3), st.integers(1, 2**12))
def test_refusal_says_what_would_do(listed, rule, threads, times):
    """A plan that is refused says for each array how much memory it needs, and with the most of it, it is made."""
    large = [Array(a.name, tuple(n * times for n in a.shape), a.dims, a.itemsize, a.axis, a.field) for a in listed]
    try:
        chunks.plan(large, rule, 64 * MIB, 0, 200 * MIB, threads)
    except PlanError as error:
        assume("expected at most 2146435072" not in str(error))
        needed = max(
            map(int, re.findall(r"need (\d+) MiB with \d threads, expected at most memory_mib = 200", str(error)))
        )
        assert chunks.plan(large, rule, 64 * MIB, 0, needed * MIB, threads).planned_bytes <= needed * MIB


def test_refusal_names_array_and_chunk():
    """A chunk too large for the memory is refused with the array, the chunk and what to change."""
    ta = Array("ta", (100, 1000, 1000), ("time", "lat", "lon"), 4, 0, True)
    with pytest.raises(PlanError, match=r"ta: shards \(50, 1000, 1000\) .* need \d+ MiB with 1 threads") as refusal:
        chunks.plan([ta], {"time": 50}, MIB, 0, 400 * MIB, 1)
    assert "raise memory_mib to" in str(refusal.value)


def test_chunk_that_blosc_cannot_compress_is_refused():
    """A chunk of 2 GiB is refused, whatever the memory."""
    ta = Array("ta", (2, 2**15, 2**15), ("time", "lat", "lon"), 4, 0, True)
    with pytest.raises(PlanError, match=r"ta: a chunk \(1, 32768, 32768\) would hold 4294967296 bytes"):
        chunks.plan([ta], {"time": 1}, MIB, 0, 2**40, 1)


FIELDS = [
    Array("tas", (10, 30, 40), ("time", "lat", "lon"), 4, 0, True),
    Array("ta", (10, 5, 30, 40), ("time", "plev", "lat", "lon"), 4, 0, True),
    Array("time", (10,), ("time",), 8, 0),
    Array("time_bnds", (10, 2), ("time", "bnds"), 8, 0),
    Array("lat", (30,), ("lat",), 8),
    Array("height", (), (), 8),
]


@pytest.mark.parametrize(
    ("rule", "target", "tas", "ta"),
    [
        pytest.param({"time": 4}, 10, (4, 30, 40), (4, 5, 30, 40), id="rule"),
        pytest.param({"time": 99}, 10, (10, 30, 40), (10, 5, 30, 40), id="longer-than-the-axis"),
        pytest.param({"time": 1, "lat": 7}, 10, (1, 7, 40), (1, 5, 7, 40), id="two-dimensions"),
        pytest.param({"plev": 1}, 10, (10, 30, 40), (10, 1, 30, 40), id="whole-in-time"),
        pytest.param(None, 2**20, (10, 30, 40), (10, 5, 30, 40), id="auto-whole"),
        pytest.param(None, 3 * 5 * 30 * 40 * 4, (3, 30, 40), (3, 5, 30, 40), id="auto-by-the-largest"),
        pytest.param(None, 30 * 40 * 4, (1, 30, 40), (1, 1, 30, 40), id="auto-cuts-space-last"),
    ],
)
def test_chunk_rule(rule, target, tas, ta):
    """The rule cuts fields alone; `auto` gives all fields the steps that bring the largest to the target."""
    shapes = chunks.chunk_shapes(FIELDS, rule, target)
    assert (shapes["tas"], shapes["ta"]) == (tas, ta)


def test_what_is_no_field_is_not_cut_by_the_rule():
    """Coordinates, bounds and scalars are one chunk, or chunks of at most the target."""
    shapes = chunks.chunk_shapes(FIELDS, {"time": 1, "lat": 1}, 2**20)
    assert [shapes[name] for name in ("time", "time_bnds", "lat", "height")] == [(10,), (10, 2), (30,), ()]
    assert chunks.chunk_shapes(FIELDS, {"time": 1}, 48)["time_bnds"] == (3, 2)


@patient
@given(arrays(), TARGETS)
def test_auto_chunks_stay_within_the_target(listed, target):
    """Without a rule no chunk exceeds the target, unless it is one value; fields share one length along time."""
    shapes = chunks.chunk_shapes(listed, None, target)
    assert all(prod(shapes[a.name]) * a.itemsize <= max(target, a.itemsize) for a in listed)
    assert len({shapes[a.name][a.axis] for a in listed if a.field}) <= 1


@patient
@given(arrays(), st.integers(1, 40), st.integers(0, 5000))
def test_shard_is_as_many_whole_chunks_as_fit(listed, size, target):
    """A shard is whole chunks on every axis, within the target unless it is one chunk, and time grows last."""
    for array in listed:
        one = tuple(min(size, max(1, n)) for n in array.shape)
        shard = chunks.shard_shape(array, one, target)
        assert all(s % n == 0 for s, n in zip(shard, one, strict=True))
        assert shard == one or prod(shard) * array.itemsize <= target
        axis = array.axis
        if axis is not None and shard[axis] > one[axis]:
            assert all(s >= n for i, (s, n) in enumerate(zip(shard, array.shape, strict=True)) if i != axis)


@pytest.mark.parametrize(("shards", "slab"), [((4, 30, 40), (6, 30, 40)), ((6, 30, 40), (12, 30, 40))])
def test_cut_refuses_to_split_a_chunk_or_a_shard(shards, slab):
    """Two slabs may never share a shard, nor two shards a chunk: two writers of one lose values."""
    with pytest.raises(AssertionError, match="is no whole number of"):
        Cut(FIELDS[0], (4, 30, 40), shards, slab, 1.0)


def test_plan_refuses_fields_that_differ_along_time():
    """Fields cut differently along time would not open as one dataset with one chunking."""
    shapes = ((4, 30, 40), (2, 5, 30, 40))
    cuts = tuple(Cut(array, shape, shape, shape, 1.0) for array, shape in zip(FIELDS, shapes, strict=False))
    with pytest.raises(AssertionError, match=r"cut differently along time: \[2, 4\]"):
        chunks.Plan(cuts, 0)


def inflated(size, step, native, files):
    """Count, value by value, what reading an axis in blocks inflates."""
    total = 0
    for first, last in files:
        for start in range(0, size, step):
            wanted = range(max(start, first), min(start + step, last))
            touched = {(i - first) // native for i in wanted}
            total += sum(min(native, last - first - n * native) for n in touched)
    return total


@patient
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 25), st.integers(1, 25))
def test_touched_counts_what_is_inflated(lengths, step, native):
    """The formula counts what a walk through every value counts; native chunks begin anew in every file."""
    stops = np.cumsum(lengths).tolist()
    files = tuple((stop - length, stop) for stop, length in zip(stops, lengths, strict=True))
    assert chunks.touched(stops[-1], step, native, files) == inflated(stops[-1], step, native, files)


HOSTILE = {
    "time chunk as long as the file": ((360, 100, 100), (180, 10, 10), {"time": 4}),
    "single steps for time series": ((360, 100, 100), (1, 100, 100), {"time": 360, "lat": 10, "lon": 10}),
    "tiles for maps": ((360, 400, 400), (30, 200, 200), {"time": 1}),
}


@pytest.mark.parametrize(("shape", "native", "rule"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_layouts_are_read_at_most_once_and_a_half(shape, native, rule):
    """Where chunks cross those of the source the slab grows until little is read twice, or the plan is refused."""
    dims = ("time", "lat", "lon")
    ta = Array("ta", shape, dims, 4, 0, True, (native,), ((0, 180), (180, 360)))
    plan = chunks.plan([ta], rule, MIB, 0, 2**30, 1)
    assert plan.read_amplification <= chunks.MOST_AMPLIFICATION
    with pytest.raises(PlanError, match=r"each source byte would be read [0-9.]+ times") as refusal:
        chunks.plan([ta], rule, MIB, 0, BASE_BYTES + 17 * MIB + prod(native) * 8, 1)
    needed = int(re.search(r"need (\d+) MiB", str(refusal.value))[1])
    assert chunks.plan([ta], rule, MIB, 0, needed * MIB, 1).read_amplification <= chunks.MOST_AMPLIFICATION


def test_slab_is_no_larger_than_it_must_be():
    """Plenty of memory is not used up: where nothing is read twice a slab is one shard, and each thread has its own."""
    ta = Array("ta", (36360, 8, 768, 1024), ("time", "plev", "lat", "lon"), 4, 0, True, ((1, 8, 768, 1024),))
    (cut,) = chunks.plan([ta], {"time": 4}, MIB, 0, 2**36, 2).cuts
    assert (cut.slab, cut.read_amplification, cut.apart) == ((4, 8, 768, 1024), 1.0, True)
    one, two = (chunks.memory_of(cut, threads) - BASE_BYTES - chunks.CACHE_BYTES for threads in (1, 2))
    assert two == 2 * one == 2 * (96 + 96 + 24) * MIB


def test_slab_of_many_shards_keeps_threads_at_work():
    """Where native chunks hold many shards, the slab holds the native chunk, and a shard for each thread at least."""
    ta = Array(
        "ta", (360, 100, 100), ("time", "lat", "lon"), 4, 0, True, ((180, 100, 100),), files=((0, 180), (180, 360))
    )
    (cut,) = chunks.plan([ta], {"time": 4}, MIB, 0, 2**30, 2).cuts
    assert (cut.apart, cut.slab, cut.read_amplification) == (False, (360, 100, 100), 1.0)


def test_large_native_chunks_count_for_memory():
    """A native chunk is held inflated and compressed by every thread that reads one."""
    shape = (100, 1000, 1000)
    whole = Array("a", shape, DIMS[:3], 4, 0, native=(shape,))
    least = chunks.Cut(whole, (1, 1000, 1000), (1, 1000, 1000), (1, 1000, 1000), 1.0)
    beside = chunks.memory_of(least, 2) - 4 * 10**6
    assert beside == BASE_BYTES + 2 * 2 * prod(shape) * 4 + chunks.CACHE_BYTES


def test_a_streamed_chunk_is_never_whole_in_memory():
    """At the grid of 96 MiB chunks a stream holds for each thread a compressed chunk and few native ones, no slab."""
    ta = Array("ta", (360, 8, 768, 1024), ("time", "plev", "lat", "lon"), 4, 0, True, ((1, 8, 768, 1024),))
    plans = [chunks.plan([a], {"time": 4}, MIB, 0, 2**30, 2) for a in (ta, replace(ta, shuffled=True))]
    assert [plan.cuts[0].streamed for plan in plans] == [False, True]
    assert plans[1].planned_bytes == BASE_BYTES + 2 * (96 + 2 * 24) * MIB < plans[0].planned_bytes


@patient
@given(st.data())
def test_streamed_chunks_are_runs_of_native_ones(data):
    """Where the plan streams chunks, each is whole native chunks of its files, and only short at its end."""
    lengths = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    shape = (sum(lengths), *data.draw(st.lists(st.integers(1, 6), max_size=2)))
    native = tuple(data.draw(st.integers(1, n)) for n in shape)
    size = tuple(data.draw(st.sampled_from([n, m, min(n, 2 * m)])) for n, m in zip(shape, native, strict=True))
    files = tuple((sum(lengths[:i]), sum(lengths[: i + 1])) for i in range(len(lengths)))
    array = Array("v", shape, DIMS[: len(shape)], 4, 0, True, (native,), True, files)
    assume(chunks.streams(array, size))
    for chunk in chunks.Cut(array, size, size, size, 1.0).slabs():
        found = []
        for first, last in files:
            part = (slice(max(chunk[0].start, first), min(chunk[0].stop, last)), *chunk[1:])
            if part[0].start < part[0].stop:
                inside = (slice(part[0].start - first, part[0].stop - first), *part[1:])
                starts = planes.run(inside, native)
                assert starts
                found += [(start[0] + first, *start[1:]) for start in starts]
        order = np.arange(prod(size)).reshape(size)
        corners = [order[tuple(s - c.start for s, c in zip(start, chunk, strict=True))] for start in found]
        assert corners == [i * prod(native) for i in range(len(found))]
        assert len(found) * prod(native) == prod(c.stop - c.start for c in chunk)


def test_plan_counts_its_objects():
    """A plan has as many objects as its arrays have chunks."""
    plan = chunks.plan(FIELDS, {"time": 4}, MIB, 0, 2**30, 1)
    assert plan.objects == 2 * ceil(10 / 4) + 4
