"""The shapes of chunks and shards."""

from math import prod

import numpy as np
import pytest
from drawn import FIELDS, TARGETS, arrays
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.core import chunks


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


@given(arrays(), TARGETS)
def test_auto_chunks_stay_within_the_target(listed, target):
    """Without a rule no chunk exceeds the target, unless it is one value; fields share one length along time."""
    shapes = chunks.chunk_shapes(listed, None, target)
    assert all(prod(shapes[a.name]) * a.itemsize <= max(target, a.itemsize) for a in listed)
    assert len({shapes[a.name][a.axis] for a in listed if a.field}) <= 1


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


def inflated(size, step, native, files):
    """Count, value by value, what reading an axis in blocks inflates."""
    total = 0
    for first, last in files:
        for start in range(0, size, step):
            wanted = range(max(start, first), min(start + step, last))
            touched = {(i - first) // native for i in wanted}
            total += sum(min(native, last - first - n * native) for n in touched)
    return total


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 25), st.integers(1, 25))
def test_touched_counts_what_is_inflated(lengths, step, native):
    """The formula counts what a walk through every value counts; native chunks begin anew in every file."""
    stops = np.cumsum(lengths).tolist()
    files = tuple((stop - length, stop) for stop, length in zip(stops, lengths, strict=True))
    assert chunks.touched(stops[-1], step, native, files) == inflated(stops[-1], step, native, files)
