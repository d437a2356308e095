"""A store that was written for other results is not written anew in silence."""

import json
import shutil

import pytest
from builders import make_dataset
from chain import ID, ROWS, run_convert, run_verify, take

import publish
from cmip6zarr.job import receipts
from cmip6zarr.store import ledger, zarr_store


@pytest.fixture
def theirs(tmp_path):
    """The results of a campaign that has sealed its store, in chunks of four steps."""
    take(make_dataset(tmp_path), tmp_path / "theirs")
    assert run_convert(tmp_path / "theirs", tmp_path / "s.zarr", "--chunks", '{"time": 4}') == 0
    assert run_verify(tmp_path / "theirs") == 0
    return tmp_path / "theirs"


@pytest.fixture
def ours(theirs):
    """Other results with an inventory of the same files."""
    results = theirs.with_name("ours")
    ROWS[str(results), ID] = ROWS[str(theirs), ID]
    receipts.write(receipts.path_of(results, "inventory", ID), receipts.read(theirs, "inventory", ID))
    return results


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_store_of_other_results_is_not_written_anew(theirs, ours):
    """It stays sealed as it is, both folders are named, and the key that is named allows it."""
    store = theirs.with_name("s.zarr")
    before = bytes_of(store)
    assert run_convert(ours, store, "--chunks", '{"time": 5}') == 1
    record = receipts.read(ours, "failed", ID)
    assert record["class"] == "owner"
    assert f"{store}: was written for the results in {theirs}, expected those in {ours}" in record["message"]
    assert record["remedy"].endswith(f"take_over: {theirs}")
    assert bytes_of(store) == before
    assert run_convert(ours, store, "--chunks", '{"time": 5}', "--take-over", ours.with_name("others")) == 1
    assert bytes_of(store) == before
    assert run_convert(ours, store, "--chunks", '{"time": 5}', "--take-over", record["remedy"].split(": ")[-1]) == 0
    assert run_verify(ours) == 0
    assert ledger.load(store)[0]["owner"] == {"results": str(ours), "place": str(store)}
    assert run_convert(theirs, store, "--chunks", '{"time": 4}') == 1


def test_store_that_stays_as_it_is_changes_hands(theirs, ours):
    """Where all of a store is kept there is nothing to lose, and no object is written again."""
    store = theirs.with_name("s.zarr")
    chunks = {path: path.stat().st_mtime_ns for path in bytes_of(store) if zarr_store.is_chunk(path.name)}
    assert run_convert(ours, store, "--chunks", '{"time": 4}') == 0
    assert run_verify(ours) == 0
    assert {path: path.stat().st_mtime_ns for path in chunks} == chunks
    assert ledger.load(store)[0]["owner"] == {"results": str(ours), "place": str(store)}


def test_own_store_and_one_without_owner(theirs):
    """A campaign writes its own store anew, and one whose ledger does not say for whom it was written."""
    store = theirs.with_name("s.zarr")
    assert run_convert(theirs, store, "--chunks", '{"time": 5}') == 0
    lines = ledger.path_of(store).read_text().splitlines()
    last = json.loads(lines[-1])
    assert last.pop("owner")["results"] == str(theirs)
    ledger.path_of(store).write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    assert ledger.load(store)[0]["owner"] is None
    assert run_convert(theirs, store, "--chunks", '{"time": 4}') == 0


def test_store_that_was_copied_with_its_results(theirs, ours):
    """What was moved or copied, store and results, is no longer that of the results it names."""
    copied = ours / "s.zarr"
    shutil.copytree(theirs.with_name("s.zarr"), copied)
    for path in theirs.parent.glob("s.zarr.*"):
        shutil.copy(path, ours)
    assert run_convert(ours, copied, "--chunks", '{"time": 5}') == 0
    assert ledger.load(copied)[0]["owner"] == {"results": str(ours), "place": str(copied)}


def test_store_published_for_other_results(theirs, ours):
    """Nor is one that was published for other results replaced by that of these, until it is allowed."""
    public = theirs.with_name("public.zarr")
    assert publish.main([ID, "--results", str(theirs), "--to", str(public)]) == 0
    assert run_convert(ours, ours / "s.zarr", "--chunks", '{"time": 5}') == 0
    assert run_verify(ours) == 0
    before = bytes_of(public)
    assert publish.main([ID, "--results", str(ours), "--to", str(public)]) == 1
    assert receipts.read(ours, "failed", ID)["class"] == "owner"
    assert bytes_of(public) == before
    assert publish.main([ID, "--results", str(ours), "--to", str(public), "--take-over", str(theirs)]) == 0
