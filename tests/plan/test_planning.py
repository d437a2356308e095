"""How arrays are cut: every value once, within the memory."""

import re
from dataclasses import replace
from math import ceil, prod

import numpy as np
import pytest
from drawn import DIMS, FIELDS, RULES, TARGETS, arrays
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from cmip6zarr.convert import shuffled_chunks
from cmip6zarr.core import chunks
from cmip6zarr.core.chunks import MIB, Array
from cmip6zarr.plan import planning
from cmip6zarr.plan.budget import Budget, ChunkRule
from cmip6zarr.plan.planning import BASE_BYTES, Cut, PlanError


def coverage(shape, regions):
    """Return how often each value of an array lies in one of the regions."""
    counts = np.zeros(shape, int)
    for region in regions:
        counts[region] += 1
    return counts


def planned(*args) -> planning.Plan:
    """Return a plan; a refusal, for the rule or for the memory, is not what a test is about."""
    try:
        return planning.plan(*args)
    except PlanError:
        reject()


@given(arrays(), RULES, TARGETS, st.sampled_from([0, 500, 5000]), st.integers(0, 20_000))
def test_slabs_and_their_shards_cover_an_array_once(listed, rule, target, shard, spare):
    """Whatever the rule and the memory, slabs cover an array once, and the shards of a slab cover that once."""
    memory = BASE_BYTES + 30 * MIB + planning.index_bytes(listed) + spare
    for cut in planned(listed, ChunkRule(rule, target, shard), Budget(memory)).cuts:
        slabs = list(cut.slabs())
        assert (coverage(cut.array.shape, slabs) == 1).all()
        within = [shard for slab in slabs for shard in cut.shards_of(slab)]
        assert (coverage(cut.array.shape, within) == 1).all()
        assert cut.objects == len(within)
        # No shard is written by two slabs: every shard begins on the grid of shards.
        assert all(part.start % n == 0 for shard in within for part, n in zip(shard, cut.shards, strict=True))
        assert all(s % c == 0 for s, c in zip(cut.shards, cut.chunks, strict=True))


@given(arrays(), RULES, TARGETS, st.integers(1, 3), st.integers(0, 20_000))
def test_plan_keeps_within_the_memory(listed, rule, target, threads, spare):
    """A slab and what is held beside it stay within the memory, and so does the plan's own sum."""
    memory = BASE_BYTES + 30 * MIB + planning.index_bytes(listed) + spare
    plan = planned(listed, ChunkRule(rule, target), Budget(memory, threads))
    assert BASE_BYTES <= plan.planned_bytes <= memory
    for cut in plan.cuts:
        held = max((prod(s.stop - s.start for s in slab) for slab in cut.slabs()), default=0) * cut.array.itemsize
        assert BASE_BYTES + (0 if cut.streamed else held) <= planning.memory_of(cut, threads) <= plan.planned_bytes


@given(arrays(), RULES, st.integers(1, 3), st.integers(1, 2**12))
def test_refusal_says_what_would_do(listed, rule, threads, times):
    """A plan that is refused says for each array how much memory it needs, and with the most of it, it is made."""
    large = [replace(a, shape=tuple(n * times for n in a.shape), native=()) for a in listed]
    try:
        planning.plan(large, ChunkRule(rule, 64 * MIB), Budget(200 * MIB, threads))
    except planning.LayoutError:
        reject()
    except PlanError as error:
        assume("expected at most 2146435072" not in str(error))
        needed = max(
            map(int, re.findall(r"need (\d+) MiB with \d threads, expected at most memory_mib = 200", str(error)))
        )
        assert (
            planning.plan(large, ChunkRule(rule, 64 * MIB), Budget(needed * MIB, threads)).planned_bytes <= needed * MIB
        )


def test_refusal_names_array_and_chunk():
    """A chunk too large for the memory is refused with the array, the chunk and what to change."""
    ta = Array("ta", (100, 1000, 1000), ("time", "lat", "lon"), 4, axis=0, field=True)
    with pytest.raises(PlanError, match=r"ta: shards \(50, 1000, 1000\) .* need \d+ MiB with 1 threads") as refusal:
        planning.plan([ta], ChunkRule({"time": 50}, MIB), Budget(400 * MIB))
    assert "raise memory_mib to" in str(refusal.value)


def test_chunk_that_blosc_cannot_compress_is_refused():
    """A chunk of 2 GiB is refused, whatever the memory."""
    ta = Array("ta", (2, 2**15, 2**15), ("time", "lat", "lon"), 4, axis=0, field=True)
    with pytest.raises(PlanError, match=r"ta: a chunk \(1, 32768, 32768\) would hold 4294967296 bytes"):
        planning.plan([ta], ChunkRule({"time": 1}, MIB), Budget(2**40))


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
        planning.Plan(cuts, 0)


HOSTILE = {
    "time chunk as long as the file": ((360, 100, 100), (180, 10, 10), {"time": 4}),
    "single steps for time series": ((360, 100, 100), (1, 100, 100), {"time": 360, "lat": 10, "lon": 10}),
    "tiles for maps": ((360, 400, 400), (30, 200, 200), {"time": 1}),
}


FILES = {"files of whole chunks": ((0, 180), (180, 360)), "files that end within a chunk": ((0, 170), (170, 360))}


def hostile(shape, native, files) -> Array:
    """Return a field of (time, lat, lon) float32 in native chunks of one shape and files of those steps."""
    return Array("ta", shape, ("time", "lat", "lon"), 4, axis=0, field=True, native=(native,), files=files)


@pytest.mark.parametrize("files", FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize(("shape", "native", "rule"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_layouts_are_read_at_most_once_and_a_half(shape, native, rule, files):
    """Where chunks cross those of the source the slab grows until little is read twice, or the plan is refused."""
    ta = hostile(shape, native, files)
    plan = planning.plan([ta], ChunkRule(rule, MIB), Budget(2**30))
    assert plan.read_amplification <= planning.MOST_AMPLIFICATION
    with pytest.raises(PlanError, match=r"each source byte would be read [0-9.]+ times") as refusal:
        planning.plan([ta], ChunkRule(rule, MIB), Budget(BASE_BYTES + 17 * MIB + prod(native) * 8))
    needed = int(re.search(r"need (\d+) MiB", str(refusal.value))[1])
    assert (
        planning.plan([ta], ChunkRule(rule, MIB), Budget(needed * MIB)).read_amplification
        <= planning.MOST_AMPLIFICATION
    )


def test_where_files_end_decides_the_slab():
    """Native chunks begin anew in every file: a slab that suits files of whole chunks reads others twice."""
    shape, native, rule = HOSTILE["tiles for maps"]
    whole, within = (hostile(shape, native, files) for files in FILES.values())
    slabs = [planning.plan([ta], ChunkRule(rule, MIB), Budget(2**30)).cuts[0].slab for ta in (whole, within)]
    assert slabs == [(30, 400, 400), (360, 400, 400)]
    assert chunks.amplification_of(whole, slabs[0]) == 1.0
    assert chunks.amplification_of(within, slabs[0]) > planning.GOOD_AMPLIFICATION


def test_what_has_a_default_is_given_by_name():
    """The files of an array cannot be taken for whether its chunks are shuffled."""
    with pytest.raises(TypeError, match="positional argument"):
        Array("ta", (360, 100, 100), DIMS[:3], 4, 0, True, ((180, 10, 10),), ((0, 180), (180, 360)))


def test_slab_is_no_larger_than_it_must_be():
    """Plenty of memory is not used up: where nothing is read twice a slab is one shard, and each thread has its own."""
    ta = Array("ta", (36360, 8, 768, 1024), DIMS, 4, axis=0, field=True, native=((1, 8, 768, 1024),))
    (cut,) = planning.plan([ta], ChunkRule({"time": 4}, MIB), Budget(2**36, 2)).cuts
    assert (cut.slab, cut.read_amplification, cut.independent) == ((4, 8, 768, 1024), 1.0, True)
    one, two = (planning.memory_of(cut, threads) - BASE_BYTES - chunks.CACHE_BYTES for threads in (1, 2))
    assert two == 2 * one == 2 * (96 + 96 + 24) * MIB


def test_slab_of_many_shards_keeps_threads_at_work():
    """Where native chunks hold many shards, the slab holds the native chunk, and a shard for each thread at least."""
    native, files = ((180, 100, 100),), ((0, 180), (180, 360))
    ta = Array("ta", (360, 100, 100), ("time", "lat", "lon"), 4, axis=0, field=True, native=native, files=files)
    (cut,) = planning.plan([ta], ChunkRule({"time": 4}, MIB), Budget(2**30, 2)).cuts
    assert (cut.independent, cut.slab, cut.read_amplification) == (False, (360, 100, 100), 1.0)


def test_large_native_chunks_count_for_memory():
    """A native chunk is held inflated and compressed by every thread that reads one."""
    shape = (100, 1000, 1000)
    whole = Array("a", shape, DIMS[:3], 4, axis=0, native=(shape,))
    least = planning.Cut(whole, (1, 1000, 1000), (1, 1000, 1000), (1, 1000, 1000), 1.0)
    beside = planning.memory_of(least, 2) - 4 * 10**6
    assert beside == BASE_BYTES + 2 * 2 * prod(shape) * 4 + chunks.CACHE_BYTES


def test_a_streamed_chunk_is_never_whole_in_memory():
    """At the grid of 96 MiB chunks a stream holds for each thread a compressed chunk and few native ones, no slab."""
    ta = Array("ta", (360, 8, 768, 1024), DIMS, 4, axis=0, field=True, native=((1, 8, 768, 1024),))
    plans = [
        planning.plan([a], ChunkRule({"time": 4}, MIB), Budget(2**30, 2)) for a in (ta, replace(ta, shuffled=True))
    ]
    assert [plan.cuts[0].streamed for plan in plans] == [False, True]
    index = 360 * chunks.INDEX_BYTES
    assert plans[1].planned_bytes == BASE_BYTES + 2 * (96 + 2 * 24) * MIB + index < plans[0].planned_bytes


def test_the_places_of_chunks_are_planned():
    """A million chunks of a few bytes take memory for their places, of 256 files at once; too many are refused."""
    time = Array("time", (10**6,), ("time",), 8, axis=0, native=((1,),))
    assert planning.index_bytes([time]) == chunks.INDEX_BYTES * 10**6
    plan = planning.plan([time], ChunkRule(None, MIB), Budget(2**30))
    assert plan.planned_bytes == planning.memory_of(plan.cuts[0], 1) + chunks.INDEX_BYTES * 10**6
    yearly = replace(time, files=tuple((n, n + 1000) for n in range(0, 10**6, 1000)))
    assert planning.index_bytes([yearly]) == chunks.INDEX_BYTES * 10**6 * chunks.FILES_INDEXED // 1000
    with pytest.raises(planning.PlanError, match="raise memory_mib to"):
        planning.plan([time], ChunkRule(None, MIB), Budget(140 * MIB))


@given(st.data())
def test_streamed_chunks_are_runs_of_native_ones(data):
    """Where the plan streams chunks, each is whole native chunks of its files, and only short at its end."""
    lengths = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    shape = (sum(lengths), *data.draw(st.lists(st.integers(1, 6), max_size=2)))
    native = tuple(data.draw(st.integers(1, n)) for n in shape)
    size = tuple(data.draw(st.sampled_from([n, m, min(n, 2 * m)])) for n, m in zip(shape, native, strict=True))
    files = tuple((sum(lengths[:i]), sum(lengths[: i + 1])) for i in range(len(lengths)))
    array = Array("v", shape, DIMS[: len(shape)], 4, axis=0, field=True, native=(native,), shuffled=True, files=files)
    assume(planning.streams(array, size))
    for chunk in planning.Cut(array, size, size, size, 1.0).slabs():
        found = []
        for first, last in files:
            part = (slice(max(chunk[0].start, first), min(chunk[0].stop, last)), *chunk[1:])
            if part[0].start < part[0].stop:
                inside = (slice(part[0].start - first, part[0].stop - first), *part[1:])
                starts = shuffled_chunks.run(inside, native)
                assert starts
                found += [(start[0] + first, *start[1:]) for start in starts]
        order = np.arange(prod(size)).reshape(size)
        corners = [order[tuple(s - c.start for s, c in zip(start, chunk, strict=True))] for start in found]
        assert corners == [i * prod(native) for i in range(len(found))]
        assert len(found) * prod(native) == prod(c.stop - c.start for c in chunk)


def test_plan_counts_its_objects():
    """A plan has as many objects as its arrays have chunks."""
    plan = planning.plan(FIELDS, ChunkRule({"time": 4}, MIB), Budget(2**30))
    assert plan.objects == 2 * ceil(10 / 4) + 4


def test_shards_that_wait_are_counted_and_fewer_where_memory_is_short():
    """Each shard that may wait to be written counts in the plan; where they do not fit there are fewer, but one."""
    ta = Array("ta", (100, 1000, 1000), ("time", "y", "x"), 4, axis=0, field=True, native=((1, 1000, 1000),))
    shard = 4 * 4 * 10**6
    none, eight = (planning.plan([ta], ChunkRule({"time": 4}, MIB), Budget(2**30, 1, uploads)) for uploads in (0, 8))
    assert (none.uploads, eight.uploads) == (0, 8)
    assert eight.planned_bytes == none.planned_bytes + 8 * shard
    tight = none.planned_bytes + 3 * shard
    fewer = planning.plan([ta], ChunkRule({"time": 4}, MIB), Budget(tight, 1, 8))
    assert (fewer.uploads, fewer.planned_bytes <= tight) == (2, True)
    with pytest.raises(planning.PlanError, match="raise memory_mib"):
        planning.plan([ta], ChunkRule({"time": 4}, MIB), Budget(none.planned_bytes - shard, 1, 8))


def test_rule_that_names_no_dimension_is_refused():
    """A dimension that is mistyped, so that no field has it, is told with those that they have; one of two may be."""
    ta = Array("ta", (10, 3, 4, 4), DIMS, 4, axis=0, field=True)
    orog = Array("orog", (4, 4), ("lat", "lon"), 4)
    with pytest.raises(planning.LayoutError, match=r"names \['times'\], and the fields have the dimensions \['lat'"):
        planning.plan([ta, orog], ChunkRule({"times": 4}, MIB), Budget(BASE_BYTES + 30 * MIB))
    assert planning.plan([ta], ChunkRule({"time": 4, "level": 1}, MIB), Budget(BASE_BYTES + 30 * MIB)).objects == 3
    assert planning.plan([orog], ChunkRule({"times": 4}, MIB), Budget(BASE_BYTES + 30 * MIB)).objects == 1
