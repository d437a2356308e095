"""The probe tells stores apart, cleans up, and says in one line why it cannot ask."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from repository import REPOSITORY

import s3_checks
import s3_probe
from s3.faultproxy import FaultProxy

pytestmark = pytest.mark.s3

CHECKS = [check.__name__ for check in s3_checks.CHECKS]
MEASURED = {"listed_within_seconds", "head_ms", "put_mib_per_second", "get_mib_per_second"}
CONDITIONAL = {"conditional_create", "one_wins_race", "conditional_update"}


@pytest.fixture
def proxy(server, bucket, monkeypatch):  # noqa: ARG001
    """A proxy between the environment and the server."""
    with FaultProxy(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


def ask(capsys, *options):
    """Return exit code, JSON and verdict of the probe."""
    code = s3_probe.main([*options])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def left(server, bucket):
    """Return the keys of a bucket, and its unfinished uploads."""
    uploads = server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [found["Key"] for found in server.client.list_objects_v2(Bucket=bucket).get("Contents", [])] + uploads


def differing(found):
    """Return the checks that a store does not pass, with what they found."""
    return {name: found[name] for name in CHECKS if not s3_probe.holds(found[name])}


def test_full_store(capsys, server, bucket, proxy):
    """A store that honours everything: all is true, and what is measured is a number; nothing is left."""
    server.client.put_object(Bucket=bucket, Key="stores/mine", Body=b"kept")
    code, found, said = ask(capsys, f"s3://{bucket}/stores/")
    assert (code, differing(found)) == (0, {})
    assert [*found] == ["url", "endpoint_url", "date", "client", *CHECKS]
    assert found["url"] == f"s3://{bucket}/stores"
    assert {name for name in CHECKS if found[name] is not True} == MEASURED
    assert 0 < found["head_ms"] < 10_000
    assert said.startswith("good for: Zarr stores; shards; ")
    assert "not for" not in said
    assert left(server, bucket) == ["stores/mine"]
    sent = [request for request in proxy.requests if request.operation in ("PUT", "POST", "DELETE")]
    assert sum(request.request_bytes for request in sent) < 20e6
    assert all("/stores/_probe-" in request.path or "?delete" in request.path for request in sent)


def test_store_that_ignores_conditions(capsys, server, bucket, proxy):
    """It is good for stores, but for one writer alone."""
    proxy.rule("ignore_conditions")
    code, found, said = ask(capsys, f"s3://{bucket}")
    assert (code, differing(found)) == (0, dict.fromkeys(CONDITIONAL, False))
    assert "not for:  keeping two campaigns apart (conditional_create: false, one_wins_race: false): let one " in said
    assert left(server, bucket) == []


def test_store_that_answers_501(capsys, server, bucket, proxy):
    """Refused is not ignored; what boto3 and s3fs send by themselves is refused too."""
    proxy.rule("refuse_conditions")
    proxy.rule("refuse_checksums")
    code, found, said = ask(capsys, f"s3://{bucket}/a/b")
    refused = CONDITIONAL | {"crc32_checked", "sha256_checked", "default_upload_stored_right", "bulk_delete"}
    assert (code, differing(found)) == (0, dict.fromkeys(refused, "501 NotImplemented"))
    assert "AWS_REQUEST_CHECKSUM_CALCULATION=when_required" in said
    assert "AWS_DISABLE_BULK_DELETE=true" in said
    assert left(server, bucket) == []


@pytest.mark.parametrize(
    ("rule", "code", "expected"),
    [
        pytest.param(("swallow", "PUT", "small"), 1, {"stored_right": "404 NoSuchKey"}, id="keeps-nothing"),
        pytest.param(("corrupt_request", "PUT", "small"), 1, {"stored_right": False, "etag_is_md5": False}, id="bit"),
        pytest.param(
            ("corrupt_request", "PUT", "usual"), 0, {"default_upload_stored_right": "400 BadDigest"}, id="crc"
        ),
        pytest.param(("swallow", "PUT", "listed/13"), 1, {"listed_within_seconds": False}, id="never-listed"),
        pytest.param(("short_response", "GET", "small$"), 1, {"suffix_range": False}, id="short-range"),
        pytest.param(("short_response", "GET", "parts"), 0, {"multipart_stored_right": False}, id="parts"),
        pytest.param(
            ("swallow", "PUT", "wrong"), 0, {"content_md5_checked": False, "crc32_checked": False}, id="unread"
        ),
        pytest.param(("403", "POST", "uploads"), 0, {"unfinished_uploads_listed": "403 AccessDenied"}, id="no-parts"),
        pytest.param(("403", "POST", "delete"), 0, {"bulk_delete": "403 AccessDenied"}, id="no-bulk"),
    ],
)
def test_every_check_can_fail(capsys, monkeypatch, server, bucket, proxy, rule, code, expected):
    """What a store does wrong is found by the check that is for it; nothing is left behind."""
    monkeypatch.setattr(s3_checks, "PATIENCE_SECONDS", 0.3)
    proxy.rule(*rule)
    done, found, _ = ask(capsys, f"s3://{bucket}/x")
    assert expected.items() <= differing(found).items()
    assert done == code
    assert left(server, bucket) == []


def test_tls(capsys, tls_server, tls_bucket):
    """Over https, where checksums come behind the data, all is as without."""
    code, found, _ = ask(capsys, f"s3://{tls_bucket}/x")
    assert (code, differing(found)) == (0, {})
    assert found["endpoint_url"].startswith("https://")
    assert left(tls_server, tls_bucket) == []


class Page(BaseHTTPRequestHandler):
    """A web server that knows nothing of S3."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html><body>Welcome!")

    def log_message(self, *_):
        pass


@pytest.fixture
def page():
    """The address of a web server."""
    with HTTPServer(("127.0.0.1", 0), Page) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def deaf():
    """The address of one that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def refused(capsys, url, *options):
    """Return what the probe says, in one line, when it cannot ask; it takes less than 30 s and tells no secret."""
    start = time.monotonic()
    code, found, said = ask(capsys, url, *options)
    assert time.monotonic() - start < 30
    assert (code, found) == (1, None)
    assert said.count("\n") == 1
    assert os.environ.get("AWS_SECRET_ACCESS_KEY", "none at all") not in said
    return said


def test_wrong_endpoint(capsys, bucket, page, deaf):
    """Nobody there, nobody who answers, somebody else, no address: the address is named, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for address, why in ((closed, "Could not connect"), (deaf, "timeout"), (page, "as no S3 store does")):
        said = refused(capsys, f"s3://{bucket}/x", "--endpoint-url", address)
        assert why in said
        assert address in said
        assert "--endpoint-url" in said
    assert "nonsense" in refused(capsys, f"s3://{bucket}/x", "--endpoint-url", "nonsense")


def test_wrong_bucket_and_keys(capsys, server, bucket, proxy, monkeypatch):
    """Each is told by the store's own word, with what to do."""
    url = f"s3://{bucket}/x"
    assert "404 NoSuchBucket. Make the bucket" in refused(capsys, "s3://not-there/x")
    for name, value in server.environment("reader").items():
        monkeypatch.setenv(name, value)
    assert "PutObject was answered with 403 AccessDenied. These keys may not" in refused(capsys, url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "403 SignatureDoesNotMatch" in refused(capsys, url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    assert "403 InvalidAccessKeyId" in refused(capsys, url)
    proxy.rule("expired")
    assert "400 ExpiredToken. Get new" in refused(capsys, url, "--endpoint-url", proxy.endpoint)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "found no credentials" in refused(capsys, url)
    assert "nobody" in refused(capsys, url, "--profile", "nobody")
    assert left(server, bucket) == []


@pytest.mark.parametrize("url", ["s3:/bucket/x", "s3://", "s3://Bucket/x", "https://bucket", "bucket/x", "s3://a/b"])
def test_wrong_url(url):
    """Is an error of usage."""
    with pytest.raises(SystemExit) as error:
        s3_probe.main([url])
    assert error.value.code == 2


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_ended_in_between(server, bucket, proxy, end):
    """What is there by then is removed, also if the probe is told to end."""
    proxy.rule("delay", "PUT", "listed/5", seconds=3)
    command = (sys.executable, REPOSITORY / "scripts" / "s3_probe.py", f"s3://{bucket}/x")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        while not any("listed/5" in request.path for request in proxy.requests):
            time.sleep(0.05)
        assert left(server, bucket)
        run.send_signal(end)
        assert run.communicate()[0] == b""
    assert run.returncode == {signal.SIGTERM: 143, signal.SIGINT: -signal.SIGINT}[end]
    assert left(server, bucket) == []


def test_server_dies_in_between(capsys, bucket, proxy, monkeypatch):
    """It says what may be left, and where."""

    def dies(_):
        proxy.rule("reset_before")
        return True

    monkeypatch.setattr(s3_probe, "PATIENT", s3_probe.SOON)
    monkeypatch.setattr(s3_checks, "CHECKS", (s3_checks.stored_right, dies))
    assert f"Delete what is left below s3://{bucket}/x/_probe-" in refused(capsys, f"s3://{bucket}/x")
