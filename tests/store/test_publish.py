"""Stores are copied by their ledger, to a folder as to a bucket, and proven there before they open."""

import pytest
import xarray as xr
from builders import make_dataset
from chain import ID, run_convert, run_verify, take

import publish
from cmip6zarr.job import receipts
from cmip6zarr.store import audit, backend, ledger, zarr_store

RULE = ("--chunks", '{"time": 4}')


@pytest.fixture(params=[2, 3])
def verified(tmp_path, request):
    """A sealed store of twelve steps in chunks of four."""
    take(make_dataset(tmp_path), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", *RULE, "--zarr-format", request.param) == 0
    assert run_verify(tmp_path) == 0
    return tmp_path / "s.zarr"


def run_publish(results, target):
    """Run publish.py and return its exit code."""
    return publish.main([ID, "--results", str(results), "--to", str(target)])


def content(store):
    return {key: (store / key).read_bytes() for key in zarr_store.list_objects(store)}


def sent(results):
    return receipts.read(results, "publish", ID)["objects_sent"]


def test_copy_is_the_store(verified, tmp_path):
    """The copy has the objects, ledger and provenance of the store, opens, and is not sent a second time."""
    target = tmp_path / "published" / "s.zarr"
    assert run_publish(tmp_path, target) == 0
    assert content(target) == content(verified)
    assert ledger.read(target) == ledger.read(verified)
    assert audit.problems(target) == []
    assert sent(tmp_path) == len(content(verified))
    xr.testing.assert_identical(xr.open_zarr(target).load(), xr.open_zarr(verified).load())
    assert run_publish(tmp_path, target) == 0
    assert sent(tmp_path) == 0
    assert zarr_store.is_sealed(target)


def test_rotten_provenance_is_not_sent(verified, tmp_path):
    """It is as much of the store as its objects; where the copy's has rotted, it is sent again."""
    target, beside = tmp_path / "published.zarr", backend.at(verified).beside(zarr_store.PROVENANCE)
    text, converted = beside.read_text(), receipts.read(tmp_path, "convert", ID)
    beside.write_text(text.replace("days since 1850", "days since 1851"))
    assert run_publish(tmp_path, target) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["class"], "'.provenance.json' is changed" in record["message"]) == ("rot", True)
    assert not target.exists()
    beside.write_text(text)
    receipts.write(receipts.path_of(tmp_path, "convert", ID), converted)
    assert run_publish(tmp_path, target) == 0
    assert receipts.read(tmp_path, "publish", ID)["provenance"] == "proven"
    copied = backend.at(target).beside(zarr_store.PROVENANCE)
    copied.write_text("{}")
    assert run_publish(tmp_path, target) == 0
    assert copied.read_text() == text


def test_older_store_is_published_and_not_called_proven(verified, tmp_path):
    """A copy of a provenance that no ledger knows is not proven either."""
    path, target = ledger.path_of(verified), tmp_path / "published.zarr"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '"store"' not in line))
    for _ in range(2):
        assert run_publish(tmp_path, target) == 0
        assert receipts.read(tmp_path, "publish", ID)["provenance"] == "not proven"
    assert sent(tmp_path) == 0
    assert audit.check(target, "rot")["provenance"] == "not proven"


def test_older_store_without_its_provenance_is_not_published(verified, tmp_path):
    """Where no ledger knows the provenance, nothing else says that it is gone: nothing is sent."""
    path, target = ledger.path_of(verified), tmp_path / "published.zarr"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '"store"' not in line))
    backend.at(verified).beside(zarr_store.PROVENANCE).unlink()
    assert run_publish(tmp_path, target) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["class"], "found none, expected the provenance" in record["message"]) == ("provenance", True)
    assert not target.exists()


def test_copy_that_has_rotted_is_mended(verified, tmp_path):
    """Only the chunk that is wrong is sent again, and the metadata."""
    target = tmp_path / "published" / "s.zarr"
    assert run_publish(tmp_path, target) == 0
    chunk = next(key for key in content(target) if key.startswith("tas/") and zarr_store.is_chunk(key))
    (target / chunk).write_bytes(b"x")
    assert run_publish(tmp_path, target) == 0
    assert sent(tmp_path) == 1 + sum(not zarr_store.is_chunk(key) for key in content(target))
    assert content(target) == content(verified)


def test_rot_is_not_published(verified, tmp_path):
    """An object that is not what the ledger says is not sent: class rot, nothing opens, and convert mends it."""
    chunk = next(key for key in content(verified) if key.startswith("tas/") and zarr_store.is_chunk(key))
    data = (verified / chunk).read_bytes()
    (verified / chunk).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    target = tmp_path / "published" / "s.zarr"
    assert run_publish(tmp_path, target) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["class"], chunk in record["message"]) == ("rot", True)
    assert not zarr_store.is_sealed(target)
    assert not receipts.path_of(tmp_path, "convert", ID).exists()
    assert run_convert(tmp_path, verified, *RULE, "--zarr-format", 2 if (verified / ".zgroup").exists() else 3) == 0
    assert run_verify(tmp_path) == 0
    assert run_publish(tmp_path, target) == 0


def test_what_is_not_sealed_or_not_ours(verified, tmp_path):
    """A store that is not sealed is not published, and what is not ours is not replaced; no receipt is void."""
    target = tmp_path / "published" / "s.zarr"
    target.mkdir(parents=True)
    (target / "precious").write_text("data")
    assert run_publish(tmp_path, target) == 1
    assert [path.name for path in target.rglob("*")] == ["precious"]
    zarr_store.unseal(verified)
    assert run_publish(tmp_path, tmp_path / "elsewhere.zarr") == 1
    assert "no sealed store" in receipts.read(tmp_path, "failed", ID)["message"]
    assert not (tmp_path / "elsewhere.zarr").exists()
    assert receipts.path_of(tmp_path, "convert", ID).exists()
