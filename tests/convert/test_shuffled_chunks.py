"""Native chunks handed over shuffled: any layout, the same bits as the netCDF library reads."""

from itertools import product
from math import prod

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numcodecs.shuffle import Shuffle

from cmip6zarr.convert import hdf5_layout, shuffled_chunks


def unshuffled(blocks, itemsize):
    """Return the bytes of blocks, each unshuffled."""
    return b"".join(bytes(Shuffle(itemsize).decode(block.copy())) for block in blocks)


def in_order(shape, native, region) -> bool:
    """Tell whether native chunks, one after another, have the values of a region in C order, and no others."""
    numbers = np.full([-(-size // n) * n for size, n in zip(shape, native, strict=True)], -1)
    numbers[tuple(map(slice, shape))] = np.arange(prod(shape)).reshape(shape)
    starts = product(*(range(r.start // n * n, r.stop, n) for r, n in zip(region, native, strict=True)))
    found = [numbers[tuple(slice(s, s + n) for s, n in zip(start, native, strict=True))].ravel() for start in starts]
    return np.array_equal(np.concatenate(found), numbers[region].ravel())


def may_be_unfiltered(path) -> bool:
    """Tell whether a chunk at an edge is as large as one that skipped its filters would be."""
    with h5py.File(path) as file:
        dataset = file["v"]
        stored = [dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks())]
        whole = prod(dataset.chunks) * dataset.dtype.itemsize
        ends = [np.add(chunk.chunk_offset, dataset.chunks) for chunk in stored if chunk.size == whole]
        return any((end > dataset.shape).any() for end in ends)


def may_be_empty(shape, native, region, dtype) -> bool:
    """Tell whether there may be no run of native chunks: out of order, in other byte order, or of one value each."""
    return dtype.byteorder == ">" or not in_order(shape, native, region) or (prod(native) == 1 and len(shape) > 1)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_blocks_of_native_chunks_are_the_region(tmp_path, data):
    """Runs of native chunks, deflated or not, written or not, hold the region bit for bit, then what lies beyond."""
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    native = tuple(data.draw(st.integers(1, n)) for n in shape)
    dtype = np.dtype(data.draw(st.sampled_from(["<f4", "<f8", "<i2", "u1", ">f4"])))
    level = data.draw(st.sampled_from([None, 1, 9]))
    values = np.random.default_rng(3).integers(0, 256, int(np.prod(shape)) * dtype.itemsize, "u1").view(dtype)
    path = tmp_path / "v.nc"
    hdf5_layout.layouts.cache_clear()
    with h5py.File(path, "w") as file:
        options = {"compression": "gzip", "compression_opts": level} if level else {}
        v = file.create_dataset("v", shape, dtype, chunks=native, shuffle=True, fillvalue=dtype.type(7), **options)
        written = data.draw(st.integers(0, shape[0]))
        v[:written] = values.reshape(shape)[:written]
    with h5py.File(path) as file:
        expected = file["v"][...]
    starts = [data.draw(st.sampled_from(range(0, size, n))) for size, n in zip(shape, native, strict=True)]
    region = tuple(
        slice(s, data.draw(st.sampled_from(range(s + 1, size + 1)))) for s, size in zip(starts, shape, strict=True)
    )
    layout = hdf5_layout.layouts(str(path)).get("v")
    if not layout:
        assert may_be_unfiltered(path)
        return
    found = shuffled_chunks.native_chunks(str(path), "v", layout, region)
    if not found:
        assert may_be_empty(shape, native, region, dtype)
        return
    more, block_bytes = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 500))
    beyond = np.asarray(5, dtype).tobytes()
    blocks = shuffled_chunks.blocks(found, len(found) + more, block_bytes, beyond)
    rest = beyond * (more * int(np.prod(native)))
    assert unshuffled(blocks, dtype.itemsize) == expected[region].tobytes() + rest


@pytest.mark.parametrize(
    ("shape", "native", "region", "expected"),
    [
        ((4, 6), (2, 6), np.s_[2:4, 0:6], True),
        ((4, 6), (1, 3), np.s_[1:4, 0:6], True),
        ((4, 6), (2, 3), np.s_[0:4, 0:3], True),
        ((4, 6), (2, 3), np.s_[0:2, 0:6], False),
        ((4, 6), (2, 6), np.s_[2:3, 0:6], False),
        ((5, 6), (2, 6), np.s_[2:5, 0:6], False),
    ],
    ids=["rows", "parts of rows", "a column of chunks", "side by side", "part of a chunk", "a chunk beyond the end"],
)
def test_an_empty_run_is_not_taken_as_it_is(shape, native, region, expected):
    """Where native chunks are a region in C order an empty run would fail the test above, and only there."""
    assert in_order(shape, native, region) == expected
    assert may_be_empty(shape, native, region, np.dtype("<f4")) != expected
    assert bool(shuffled_chunks.run(region, native)) == expected


def test_a_chunk_that_skipped_its_filters_is_shuffled_here(tmp_path):
    """The filter mask of a chunk is obeyed: one that was stored as it is joins those that are shuffled and deflated."""
    values = np.arange(32, dtype="f4")
    with h5py.File(tmp_path / "v.nc", "w") as file:
        dataset = file.create_dataset("v", (32,), "f4", chunks=(16,), compression=1, shuffle=True)
        dataset[:16] = values[:16]
        dataset.id.write_direct_chunk((16,), values[16:].tobytes(), filter_mask=0b11)
    layout = hdf5_layout.layouts(str(tmp_path / "v.nc"))["v"]
    found = shuffled_chunks.native_chunks(str(tmp_path / "v.nc"), "v", layout, (slice(0, 32),))
    for block_bytes in (1, 1000):
        assert unshuffled(shuffled_chunks.blocks(found, 2, block_bytes, bytes(4)), 4) == values.tobytes()
