"""Chunks that preset native has copied come back compressed as they were."""

import contextlib
import struct

import h5py
import netCDF4
import numpy as np
import pytest
from builders import DEFLATED, make_dataset
from chain import run_convert, run_verify, take
from same_files import assert_same

import restore
from cmip6zarr.restore import copied_chunks
from cmip6zarr.store import zarr_store

ALL = pytest.mark.parametrize("more", [(), ("--zarr-format", 2), ("--shard-mib", 0.1)], ids=["v3", "v2", "shards"])


def convert(paths, folder, *more, **policy):
    """Write and seal the native store of some files, and return it."""
    take(paths, folder, **policy)
    options = ("--codec", "native", "--chunks", '{"time": 2}', *more)
    assert run_convert(folder, folder / "s.zarr", *options) == 0
    assert run_verify(folder, "--mode", "streams") == 0
    return folder / "s.zarr"


def streams(path, name="tas"):
    """Return the compressed chunks of a variable, each with its filter mask, by where they begin."""
    with h5py.File(path) as file:
        dataset = file[name].id
        starts = [dataset.get_chunk_info(number).chunk_offset for number in range(dataset.get_num_chunks())]
        return {start: dataset.read_direct_chunk(start) for start in starts}


def restored(store):
    """Restore all files of a store and return the folder they are in."""
    folder = store.parent / "back"
    assert restore.main([str(store), "--all", "--to", str(folder)]) == 0
    return folder


FILES = {
    "usual": {},
    "highest level": {"filters": DEFLATED | {"complevel": 9}},
    "not shuffled": {"filters": DEFLATED | {"shuffle": False}},
    "cut in space": {"chunks": (1, 40, 50)},
    "two steps a chunk": {"chunks": (2, 60, 90)},
    "big-endian": {"filters": DEFLATED | {"endian": "big"}},
    "netCDF-4 of any model": {"format": "NETCDF4"},
}


@ALL
@pytest.mark.parametrize("kind", FILES)
def test_compressed_bytes_are_those_of_the_source(tmp_path, kind, more):
    """Every file is the same, chunk by chunk as it is stored, and no larger."""
    paths = make_dataset(tmp_path / "files", lat=60, lon=90, **FILES[kind])
    folder = restored(convert(paths, tmp_path, *more))
    for path in paths:
        assert_same(folder / path.name, path)
        assert streams(folder / path.name) == streams(path)
        assert (folder / path.name).stat().st_size <= 1.01 * path.stat().st_size


def test_a_file_that_ends_within_a_chunk_comes_back(tmp_path):
    """The last native chunk reaches beyond the end of the file."""
    paths = make_dataset(tmp_path / "files", files=2, steps=4, lat=60, lon=90, chunks=(4, 60, 90))
    paths += make_dataset(tmp_path / "files", files=1, steps=3, start=8, lat=60, lon=90, chunks=(4, 60, 90))
    folder = restored(convert(paths, tmp_path))
    for path in paths:
        assert_same(folder / path.name, path)
        assert streams(folder / path.name) == streams(path)


def test_trimmed_steps_come_back(tmp_path):
    """Steps that a file shares with the one before are taken from there."""
    paths = make_dataset(tmp_path / "files", files=1, steps=4, lat=60, lon=90)
    paths += make_dataset(tmp_path / "files", files=1, steps=4, start=2, lat=60, lon=90)
    folder = restored(convert(paths, tmp_path, overlap="trim"))
    for path in paths:
        assert_same(folder / path.name, path)
        assert streams(folder / path.name) == streams(path)


def test_chunks_without_deflate_come_back(tmp_path):
    """What does not deflate is a block as it is, and HDF5 is told that its filter was left out."""
    paths = make_dataset(tmp_path / "files", lat=60, lon=90)
    noise = np.random.default_rng(1).integers(0, 2**32, (60, 90), "u4").view("f4")
    with netCDF4.Dataset(paths[0], "a") as nc:
        nc.set_auto_maskandscale(False)
        nc["tas"][1] = noise
    store = convert(paths, tmp_path)
    folder = restored(store)
    assert_same(folder / paths[0].name, paths[0])
    (mask, stored) = streams(folder / paths[0].name)[1, 0, 0]
    assert (mask, len(stored)) == (2, noise.nbytes)


def test_a_frame_of_other_blocks_comes_back_by_its_values(tmp_path, monkeypatch):
    """Where a frame is not one of native chunks its values are written."""
    paths = make_dataset(tmp_path / "files", lat=60, lon=90)
    store = convert(paths, tmp_path)
    real, count = copied_chunks.blocks_of, []

    def every_other(frame, form):
        count.append(frame)
        return real(frame, form) if len(count) % 2 else None

    monkeypatch.setattr(copied_chunks, "blocks_of", every_other)
    folder = restored(store)
    for path in paths:
        assert_same(folder / path.name, path)


@ALL
def test_a_rotten_chunk_is_not_restored(tmp_path, more, capsys):
    """An object that is not what the ledger says is named, and no file is left."""
    store = convert(make_dataset(tmp_path / "files", lat=60, lon=90), tmp_path, *more)
    path = next(path for key in ("0.0.0", "c/0/0/0") if (path := store / "tas" / key).exists())
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 16)
    data[start + 500] ^= 1
    path.write_bytes(data)
    assert restore.main([str(store), "--all", "--to", str(tmp_path / "back")]) == 1
    assert "tas" in capsys.readouterr().err
    assert len(list((tmp_path / "back").iterdir())) == 2


def test_a_frame_that_contradicts_its_metadata_is_not_restored(tmp_path, monkeypatch, capsys):
    """What the header of a frame says must be what the array says."""
    store = convert(make_dataset(tmp_path / "files", lat=60, lon=90), tmp_path)
    real = zarr_store.read_chunk
    monkeypatch.setattr(zarr_store, "read_chunk", lambda *where: real(*where)[:12] + b"\0\0\0\0" + real(*where)[16:])
    assert restore.main([str(store), "--all", "--to", str(tmp_path / "back")]) == 1
    told = capsys.readouterr().err
    assert "'tas' cannot be read from the store" in told
    assert not list((tmp_path / "back").iterdir())


def test_what_netcdf_must_write_is_left_to_it(tmp_path, monkeypatch):
    """Variables are written as ever where the order of filters in the new file is another than in the old."""
    paths = make_dataset(tmp_path / "files", lat=60, lon=90)
    store = convert(paths, tmp_path)
    monkeypatch.setattr(copied_chunks, "COPIED", ())
    written = []
    monkeypatch.setattr(copied_chunks, "write", lambda *told: written.append(told))
    with contextlib.suppress(FileNotFoundError):
        assert_same(restored(store) / paths[0].name, paths[0])
    assert not written
