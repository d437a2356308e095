"""Keys of chunks: slashes in a new store of Zarr v3, and dots in one that was made before, which stays as good."""

import os

import pytest
import xarray as xr
from builders import make_dataset
from chain import ID, run_convert, run_verify, take
from same_files import assert_same

import restore
from cmip6zarr.catalogue import drs
from cmip6zarr.convert import encoding, shards, writer
from cmip6zarr.job import receipts
from cmip6zarr.store import audit, folder, zarr_store

RULE = ("--chunks", '{"time": 4}')


@pytest.fixture
def paths(tmp_path):
    """The files of a dataset whose inventory is taken."""
    paths = make_dataset(tmp_path / "data")
    take(paths, tmp_path)
    return paths


@pytest.fixture
def store(paths, tmp_path):  # noqa: ARG001
    return tmp_path / drs.store_folder(ID)


@pytest.fixture
def dots(monkeypatch):
    """Write stores as the version before slashes did, until it is undone."""
    with monkeypatch.context() as before:
        before.setattr(encoding, "SEPARATOR", ".")
        before.setattr(
            writer.StoreFormat, "made_of", lambda self, cuts: {"zarr_format": self.zarr_format, "cuts": cuts}
        )
        yield before


def keys(store):
    """Return the keys of the chunks of the field."""
    return sorted(key for key in zarr_store.list_objects(store) if key.startswith("tas/") and zarr_store.is_chunk(key))


@pytest.mark.parametrize(
    ("zarr_format", "expected"), [(3, [f"tas/c/{i}/0/0" for i in range(3)]), (2, [f"tas/{i}.0.0" for i in range(3)])]
)
def test_new_stores_have_the_keys_of_their_version(store, tmp_path, zarr_format, expected):
    """Each version of Zarr has its own default, which any reader knows."""
    assert run_convert(tmp_path, store, *RULE, "--zarr-format", zarr_format) == 0
    assert keys(store) == expected


def test_store_with_dots_stays_valid(store, paths, tmp_path, dots):
    """It is proven by value and by the ledger, opens, is audited, and its files come back from it."""
    assert run_convert(tmp_path, store, *RULE) == 0
    dots.undo()
    assert keys(store) == [f"tas/c.{i}.0.0" for i in range(3)]
    assert run_verify(tmp_path) == 0
    assert audit.problems(store) == []
    assert restore.main([str(store), "--all", "--to", str(tmp_path / "back")]) == 0
    for path in paths:
        assert_same(tmp_path / "back" / path.name, path)
    (store / "tas" / "c.1.0.0").unlink()
    assert [(p["key"], p["kind"]) for p in audit.problems(store)] == [("tas/c.1.0.0", "missing")]


def test_store_begun_with_dots_is_written_anew(store, tmp_path, dots, monkeypatch):
    """Of a store that the version before has left half written nothing is kept, and no key has dots."""
    put, left = shards.Target.put, iter(range(9))

    def killed(self, *given):
        if next(left) == 8:
            raise KeyboardInterrupt
        put(self, *given)

    with monkeypatch.context() as halfway, pytest.raises(KeyboardInterrupt):
        halfway.setattr(shards.Target, "put", killed)
        run_convert(tmp_path, store, *RULE)
    assert any("c.0" in key for key in zarr_store.list_objects(store))
    dots.undo()
    assert run_convert(tmp_path, store, *RULE) == 0
    assert receipts.read(tmp_path, "convert", ID)["resumed_shards"] == 0
    assert not any("c.0" in key for key in zarr_store.list_objects(store))
    assert run_verify(tmp_path) == 0
    xr.open_zarr(store).load()


def test_folder_without_its_chunk_is_no_stranger(store, tmp_path):
    """A folder that was made for a chunk that no run writes any more does not stay when the store is gone on with."""
    assert run_convert(tmp_path, store, *RULE) == 0
    (store / "tas" / "c" / "9" / "0").mkdir(parents=True)
    assert {problem["key"] for problem in audit.problems(store)} == {"tas/c/9/0"}
    receipts.path_of(tmp_path, "convert", ID).unlink()
    assert run_convert(tmp_path, store, *RULE) == 0
    assert receipts.read(tmp_path, "convert", ID)["resumed_shards"] == 9
    assert not [place for place, folders, files in os.walk(store) if not folders and not files]
    assert run_verify(tmp_path) == 0


def test_folder_of_a_missing_chunk_is_not_named_beside_it(store, tmp_path):
    """A chunk that is gone is one fault, whatever folders it leaves."""
    assert run_convert(tmp_path, store, *RULE) == 0
    (store / "tas" / "c/1/0/0").unlink()
    assert [(p["key"], p["kind"]) for p in audit.problems(store)] == [("tas/c/1/0/0", "missing")]


def test_no_folder_outlives_its_objects(tmp_path):
    """Where the last object of a folder goes, so does the folder, and those above it as far as they are empty."""
    home = folder.Folder(tmp_path / "s.zarr")
    for key in ("v/c/0/0", "v/c/0/1", "v/c/1/0", "w/c/0/0", "x"):
        home.put(key, [b"x"])
    home.delete(["v/c/0/0", "v/c/1/0", "w/c/0/0"])
    assert home.list() == {"v/c/0/1": 1, "x": 1}
    assert home.strangers() == {}
    assert not (tmp_path / "s.zarr" / "w").exists()
    home.delete(["x", "v/c/0/1"])
    assert list((tmp_path / "s.zarr").iterdir()) == []
