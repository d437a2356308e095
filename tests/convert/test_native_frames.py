"""Preset native: chunks of NetCDF-4 files are copied as they are, whatever they are, and what is wrong is named."""

import json
import struct
import zlib

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from builders import DEFLATED, make_dataset
from chain import ID, failed_verify, run_convert, run_verify, take
from numcodecs.shuffle import Shuffle
from spoil import each

from cmip6zarr.convert.reader import Reader
from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

NATIVE = ("--codec", "native", "--chunks", '{"time": 2}')
FORMATS = pytest.mark.parametrize("more", [("--zarr-format", 2), (), ("--shard-mib", 0.1)], ids=["v2", "v3", "shards"])


def rewritten(root, chunks=(1, 3, 4), fill=None, **filters):
    """Make two files, put the field of the first into a new HDF5 dataset with other filters, and return the paths.

    `fill(dataset, values)` writes the values; by default h5py does.
    """
    paths = make_dataset(root, files=2, steps=4, filters=DEFLATED, chunks=chunks)
    with h5py.File(paths[0], "a") as file:
        file.move("tas", "old")
        old = file["old"]
        names = {"chunks": chunks, "maxshape": old.maxshape, "fillvalue": old.fillvalue}
        new = file.create_dataset("tas", old.shape, old.dtype, **names, **filters)
        (fill or (lambda dataset, values: dataset.__setitem__(slice(None), values)))(new, old[...])
        for name, value in old.attrs.items():
            if name != "DIMENSION_LIST":
                new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)
        for own, dim in zip(new.dims, old.dims, strict=True):
            own.attach_scale(dim[0])
        del file["old"]
    return paths


def checked_last():
    """Return the properties of a dataset whose compressed bytes are checked, as h5repack sets them."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_shuffle()
    properties.set_deflate(4)
    properties.set_fletcher32()
    return properties


def with_masks(dataset, values):
    """Write one chunk whose deflate was skipped, one whose shuffle was, one where both were, and a whole one."""
    deflated = [Shuffle(4).encode(values[0]), zlib.compress(values[1].tobytes()), values[2].tobytes()]
    for step, (data, mask) in enumerate(zip(deflated, (2, 1, 3), strict=True)):
        dataset.id.write_direct_chunk((step, 0, 0), bytes(data), filter_mask=mask)
    dataset[3] = values[3]


def ragged(root):
    """Make a dataset whose last file ends within a native chunk."""
    first = make_dataset(root, files=2, steps=4, chunks=(4, 3, 4))
    return [*first, *make_dataset(root, files=1, steps=3, start=8, chunks=(4, 3, 4))]


def levels(root):
    """Make a dataset whose files are deflated at different levels."""
    first = make_dataset(root, files=1, filters=DEFLATED | {"complevel": 9})
    return [*first, *make_dataset(root, files=1, start=4, filters=DEFLATED)]


def filtered(root, chunks=None, **change):
    """Make a dataset with one chunk a step, or others, and filters that differ from the usual ones."""
    return make_dataset(root, files=2, steps=4, filters=DEFLATED | change, chunks=chunks)


COPIED = {
    "usual": filtered,
    "highest level": lambda root: filtered(root, complevel=9),
    "deflate alone": lambda root: filtered(root, shuffle=False),
    "files of different levels": levels,
    "cut in space": lambda root: make_dataset(root, files=2, lat=60, lon=90, chunks=(1, 40, 50)),
    "two steps a chunk": lambda root: filtered(root, (2, 3, 4)),
    "cut in space and time": lambda root: make_dataset(root, files=2, lat=60, lon=90, chunks=(2, 40, 50)),
    "short last chunk": ragged,
    "checked by h5repack": lambda root: rewritten(root, dcpl=checked_last()),
    "filters skipped": lambda root: rewritten(root, fill=with_masks, compression=4, shuffle=True),
    "never allocated": lambda root: rewritten(
        root, fill=lambda dataset, values: dataset.__setitem__(1, values[1]), compression=4, shuffle=True
    ),
    "bytes": lambda root: make_dataset(root, dtype="i1"),
    "doubles": lambda root: make_dataset(root, dtype="f8"),
    "large fields": lambda root: make_dataset(root, files=2, lat=60, lon=90),
    "big-endian": lambda root: make_dataset(root, lat=60, lon=90, filters=DEFLATED | {"endian": "big"}),
    "big-endian integers": lambda root: make_dataset(
        root, lat=60, lon=90, dtype="i2", filters=DEFLATED | {"endian": "big"}
    ),
    "big-endian bytes": lambda root: make_dataset(
        root, lat=60, lon=90, dtype="i1", filters=DEFLATED | {"endian": "big"}
    ),
    "big-endian, ends within a chunk": lambda root: make_dataset(
        root, files=1, steps=5, lat=60, lon=90, chunks=(2, 60, 90), filters=DEFLATED | {"endian": "big"}
    ),
}


@FORMATS
@pytest.mark.parametrize("kind", COPIED)
def test_chunks_are_copied_and_proven(tmp_path, kind, more):
    """Every kind of chunk is copied, proven by streams and by values, and read by xarray as the files are."""
    paths = COPIED[kind](tmp_path / "files")
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE, *more) == 0
    told = receipts.read(tmp_path, "convert", ID)
    assert (told["reader"]["tas"], "tas" in told["not_copied"]) == ("copied", False)
    assert run_verify(tmp_path, "--mode", "streams") == 0
    assert run_verify(tmp_path) == 0
    with (
        zarr_store.quiet(),
        xr.open_mfdataset(paths, combine="nested", concat_dim="time", data_vars="minimal") as files,
    ):
        found = xr.open_zarr(tmp_path / "s.zarr")["tas"].load()
        np.testing.assert_array_equal(found, files["tas"])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_compressed_bytes_are_those_of_the_file(tmp_path, zarr_format):
    """A chunk of two steps holds the streams of two native chunks, byte for byte."""
    paths = make_dataset(tmp_path / "files", lat=60, lon=90)
    take(paths, tmp_path)
    run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE, "--zarr-format", zarr_format)
    array = zarr_store.open_unsealed(tmp_path / "s.zarr")["tas"]
    stored = (tmp_path / "s.zarr" / zarr_store.chunk_key(array, (1, 0, 0))).read_bytes()
    with h5py.File(paths[0]) as file:
        streams = [file["tas"].id.read_direct_chunk((step, 0, 0))[1] for step in (2, 3)]
    for start, stream in zip(struct.unpack_from("<2I", stored, 16), streams, strict=True):
        (size,) = struct.unpack_from("<I", stored, start)
        assert stored[start + 4 : start + 4 + size] == stream


RECOMPRESSED = {
    "classic": (lambda root: make_dataset(root, format="NETCDF3_CLASSIC"), "not in chunks"),
    "not deflated": (lambda root: filtered(root, (1, 3, 4), zlib=False, shuffle=False), "its filters are none"),
    "checked by netCDF": (lambda root: filtered(root, fletcher32=True), "its Fletcher-32 is of the values"),
    "big-endian in one file": (
        lambda root: [
            *make_dataset(root, files=1, filters=DEFLATED | {"endian": "big"}),
            *make_dataset(root, files=1, start=4, filters=DEFLATED),
        ],
        "it is big-endian in some",
    ),
    "files between chunks": (lambda root: filtered(root, (3, 3, 4)), "steps 0 to 4 are no whole number"),
    "shuffled in one file": (
        lambda root: [
            *make_dataset(root, files=1, filters=DEFLATED),
            *make_dataset(root, files=1, start=4, filters=DEFLATED | {"shuffle": False}),
        ],
        "shuffled in some",
    ),
}


@pytest.mark.parametrize("kind", RECOMPRESSED)
def test_what_cannot_be_copied_is_compressed_and_says_why(tmp_path, kind):
    """Any other field becomes what balanced makes of it, with the reason in the receipt."""
    make, reason = RECOMPRESSED[kind]
    take(make(tmp_path / "files"), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE) == 0
    told = receipts.read(tmp_path, "convert", ID)
    assert reason in told["not_copied"]["tas"]
    assert told["codecs"]["tas"].startswith("blosc zstd-2")
    assert run_verify(tmp_path) == 0


def with_static(root, files=2, **storage):
    """Make a dataset with a static variable on its grid, stored in another way in the last file where that is asked."""
    paths = make_dataset(root, files=files, lat=60, lon=90)
    values = np.random.default_rng(3).normal(size=(60, 90))

    def add(nc, index):
        settings = {"zlib": True} | (storage if index == files - 1 else storage.get("first", storage))
        nc.createVariable("area", "f8", ("lat", "lon"), **{k: v for k, v in settings.items() if k != "first"})
        nc["area"][...] = values

    each(add)(paths)
    return paths


STATIC = {
    "one chunk": ({}, None),
    "some chunks": ({"chunksizes": (25, 40)}, None),
    "many chunks": ({"chunksizes": (5, 9)}, "it has 120 native chunks, more than 16"),
    "stored in two ways": ({"chunksizes": (25, 40), "first": {}}, "it is not stored alike in all files"),
}


@FORMATS
@pytest.mark.parametrize("kind", STATIC)
def test_static_variables_are_copied(tmp_path, kind, more):
    """What has no time is copied in its native chunks where these are few, and proven by its values in either mode."""
    storage, reason = STATIC[kind]
    take(with_static(tmp_path / "files", **storage), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE, *more) == 0
    told = receipts.read(tmp_path, "convert", ID)
    assert told["not_copied"].get("area") == reason
    assert (told["reader"]["area"] == "copied") == (reason is None)
    assert run_verify(tmp_path, "--mode", "streams") == 0
    assert run_verify(tmp_path) == 0


def test_texts_are_not_copied(tmp_path):
    """Characters are no numbers that Blosc would shuffle."""
    paths = make_dataset(tmp_path / "files", files=2)
    each(lambda nc, _: nc.createVariable("flag", "S1", ("time", "lat"), zlib=True, shuffle=False))(paths)
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE) == 0
    assert receipts.read(tmp_path, "convert", ID)["not_copied"]["flag"] == "it is text"
    assert run_verify(tmp_path) == 0


def flip(path, byte):
    """Flip a bit of a byte of the stream of the field's third step."""
    with h5py.File(path) as file:
        place = file["tas"].id.get_chunk_info_by_coord((2, 0, 0))
    data = bytearray(path.read_bytes())
    data[place.byte_offset + byte % place.size] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("byte", [0, 1, 2, 60, 200, 1000, 4000, -5, -2, -1])
def test_a_flipped_bit_of_the_source_is_not_sealed(tmp_path, byte):
    """Whatever bit flips in a stream, convert names the file, or verify does: none is sealed."""
    paths = make_dataset(tmp_path / "files", lat=60, lon=90)
    flip(paths[1], byte)
    take(paths, tmp_path)
    if run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE) == 0:
        assert byte not in (0, 1)
        record = failed_verify(tmp_path)
    else:
        record = receipts.read(tmp_path, "failed", ID)
    assert paths[1].name in json.dumps(record)
    assert not (tmp_path / "s.zarr" / "zarr.json").exists()


def test_a_flipped_bit_in_a_checked_chunk_is_found_by_convert(tmp_path):
    """Fletcher-32 is checked before it is left out."""
    paths = rewritten(tmp_path / "files", dcpl=checked_last())
    flip(paths[0], 20)
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE) == 1
    assert "Fletcher-32" in receipts.read(tmp_path, "failed", ID)["message"]


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    """Of the copied objects a second run writes those again that are lost or torn, and keeps the others."""
    paths = make_dataset(tmp_path / "files", files=3, steps=4)
    take(paths, tmp_path)
    store = tmp_path / "s.zarr"
    assert run_convert(tmp_path, store, *NATIVE) == 0
    objects = sorted(store.glob("tas/c/*/0/0"))
    before = [path.read_bytes() for path in objects]
    objects[1].unlink()
    objects[2].write_bytes(before[2][:-1])
    receipts.path_of(tmp_path, "convert", ID).unlink()
    assert run_convert(tmp_path, store, *NATIVE) == 0
    assert (
        receipts.read(tmp_path, "convert", ID)["resumed_shards"]
        == receipts.read(tmp_path, "convert", ID)["planned_objects"] - 2
    )
    assert [path.read_bytes() for path in objects] == before
    assert run_verify(tmp_path) == 0


@pytest.mark.parametrize(
    "change", [lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], None], ids=["rot", "loss"]
)
def test_a_lost_or_rotten_object_is_found(tmp_path, change):
    """An object that is not what convert has written fails verify, as for any preset."""
    take(make_dataset(tmp_path / "files"), tmp_path)
    store = tmp_path / "s.zarr"
    run_convert(tmp_path, store, *NATIVE)
    path = sorted(store.glob("tas/c/*/0/0"))[1]
    data = path.read_bytes()
    path.unlink()
    if change:
        path.write_bytes(change(data))
    assert str(path.relative_to(store)) in json.dumps(failed_verify(tmp_path))


def test_objects_have_the_declared_codec(tmp_path):
    """The metadata say how the frames were made, so that a writer who adds to the array makes the same."""
    take(make_dataset(tmp_path / "files", lat=60, lon=90), tmp_path)
    run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE)
    with zarr_store.quiet():
        codec = zarr_store.open_unsealed(tmp_path / "s.zarr")["tas"].compressors[0]
    assert isinstance(codec, zarr.codecs.BloscCodec)
    told = codec.to_dict()["configuration"]
    assert told == {"typesize": 4, "cname": "zlib", "clevel": 1, "shuffle": "shuffle", "blocksize": 60 * 90 * 4}


@FORMATS
def test_values_that_are_big_endian_can_be_compressed_anew(tmp_path, monkeypatch, more):
    """Where a file is not as the plan was told, values go into the array as it is declared, and are proven."""
    take(make_dataset(tmp_path / "files", lat=60, lon=90, filters=DEFLATED | {"endian": "big"}), tmp_path)
    monkeypatch.setattr(Reader, "native_chunks", lambda *_: [])
    assert run_convert(tmp_path, tmp_path / "s.zarr", *NATIVE, *more) == 0
    told = receipts.read(tmp_path, "convert", ID)
    assert told["codecs"]["tas"] == "native chunks, blosc zlib of 21600 bytes, big-endian"
    assert run_verify(tmp_path, "--mode", "streams") == 0
    assert run_verify(tmp_path) == 0
