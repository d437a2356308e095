"""A store on disk is copied to a bucket: cut off, it goes on; damaged on its way, it does not open."""

import json
import re

import pytest
from builders import make_dataset
from chain import ID, run_convert, run_verify, take

import publish
from cmip6zarr.job import receipts
from cmip6zarr.store import audit, ledger, zarr_store
from s3.faultproxy import FaultProxy
from s3.reading import compare, keys

pytestmark = pytest.mark.s3


@pytest.fixture
def paths(tmp_path):
    """The files of a verified store of twelve chunks."""
    paths = make_dataset(tmp_path, steps=16)
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 4}') == 0
    assert run_verify(tmp_path) == 0
    return paths


@pytest.fixture
def url(bucket):
    return f"s3://{bucket}/archive/s.zarr"


def run_publish(results, url, **settings):
    return publish.main([ID, "--results", str(results), "--to", url, "--s3", json.dumps(settings)])


def test_copy_is_the_store(paths, url, tmp_path, bucket, server):
    """The bucket has the store, its ledger and its provenance, and plain xarray reads it."""
    assert run_publish(tmp_path, url) == 0
    compare(url, paths)
    assert ledger.read(url) == ledger.read(tmp_path / "s.zarr")
    assert audit.problems(url) == []
    beside = [key for key in keys(server, bucket) if not key.startswith("archive/s.zarr/")]
    assert beside == ["archive/s.zarr.ledger.jsonl", "archive/s.zarr.provenance.json"]
    assert run_publish(tmp_path, url) == 0
    assert receipts.read(tmp_path, "publish", ID)["objects_sent"] == 0


def test_copy_goes_on(paths, url, tmp_path, server):
    """What has arrived before an outage is not sent again."""
    in_order = [key for key in ledger.read(tmp_path / "s.zarr") if key.startswith("tas/c")]
    with FaultProxy(server) as proxy:
        proxy.rule("403", "PUT", re.escape(in_order[6]) + "$")
        assert run_publish(tmp_path, url, endpoint_url=proxy.endpoint, concurrency=1) == 1
        assert receipts.read(tmp_path, "failed", ID)["class"] == "store"
        assert not zarr_store.is_sealed(url)
        proxy.reset()
        assert run_publish(tmp_path, url, endpoint_url=proxy.endpoint) == 0
        again = {r.path.partition("s.zarr/")[2] for r in proxy.requests if r.operation == "PUT" and "/tas/c" in r.path}
    assert set(in_order[6:]) >= again >= set(in_order[8:])
    compare(url, paths)


@pytest.mark.parametrize("action", ["swallow", "corrupt_request"])
def test_copy_that_is_not_right_is_not_sealed(paths, url, tmp_path, server, action):
    """An object that is lost or damaged on its way is found by the audit there, or sent again."""
    with FaultProxy(server) as proxy:
        proxy.rule(action, "PUT", "/tas/c/3", times=1)
        code = run_publish(tmp_path, url, endpoint_url=proxy.endpoint)
        assert proxy.faults()[action] == 1
    if action == "swallow":
        assert code == 1
        assert receipts.read(tmp_path, "failed", ID)["class"] == "publish"
        assert not zarr_store.is_sealed(url)
        assert run_publish(tmp_path, url) == 0
    compare(url, paths)
