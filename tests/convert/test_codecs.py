"""What the codecs write is what zarr reads."""

import numcodecs.blosc
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inventories import make_variable
from numcodecs.shuffle import Shuffle

from cmip6zarr.convert import codecs, encoding
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.store import backend, zarr_store
from cmip6zarr.store.raw_sum import RawSum

CODECS = [codec for preset in codecs.PRESETS.values() for codec in preset.codecs]


@pytest.mark.parametrize("zarr_format", [2, 3])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_zarr_reads_what_is_written(tmp_path, zarr_format, data):
    """Chunks and shards of any shape, short ones at the edges too, read back through zarr with the same bits."""
    shape = data.draw(st.lists(st.integers(1, 7), min_size=0, max_size=3))
    chunks = tuple(data.draw(st.integers(1, size)) for size in shape)
    times = tuple(data.draw(st.integers(1, 3)) for _ in shape) if zarr_format == 3 else (1,) * len(shape)
    shards = tuple(chunk * n for chunk, n in zip(chunks, times, strict=True))
    dtype = np.dtype(data.draw(st.sampled_from(["f4", "f8", "i2", "u1", "i8"])))
    codec = data.draw(st.sampled_from([codec for codec in CODECS if codec.fits(dtype)]))
    bits = np.random.default_rng(3).integers(0, 256, int(np.prod(shape)) * dtype.itemsize, "u1")
    values = bits.view(dtype).reshape(shape)

    variable = make_variable([f"d{i}" for i in range(len(shape))], shape, dtype.name)
    with zarr_store.quiet():
        group = zarr.open_group(tmp_path / "store.zarr", mode="w", zarr_format=zarr_format)
        array = encoding.create_array(group, "v", variable, chunks, shards, codec)
        form = encoding.form_of(array, codec)
        for index in np.ndindex(*(-(-size // shard) for size, shard in zip(shape, shards, strict=True))):
            block = values[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, shards, strict=True))]
            data = form.encode(
                block.shape, lambda part, block=block: form.encode_values(block[part], RawSum(dtype.itemsize))
            )
            backend.at(tmp_path / "store.zarr").put(zarr_store.chunk_key(array, index), data)
        found = zarr.open_group(tmp_path / "store.zarr", mode="r")["v"]
        assert np.asarray(found[...]).tobytes() == values.tobytes()


CONTENTS = {
    "noise": lambda n: np.random.default_rng(5).integers(0, 256, n, "u1"),
    "constant": lambda n: np.full(n, 7, "u1"),
    "half noise": lambda n: np.where(np.arange(n) < n // 2, CONTENTS["noise"](n), 9).astype("u1"),
}


@pytest.mark.parametrize("codec", [codec for codec in CODECS if isinstance(codec, codecs.Blosc)], ids=lambda c: c.name)
@settings(max_examples=60)
@given(
    values=st.integers(1, 5000),
    per_block=st.integers(1, 5000),
    itemsize=st.sampled_from([1, 2, 4, 8]),
    content=st.sampled_from(sorted(CONTENTS)),
)
def test_blosc_reads_frames_of_shuffled_blocks(codec, values, per_block, itemsize, content):
    """A frame made of shuffled blocks, compressible or not, the last one short, is one that Blosc itself reads."""
    data = CONTENTS[content](values * itemsize)
    shuffled = (
        np.frombuffer(Shuffle(itemsize).encode(data[start : start + per_block * itemsize]), "u1")
        for start in range(0, data.nbytes, per_block * itemsize)
    )
    frame = bytes(codec.encode_shuffled(shuffled, data.nbytes, itemsize))
    assert bytes(numcodecs.blosc.decompress(frame)) == data.tobytes()


@pytest.mark.parametrize("inner", ["lz4", "zstd"])
def test_levels_of_shuffled_blocks_are_those_of_blosc(inner):
    """What is handed over shuffled becomes as small as what Blosc shuffles, block for block."""
    codec = next(codec for codec in CODECS if isinstance(codec, codecs.Blosc) and codec.inner == inner)
    values = np.round(np.sin(np.arange(10**6, dtype="f4") / 999) * 30 + 280, 2)
    block = np.frombuffer(Shuffle(4).encode(values), "u1")
    whole = codecs.Blosc(codec.inner, codec.level, values.nbytes)
    assert len(codec.encode_shuffled([block], values.nbytes, 4)) == pytest.approx(len(whole.encode(values)), rel=0.05)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_flipped_bit_is_found(tmp_path, codec):
    """In Zarr v3 plain zarr raises where a bit differs, by the checksum of the chunk; without one, our reader does."""
    variable = make_variable(shape=(1000,))
    with zarr_store.quiet():
        group = zarr.open_group(tmp_path / "s.zarr", mode="w", zarr_format=3)
        array = encoding.create_array(group, "v", variable, (1000,), (1000,), codec)
        form = encoding.form_of(array, codec)
        backend.at(tmp_path / "s.zarr").put("v/c/0", form.encode_values(np.linspace(0, 1, 1000, dtype="f4"), RawSum(4)))
        assert array[:].shape == (1000,)
        store = tmp_path / "s.zarr"
        checksums = {key: zarr_store.digest(store, key)[1] for key in zarr_store.list_objects(store)}
        if isinstance(codec, codecs.Blosc) and not codec.crc32c:
            array = zarr.open_group(zarr_store.strict(zarr_store.open_store(store), checksums), mode="r")["v"]
        chunk = tmp_path / "s.zarr" / "v" / "c/0"
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(data)
        with pytest.raises((ValueError, DatasetError), match="checksum"):
            array[:]


def test_a_flipped_bit_in_a_shard_is_found_without_the_rest(tmp_path):
    """A chunk of a shard has a checksum of its own, whatever the preset: who reads it reads no object whole."""
    codec = codecs.PRESETS["portable"].codecs[0]
    with zarr_store.quiet():
        group = zarr.open_group(tmp_path / "s.zarr", mode="w", zarr_format=3)
        array = encoding.create_array(group, "v", make_variable(shape=(1000,)), (500,), (1000,), codec)
        form = encoding.form_of(array, codec)
        values = np.linspace(0, 1, 1000, dtype="f4")
        encoded = form.encode((1000,), lambda part: form.encode_values(values[part], RawSum(4)))
        backend.at(tmp_path / "s.zarr").put("v/c/0", encoded)
        assert array[:].tobytes() == values.tobytes()
        shard = tmp_path / "s.zarr" / "v" / "c/0"
        data = bytearray(shard.read_bytes())
        data[100] ^= 1
        shard.write_bytes(data)
        assert array[500:].tobytes() == values[500:].tobytes()
        with pytest.raises(ValueError, match="checksum"):
            array[:500]
