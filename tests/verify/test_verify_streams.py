"""Mode `streams`: what was copied is proven compressed, and each thing that can be wrong with it is found."""

import json
import re
import shutil
import struct
import zlib
from dataclasses import replace

import google_crc32c
import h5py
import netCDF4
import numpy as np
import pytest
from builders import DEFLATED, dataset_id, make_dataset
from chain import ID, run_convert, run_verify, take
from numcodecs.shuffle import Shuffle

from cmip6zarr.job import receipts
from cmip6zarr.store import ledger, zarr_store
from cmip6zarr.verify import frames, raw_chunks, streams, values

KINDS = {"v3": (), "v2": ("--zarr-format", 2), "shards": ("--shard-mib", 0.09)}
ALL = pytest.mark.parametrize("store", KINDS, indirect=True)
ONE = pytest.mark.parametrize("store", ["v3"], indirect=True)
SIZE = 60 * 90 * 4
"""Bytes of a native chunk."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three files, and their copied, unsealed store in each form."""
    folder = tmp_path_factory.mktemp("made")
    paths = make_dataset(folder / "files", lat=60, lon=90, steps=5, filters=DEFLATED | {"complevel": 4})
    for kind, more in KINDS.items():
        take(paths, folder / kind)
        options = ("--codec", "native", "--chunks", '{"time": 2}', *more)
        assert run_convert(folder / kind, folder / kind / "s.zarr", *options) == 0
    return folder


@pytest.fixture
def store(made, tmp_path, request):
    """A copy of the store and of its files, with receipts that say so."""
    shutil.copytree(made / "files", tmp_path / "files")
    paths = sorted((tmp_path / "files").rglob("*.nc"))
    take(paths, tmp_path)
    for path in (made / request.param).glob("s.zarr*"):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    facts = receipts.read(made / request.param, "convert", ID) | {"store": str(tmp_path / "s.zarr")}
    receipts.write(receipts.path_of(tmp_path, "convert", ID), facts)
    told = json.loads((tmp_path / "s.zarr.provenance.json").read_text())
    for file, path in zip(told["files"], paths, strict=True):
        file |= {"path": str(path), "mtime_ns": path.stat().st_mtime_ns}
    (tmp_path / "s.zarr.provenance.json").write_text(json.dumps(told))
    confirm(tmp_path / "s.zarr")
    return tmp_path / "s.zarr"


def confirm(store):
    """Make the ledger call right what is there, as if convert had copied it so."""
    lines = [json.loads(line) for line in ledger.path_of(store).read_text().splitlines()]
    for line in lines:
        if "key" in line:
            line["bytes"], line["xxh3"] = zarr_store.digest(store, line["key"])
        elif "provenance" in line:
            data = store.with_name(store.name + zarr_store.PROVENANCE).read_bytes()
            line["provenance"] = ledger.digest_of(data)
    ledger.path_of(store).write_text("".join(json.dumps(line) + "\n" for line in lines))


def objects(store):
    """Return the objects of the field, in order."""
    names = zarr_store.list_objects(store)
    keys = [key for key in names if key.startswith("tas/") and zarr_store.is_chunk(key)]
    return [store / key for key in sorted(keys, key=lambda key: int(re.search(r"\d+", key)[0]))]


def file_of(store, number):
    return sorted((store.parent / "files").rglob("*.nc"))[number]


def change_frame(store, change, number=3):
    """Change the bytes of the first frame of an object, in place, with valid checksums."""
    path = objects(store)[number]
    data, (frame_bytes,) = bytearray(path.read_bytes()), struct.unpack_from("<I", path.read_bytes(), 12)
    change(data)
    if zarr_store.open_unsealed(store).metadata.zarr_format == 3:
        struct.pack_into("<I", data, frame_bytes, google_crc32c.value(bytes(data[:frame_bytes])))
    path.write_bytes(data)


def flip_stream(data, byte=600):
    """Flip a bit in the stream of the first block."""
    (start,) = struct.unpack_from("<I", data, 16)
    data[start + 4 + byte] ^= 4


def swap_objects(store):
    one, other = objects(store)[:2]
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def swap_blocks(store):
    """Write the two blocks of a frame in the other order."""

    def change(data):
        starts = struct.unpack_from("<2I", data, 16)
        sizes = [struct.unpack_from("<I", data, start)[0] for start in starts]
        one, other = (bytes(data[start : start + 4 + size]) for start, size in zip(starts, sizes, strict=True))
        data[24 : 24 + len(one) + len(other)] = other + one
        struct.pack_into("<2I", data, 16, 24, 24 + len(other))

    change_frame(store, change)


def one_block_for_both(store):
    """Lay a frame out in another way, which is allowed, and have both of its blocks be the first."""

    def change(data):
        starts = struct.unpack_from("<2I", data, 16)
        sizes = [struct.unpack_from("<I", data, start)[0] for start in starts]
        one, other = (bytes(data[start : start + 4 + size]) for start, size in zip(starts, sizes, strict=True))
        data[24 : 24 + len(one) + len(other)] = other + one
        struct.pack_into("<2I", data, 16, *[24 + len(other)] * 2)

    change_frame(store, change)


def other_dataset(store):
    """Put a chunk of other files in the place of one."""
    facets = {"source_id": "MODEL-B"}
    paths = make_dataset(
        store.parent / "others", lat=60, lon=90, steps=5, filters=DEFLATED | {"complevel": 4}, **facets
    )
    assert dataset_id(**facets) != ID
    results = store.parent / "other"
    take(paths, results)
    form = zarr_store.open_unsealed(store)
    kind = "v2" if form.metadata.zarr_format == 2 else "shards" if form["tas"].shards else "v3"
    run_convert(results, results / "s.zarr", "--codec", "native", "--chunks", '{"time": 2}', *KINDS[kind])
    objects(store)[3].write_bytes(objects(results / "s.zarr")[3].read_bytes())


def metadata(change):
    """Return what changes the metadata of the field, its own and the consolidated ones."""

    def spoil(store):
        for path in [
            store / "zarr.json.unsealed",
            store / ".zmetadata.unsealed",
            store / "tas/zarr.json",
            store / "tas/.zarray",
        ]:
            if path.exists():
                told = json.loads(path.read_text())
                nodes = told.get("consolidated_metadata", told).get("metadata", {"": told})
                change(next(nodes[name] for name in ("tas", "tas/.zarray", "") if name in nodes))
                path.write_text(json.dumps(told))

    return spoil


def codec_of(array):
    """Return the settings of Blosc in the metadata of an array."""
    if "compressor" in array:
        return array["compressor"]
    codecs = array["codecs"]
    inner = codecs[0]["configuration"]["codecs"] if codecs[0]["name"] == "sharding_indexed" else codecs
    return next(codec["configuration"] for codec in inner if codec["name"] == "blosc")


def no_shuffle(array):
    told = codec_of(array)
    told["shuffle"] = 0 if told["shuffle"] == 1 else "noshuffle"


def other_chunks(array):
    """Halve the chunks along a dimension of space, which leaves the numbers of chunks along the others."""
    if "chunks" in array:
        array["chunks"][2] = 45
        return
    configuration = array["chunk_grid"]["configuration"]
    if array["codecs"][0]["name"] == "sharding_indexed":
        configuration = array["codecs"][0]["configuration"]
    configuration["chunk_shape"][2] = 45


def other_order(array):
    if "dtype" in array:
        array["dtype"] = ">f4"
        return
    codecs = array["codecs"]
    inner = codecs[0]["configuration"]["codecs"] if codecs[0]["name"] == "sharding_indexed" else codecs
    inner[0]["configuration"]["endian"] = "big"


def other_type(array):
    array.update({"dtype": "<i4"} if "dtype" in array else {"data_type": "int32"}, fill_value=0)


def other_fill(array):
    array["fill_value"] = 1.0


def flip_adler(data):
    """Flip a bit in the Adler-32 at the end of the first block, which changes no value."""
    start, second = struct.unpack_from("<2I", data, 16)
    assert second > start
    data[second - 1] ^= 1


def flip_checksum(store):
    """Flip a bit in the checksum behind a chunk; Zarr v2 has none, and there it is one of the stream."""
    path = objects(store)[3]
    data = bytearray(path.read_bytes())
    (frame_bytes,) = struct.unpack_from("<I", data, 12)
    data[frame_bytes if len(data) > frame_bytes else frame_bytes - 1] ^= 1
    path.write_bytes(data)


SPOILED = {
    "flipped bit of a block": (lambda store: change_frame(store, flip_stream), ("chunks", "mismatch")),
    "flipped checksum of a block": (lambda store: change_frame(store, flip_adler), ("chunks", "mismatch")),
    "blocks swapped": (swap_blocks, ("mismatch",)),
    "blocks laid out in another way": (one_block_for_both, ("mismatch",)),
    "chunks swapped": (swap_objects, ("mismatch",)),
    "chunk of another file": (other_dataset, ("mismatch",)),
    "chunk missing": (lambda store: objects(store)[2].unlink(), ("chunks",)),
    "cut off": (lambda store: objects(store)[2].write_bytes(objects(store)[2].read_bytes()[:-9]), ("chunks",)),
    "shuffle in the metadata": (metadata(no_shuffle), ("mismatch",)),
    "chunk shape in the metadata": (metadata(other_chunks), ("chunks", "mismatch")),
    "byte order in the metadata": (metadata(other_order), ("mismatch",)),
    "dtype in the metadata": (metadata(other_type), ("mismatch",)),
    "fill value in the metadata": (metadata(other_fill), ("mismatch",)),
    "checksum of a chunk": (flip_checksum, ("chunks", "mismatch")),
}


@ALL
def test_a_copied_store_is_sealed_and_says_how_it_was_proven(store, tmp_path):
    """Every block is compared, few values are, and the receipt says which mode that was."""
    assert run_verify(tmp_path, "--mode", "streams") == 0
    told = receipts.read(tmp_path, "verify", ID)
    others = 15 * (1 + 2) + 3 * (60 + 60 * 2 + 90 + 90 * 2)
    assert (told["mode"], told["blocks_compared"], told["sealed"]) == ("streams", 15, True)
    assert others + 3 * 5400 <= told["values_compared"] <= others + 5 * 5400
    assert zarr_store.is_sealed(store)


@ALL
@pytest.mark.parametrize("fault", SPOILED)
def test_what_is_wrong_in_the_store_is_found(store, tmp_path, fault):
    """Whatever is wrong with a copied array, whose ledger calls it right, keeps the store from being sealed."""
    spoil, classes = SPOILED[fault]
    spoil(store)
    lines = ledger.path_of(store).read_text().splitlines(keepends=True)
    there = zarr_store.list_objects(store)
    kept = [line for line in lines if zarr_store.held(json.loads(line).get("key", "")) in there or '"key"' not in line]
    ledger.path_of(store).write_text("".join(kept))
    confirm(store)
    assert run_verify(tmp_path, "--mode", "streams") == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert record["class"] in classes, record
    assert "tas" in record["message"]
    assert not zarr_store.is_sealed(store)


@pytest.mark.parametrize("store", ["shards"], indirect=True)
def test_a_chunk_that_a_shard_calls_absent_is_found(store, tmp_path):
    """It reads as fill, and there is no frame to compare."""
    path = objects(store)[1]
    data = bytearray(path.read_bytes())
    data[-36:-20] = b"\xff" * 16
    data[-4:] = struct.pack("<I", google_crc32c.value(bytes(data[-36:-4])))
    path.write_bytes(data)
    confirm(store)
    assert "'tas' at [4, 0, 0] of the store: found np.float32(1e+20)" in failed_streams(tmp_path)["message"]


@ALL
@pytest.mark.parametrize("byte", [0, 1, 2, 600, -2, -1])
def test_a_source_that_changed_after_the_copy_is_found(store, tmp_path, byte):
    """A bit that flips in the file when it has been copied is named, though size and times are as they were."""
    path = file_of(store, 1)
    with h5py.File(path) as file:
        place = file["tas"].id.get_chunk_info_by_coord((2, 0, 0))
    data = bytearray(path.read_bytes())
    data[place.byte_offset + byte % place.size] ^= 4
    path.write_bytes(data)
    take(sorted((tmp_path / "files").rglob("*.nc")), tmp_path)
    assert run_verify(tmp_path, "--mode", "streams") == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert path.name in record["message"]
    assert not zarr_store.is_sealed(store)


@ONE
def test_a_value_that_changed_in_the_file_is_found(store, tmp_path):
    """A chunk of the file that was written anew is compared by its values, and the first that differs is named."""
    path = file_of(store, 1)
    with netCDF4.Dataset(path, "a") as nc:
        nc["tas"][3, 7, 8] = 1.5
    take(sorted((tmp_path / "files").rglob("*.nc")), tmp_path)
    assert run_verify(tmp_path, "--mode", "streams") == 1
    assert "'tas' at [8, 7, 8] of the store: found" in receipts.read(tmp_path, "failed", ID)["message"]


def take_again(store):
    """Make the inventory of files that have changed, and the provenance of the store, say that they are its files."""
    facts = take(sorted((store.parent / "files").rglob("*.nc")), store.parent)
    path = store.with_name(store.name + zarr_store.PROVENANCE)
    told = json.loads(path.read_text())
    told["files"] = [
        file | {"mtime_ns": f["mtime_ns"], "bytes": f["bytes"]}
        for file, f in zip(told["files"], facts["files"], strict=True)
    ]
    path.write_text(json.dumps(told))
    confirm(store)


@ALL
@pytest.mark.parametrize("first", [b"\0", b"x\0", b"\x18"])
def test_what_is_no_stream_is_found_though_both_have_it(store, tmp_path, first):
    """Bytes of a damaged file that were copied as they are do not begin as zlib does: no reader could inflate them."""
    path = file_of(store, 1)
    with h5py.File(path) as file:
        place = file["tas"].id.get_chunk_info_by_coord((1, 0, 0)).byte_offset
    data = bytearray(path.read_bytes())
    data[place : place + len(first)] = first
    path.write_bytes(data)

    def change(frame):
        start = struct.unpack_from("<I", frame, 16)[0] + 4
        frame[start : start + len(first)] = first

    change_frame(store, change)
    take_again(store)
    record = failed_streams(tmp_path)
    assert (record["class"], path.name in record["message"]) == ("source", True)


@ONE
def test_a_chunk_deflated_anew_is_compared_by_its_values(store, tmp_path):
    """Equal values under another stream are no fault: they are decoded, and counted as compared so."""
    assert run_verify(tmp_path, "--mode", "streams") == 0
    before = receipts.read(tmp_path, "verify", ID)
    with netCDF4.Dataset(file_of(store, 1), "a") as nc:
        nc["tas"].set_auto_mask(False)
        field = nc["tas"][2]
    with h5py.File(file_of(store, 1), "a") as file:
        file["tas"].id.write_direct_chunk((2, 0, 0), zlib.compress(bytes(Shuffle(4).encode(field)), 9))
    take_again(store)
    assert run_verify(tmp_path, "--mode", "streams") == 0
    after = receipts.read(tmp_path, "verify", ID)
    assert after["values_compared"] - before["values_compared"] == 2 * 5400
    assert before["blocks_compared"] - after["blocks_compared"] in (1, 2)


@ONE
def test_an_array_with_sums_in_its_ledger_is_proven_by_its_values(store, tmp_path):
    """Where the ledger says what values an object has, they are read."""
    text = ledger.path_of(store).read_text()
    ledger.path_of(store).write_text(text.replace('"copied"', '"0123"', 1))
    assert run_verify(tmp_path, "--mode", "streams") == 1
    assert "raw_xxh3" in receipts.read(tmp_path, "failed", ID)["message"]


@ONE
def test_a_pipeline_that_is_not_that_of_the_file_is_not_taken_for_it(store):
    """Each property that decides what a stream means is compared between the two headers."""
    form = frames.form_of(zarr_store.open_unsealed(store)["tas"])
    with raw_chunks.opened(str(file_of(store, 0)), "tas") as chunks:
        pipeline = chunks.pipeline()
        assert streams.differing(form, pipeline, chunks) is None
        other = [
            ({"shuffled": False}, {}),
            ({"block_bytes": SIZE * 2}, {}),
            ({"order": ">"}, {}),
            ({"kind": "int32"}, {}),
            ({"chunks": (2, 30, 180)}, {}),
            ({"chunks": (3, 60, 90), "block_bytes": SIZE * 2}, {"chunks": (2, 60, 90)}),
            ({}, {"filters": (1,)}),
            ({}, {"chunks": (1, 90, 60)}),
        ]
        for ours, theirs in other:
            found = streams.differing(replace(form, **ours), replace(pipeline, **theirs), chunks)
            assert found.startswith("found blocks of "), (ours, theirs)


@ONE
@pytest.mark.usefixtures("store")
def test_a_sample_is_decoded_both_ways(tmp_path, monkeypatch):
    """A reader that decodes wrongly is found though all streams are equal."""
    real = values.bits
    monkeypatch.setattr(values, "bits", lambda found: real(found) if found.size < 5400 else real(found) ^ found.size)
    assert run_verify(tmp_path, "--mode", "streams") == 0
    right = np.asarray

    class Wrong:
        def __getattr__(self, name):
            return getattr(np, name)

        @staticmethod
        def asarray(found):
            return right(found) + 1 if getattr(found, "shape", ()) == (1, 60, 90) else right(found)

    monkeypatch.setattr(values, "np", Wrong())
    record = failed_streams(tmp_path)
    assert "'tas' at [0, 0, 0] of the store" in record["message"]


def failed_streams(results):
    assert run_verify(results, "--mode", "streams") == 1
    return receipts.read(results, "failed", ID)


@ONE
def test_blocks_beyond_the_array_must_inflate(store, tmp_path):
    """The last frame has a block of no step: if it does not inflate, a reader could not read the others."""
    assert frames.inflates(memoryview(zlib.compress(bytes(SIZE))), SIZE)
    assert frames.inflates(memoryview(bytes(SIZE)), SIZE)
    for wrong in (
        zlib.compress(bytes(SIZE - 1)),
        zlib.compress(bytes(SIZE)) + b"x",
        b"no stream",
        zlib.compress(bytes(SIZE))[:-1],
    ):
        assert not frames.inflates(memoryview(wrong), SIZE)
    change_frame(store, lambda data: data.__setitem__(struct.unpack_from("<2I", data, 16)[1] + 6, 7), 7)
    confirm(store)
    assert failed_streams(tmp_path)["class"] == "chunks"


@ONE
@pytest.mark.parametrize("answer", [None, (memoryview(b""), 2)], ids=["never written", "not deflated"])
def test_a_chunk_that_the_file_has_not_is_compared_by_its_values(store, tmp_path, monkeypatch, answer):
    """Where HDF5 hands out none, or one that has gone through other filters, a block proves nothing."""
    swap_blocks(store)
    confirm(store)
    monkeypatch.setattr(raw_chunks.RawChunks, "read", lambda *_: answer)
    assert failed_streams(tmp_path)["class"] == "mismatch"


@ONE
@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("mask", [1, 2, 3], ids=["no shuffle", "no deflate", "neither"])
def test_equal_bytes_of_other_filters_are_not_called_equal(tmp_path, monkeypatch, mask):
    """A chunk of the file that has skipped a filter means something else than a block with its bytes."""
    read = raw_chunks.RawChunks.read
    monkeypatch.setattr(raw_chunks.RawChunks, "read", lambda *args: (read(*args)[0], mask))
    assert run_verify(tmp_path, "--mode", "streams") == 0
    assert "blocks_compared" not in receipts.read(tmp_path, "verify", ID)


@ONE
def test_the_filters_that_a_chunk_has_skipped_are_told(store):
    """HDF5 notes them for each chunk."""
    path = file_of(store, 1)
    with h5py.File(path, "a") as file:
        file["tas"].id.write_direct_chunk((2, 0, 0), b"of one filter", filter_mask=1)
    with raw_chunks.opened(str(path), "tas") as chunks:
        stream, mask = chunks.read((2, 0, 0))
        assert (bytes(stream), mask, chunks.read((1, 0, 0))[1]) == (b"of one filter", 1, 0)


def test_blocks_beyond_the_array_must_inflate_wherever_they_lie(tmp_path):
    """Also in a corner of the grid, of which no chunk is decoded."""
    take(make_dataset(tmp_path / "files", lat=60, lon=90, steps=5, chunks=(1, 30, 45)), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--codec", "native", "--chunks", '{"time": 2}') == 0
    corner = [path for path in objects(tmp_path / "s.zarr") if path.match("c/7/0/0")]
    data = bytearray(corner[0].read_bytes())
    data[-5] ^= 1
    data[-4:] = struct.pack("<I", google_crc32c.value(bytes(data[:-4])))
    corner[0].write_bytes(data)
    confirm(tmp_path / "s.zarr")
    record = failed_streams(tmp_path)
    assert (record["class"], "'tas' at [(14, 15), (0, 30), (0, 45)]" in record["message"]) == ("chunks", True), record


def test_what_was_compressed_anew_is_proven_by_its_values(tmp_path):
    """A store of which nothing was copied is proven as by `full`."""
    take(make_dataset(tmp_path / "files"), tmp_path)
    run_convert(tmp_path, tmp_path / "s.zarr")
    assert run_verify(tmp_path, "--mode", "streams") == 0
    told = receipts.read(tmp_path, "verify", ID)
    assert (told["mode"], told["values_compared"], "blocks_compared" in told) == ("streams", 12 * 15 + 3 * 21, False)
