"""A dataset becomes a store in a bucket: proven, sealed, read by others; killed, it goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import intake
import pytest
import s3fs
import xarray as xr
from builders import DEFLATED, make_dataset
from chain import ID, list_files, run_campaign, run_convert, run_inventory, run_verify
from repository import REPOSITORY

import audit
import restore
import size_report
import verify
from cmip6zarr.catalogue import drs
from cmip6zarr.job import receipts
from cmip6zarr.store import audit as audits
from cmip6zarr.store import backend, ledger, s3_client, zarr_store
from s3.faultproxy import FaultProxy
from s3.reading import compare, keys

pytestmark = pytest.mark.s3

FORMS = {
    "v3": ("--zarr-format", 3),
    "v2": ("--zarr-format", 2),
    "sharded": ("--shard-mib", 8 * 180 * 360 * 4 / 2**20),
}
RULE = ("--chunks", json.dumps({"time": 4}))
BESIDE = [".ledger.jsonl", ".provenance.json"]


@pytest.fixture
def paths(tmp_path):
    """A dataset of three files of sixteen steps of 259 kB, and its inventory."""
    paths = make_dataset(tmp_path / "nc", steps=16, lat=180, lon=360, chunks=(1, 180, 360), filters=DEFLATED)
    list_files({ID: paths}, tmp_path / "catalogue.json")
    assert run_inventory(ID, tmp_path / "catalogue.json", tmp_path / "results") == 0
    return paths


@pytest.fixture
def results(tmp_path, paths):  # noqa: ARG001
    """The folder of receipts, with the inventory of the dataset."""
    return tmp_path / "results"


@pytest.fixture
def url(bucket):
    return f"s3://{bucket}/some/stores/s.zarr"


def said(results, rule="failed"):
    return receipts.read(results, rule, ID)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_store_is_proven_and_read_by_others(results, paths, url, bucket, server, form, tmp_path):
    """All rules and the way back take a URL for a folder; beside the store are its ledger and provenance, no more."""
    assert run_convert(results, url, *RULE, *form) == 0
    with pytest.raises((FileNotFoundError, ValueError)):
        xr.open_zarr(url)  # not sealed yet
    assert run_verify(results) == 0
    compare(url, paths)
    assert size_report.main([ID, "--results", str(results)]) == 0
    listed = keys(server, bucket)
    inside = {key: size for key, size in listed.items() if key.startswith("some/stores/s.zarr/")}
    assert sorted(listed.keys() - inside.keys()) == [f"some/stores/s.zarr{end}" for end in BESIDE]
    facts = said(results, "size_report")
    assert (facts["objects"], facts["zarr_bytes"]) == (len(inside), sum(inside.values()))
    assert audit.main([ID, "--results", str(results)]) == 0
    assert said(results, "audit")["objects"] == len(inside)
    assert verify.main(["--audit", url]) == 0
    assert restore.main([url, "--all", "--to", str(tmp_path / "restored")]) == 0
    for path in paths:
        with xr.open_dataset(path) as one, xr.open_dataset(tmp_path / "restored" / path.name) as other:
            xr.testing.assert_identical(one, other)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_copied_chunks_are_proven_by_streams(results, paths, url, form, tmp_path):
    """Preset native copies into a bucket as into a folder, either proof seals it, and chunks come back as they were."""
    assert run_convert(results, url, *RULE, *form, "--codec", "native") == 0
    assert run_verify(results, "--mode", "streams") == 0
    assert said(results, "verify")["blocks_compared"] == 48
    assert run_verify(results) == 0
    compare(url, paths)
    assert restore.main([url, "--all", "--to", str(tmp_path / "restored")]) == 0
    for path in paths:
        with h5py.File(path) as one, h5py.File(tmp_path / "restored" / path.name) as other:
            for step in range(16):
                chunks = [file["tas"].id.read_direct_chunk((step, 0, 0)) for file in (one, other)]
                assert chunks[0] == chunks[1]


@pytest.mark.usefixtures("paths")
def test_a_changed_copy_in_a_bucket_is_not_sealed(results, url):
    """A copied object that has changed in the bucket is named, and the store is taken back."""
    assert run_convert(results, url, *RULE, "--codec", "native") == 0
    assert run_verify(results, "--mode", "streams") == 0
    home = backend.at(url)
    data = bytearray(home.read("tas/c/1/0/0"))
    data[len(data) // 2] ^= 1
    home.put("tas/c/1/0/0", [bytes(data)])
    assert run_verify(results, "--mode", "streams") == 1
    assert "tas/c/1/0/0" in said(results)["message"]
    assert not zarr_store.is_sealed(url)


def test_store_over_tls(results, paths, tls_bucket, monkeypatch):
    """Over https the store is the same; an authority that nobody trusts is an error before anything is written."""
    url = f"s3://{tls_bucket}/s.zarr"
    assert run_convert(results, url, *RULE) == 0
    assert run_verify(results) == 0
    compare(url, paths)
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name)
    s3_client.client.cache_clear()
    assert run_convert(results, url, *RULE) == 1
    assert said(results)["class"] == "store"
    assert "certificate" in said(results)["message"].lower()


def test_objects_are_those_of_a_folder(results, url, tmp_path):
    """The same dataset has the same objects, checksums and manifest in a bucket as in a folder."""
    assert run_convert(results, url, *RULE) == 0
    assert run_verify(results) == 0
    there = ledger.read(url)
    assert run_convert(results, tmp_path / "s.zarr", *RULE) == 0
    assert ledger.read(tmp_path / "s.zarr") == there


def test_catalogue_opens_from_the_bucket(results, paths, bucket, tmp_path, monkeypatch):
    """Beside the stores in a bucket lies their catalogue; intake-esm needs nothing else to open them."""
    root = f"s3://{bucket}/zarr"
    assert run_convert(results, drs.store_place(root, ID), *RULE) == 0
    assert run_verify(results) == 0
    assert size_report.main([ID, "--results", str(results)]) == 0
    assert run_campaign(tmp_path / "catalogue.json", results, "--store-root", root, "--stac") == 0
    (item,) = json.loads(backend.at(f"{root}/catalogue").read("stores.stac.json"))["features"]
    assert item["assets"]["zarr"]["href"] == drs.store_place(root, ID)
    found = intake.open_esm_datastore(f"{root}/catalogue/stores.json")
    options = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    s3fs.S3FileSystem.clear_instance_cache()
    (one,) = found.to_dataset_dict(progressbar=False, storage_options=options).values()
    with xr.open_mfdataset(paths, data_vars="minimal", coords="minimal", compat="override") as other:
        xr.testing.assert_equal(one.load().squeeze("member_id", drop=True), other)


def test_catalogue_that_cannot_be_put_is_told(results, bucket, tmp_path, paths, capsys):  # noqa: ARG001
    """Where the bucket cannot be asked the tables are made all the same, and the exit code says that one is missing."""
    store = tmp_path / "s.zarr"
    assert run_convert(results, store, *RULE) == 0
    assert run_verify(results) == 0
    assert size_report.main([ID, "--results", str(results)]) == 0
    assert run_campaign(tmp_path / "catalogue.json", results, "--store-root", "s3://no-such-bucket-here/zarr") == 1
    assert "s3://no-such-bucket-here/zarr/catalogue/stores.csv" in capsys.readouterr().err
    assert (results / "catalogue" / "stores.csv").read_text().count("\n") == 2


def in_ledger(results):
    """Return the keys that the ledger of a store that is being written says are there."""
    path = results / "ledger" / f"{ID}.jsonl"
    return set(ledger.parse(path.read_bytes())[1]) if path.exists() else set()


def test_killed_convert_goes_on(results, paths, url, server):
    """After kill -9 a new run keeps what had arrived, without reading it, and the store is right."""
    script = [sys.executable, REPOSITORY / "scripts" / "convert.py", ID, "--results", results, "--store", url, *RULE]
    with FaultProxy(server) as proxy:
        proxy.rule("delay", "PUT", "/tas/c", seconds=0.5)
        options = ["--s3", json.dumps({"endpoint_url": proxy.endpoint, "concurrency": 1})]
        with subprocess.Popen(list(map(str, script + options)), stdout=subprocess.DEVNULL) as process:
            while len(in_ledger(results)) < 4:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        there, total = in_ledger(results), 12 + 6
        proxy.reset()
        assert run_convert(results, url, *RULE, *options) == 0
        read = {request.path for request in proxy.requests if request.operation == "GET"}
    assert len(there) <= said(results, "convert")["resumed_shards"] < total
    assert not [key for key in there if any(key in path for path in read)]
    assert run_verify(results) == 0
    compare(url, paths)


def test_object_that_is_lost_or_rots_is_told_and_mended(results, paths, url, server, bucket):
    """Audit names what is missing, extra or changed; the next runs write it again, and nothing else."""
    assert run_convert(results, url, *RULE) == 0
    assert run_verify(results) == 0
    prefix = url.removeprefix(f"s3://{bucket}/")
    server.client.delete_object(Bucket=bucket, Key=f"{prefix}/tas/c/1/0/0")
    size = keys(server, bucket)[f"{prefix}/tas/c/2/0/0"]
    server.client.put_object(Bucket=bucket, Key=f"{prefix}/tas/c/2/0/0", Body=bytes(size))
    server.client.put_object(Bucket=bucket, Key=f"{prefix}/tas/stray", Body=b"x")
    found = {(problem["key"], problem["kind"]) for problem in audits.problems(url)}
    assert found == {("tas/c/1/0/0", "missing"), ("tas/c/2/0/0", "changed"), ("tas/stray", "extra")}
    assert audit.main([ID, "--results", str(results)]) == 1
    assert said(results)["class"] == "rot"
    assert run_convert(results, url, *RULE) == 0
    assert said(results, "convert")["resumed_shards"] == 12 + 6 - 2
    assert run_verify(results) == 0
    compare(url, paths)


def test_object_that_verify_doubts_is_read_before_it_is_kept(results, paths, url, server):
    """What verify has found changed is read by the next convert, whatever its ETag is, and what is not is not."""
    assert run_convert(results, url, *RULE) == 0
    with FaultProxy(server) as proxy:
        proxy.rule("corrupt_response", "GET", "/tas/c/2/0/0")
        assert run_verify(results, "--s3", json.dumps({"endpoint_url": proxy.endpoint})) == 1
    assert said(results)["class"] == "chunks"
    assert "'tas/c/2/0/0' is changed" in said(results)["message"]
    assert not zarr_store.is_sealed(url)
    with FaultProxy(server) as proxy:
        assert run_convert(results, url, *RULE, "--s3", json.dumps({"endpoint_url": proxy.endpoint})) == 0
        read = [request.path for request in proxy.requests if request.operation == "GET" and "/tas/c" in request.path]
    assert len(read) == 1  # it alone is read, and found right
    assert run_verify(results) == 0
    compare(url, paths)


@pytest.mark.parametrize("key", ["tas/c/2/0/0", "tas/zarr.json", "time/c/0"])
def test_object_that_does_not_arrive_is_never_fill(results, url, server, key):
    """A 404 for an object that is there fails verify, whichever request it answers."""
    assert run_convert(results, url, *RULE) == 0
    with FaultProxy(server) as proxy:
        proxy.rule("404", "GET", f"/{key}$")
        assert run_verify(results, "--s3", json.dumps({"endpoint_url": proxy.endpoint})) == 1
    assert said(results)["class"] in ("chunks", "store", "mismatch")
    assert not zarr_store.is_sealed(url)
    assert run_convert(results, url, *RULE) == 0
    assert run_verify(results) == 0


@pytest.mark.parametrize("action", ["swallow", "corrupt_request", "truncate_request", "503", "reset_after"])
def test_upload_that_fails_is_sent_again_or_found(results, paths, url, server, action):
    """One in seven uploads is spoilt on its way, or said to be stored and is not: no wrong store is sealed."""
    with FaultProxy(server) as proxy:
        options = ["--s3", json.dumps({"endpoint_url": proxy.endpoint})]
        proxy.rule(action, "PUT", "/(tas|time|lat|lon)[^/]*/c", every=7)
        code = run_convert(results, url, *RULE, *options)
        assert proxy.faults()
        if not code:
            code = run_verify(results, *options)
    assert code == (1 if action == "swallow" else 0)
    if code:
        assert said(results)["class"] == "chunks"
        assert not zarr_store.is_sealed(url)
        assert run_convert(results, url, *RULE) == 0
        assert run_verify(results) == 0
    compare(url, paths)


@pytest.mark.parametrize("personality", ["ignore_conditions", "refuse_conditions"])
def test_stores_that_do_not_know_conditions(results, paths, url, server, personality):
    """A store that ignores or refuses If-None-Match has the same store in the end."""
    with FaultProxy(server) as proxy:
        proxy.rule(personality)
        options = ["--s3", json.dumps({"endpoint_url": proxy.endpoint})]
        assert run_convert(results, url, *RULE, *options) == 0
        assert run_verify(results, *options) == 0
    compare(url, paths)
    assert xr.open_zarr(url).attrs["title"] == "made up for a test"
