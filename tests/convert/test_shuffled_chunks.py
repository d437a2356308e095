"""Native chunks handed over shuffled: any layout, the same bits as the netCDF library reads."""

import h5py
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numcodecs.shuffle import Shuffle

from cmip6zarr.convert import hdf5_chunks, shuffled_chunks


def unshuffled(blocks, itemsize):
    """Return the bytes of blocks, each unshuffled."""
    return b"".join(bytes(Shuffle(itemsize).decode(block.copy())) for block in blocks)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_blocks_of_native_chunks_are_the_region(tmp_path, data):
    """Runs of native chunks, deflated or not, written or not, hold the region bit for bit, then what lies beyond."""
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    native = tuple(data.draw(st.integers(1, n)) for n in shape)
    dtype = np.dtype(data.draw(st.sampled_from(["<f4", "<f8", "<i2", "u1", ">f4"])))
    level = data.draw(st.sampled_from([None, 1, 9]))
    values = np.random.default_rng(3).integers(0, 256, int(np.prod(shape)) * dtype.itemsize, "u1").view(dtype)
    path = tmp_path / "v.nc"
    hdf5_chunks.layouts.cache_clear()
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
    layout = hdf5_chunks.layouts(str(path)).get("v")
    if not layout:  # its last chunks may be unfiltered
        assert any(size % n for size, n in zip(shape, native, strict=True))
        return
    found = shuffled_chunks.native_chunks(str(path), "v", layout, region)
    if not found:
        assert dtype.byteorder == ">" or not shuffled_chunks.run(region, native)
        return
    more, block_bytes = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 500))
    beyond = np.asarray(5, dtype).tobytes()
    blocks = shuffled_chunks.blocks(found, len(found) + more, block_bytes, beyond)
    rest = beyond * (more * int(np.prod(native)))
    assert unshuffled(blocks, dtype.itemsize) == expected[region].tobytes() + rest


def test_a_chunk_that_skipped_its_filters_is_shuffled_here(tmp_path):
    """The filter mask of a chunk is obeyed: one that was stored as it is joins those that are shuffled and deflated."""
    values = np.arange(32, dtype="f4")
    with h5py.File(tmp_path / "v.nc", "w") as file:
        dataset = file.create_dataset("v", (32,), "f4", chunks=(16,), compression=1, shuffle=True)
        dataset[:16] = values[:16]
        dataset.id.write_direct_chunk((16,), values[16:].tobytes(), filter_mask=0b11)
    layout = hdf5_chunks.layouts(str(tmp_path / "v.nc"))["v"]
    found = shuffled_chunks.native_chunks(str(tmp_path / "v.nc"), "v", layout, (slice(0, 32),))
    for block_bytes in (1, 1000):
        assert unshuffled(shuffled_chunks.blocks(found, 2, block_bytes, bytes(4)), 4) == values.tobytes()
