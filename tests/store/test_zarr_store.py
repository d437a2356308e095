"""Stores that open only when they are proven."""

import errno

import numpy as np
import pytest
import xarray as xr
import zarr
from builders import make_dataset
from chain import take, writable, write

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.store import backend, folder, zarr_store

BOTH = pytest.mark.parametrize("zarr_format", [2, 3])
CHUNK = {2: "tas/1.0.0", 3: "tas/c/1/0/0"}


@pytest.fixture
def unsealed(tmp_path, zarr_format):
    """A store of twelve steps in chunks of four, as convert leaves it."""
    path = tmp_path / "s.zarr"
    write(take(make_dataset(tmp_path), tmp_path), path, zarr_format, {"time": 4})
    return path


def readers(path):
    """Return what opens a store for its readers, by name."""
    return {
        "zarr": lambda: zarr.open_group(path, mode="r"),
        "zarr-consolidated": lambda: zarr.open_consolidated(path, mode="r"),
        "xarray": lambda: xr.open_zarr(path),
        "xarray-unconsolidated": lambda: xr.open_zarr(path, consolidated=False),
        "xarray-dataset": lambda: xr.open_dataset(path, engine="zarr"),
    }


def content(path):
    return {key: (path / key).read_bytes() for key in zarr_store.list_objects(path)}


@BOTH
@pytest.mark.filterwarnings("ignore:Failed to open Zarr store with consolidated metadata")
@pytest.mark.parametrize("reader", readers(""))
def test_unsealed_store_opens_for_nobody(unsealed, reader):
    """No reader opens a store that has not been proven."""
    assert not zarr_store.is_sealed(unsealed)
    with pytest.raises((FileNotFoundError, ValueError), match=r"(?i)group|found|metadata"):
        readers(unsealed)[reader]()


@BOTH
@pytest.mark.parametrize("reader", readers(""))
def test_sealed_store_opens_for_all(unsealed, reader, zarr_format):
    """Every reader opens a sealed store and finds all its variables."""
    zarr_store.seal(unsealed, zarr_format)
    assert zarr_store.is_sealed(unsealed)
    opened = readers(unsealed)[reader]()
    assert all(name in opened for name in ("tas", "time", "time_bnds", "lat"))


@BOTH
def test_metadata_are_consolidated(unsealed, zarr_format):
    """A sealed store has the metadata of all arrays in one object."""
    zarr_store.seal(unsealed, zarr_format)
    with zarr_store.quiet():
        consolidated = zarr.open_consolidated(unsealed).metadata.consolidated_metadata
    assert set(consolidated.metadata) == {"time", "time_bnds", "lat", "lat_bnds", "lon", "lon_bnds", "tas"}


@BOTH
def test_unseal_takes_a_store_back(unsealed, zarr_format):
    """Unsealing a sealed store leaves every object as it was before, and does nothing to one that is not sealed."""
    before = content(unsealed)
    zarr_store.unseal(unsealed)
    assert content(unsealed) == before
    zarr_store.seal(unsealed, zarr_format)
    assert content(unsealed) != before
    zarr_store.unseal(unsealed)
    assert content(unsealed) == before


def test_unsealing_nothing_is_nothing(tmp_path):
    """Where there is no store, nothing is unsealed and nothing made."""
    zarr_store.unseal(tmp_path / "none.zarr")
    assert not (tmp_path / "none.zarr").exists()


@BOTH
def test_store_without_root_metadata_is_not_sealed(unsealed, zarr_format):
    """Sealing a store that lacks its root metadata is an error that names what is missing."""
    key = zarr_store.ROOT_KEYS[zarr_format][-1] + zarr_store.UNSEALED
    (unsealed / key).unlink()
    with pytest.raises(DatasetError, match=f"{key!r} is missing") as error:
        zarr_store.seal(unsealed, zarr_format)
    assert (error.value.kind, zarr_store.is_sealed(unsealed)) == ("store", False)


@BOTH
def test_a_half_sealed_store_does_not_open(unsealed, zarr_format):
    """What makes a group of the store is renamed last: killed before it, the store does not open."""
    for key in zarr_store.ROOT_KEYS[zarr_format][:-1]:
        (unsealed / (key + zarr_store.UNSEALED)).rename(unsealed / key)
    assert not zarr_store.is_sealed(unsealed)
    with pytest.raises(FileNotFoundError):
        zarr.open_group(unsealed, mode="r", use_consolidated=False)


@BOTH
def test_missing_chunk_raises(unsealed, zarr_format):
    """Our reader raises for a chunk that is not there, where plain zarr reads fill values."""
    (unsealed / CHUNK[zarr_format]).unlink()
    tas = zarr_store.open_unsealed(unsealed)["tas"]
    assert np.asarray(tas[:4]).shape == (4, 3, 4)
    with pytest.raises(zarr_store.MissingChunkError, match=f"{CHUNK[zarr_format]!r} is missing") as error:
        tas[:]
    assert error.value.kind == "chunks"
    zarr_store.seal(unsealed, zarr_format)
    with zarr_store.quiet():
        assert (zarr.open_group(unsealed, mode="r")["tas"][4:8] == np.float32(1e20)).all()


@BOTH
def test_unsealed_store_is_read_only_unless_asked(unsealed):
    """A store is opened for reading, and for writing only where that is said."""
    with pytest.raises(ValueError, match="read-only"):
        zarr_store.open_unsealed(unsealed)["tas"][0] = 0
    writable(unsealed)["tas"][0] = 0
    assert (zarr_store.open_unsealed(unsealed)["tas"][0] == 0).all()


@pytest.mark.parametrize("path", ["nothing.zarr", "empty.zarr"])
def test_where_there_is_no_store_is_an_error(tmp_path, path):
    """Opening what is no store is an error that says so."""
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(DatasetError, match="no unsealed store") as error:
        zarr_store.open_unsealed(tmp_path / path)
    assert error.value.kind == "store"


@BOTH
def test_expected_chunks_are_those_written(unsealed):
    """The keys that arrays must have are those of the objects that are no metadata."""
    expected = [
        key for _, array in zarr_store.open_unsealed(unsealed).arrays() for key in zarr_store.expected_chunks(array)
    ]
    assert sorted(expected) == sorted(filter(zarr_store.is_chunk, zarr_store.list_objects(unsealed)))
    assert len(expected) == 6 + 3


def test_list_objects_tells_sizes(tmp_path):
    """Every file below the folder is an object with its size; a store that is not there has none."""
    (tmp_path / "a" / "c").mkdir(parents=True)
    (tmp_path / "a" / "c" / "0").write_bytes(b"123")
    (tmp_path / "zarr.json.unsealed").write_bytes(b"")
    assert zarr_store.list_objects(tmp_path) == {"a/c/0": 3, "zarr.json.unsealed": 0}
    assert zarr_store.list_objects(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("tas/c/0/0", True),
        ("tas/0.0", True),
        ("height/0", True),
        ("stray", True),
        ("zarr.json", False),
        ("zarr.json.unsealed", False),
        ("tas/.zarray", False),
        (".zmetadata.unsealed", False),
    ],
)
def test_chunks_are_what_is_no_metadata(key, expected):
    """A key is a chunk's unless it is one of Zarr's own names, sealed or not."""
    assert zarr_store.is_chunk(key) is expected


@BOTH
def test_sweep_removes_a_store_of_ours(unsealed, zarr_format):
    """A store of ours goes, sealed or not, and its provenance stays for the next; without a store nothing happens."""
    zarr_store.seal(unsealed, zarr_format)
    zarr_store.sweep(unsealed, ())
    assert not unsealed.exists()
    assert backend.at(unsealed).beside(zarr_store.PROVENANCE).is_file()
    zarr_store.sweep(unsealed, ())


@BOTH
def test_sweep_keeps_what_is_named(unsealed, zarr_format):
    """Only named objects stay; metadata, and what was cut off while it was written, go."""
    zarr_store.seal(unsealed, zarr_format)
    cut_off = unsealed / "tas" / "c/0/0/0.77.part"
    cut_off.parent.mkdir(parents=True, exist_ok=True)
    cut_off.write_text("cut off")
    kept = {CHUNK[zarr_format]: content(unsealed)[CHUNK[zarr_format]]}
    zarr_store.sweep(unsealed, kept)
    assert content(unsealed) == kept


@BOTH
@pytest.mark.parametrize("keep", [(), (CHUNK[2], CHUNK[3])], ids=["nothing", "a chunk"])
def test_sweep_unseals_before_it_removes(unsealed, zarr_format, monkeypatch, keep):
    """A store that is being removed opens for nobody, should the removal be killed."""
    zarr_store.seal(unsealed, zarr_format)
    sealed = []
    monkeypatch.setattr(folder.Folder, "clear", lambda home: sealed.append(zarr_store.is_sealed(home)))
    monkeypatch.setattr(folder.Folder, "delete", lambda home, _: sealed.append(zarr_store.is_sealed(home)))
    zarr_store.sweep(unsealed, keep)
    assert sealed
    assert not any(sealed)


FOREIGN = {
    "folder": lambda path: (path.mkdir(), (path / "zarr.json").write_text("{}")),
    "file": lambda path: path.write_text("precious"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_sweep_keeps_what_is_not_ours(tmp_path, make):
    """What has no provenance beside it is an error and stays."""
    make(tmp_path / "s.zarr")
    before = (tmp_path / "s.zarr").lstat()
    with pytest.raises(DatasetError, match=r"s\.zarr\.provenance\.json") as error:
        zarr_store.sweep(tmp_path / "s.zarr", ())
    assert error.value.kind == "store"
    assert (tmp_path / "s.zarr").lstat() == before


def test_sweep_follows_no_link(tmp_path):
    """A link at the place of a store is none of ours, even with provenance beside it: what it points to stays."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("data")
    (tmp_path / "s.zarr").symlink_to("elsewhere")
    backend.at(tmp_path / "s.zarr").beside(zarr_store.PROVENANCE).write_text("{}")
    with pytest.raises(DatasetError):
        zarr_store.sweep(tmp_path / "s.zarr", ())
    assert (tmp_path / "elsewhere" / "precious").read_text() == "data"


def test_put_leaves_nothing_of_what_it_could_not_write(tmp_path, monkeypatch):
    """Where the disk is full the object is not there, nor is a part of it."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder.Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        backend.at(tmp_path).put("c", [b"abc"])
    assert list(tmp_path.iterdir()) == []


def test_put_tells_length_and_checksum_of_what_it_wrote(tmp_path):
    """What put returns is what the object on disk gives."""
    assert backend.at(tmp_path).put("c", [b"abc", bytes(10), memoryview(b"x")])[:2] == zarr_store.digest(tmp_path, "c")
    assert (tmp_path / "c").read_bytes() == b"abc" + bytes(10) + b"x"
