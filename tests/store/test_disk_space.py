"""A store that does not fit is not begun."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from builders import make_dataset
from chain import ID, run_convert, take
from inventories import make_inventory

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.store import disk_space, zarr_store

INVENTORY = make_inventory(raw_bytes=10**9, source_bytes=4 * 10**8)


def file_system(monkeypatch, free_bytes, free_files, files=10**6):
    """Give every folder a file system with so much room."""
    room = SimpleNamespace(f_bavail=free_bytes // 4096, f_frsize=4096, f_files=files, f_favail=free_files)
    monkeypatch.setattr(os, "statvfs", lambda _: room)


def test_store_takes_half_as_much_again_as_its_files_at_most():
    """What is compressed already grows little, and nothing grows beyond its values; each object takes a block more."""
    assert disk_space.needed_bytes(INVENTORY, 10) == 6 * 10**8 + 10 * 4096
    assert disk_space.needed_bytes(replace(INVENTORY, source_bytes=10**9), 0) == 10**9


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "files", "said"),
    [
        (10**8, 10**6, 10**6, r"may take another 600 MB, and .* has room for 100 MB"),
        (10**9, 5, 10**6, r"takes another 10 files and folders, and there is room for 5"),
        (10**9, 10**6, 10**6, None),
        (10**9, 0, 0, None),
    ],
    ids=["bytes", "files", "room", "a file system that does not count files"],
)
def test_room_is_looked_for(tmp_path, monkeypatch, free_bytes, free_files, files, said):
    """Too few bytes or files are class space, with what is needed and what there is."""
    file_system(monkeypatch, free_bytes, free_files, files)
    if not said:
        disk_space.check(tmp_path / "no" / "such" / "folder" / "s.zarr", INVENTORY, 10, {})
        return
    with pytest.raises(DatasetError, match=said) as error:
        disk_space.check(tmp_path / "no" / "such" / "folder" / "s.zarr", INVENTORY, 10, {})
    assert error.value.kind == "space"


def test_what_is_there_already_needs_no_room(tmp_path, monkeypatch):
    """A run that goes on needs room for the rest only."""
    file_system(monkeypatch, 10**8, 5)
    kept = {str(i): SimpleNamespace(bytes=10**8) for i in range(6)}
    disk_space.check(tmp_path / "s.zarr", INVENTORY, 10, kept)


def test_folders_of_chunks_count(tmp_path, monkeypatch):
    """A store of nested keys needs room for its folders too, and not for those that are there."""
    file_system(monkeypatch, 10**10, 30)
    kept = {f"tas/c/{i}/0": SimpleNamespace(bytes=1) for i in range(6)}
    disk_space.check(tmp_path / "s.zarr", INVENTORY, 43, kept)
    with pytest.raises(DatasetError, match="another 31 files and folders"):
        disk_space.check(tmp_path / "s.zarr", INVENTORY, 44, kept)


def test_store_is_not_begun_on_a_full_disk(tmp_path, monkeypatch):
    """Convert fails before it writes an object, and goes through when there is room."""
    take(make_dataset(tmp_path), tmp_path)
    with monkeypatch.context() as full:
        file_system(full, 4096, 10**6)
        assert run_convert(tmp_path, tmp_path / "s.zarr") == 1
    assert receipts.read(tmp_path, "failed", ID)["class"] == "space"
    assert zarr_store.list_objects(tmp_path / "s.zarr") == {}
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
