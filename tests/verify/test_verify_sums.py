"""Verify sums the values of each object itself, however they come, and the ledger must have the same sums."""

import json

import numpy as np
import pytest
import zarr
from builders import make_dataset
from chain import ID, failed_verify, leave_receipts, run_convert, run_verify, take, write
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.job import receipts
from cmip6zarr.store import ledger, zarr_store
from cmip6zarr.verify.sums import Sums


@pytest.mark.parametrize("codec", ["balanced", "small", "fast"])
@pytest.mark.parametrize("shards", [0, 0.001])
def test_sums_of_every_object_are_those_of_the_ledger(tmp_path, codec, shards):
    """Chunks that reach over the edge and over the end of a file, streamed or not, in shards or not."""
    take(make_dataset(tmp_path, steps=5), tmp_path)
    options = ("--codec", codec, "--chunks", '{"time": 3, "lat": 2}', "--shard-mib", shards)
    assert run_convert(tmp_path, tmp_path / "s.zarr", *options) == 0
    arrays = dict(zarr_store.open_unsealed(tmp_path / "s.zarr").arrays())
    raw = {key: entry.raw_xxh3 for key, entry in ledger.read(tmp_path / "s.zarr").items() if entry.raw_xxh3}
    found = {}
    for array in arrays.values():
        sums = Sums(array)
        sums.finish()
        found |= sums.found
    assert found == raw
    assert run_verify(tmp_path) == 0


@given(data=st.data())
def test_sums_do_not_depend_on_the_regions_that_come(data):
    """Whole objects, parts of them in any order, parts twice, or nothing at all."""
    shape, chunks = (7, 5), (2, 3)
    array = zarr.create_array({}, shape=shape, chunks=chunks, shards=(4, 6), dtype="<i2", fill_value=-1)
    array[...] = np.arange(35).reshape(shape)
    expected = Sums(array)
    expected.finish()
    sums = Sums(array)
    for _ in range(data.draw(st.integers(0, 5))):
        starts = [data.draw(st.integers(0, size - 1)) for size in shape]
        region = tuple(slice(a, data.draw(st.integers(a + 1, size))) for a, size in zip(starts, shape, strict=True))
        sums.add(region, array[region])
    sums.finish()
    assert sums.found == expected.found
    assert len(sums.found) == 2


def test_whole_objects_are_not_read_again():
    """Regions in the order of the chunks of a shard are enough."""
    array = zarr.create_array({}, shape=(8, 4), chunks=(2, 4), shards=(4, 4), dtype="<f8")
    array[...] = np.random.default_rng(1).random((8, 4))
    sums = Sums(array)
    for start in range(0, 8, 2):
        region = (slice(start, start + 2), slice(0, 4))
        sums.add(region, array[region])
    assert len(sums.found) == 2
    array[...] = 0
    before = dict(sums.found)
    sums.finish()
    assert sums.found == before


def test_ledger_with_the_sum_of_other_values_is_found(tmp_path):
    """The store is as it should be; what the ledger says of its values is not."""
    facts = take(make_dataset(tmp_path), tmp_path)
    write(facts, tmp_path / "s.zarr", rule={"time": 2})
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    path = ledger.path_of(tmp_path / "s.zarr")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    line = next(line for line in lines if line.get("array") == "tas" and line["raw_xxh3"])
    line["raw_xxh3"] = line["raw_xxh3"][::-1]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = failed_verify(tmp_path)
    assert record["class"] == "mismatch"
    assert f"raw_xxh3 of {line['key']!r}: found {line['raw_xxh3']!r}" in record["message"]
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")
    assert not receipts.path_of(tmp_path, "convert", ID).exists()
