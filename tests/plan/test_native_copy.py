"""Which native chunks can be chunks of the store, in integers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.core.chunks import MIB, Array
from cmip6zarr.plan import planning
from cmip6zarr.plan.budget import Budget, ChunkRule

BUDGET = Budget(1024 * MIB)


def field(name="tas", native=(1, 6, 8), steps=(5, 5), space=(6, 8), not_copied=None):
    """Return a field of files of some steps each."""
    ends = [sum(steps[: i + 1]) for i in range(len(steps))]
    files = tuple((end - n, end) for end, n in zip(ends, steps, strict=True))
    facts = {"axis": 0, "field": True, "native": (native,), "files": files, "not_copied": not_copied, "shuffled": True}
    return Array(name, (ends[-1], *space), ("time", "y", "x"), 4, **facts)


@st.composite
def fields(draw):
    """Draw two fields with native chunks of any shape in files of any lengths."""
    steps = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    space = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    natives = [(draw(st.integers(1, 6)), *(draw(st.integers(1, n)) for n in space)) for _ in range(2)]
    return [field(name, native, steps, space) for name, native in zip(("a", "b"), natives, strict=True)]


@given(fields(), st.none() | st.fixed_dictionaries({"time": st.integers(1, 40)}), st.sampled_from([0, 2**14]))
def test_what_is_copied_is_whole_native_chunks(arrays, lengths, shard_bytes):
    """A copied field has native chunks in space and whole ones along time, in every file but the last."""
    plan = planning.plan(arrays, ChunkRule(lengths, 2**12, shard_bytes), BUDGET)
    for cut in plan.cuts:
        native = arrays[0].native[0] if cut.array.name == "a" else arrays[1].native[0]
        if cut.array.not_copied is None:
            assert cut.chunks[1:] == native[1:]
            assert cut.chunks[0] % native[0] == 0
            assert all((stop - start) % native[0] == 0 for start, stop in cut.array.files[:-1])
            assert cut.streamed
        else:
            assert cut.array.not_copied.startswith(("steps ", "its native chunks of "))


def cut_of(*arrays, lengths=None):
    """Return the cut of the first of some fields."""
    return planning.plan(list(arrays), ChunkRule(lengths, 2**20), BUDGET).cuts[0]


@pytest.mark.parametrize(
    ("native", "asked", "chunks"),
    [((1, 6, 8), 4, (4, 6, 8)), ((2, 6, 8), 5, (4, 6, 8)), ((3, 3, 8), 2, (3, 3, 8)), ((4, 6, 8), 12, (12, 6, 8))],
)
def test_the_rule_decides_how_many_native_chunks_make_a_chunk(native, asked, chunks):
    """The length that is asked is rounded down to whole native chunks, and is one at least; cuts in space stay."""
    cut = cut_of(field(native=native, steps=(12, 12)), lengths={"time": asked})
    assert (cut.chunks, cut.array.not_copied) == (chunks, None)


def test_a_rule_for_all_steps_takes_the_last_native_chunk_whole():
    """An array that ends within a native chunk has chunks that reach beyond it."""
    assert cut_of(field(native=(4, 6, 8), steps=(4, 6))).chunks == (12, 6, 8)


def test_fields_keep_one_length_along_time():
    """Where native chunks of two fields do not go together, the shorter ones are compressed anew."""
    plan = planning.plan([field("a", (2, 6, 8), (12,)), field("b", (3, 6, 8), (12,))], ChunkRule(None, 2**20), BUDGET)
    assert [cut.chunks[0] for cut in plan.cuts] == [12, 12]
    assert [cut.array.not_copied for cut in plan.cuts] == [
        "its native chunks of 2 steps do not divide the 3 of another field",
        None,
    ]


def test_nothing_changes_where_nothing_is_copied():
    """A plan for another preset is as it was."""
    array = field(native=(5, 2, 3), not_copied="no")
    rule = ChunkRule({"time": 3}, 2**20)
    assert planning.plan([array], rule, BUDGET).cuts[0].chunks == (3, 6, 8)
    assert planning.plan([replace(array, axis=None, field=False)], rule, BUDGET).cuts[0].array.not_copied == "no"
