"""Each action of the proxy does what its name says, to a plain HTTP client and the real server."""

import hashlib
import http.client
import time
from urllib.parse import urlsplit

import botocore.session
import pytest

from s3.faultproxy import ANSWERS, FaultProxy

pytestmark = pytest.mark.s3

OLD, NEW = b"old" * 1000, b"new" * 1000
REFUSED = {"refuse_conditions": {"If-None-Match": "*"}, "refuse_checksums": {"x-amz-checksum-crc32": "AAAAAA=="}}


class Client:
    """A plain client with one connection; what it asks is signed for the server, and sent to the proxy."""

    def __init__(self, server, proxy, bucket):
        self.s3, self.bucket = server.client, bucket
        self.connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=30)

    def ask(self, method, key="key", body=None, headers=()):
        """Return status, headers and body of the answer to a request."""
        url = urlsplit(self.s3.generate_presigned_url(f"{method.lower()}_object", {"Bucket": self.bucket, "Key": key}))
        self.connection.request(method, f"{url.path}?{url.query}", body, {"Host": url.netloc, **dict(headers)})
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def stored(self, key="key"):
        """Return what the server has, asked without the proxy."""
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()


@pytest.fixture
def proxy(server):
    with FaultProxy(server) as proxy:
        yield proxy


@pytest.fixture
def client(server, proxy, bucket):
    client = Client(server, proxy, bucket)
    client.s3.put_object(Bucket=bucket, Key="key", Body=OLD)
    return client


def test_passes_on_what_no_rule_strikes(client, proxy):
    """Requests arrive as they were, answers too, on one connection; they are counted."""
    status, headers, body = client.ask("GET")
    assert (status, body, headers["ETag"]) == (200, OLD, f'"{hashlib.md5(OLD).hexdigest()}"')
    assert client.ask("PUT", body=NEW)[0] == 200
    assert client.stored() == NEW
    status, headers, body = client.ask("HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(NEW)))
    assert client.ask("GET", headers={"Range": "bytes=-10"})[::2] == (206, NEW[-10:])
    assert client.ask("DELETE")[0] == 204
    assert client.ask("GET")[0] == 404
    assert proxy.counts() == {"GET": 3, "PUT": 1, "HEAD": 1, "DELETE": 1}
    assert [request.request_bytes for request in proxy.requests if request.operation == "PUT"] == [len(NEW)]
    assert proxy.requests[0].response_bytes == len(OLD)
    assert not proxy.faults()


def test_signed_client_and_listings(client, proxy, monkeypatch):
    """An S3 client finds nothing strange; its listings are counted as such."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    s3 = botocore.session.Session().create_client("s3")
    s3.put_object(Bucket=client.bucket, Key="a key/ü", Body=NEW)
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=client.bucket)["Contents"]] == ["a key/ü", "key"]
    s3.delete_objects(Bucket=client.bucket, Delete={"Objects": [{"Key": "a key/ü"}]})
    assert proxy.counts() == {"PUT": 1, "LIST": 1, "POST": 1}
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=client.bucket)["Contents"]] == ["key"]


@pytest.mark.parametrize("action", ANSWERS)
def test_answers_instead(client, proxy, action):
    """The server never sees the request; the connection goes on."""
    expected, code = ANSWERS[action]
    for method, body in (("PUT", NEW), ("GET", None), ("HEAD", None)):
        proxy.rule(action, method, "key", times=1)
        status, _, told = client.ask(method, body=body)
        assert status == expected
        assert (f"<Code>{code}</Code>".encode() in told) == (method != "HEAD")
        assert client.stored() == OLD
        assert client.ask(method, body=OLD if body else None)[0] == 200


@pytest.mark.parametrize(("action", "stored"), [("reset_before", OLD), ("reset_after", NEW), ("truncate_request", OLD)])
def test_connection_cut_during_an_upload(client, proxy, action, stored):
    """The client is told nothing; only if the answer alone was lost is the object stored. Never half of it."""
    proxy.rule(action, "PUT", times=1)
    with pytest.raises(ConnectionResetError):
        client.ask("PUT", body=NEW)
    assert client.stored() == stored
    assert proxy.requests[-1].status is None
    client.connection.close()
    assert client.ask("PUT", body=NEW)[0] == 200


def test_answer_cut_off(client, proxy):
    """Half of the body, and less than was announced."""
    proxy.rule("truncate_response", "GET", times=1)
    with pytest.raises(http.client.IncompleteRead) as error:
        client.ask("GET")
    assert error.value.partial == OLD[: len(OLD) // 2]
    client.connection.close()
    assert client.ask("GET")[2] == OLD


def test_answer_short(client, proxy):
    """Half of the body, and no sign of it."""
    proxy.rule("short_response", "GET")
    status, headers, body = client.ask("GET")
    assert (status, body, headers["Content-Length"]) == (200, OLD[: len(OLD) // 2], str(len(OLD) // 2))


def differing_bits(one, other):
    assert len(one) == len(other)
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


def test_bits_flipped(client, proxy):
    """One bit of what is stored, or read, is another one."""
    proxy.rule("corrupt_request", "PUT", times=1)
    assert client.ask("PUT", body=NEW)[0] == 200
    assert differing_bits(client.stored(), NEW) == 1
    proxy.rule("corrupt_response", "GET", times=1)
    assert differing_bits(client.ask("GET")[2], client.stored()) == 1
    assert client.ask("GET")[2] == client.stored()


def test_slow(client, proxy):
    """A request that waits, and an answer that comes bit by bit, are right in the end."""
    proxy.rule("delay", "PUT", seconds=0.5)
    proxy.rule("drip", "GET", seconds=0.5)
    start = time.monotonic()
    assert client.ask("PUT", body=NEW)[0] == 200
    waited = time.monotonic()
    assert client.ask("GET")[2] == NEW
    assert waited - start >= 0.5
    assert time.monotonic() - waited >= 0.5


def test_swallowed(client, proxy):
    """The answer is that of an object that has been stored, ETag and all."""
    proxy.rule("swallow", "PUT")
    status, headers, _ = client.ask("PUT", body=NEW)
    assert (status, headers["ETag"]) == (200, f'"{hashlib.md5(NEW).hexdigest()}"')
    assert client.stored() == OLD


def test_conditions_ignored(client, proxy):
    """A PUT with a condition that does not hold is done; without the rule it is not."""
    assert client.ask("PUT", body=NEW, headers={"If-None-Match": "*"})[0] == 412
    proxy.rule("ignore_conditions")
    status, headers, _ = client.ask("PUT", body=NEW, headers={"If-None-Match": "*"})
    assert (status, headers["ETag"]) == (200, f'"{hashlib.md5(NEW).hexdigest()}"')
    assert client.stored() == NEW


@pytest.mark.parametrize("action", REFUSED)
def test_headers_refused(client, proxy, action):
    """With the header the answer is 501, without it all is as ever."""
    rule = proxy.rule(action)
    status, _, body = client.ask("PUT", body=NEW, headers=REFUSED[action])
    assert status == 501
    assert b"<Code>NotImplemented</Code>" in body
    assert client.stored() == OLD
    assert client.ask("PUT", body=NEW)[0] == 200
    assert (rule.seen, rule.struck) == (1, 1)


def test_which_requests_are_struck(client, proxy):
    """After two, every third of one method and path, no more than so many; the first rule that strikes decides."""
    rule = proxy.rule("503", "GET", "/key", after=2, every=3, times=2)
    proxy.rule("500", "GET", "/other")
    proxy.rule("404", "GET", "/other")
    assert [client.ask("GET")[0] for _ in range(10)] == [200, 200, 200, 200, 503, 200, 200, 503, 200, 200]
    assert client.ask("GET", "other")[0] == 500
    assert client.ask("HEAD")[0] == 200
    assert rule.struck == 2
    assert proxy.faults() == {"503": 2, "500": 1}
    proxy.reset()
    assert client.ask("GET", "other")[0] == 404
    assert proxy.counts() == {"GET": 1}


def test_dead_server(proxy):
    """Where there is no server the connection is cut, as a router does."""
    proxy.server = type("Dead", (), {"ports": {"s3": 9}})
    connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=30)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        connection.request("GET", "/bucket/key")
        connection.getresponse()


def test_unknown_action(proxy):
    """A misspelt rule does not go unnoticed."""
    with pytest.raises(ValueError, match="expected one of 503"):
        proxy.rule("504")
