"""What a NetCDF variable becomes in Zarr."""

import base64
import struct

import numpy as np
import pytest
import xarray as xr
import zarr
from inventories import make_variable

from cmip6zarr.convert import encoding
from cmip6zarr.convert.codecs import PRESETS
from cmip6zarr.source.attributes import typed
from cmip6zarr.store import backend, zarr_store
from cmip6zarr.store.raw_sum import RawSum

BOTH = pytest.mark.parametrize("zarr_format", [2, 3])


def variable(dtype="float32", shape=(4,), dims=("x",), **attributes):
    """Return what an inventory says of a variable."""
    typed_attributes = {name: typed(value) for name, value in attributes.items()}
    return make_variable(dims, shape, dtype, attributes=typed_attributes)


def create(folder, facts, chunks, zarr_format, codec=PRESETS["balanced"].codecs[0]):
    """Create the array of a variable in a new group and return it."""
    with zarr_store.quiet():
        group = zarr.create_group(folder / "s.zarr", zarr_format=zarr_format)
        return encoding.create_array(group, "v", facts, chunks, chunks, codec)


def double(value):
    return base64.standard_b64encode(struct.pack("<d", value)).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("K", "K"),
        (np.float32(1e20), float(np.float32(1e20))),
        (np.array([1, 2], "i2"), [1, 2]),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_attributes_become_plain_numbers_and_texts(value, expected):
    """An attribute is in the store what JSON makes of it."""
    plain = encoding.plain(typed(value))
    assert (plain, type(plain)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("dtype", "fill", "expected"),
    [
        ("float32", np.float32(1e20), np.float32(1e20)),
        ("float32", np.float64(0.1), np.float32(0.1)),  # a wider one is rounded as the values are
        ("int16", np.int16(-32767), np.int16(-32767)),
        ("uint64", np.uint64(2**64 - 1), np.uint64(2**64 - 1)),
        ("str", "none", "none"),
    ],
)
def test_fill_value_has_the_dtype_of_its_variable(dtype, fill, expected):
    """A fill value is of the variable's own dtype, so that it can be among its values."""
    found = encoding.fill_value(variable(dtype, _FillValue=fill))
    assert (found, type(found)) == (expected, type(expected))


def test_variable_without_fill_value_has_none():
    """`missing_value` alone is an attribute, and no fill value."""
    facts = variable(missing_value=np.float32(1e20))
    assert encoding.fill_value(facts) is None
    assert "_FillValue" not in encoding.attributes(facts, 3)


@pytest.mark.parametrize(
    ("dtype", "fill", "spelled"),
    [
        ("float64", np.float64(1e20), double(1e20)),
        ("float32", np.float32(1e20), double(float(np.float32(1e20)))),
        ("float32", np.float32("nan"), double(float("nan"))),
        ("int32", np.int32(-1), -1),
    ],
)
def test_fill_value_is_spelled_by_format(dtype, fill, spelled):
    """Zarr v3 has `_FillValue` among the attributes as xarray spells it; v2 has dimension names there instead."""
    facts = variable(dtype, _FillValue=fill, units="K")
    assert encoding.attributes(facts, 3) == {"units": "K", "_FillValue": spelled}
    assert encoding.attributes(facts, 2) == {"units": "K", "_ARRAY_DIMENSIONS": ["x"]}


@BOTH
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("float32", np.float32(1e20)),
        ("float64", np.float64(-999)),
        ("float32", np.float32("nan")),
        ("int16", np.int16(-1)),
    ],
)
def test_plain_xarray_masks_the_fill_value(tmp_path, dtype, fill, zarr_format):
    """`xarray.open_zarr` without any option reads fill as NaN, and keeps `_FillValue` for writing again."""
    array = create(tmp_path, variable(dtype, _FillValue=fill), (4,), zarr_format)
    array[:] = np.array([1, fill, 3, fill], dtype)
    opened = xr.open_zarr(tmp_path / "s.zarr", consolidated=False)["v"]
    np.testing.assert_array_equal(opened, [1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(opened.encoding["_FillValue"], fill)
    assert opened.dims == ("x",)


@BOTH
def test_without_fill_value_nothing_is_masked(tmp_path, zarr_format):
    """Where the source has no fill value, no number of the store is taken for one, zero least of all."""
    create(tmp_path, variable(), (4,), zarr_format)[:] = [0, 1, 2, 3]
    opened = xr.open_zarr(tmp_path / "s.zarr", consolidated=False)["v"]
    assert opened.values.tolist() == [0, 1, 2, 3]
    assert "_FillValue" not in opened.attrs


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float32", 0), ("int16", 0), ("S1", b""), ("str", "")], ids=["f4", "i2", "S1", "str"]
)
def test_absent_chunk_of_a_variable_without_fill_value(tmp_path, dtype, expected):
    """Zarr v3 demands a fill value of every array: it is zero or nothing, and no `_FillValue`."""
    array = create(tmp_path, variable(dtype), (4,), 3)
    assert array.fill_value == expected
    assert "_FillValue" not in array.attrs


@BOTH
@pytest.mark.parametrize("codec", PRESETS["fast"].codecs + PRESETS["portable"].codecs, ids=lambda codec: codec.name)
def test_codecs_are_those_chosen(tmp_path, zarr_format, codec):
    """Chunks are shuffled by the width of a value and compressed by Blosc; in v3 most end with a checksum."""
    array = create(tmp_path, variable("float64"), (4,), zarr_format, codec)
    blosc = array.compressors[0]
    config = blosc.get_config() if zarr_format == 2 else blosc.to_dict()["configuration"]
    assert (config["cname"], config["clevel"], config["blocksize"]) == (codec.inner, codec.level, codec.block_bytes)
    if zarr_format == 2:
        assert config["shuffle"] == 1
    else:
        assert (config["shuffle"], config["typesize"]) == ("shuffle", 8)
        checksums = [] if codec in PRESETS["portable"].codecs else ["crc32c"]
        assert [codec.to_dict()["name"] for codec in array.compressors[1:]] == checksums


@BOTH
@pytest.mark.parametrize(
    "codec",
    [*PRESETS["small"].codecs, *PRESETS["fast"].codecs, PRESETS["portable"].codecs[0]],
    ids=lambda codec: codec.name,
)
def test_every_codec_compresses_and_keeps_bits(tmp_path, zarr_format, codec):
    """A smooth field becomes smaller with every codec and comes back bit by bit, be it written here or by zarr."""
    values = np.linspace(200, 300, 10_000).astype("f4").reshape(100, 100)
    array = create(tmp_path, variable(shape=(100, 100), dims=("y", "x")), (100, 100), zarr_format, codec)
    with zarr_store.quiet():
        array[:] = values
        assert array[:].tobytes() == values.tobytes()
        theirs = zarr_store.list_objects(tmp_path / "s.zarr")
        parts = encoding.form_of(array, codec).encode_values(values, RawSum(4))
        backend.at(tmp_path / "s.zarr").put(zarr_store.chunk_key(array, (0, 0)), parts)
        assert array[:].tobytes() == values.tobytes()
    assert zarr_store.list_objects(tmp_path / "s.zarr") == theirs
    assert 0 < sum(size for key, size in theirs.items() if zarr_store.is_chunk(key)) < values.nbytes / 2


@BOTH
def test_chunks_of_nothing_but_fill_are_written(tmp_path, zarr_format):
    """A chunk of fill values is an object like any other, so that an absent one is a lost one."""
    array = create(tmp_path, variable(_FillValue=np.float32(1e20)), (2,), zarr_format)
    array[:] = np.float32(1e20)
    keys = {key for key in zarr_store.list_objects(tmp_path / "s.zarr") if zarr_store.is_chunk(key)}
    assert keys == set(zarr_store.expected_chunks(array))
    assert len(keys) == 2


def test_checksum_catches_a_flipped_bit(tmp_path):
    """Any Zarr v3 reader refuses a chunk in which a bit has flipped."""
    array = create(tmp_path, variable(), (4,), 3)
    array[:] = [1, 2, 3, 4]
    chunk = tmp_path / "s.zarr" / zarr_store.expected_chunks(array)[0]
    data = bytearray(chunk.read_bytes())
    data[-6] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        array[:]
