"""What a bucket is as the home of a store: writers kept apart, errors that are errors, nothing secret told."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import obstore
import pytest
from builders import make_dataset
from chain import ID, run_convert, run_verify, take

import size_report
import verify
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.store import backend, ledger_writer, s3_client, zarr_store
from cmip6zarr.store.ledger import Entry
from cmip6zarr.store.ledger_writer import LedgerWriter
from s3.faultproxy import FaultProxy
from s3.reading import keys

pytestmark = pytest.mark.s3

FIRST = {"ledger": 1, "dataset": ID, "recipe": 1, "made_of": "x"}


@pytest.fixture
def url(bucket):
    return f"s3://{bucket}/s.zarr"


def home(url, folder, **settings):
    """Return the home of a store as the campaign sees it whose results are in a folder."""
    return backend.at(url, s3_client.Settings(**settings), Path(folder, "ledger", "d.jsonl"))


def test_put_list_digest_delete(url, tmp_path):
    """An object is there with its bytes and checksum; bytes come in parts; what is deleted is gone."""
    store = home(url, tmp_path)
    made = store.put("tas/c.0", [b"abc", bytes(10), memoryview(b"x")])
    assert made[:2] == store.digest("tas/c.0")
    assert store.list() == {"tas/c.0": 14}
    assert store.md5s() == {"tas/c.0": made.md5}
    with pytest.raises(FileNotFoundError):
        store.digest("tas/c.1")
    store.clear()
    assert (store.list(), store.has("tas/c.0"), store.occupied()) == ({}, False, False)
    store.clear()


def test_a_listing_takes_a_page_for_a_thousand(url, server, tmp_path):
    """2,500 objects are listed with three requests, and deleted with few."""
    store = home(url, tmp_path)
    with store.writing(16) as put:
        for number in range(2500):
            put(f"v/c.{number}", [b"x"], lambda _: None)
    with FaultProxy(server) as proxy:
        proxied = home(url, tmp_path, endpoint_url=proxy.endpoint)
        assert len(proxied.list()) == 2500
        assert proxy.counts() == {"LIST": 3}
        proxied.clear()
        assert proxy.counts()["POST"] <= 3
    assert store.list() == {}


@pytest.mark.parametrize("action", ["truncate_response", "short_response"])
def test_a_listing_that_breaks_off_is_asked_for_again(url, server, tmp_path, action):
    """Twice; then it is an error, and never a store with fewer objects."""
    home(url, tmp_path).put("tas/c.0", [b"x"])
    with FaultProxy(server) as proxy:
        proxied = home(url, tmp_path, endpoint_url=proxy.endpoint)
        proxy.rule(action, "GET", times=2)
        assert proxied.list() == {"tas/c.0": 1}
        assert proxy.counts() == {"LIST": 3}
        proxy.rule(action, "GET")
        with pytest.raises(DatasetError, match="list response") as failure:
            proxied.md5s()
        assert failure.value.kind == "store"


def test_a_deletion_whose_answer_is_lost_is_asked_for_again(url, server, tmp_path):
    """Twice: the objects may be gone already. Then it is an error."""
    store = home(url, tmp_path)
    store.put("tas/c.0", [b"x"])
    with FaultProxy(server) as proxy:
        proxied = home(url, tmp_path, endpoint_url=proxy.endpoint)
        proxy.rule("reset_after", "POST", times=2)
        proxied.delete(["tas/c.0"])
        assert (store.list(), proxy.counts()["POST"]) == ({}, 3)
        proxy.rule("reset_after", "POST")
        with pytest.raises(DatasetError, match="1 objects to delete") as failure:
            proxied.delete(["tas/c.0"])
        assert failure.value.kind == "store"


def test_no_more_uploads_than_were_asked_for(url, server, tmp_path):
    """The bytes that wait are bounded: an upload more waits for one that is done."""
    with FaultProxy(server) as proxy:
        proxy.rule("delay", "PUT", seconds=0.3)
        with home(url, tmp_path, endpoint_url=proxy.endpoint).writing(2) as put:
            start = time.monotonic()
            for number in range(5):
                put(f"v/c.{number}", [b"x"], lambda _: None)
            assert time.monotonic() - start > 0.55  # two rounds of two are done when the fifth begins


def test_upload_that_fails_is_raised(url, server, tmp_path):
    """An upload that fails in its own thread is not lost: no line of the ledger, and an error that names the object."""
    noted = []
    with (
        FaultProxy(server) as proxy,
        pytest.raises(DatasetError, match=r"AccessDenied.*s\.zarr/v/c\.1") as error,
        home(url, tmp_path, endpoint_url=proxy.endpoint).writing(2) as put,
    ):
        proxy.rule("403", "PUT", r"c\.1$")
        for number in range(3):
            put(f"v/c.{number}", [b"x"], lambda _, number=number: noted.append(number))
    assert error.value.kind == "store"
    assert 1 not in noted


def test_second_campaign_is_told(url, tmp_path):
    """A store that another campaign is writing is busy, until it is sealed; the same campaign goes on."""
    one, other = (home(url, tmp_path / name) for name in ("one", "other"))
    with LedgerWriter(one) as book:
        book.begin(FIRST)
        book.add(Entry("v/c.0", "v", *one.put("v/c.0", [b"x"]), raw_xxh3="r"))
    with pytest.raises(DatasetError, match=r"one.* is writing this store") as error, LedgerWriter(other):
        pass
    assert error.value.kind == "busy"
    with LedgerWriter(one) as book:
        assert list(book.begin(FIRST)) == ["v/c.0"]
        book.complete()
        one.put("zarr.json.unsealed", [b"{}"])
    zarr_store.seal(one, 3)
    with LedgerWriter(other) as book:  # knows from the store what the first has written
        assert list(book.begin(FIRST)) == ["v/c.0"]
    with pytest.raises(DatasetError, match=r"other.* is writing"):
        zarr_store.seal(one, 3)


def test_stopped_writer_changes_nothing_more(url, tmp_path, monkeypatch):
    """Its claim was deleted, and another campaign has the store: each of its changes is refused."""
    one, other = (home(url, tmp_path / name) for name in ("one", "other"))
    with LedgerWriter(one) as book:
        book.begin(FIRST)
        one.put("v/c.0", [b"one"])
        obstore.delete(one._outside, [f"{one.name}.writer.json"])
        with LedgerWriter(other) as theirs:
            theirs.begin(FIRST)
            other.put("v/c.0", [b"other"])
            other.put("zarr.json.unsealed", [b"{}"])
            changes = [lambda: one.delete(["v/c.0"]), lambda: one.put("v/c.0", [b"one"]), one.clear]
            changes += [lambda: one.write_beside(".provenance.json", "{}"), lambda: one.rename("v/c.0", "v/c.1")]
            monkeypatch.setattr(ledger_writer, "CLAIM_SECONDS", 0)
            for change in changes:
                with pytest.raises(DatasetError, match=r"other.* is writing this store") as error:
                    change()
                assert error.value.kind == "busy"
            monkeypatch.undo()
            for now in (book.complete, lambda: zarr_store.seal(one, 3), one.release):  # whenever it was asked before
                with pytest.raises(DatasetError, match=r"other.* is writing this store"):
                    now()
            theirs.complete()
            zarr_store.seal(other, 3)
        with pytest.raises(DatasetError, match="expected this campaign's own"):
            zarr_store.seal(one, 3)
    assert (other.read("v/c.0"), other.list()) == (b"other", {"v/c.0": 5, "zarr.json": 2})


def test_claim_is_asked_for_seldom(url, tmp_path, server):
    """Of a hundred objects in a moment each takes one request; the claim is asked for a few times in all."""
    with FaultProxy(server) as proxy, LedgerWriter(home(url, tmp_path, endpoint_url=proxy.endpoint)) as book:
        before = proxy.counts()
        for number in range(100):
            book.store.put(f"v/c.{number}", [b"x"])
        after = proxy.counts()
        assert after["PUT"] - before["PUT"] == 100
        assert after["GET"] - before["GET"] <= 3


def test_writers_of_one_moment(url, tmp_path):
    """Of campaigns that begin at once, on a store that knows If-None-Match, one gets the store."""
    homes = [home(url, tmp_path / str(number)) for number in range(8)]
    taken, refused = [], []

    def take_it(one):
        try:
            one.claim()
            taken.append(one)
        except DatasetError as error:
            refused.append(error.kind)

    threads = [Thread(target=take_it, args=(one,)) for one in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), refused) == (1, ["busy"] * 7)


def test_writer_that_lost_the_store_does_not_seal(url, tmp_path, bucket, server):
    """Where a second writer came through, on a store without If-None-Match, the first finds out before it seals."""
    take(make_dataset(tmp_path), tmp_path)
    assert run_convert(tmp_path, url) == 0
    theirs = json.dumps({"results": "/elsewhere", "host": "h", "since": "now", "token": "t"})
    server.client.put_object(Bucket=bucket, Key="s.zarr.writer.json", Body=theirs.encode())
    assert run_verify(tmp_path) == 1
    assert receipts.read(tmp_path, "failed", ID)["class"] == "busy"
    assert not zarr_store.is_sealed(url)


def test_what_is_not_ours_stays(url, tmp_path, bucket, server):
    """Objects at the place of a store without our provenance beside them are an error, and stay."""
    server.client.put_object(Bucket=bucket, Key="s.zarr/precious", Body=b"data")
    take(make_dataset(tmp_path), tmp_path)
    assert run_convert(tmp_path, url) == 1
    assert receipts.read(tmp_path, "failed", ID)["class"] == "store"
    assert keys(server, bucket) == {"s.zarr/precious": 4}


WRONG = {
    "bucket": (lambda _: None, "s3://no-such-bucket/s.zarr", "NoSuchBucket", "Make the bucket"),
    "port": (lambda env: env.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), None, "Connection refused", "endpoint"),
    "host": (
        lambda env: env.setenv("AWS_ENDPOINT_URL", "http://no.such.host.invalid"),
        None,
        "dns|lookup address",
        "endpoint",
    ),
    "key": (lambda env: env.setenv("AWS_ACCESS_KEY_ID", "NOSUCHKEY"), None, "InvalidAccessKeyId", "credentials"),
    "secret": (
        lambda env: env.setenv("AWS_SECRET_ACCESS_KEY", "wrong" * 8),
        None,
        "SignatureDoesNotMatch",
        "credentials",
    ),
    "none": (lambda env: env.delenv("AWS_ACCESS_KEY_ID"), None, "found no credentials", "AWS_ACCESS_KEY_ID"),
    "profile": (lambda env: env.setenv("AWS_PROFILE", "nobody"), None, r"profile \(nobody\)", "s3.profile"),
}


def tells(secret: str, folder: Path, stdout: str, stderr: str) -> list[str]:
    """Return what tells a secret: streams of a command, and files in a folder."""
    texts = {"stdout": stdout, "stderr": stderr}
    texts |= {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
    return [name for name, text in texts.items() if secret in text]


def test_secret_that_is_told_is_found(tmp_path):
    """In a stream or in a file of any folder."""
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "x.json").write_text('{"message": "key wrong"}')
    assert tells("wrong", tmp_path, "all is well", "wrong!") == ["stderr", "x.json"]


@pytest.mark.parametrize(("spoil", "place", "said", "remedy"), WRONG.values(), ids=WRONG)
def test_wrong_access_is_one_clear_error(url, tmp_path, monkeypatch, spoil, place, said, remedy):
    """What is wrong with endpoint, bucket or keys is said within half a minute, before any data is read."""
    spoil(monkeypatch)
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    assert len(secret) == 40
    script = Path(verify.__file__).with_name("convert.py")
    command = [sys.executable, script, ID, "--results", tmp_path, "--store", place or url]
    start = time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert time.monotonic() - start < 30
    record = receipts.read(tmp_path, "failed", ID)  # there is no inventory: it has not come that far
    assert (done.returncode, record["class"]) == (1, "store")
    assert re.search(said, record["message"])
    assert remedy in record["remedy"]
    assert tells(secret, tmp_path, done.stdout, done.stderr) == []


def test_credentials_that_expire(url, tmp_path, server):
    """A token that ends while data are written fails with class store; the next run goes on."""
    take(make_dataset(tmp_path), tmp_path)
    with FaultProxy(server) as proxy:
        proxy.rule("expired", "PUT", "/tas/")
        assert run_convert(tmp_path, url, "--s3", json.dumps({"endpoint_url": proxy.endpoint})) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["class"], "ExpiredToken" in record["message"]) == ("store", True)
    assert run_convert(tmp_path, url) == 0
    assert run_verify(tmp_path) == 0


def test_profile_of_the_users_files(url, tmp_path, server, monkeypatch, bucket):
    """Keys and endpoint come from a profile in ~/.aws where the environment has none; and anonymous needs none."""
    keys_of = server.keys["writer"]
    (tmp_path / "credentials").write_text(
        f"[mine]\naws_access_key_id={keys_of['accessKey']}\naws_secret_access_key={keys_of['secretKey']}\n"
    )
    (tmp_path / "config").write_text(f"[profile mine]\nendpoint_url={server.endpoint}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    s3_client._session.cache_clear()
    take(make_dataset(tmp_path), tmp_path)
    option = ["--s3", json.dumps({"profile": "mine"})]
    assert run_convert(tmp_path, url, *option) == 0
    assert run_verify(tmp_path, *option) == 0
    assert size_report.main([ID, "--results", str(tmp_path), *option]) == 0
    nobody = home(url, tmp_path, endpoint_url=server.endpoint, anonymous=True)
    with pytest.raises(DatasetError, match="AccessDenied"):
        nobody.list()
    assert bucket in str(nobody)
