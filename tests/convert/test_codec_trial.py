"""A variable's codec is chosen by trying."""

import numpy as np
import pytest
from builders import make_dataset
from chain import take
from hypothesis import given
from hypothesis import strategies as st
from spoil import last, put

from cmip6zarr.convert import codec_trial, codecs, writer
from cmip6zarr.convert.reader import Reader
from cmip6zarr.core import chunks
from cmip6zarr.model.as_json import from_json
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.plan import planning
from cmip6zarr.plan.budget import Budget, ChunkRule


def chosen(tmp_path, preset, field, **more):
    """Return the codec and the figures of the trial for a dataset whose `tas` is a field."""
    paths = make_dataset(tmp_path, files=1, steps=4, lat=64, lon=96, **more)
    last(put("tas", slice(None), field))(paths)
    inventory = from_json(Inventory, take(paths, tmp_path))
    plan = planning.plan(writer.arrays_of(inventory, preset), ChunkRule({"time": 2}, 2**20), Budget(2**30))
    (cut,) = (cut for cut in plan.cuts if cut.array.name == "tas")
    with Reader(inventory) as reader:
        return codec_trial.choose(preset, reader, cut, np.dtype("<f4"))


def test_one_codec_needs_no_trial(tmp_path):
    """A preset of one codec is taken without a read."""
    assert chosen(tmp_path, "fast", smooth((4, 64, 96))) == (codecs.PRESETS["fast"].codecs[0], {})


def rounded(shape, bits):
    """Return noise of which each number has so many random bits."""
    return (np.random.default_rng(5).integers(0, 2**bits, shape) / 2**bits + 1).astype("f4")


def repeated(shape):
    """Return words of four numbers, 30 different ones in no order: the fastest zstd overlooks most that come again."""
    return rounded((30, 4), 12)[np.random.default_rng(5).integers(0, 30, np.prod(shape) // 4)].reshape(shape)


@pytest.mark.parametrize(
    ("field", "fits"),
    [
        (lambda shape: rounded(shape, 14), [True]),
        (repeated, [False, True]),
        (lambda shape: rounded(shape, 20), [False, False, False]),
    ],
    ids=["first", "second", "none"],
)
def test_balanced_is_no_bigger_than_the_files(tmp_path, field, fits):
    """The first codec by which the samples are no bigger than in the files is taken; the smallest where none is so."""
    codec, figures = chosen(tmp_path, "balanced", field((4, 64, 96)))
    (source_bytes,) = {figure["source_bytes"] for figure in figures.values()}
    assert [figure["bytes"] <= source_bytes for figure in figures.values()] == fits
    assert figures[codec.name]["bytes"] == min(figure["bytes"] for figure in figures.values())


def test_balanced_asks_for_no_more_than_files_tell(tmp_path):
    """What is not known to be compressed in the files is not tried."""
    assert chosen(tmp_path, "balanced", smooth((4, 64, 96)), format="NETCDF3_CLASSIC") == (
        codecs.PRESETS["balanced"].codecs[0],
        {},
    )


def smooth(shape):
    """Return a field that pcodec makes smaller than Blosc does: smooth, with all its bits."""
    return np.sin(np.linspace(0, 9, int(np.prod(shape)))).astype("f4").reshape(shape) * 30 + 280


def masked(shape):
    """Return a field of long runs of two values, which Blosc makes smaller."""
    return np.where(np.arange(int(np.prod(shape))) // 500 % 2, np.float32(1e20), np.float32(0)).reshape(shape)


@pytest.mark.parametrize(("field", "winner"), [(smooth, "pcodec-6"), (masked, "blosc zstd-3 8 MiB blocks")])
def test_smallest_wins(tmp_path, field, winner):
    """The codec that makes the samples smallest is chosen, and the figures of all say so."""
    codec, figures = chosen(tmp_path, "small", field((4, 64, 96)))
    assert codec.name == winner
    assert set(figures) == {codec.name for codec in codecs.PRESETS["small"].codecs}
    assert figures[winner]["bytes"] == min(figure["bytes"] for figure in figures.values())
    assert all(figure["bytes"] < figure["raw_bytes"] for figure in figures.values())


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=3), st.data())
def test_samples_lie_in_the_array_and_are_small(shape, data):
    """Whatever the chunks, samples are parts of the array of at most the sample size, at both its ends."""
    cut_chunks = tuple(data.draw(st.integers(1, size)) for size in shape)
    array = chunks.Array("v", tuple(shape), tuple("xyz"[: len(shape)]), 8)
    regions = codec_trial.sampled(planning.Cut(array, cut_chunks, cut_chunks, cut_chunks, 1.0))
    assert 1 <= len(regions) <= codec_trial.SAMPLES
    for region in regions:
        assert all(0 <= r.start < r.stop <= size for r, size in zip(region, shape, strict=True))
        assert np.prod([r.stop - r.start for r in region]) * 8 <= max(8, codec_trial.SAMPLE_BYTES)
    assert (regions[0][0].start, regions[-1][0].stop) == (0, shape[0])
