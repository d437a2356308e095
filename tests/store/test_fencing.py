"""A process that was stopped, and goes on when another has taken its place, changes nothing of the other's store."""

from pathlib import Path

import pytest
from builders import make_dataset
from chain import ID, ROWS, run_convert, run_verify, take

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import in_progress, receipts
from cmip6zarr.store import audit, backend, ledger, zarr_store
from cmip6zarr.store.ledger_writer import LedgerWriter


@pytest.fixture
def results(tmp_path):
    """Results with the inventory of twelve steps."""
    take(make_dataset(tmp_path), tmp_path)
    return tmp_path


def overtaken(monkeypatch, owner, name, call, do):
    """Let `do` happen within the n-th call of a method, as if the process had been stopped just there."""
    method, calls = getattr(owner, name), []

    def stopped(*args, **options):
        calls.append(name)
        if len(calls) == call:
            do()
        return method(*args, **options)

    monkeypatch.setattr(owner, name, stopped)


def other_run(results, store, chunks):
    """Return what another run does to a store of which ledger and receipts have been removed: it writes and seals."""

    def run():
        ROWS[str(results / "other"), ID] = ROWS[str(results), ID]
        ledger.path_of(store).unlink()
        inventory = receipts.read(results, "inventory", ID)
        receipts.write(receipts.path_of(results / "other", "inventory", ID), inventory)
        assert run_convert(results / "other", store, "--chunks", chunks) == 0
        assert run_verify(results / "other") == 0

    return run


@pytest.mark.parametrize("call", [1, 4, 9])
@pytest.mark.parametrize("chunks", ['{"time": 4}', '{"time": 5}'])
def test_stopped_convert_writes_nothing_more(results, monkeypatch, call, chunks):
    """Whether the other cuts the store in the same way or not: its objects stay as they are, and nothing is left."""
    store = results / "s.zarr"
    overtaken(monkeypatch, LedgerWriter, "add", call, other_run(results, store, chunks))
    sealed = {}
    check = LedgerWriter.check

    def seen(self, now=False):
        if zarr_store.is_sealed(store) and not sealed:
            sealed.update({key: (store / key).read_bytes() for key in zarr_store.list_objects(store)})
        check(self, now)

    monkeypatch.setattr(LedgerWriter, "check", seen)
    assert run_convert(results, store, "--chunks", '{"time": 4}') == 1
    record = receipts.read(results, "failed", ID)
    assert record["class"] == "busy"
    assert "expected the one that this process has locked" in record["message"]
    assert sealed == {key: (store / key).read_bytes() for key in zarr_store.list_objects(store)}
    assert audit.problems(store) == []
    assert zarr_store.is_sealed(store)


def test_stopped_verify_does_not_seal(results, monkeypatch):
    """A store that another process has begun to write meanwhile stays as it is: its writer's, and not sealed."""
    store = results / "s.zarr"
    assert run_convert(results, store, "--chunks", '{"time": 4}') == 0

    def other():
        in_progress.end(results, ID)
        ledger.path_of(store).unlink()
        assert run_convert(results, store, "--chunks", '{"time": 5}') == 0

    overtaken(monkeypatch, zarr_store, "seal", 1, other)
    assert run_verify(results) == 1
    assert receipts.read(results, "failed", ID)["class"] == "busy"
    assert not zarr_store.is_sealed(store)
    monkeypatch.undo()
    assert run_convert(results, store, "--chunks", '{"time": 5}') == 0
    assert run_verify(results) == 0


def test_ledger_that_changed_while_it_was_proven_is_not_sealed_by(results, monkeypatch):
    """The lock is held, and yet somebody has written a line: what was proven is not what would be sealed."""
    store = results / "s.zarr"
    assert run_convert(results, store) == 0

    def other():
        with ledger.path_of(store).open("a") as file:
            file.write('{"store": "s.zarr", "provenance": null}\n')

    overtaken(monkeypatch, zarr_store, "seal", 1, other)
    assert run_verify(results) == 1
    assert "its ledger has changed while the store was proven" in receipts.read(results, "failed", ID)["message"]
    assert not zarr_store.is_sealed(store)


@pytest.mark.parametrize("replace", [Path.unlink, lambda path: path.with_name("x").write_text("") or None])
@pytest.mark.parametrize(
    "change",
    [
        lambda home: home.put("a", [b"new"]),
        lambda home: home.rename("a", "b"),
        lambda home: home.delete(["a"]),
        lambda home: home.clear(),
        lambda home: home.write_beside(zarr_store.PROVENANCE, "{}"),
        lambda home: zarr_store.seal(home, 3),
        lambda home: home.release() or home.fence(now=True),
    ],
)
def test_every_change_asks_first(tmp_path, replace, change):
    """Of a writer whose ledger is gone, or another file, no change arrives."""
    store = tmp_path / "s.zarr"
    backend.at(store).put("a", [b"old"])
    backend.at(store).put("zarr.json.unsealed", [b"{}"])
    home = backend.at(store)
    with LedgerWriter(home):
        replace(ledger.path_of(store))
        if (tmp_path / "x").exists():
            (tmp_path / "x").replace(ledger.path_of(store))
        with pytest.raises(DatasetError, match="expected the one that this process has locked") as error:
            change(home)
    assert error.value.kind == "busy"
    assert {path.name: path.read_bytes() for path in store.iterdir()} == {"a": b"old", "zarr.json.unsealed": b"{}"}
    assert not home.beside(zarr_store.PROVENANCE).exists()
    assert home.guard is None
