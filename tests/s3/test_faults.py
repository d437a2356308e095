"""What fails while a store is written or proven: in the end it is right and sealed, or the object is named."""

import json
import os
import threading
import time

import pytest
from builders import DEFLATED, make_dataset
from chain import ID, run_convert, run_verify, take

from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store
from s3.faultproxy import FaultProxy
from s3.reading import compare

pytestmark = pytest.mark.s3

RULE = ("--chunks", json.dumps({"time": 1}))
OBJECTS = 24 + 6  # of tas, and of the others


@pytest.fixture
def paths(tmp_path):
    """A dataset of 24 steps in three files; its inventory is in `results`."""
    paths = make_dataset(tmp_path / "nc", steps=8, lat=36, lon=72, chunks=(1, 36, 72), filters=DEFLATED)
    take(paths, tmp_path / "results")
    return paths


@pytest.fixture
def url(bucket):
    return f"s3://{bucket}/stores/s.zarr"


@pytest.fixture
def proxy(server):
    with FaultProxy(server) as proxy:
        yield proxy


class Workflow:
    """The rules of one dataset, that ask a proxy."""

    def __init__(self, results, url, proxy):
        self.results, self.url, self.proxy = results, url, proxy

    def options(self, settings):
        return ["--s3", json.dumps(settings | {"endpoint_url": self.proxy.endpoint})]

    def convert(self, **settings):
        return run_convert(self.results, self.url, *RULE, *self.options(settings))

    def verify(self, **settings):
        return run_verify(self.results, *self.options(settings))

    def failure(self):
        return receipts.read(self.results, "failed", ID)

    def resumed(self):
        return receipts.read(self.results, "convert", ID)["resumed_shards"]


@pytest.fixture
def workflow(tmp_path, url, proxy, paths):  # noqa: ARG001
    return Workflow(tmp_path / "results", url, proxy)


KINDS = {"full": (), "ignores": ("ignore_conditions",), "501": ("refuse_conditions", "refuse_checksums")}


@pytest.mark.parametrize("kind", KINDS)
def test_three_kinds_of_store(workflow, proxy, url, paths, server, bucket, monkeypatch, kind):
    """Whether a store honours conditions and checksums, ignores or refuses them, it gets the same store, mended too."""
    for rule in KINDS[kind]:
        proxy.rule(rule)
    if kind == "501":  # as the probe says of such a store
        monkeypatch.setenv("AWS_DISABLE_BULK_DELETE", "true")
    assert workflow.convert() == 0
    assert workflow.verify() == 0
    for name in ("stray.1", "stray.2"):
        server.client.put_object(Bucket=bucket, Key=f"stores/s.zarr/tas/{name}", Body=b"x")
    assert workflow.verify() == 1
    assert "stray" in workflow.failure()["message"]
    assert workflow.convert() == 0
    assert workflow.resumed() == OBJECTS
    assert workflow.verify() == 0
    compare(url, paths)
    assert set(proxy.faults()) <= {*KINDS[kind]}
    assert bool(proxy.faults()) == bool(KINDS[kind])


def test_credentials_expire_meanwhile(workflow, proxy, url, paths, capsys):
    """The object that could not be written is named, no secret is; with new credentials it goes on from there."""
    proxy.rule("expired", "PUT", "/tas/c", after=10)
    assert workflow.convert(concurrency=1) == 1
    record = workflow.failure()
    assert record["class"] == "store"
    assert f"{url}/tas/c/" in record["message"]
    assert "ExpiredToken" in record["message"]
    assert "credentials" in record["remedy"]
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in capsys.readouterr().err + json.dumps(record)
    proxy.reset()
    assert workflow.convert() == 0
    assert 10 <= workflow.resumed() < OBJECTS
    assert workflow.verify() == 0
    compare(url, paths)


def test_fails_for_good(workflow, proxy, url, paths):
    """Retries end when they may, and the object is named; nothing is sealed, in convert or in verify."""
    proxy.rule("503", "PUT", "/tas/c", after=5)
    start = time.monotonic()
    assert workflow.convert(retry_seconds=2) == 1
    assert time.monotonic() - start < 30
    assert workflow.failure()["class"] == "store"
    assert f"{url}/tas/c/" in workflow.failure()["message"]
    proxy.reset()
    assert workflow.convert() == 0
    proxy.rule("reset_before", "GET", "/tas/c", after=5)
    assert workflow.verify(retry_seconds=2) == 1
    assert workflow.failure()["class"] in ("store", "chunks")
    assert "tas/c/" in workflow.failure()["message"]
    assert not zarr_store.is_sealed(url)
    proxy.reset()
    assert workflow.convert() == 0
    assert workflow.resumed() == OBJECTS
    assert workflow.verify() == 0
    compare(url, paths)


@pytest.mark.parametrize(
    ("action", "options"),
    [
        pytest.param("delay", {"every": 20, "seconds": 3}, id="late"),
        pytest.param("drip", {"every": 10, "seconds": 0.5}, id="slow"),
        pytest.param("truncate_response", {"every": 10}, id="cut-off"),
    ],
)
def test_answers_that_are_late_slow_or_cut_off(workflow, proxy, url, paths, action, options):
    """They are asked for again, or waited for: a request may take two seconds."""
    proxy.rule(action, "PUT" if action == "delay" else "GET", "/tas/", **options)
    assert workflow.convert(timeout_seconds=2) == 0
    assert workflow.verify(timeout_seconds=2) == 0
    assert proxy.faults()[action]
    compare(url, paths)


def test_server_killed_while_a_store_is_written(workflow, proxy, url, paths, server):
    """It is back within the time of the retries, with all that it had acknowledged: convert goes on by itself."""

    def die():
        while sum("/tas/c" in request.path for request in list(proxy.requests)) < 9:
            time.sleep(0.01)
        server.kill()
        server.start()

    proxy.rule("delay", "PUT", "/tas/c", seconds=0.1)
    killer = threading.Thread(target=die)
    killer.start()
    assert workflow.convert() == 0
    killer.join()
    assert None in {request.status for request in proxy.requests}  # it was noticed
    assert workflow.verify() == 0
    compare(url, paths)
