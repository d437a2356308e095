"""How arrays are cut: every value once, within the memory."""

import re
from math import ceil, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmip6zarr import chunks
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
@given(arrays(), RULES, TARGETS, st.integers(0, 20_000))
def test_slabs_and_their_chunks_cover_an_array_once(listed, rule, target, spare):
    """Whatever the rule and the memory, slabs cover an array once, and the chunks of a slab cover that once."""
    memory = BASE_BYTES + chunks.PIECE_BYTES + 10 * MIB + spare
    for cut in chunks.plan(listed, rule, target, memory, 1).cuts:
        slabs = list(cut.slabs())
        assert (coverage(cut.array.shape, slabs) == 1).all()
        within = [chunk for slab in slabs for chunk in cut.chunks_of(slab)]
        assert (coverage(cut.array.shape, within) == 1).all()
        assert cut.objects == len(within)
        # No chunk is written by two slabs: every chunk begins on the grid of chunks.
        assert all(part.start % n == 0 for chunk in within for part, n in zip(chunk, cut.chunks, strict=True))


@patient
@given(arrays(), RULES, TARGETS, st.integers(1, 3), st.integers(0, 20_000))
def test_plan_keeps_within_the_memory(listed, rule, target, threads, spare):
    """A slab, the copies of its chunks, and what HDF5 holds stay within the memory, and so does the plan's own sum."""
    memory = BASE_BYTES + chunks.PIECE_BYTES + 10 * MIB + spare
    plan = chunks.plan(listed, rule, target, memory, threads)
    assert BASE_BYTES <= plan.planned_bytes <= memory
    for cut in plan.cuts:
        held = max((prod(s.stop - s.start for s in slab) for slab in cut.slabs()), default=0) * cut.array.itemsize
        copies = chunks.COPIES * threads * cut.chunk_bytes
        fixed = BASE_BYTES + copies + chunks.native_bytes(cut.array) + chunks.PIECE_BYTES
        assert fixed + held <= plan.planned_bytes


@patient
@given(arrays(), RULES, st.integers(1, 3), st.integers(1, 2**12))
def test_refusal_says_what_would_do(listed, rule, threads, times):
    """A plan that is refused says how much memory it needs, and with that it is made."""
    large = [Array(a.name, tuple(n * times for n in a.shape), a.dims, a.itemsize, a.axis, a.field) for a in listed]
    try:
        chunks.plan(large, rule, 64 * MIB, 200 * MIB, threads)
    except PlanError as error:
        needed = re.search(r"needs (\d+) MiB with \d threads, expected at most memory_mib = 200", str(error))
        if not needed:
            assert "expected at most 2146435072" in str(error)
            return
        try:
            plan = chunks.plan(large, rule, 64 * MIB, int(needed[1]) * MIB, threads)
        except PlanError as again:
            assert "expected at most 2146435072" in str(again)
            return
        assert plan.planned_bytes <= int(needed[1]) * MIB


def test_refusal_names_array_and_chunk():
    """A chunk too large for the memory is refused with the array, the chunk and what to change."""
    ta = Array("ta", (100, 1000, 1000), ("time", "lat", "lon"), 4, 0, True)
    with pytest.raises(PlanError, match=r"ta: a chunk \(50, 1000, 1000\) of 191 MiB needs \d+ MiB") as refusal:
        chunks.plan([ta], {"time": 50}, MIB, 400 * MIB, 1)
    assert "raise memory_mib or choose smaller chunks" in str(refusal.value)


def test_chunk_that_blosc_cannot_compress_is_refused():
    """A chunk of 2 GiB is refused, whatever the memory."""
    ta = Array("ta", (2, 2**15, 2**15), ("time", "lat", "lon"), 4, 0, True)
    with pytest.raises(PlanError, match=r"ta: a chunk \(1, 32768, 32768\) would hold 4294967296 bytes"):
        chunks.plan([ta], {"time": 1}, MIB, 2**40, 1)


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
def test_slab_is_as_many_whole_chunks_as_fit(listed, size, budget):
    """A slab is whole chunks on every axis, within the budget unless it is one chunk, and time grows last."""
    for array in listed:
        one = tuple(min(size, max(1, n)) for n in array.shape)
        slab = chunks.grow(array, one, budget)
        assert all(s % n == 0 for s, n in zip(slab, one, strict=True))
        assert slab == one or prod(slab) * array.itemsize <= budget
        axis = array.axis
        if axis is not None and slab[axis] > one[axis]:
            assert all(s >= n for i, (s, n) in enumerate(zip(slab, array.shape, strict=True)) if i != axis)


def test_cut_refuses_a_slab_that_splits_a_chunk():
    """Two slabs may never share a chunk: two writers of one chunk lose values."""
    with pytest.raises(AssertionError, match="is no whole number of chunks"):
        Cut(FIELDS[0], (4, 30, 40), (6, 30, 40))


def test_plan_refuses_fields_that_differ_along_time():
    """Fields cut differently along time would not open as one dataset with one chunking."""
    cuts = (Cut(FIELDS[0], (4, 30, 40), (4, 30, 40)), Cut(FIELDS[1], (2, 5, 30, 40), (2, 5, 30, 40)))
    with pytest.raises(AssertionError, match=r"cut differently along time: \[2, 4\]"):
        chunks.Plan(cuts, 0)


@patient
@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 60), st.integers(0, 60), st.integers(1, 12))
def test_pieces_cover_a_range_in_order(lengths, start, stop, steps):
    """Pieces cover the range once and in order, each in one file and no longer than asked."""
    stops = np.cumsum(lengths).tolist()
    files = [(end - length, end) for end, length in zip(stops, lengths, strict=True)]
    found = list(chunks.pieces(files, start, stop, steps))
    assert [i for _, a, b in found for i in range(a, b)] == list(range(start, min(stop, sum(lengths))))
    assert all(files[f][0] <= a < b <= files[f][1] and b - a <= steps for f, a, b in found)


@pytest.mark.parametrize(
    ("native", "slab", "expected"),
    [
        pytest.param(((1, 10),), (60, 10), 1.0, id="steps-are-native-chunks"),
        pytest.param((None,), (60, 10), 1.0, id="contiguous"),
        pytest.param(((180, 10),), (60, 10), 3.0, id="three-reads-of-each-chunk"),
        pytest.param(((1, 10), (120, 10)), (60, 10), 2.0, id="the-worst-layout"),
        pytest.param(((180, 5),), (60, 10), 3.0, id="axes-multiply"),
        pytest.param(((7, 10),), (360, 10), 1.0, id="one-slab"),
    ],
)
def test_amplification_counts_values_inflated_again(native, slab, expected):
    """A slab that takes part of a native chunk inflates all of it."""
    ta = Array("ta", (360, 10), ("time", "x"), 4, axis=0, field=True, native=native)
    assert chunks.amplification(Cut(ta, slab, slab)) == expected
    assert chunks.Plan((Cut(ta, slab, slab),), 0).read_amplification == expected


def test_large_native_chunks_count_for_memory():
    """A native chunk beyond HDF5's cache is held beside its compressed form; small arrays need no full cache."""
    shape = (100, 1000, 1000)
    assert chunks.native_bytes(Array("a", shape, DIMS[:3], 4, native=((1, 1000, 1000),))) == chunks.CACHE_BYTES
    assert chunks.native_bytes(Array("a", shape, DIMS[:3], 4, native=((100, 1000, 1000),))) == 2 * prod(shape) * 4
    assert chunks.native_bytes(Array("a", (10,), DIMS[:1], 4)) == 40


def test_plan_counts_its_objects():
    """A plan has as many objects as its arrays have chunks."""
    plan = chunks.plan(FIELDS, {"time": 4}, MIB, 2**30, 1)
    assert plan.objects == 2 * ceil(10 / 4) + 4
