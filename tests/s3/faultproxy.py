"""A proxy on loopback that does to requests what networks and bad stores do to them, and counts them.

    with FaultProxy(server) as proxy:
        proxy.rule("503", "PUT", "/tas/c", times=3)
        ...  # with a client of proxy.endpoint
        proxy.counts()["PUT"]

A request is read whole, then the first rule that strikes decides what becomes of it. The host that a client has signed
for is passed on, so that the server finds its signature right.
"""

import hashlib
import math
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

ANSWERS = {
    "503": (503, "SlowDown"),
    "500": (500, "InternalError"),
    "429": (429, "TooManyRequests"),
    "403": (403, "AccessDenied"),
    "404": (404, "NoSuchKey"),
    "expired": (400, "ExpiredToken"),
}
"""Actions that answer in place of the server, which never sees the request: status, code of the error."""

CONDITIONS = ("if-match", "if-none-match")
CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")

ONLY_WITH = {"ignore_conditions": CONDITIONS, "refuse_conditions": CONDITIONS, "refuse_checksums": CHECKSUMS}
"""Actions that strike only requests with a header that begins so."""

ACTIONS = (
    *ANSWERS,
    *ONLY_WITH,  # the server does without the condition; answered 501 NotImplemented
    "reset_before",  # the connection is cut, the server never sees the request
    "reset_after",  # the server has done what it was asked, its answer is lost
    "truncate_request",  # the connection to the server ends in the middle of the upload
    "truncate_response",  # the connection ends in the middle of the answer
    "short_response",  # half of the answer, as if it was all
    "corrupt_request",  # a bit in the middle is flipped
    "corrupt_response",
    "delay",  # the request waits for `seconds`
    "drip",  # the answer takes `seconds`, bit by bit
    "swallow",  # answered as if it was stored, and it is not
)
PIECES = 20  # of an answer that drips
HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "expect")
"""Headers that are a matter of one connection."""


@dataclass
class Rule:
    """What is done to requests of a method (None: any) whose path with query, unquoted, has a match of `path`.

    It lets `after` of them through, then strikes every `every`-th, and `times` in all.
    """

    action: str
    method: str | None
    path: re.Pattern
    times: float
    after: int
    every: int
    seconds: float
    seen: int = 0
    struck: int = 0

    def strikes(self, method: str, path: str, headers) -> bool:
        """Count a request, and tell whether it is struck."""
        if self.method not in (None, method) or not self.path.search(path) or self.struck >= self.times:
            return False
        beginnings = ONLY_WITH.get(self.action)
        if beginnings and not any(name.lower().startswith(beginnings) for name in headers):
            return False
        self.seen += 1
        hit = self.seen > self.after and (self.seen - self.after) % self.every == 0
        self.struck += hit
        return hit


@dataclass
class Request:
    """A request that has come: `operation` is its method, or LIST. Without an answer its status is None."""

    operation: str
    path: str
    action: str | None
    request_bytes: int
    status: int | None = None
    response_bytes: int = 0


@dataclass
class Answer:
    """What goes back to the client."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class Cut(Exception):
    """The connection to the client is to be reset."""


class FaultProxy:
    """The proxy of a `Server`, while `with` lasts; rules may come and go meanwhile."""

    def __init__(self, server):
        self.server, self.rules, self.requests = server, [], []
        self._lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"proxy": self})
        self._http = Listener(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"

    def rule(self, action, method=None, path="", *, times=math.inf, after=0, every=1, seconds=0.0) -> Rule:
        """Add a rule, which comes after those that are there, and return it."""
        if action not in ACTIONS:
            raise ValueError(f"found action {action!r}, expected one of {', '.join(ACTIONS)}")
        rule = Rule(action, method, re.compile(path), times, after, every, seconds)
        with self._lock:
            self.rules.append(rule)
        return rule

    def reset(self) -> None:
        """Forget all rules and requests."""
        with self._lock:
            self.rules.clear()
            self.requests.clear()

    def counts(self) -> Counter:
        """Return how many requests there were of each operation."""
        with self._lock:
            return Counter(request.operation for request in self.requests)

    def faults(self) -> Counter:
        """Return how many requests were struck by each action."""
        with self._lock:
            return Counter(request.action for request in self.requests if request.action)

    def judge(self, method: str, target: str, headers, size: int) -> tuple[Request, Rule | None]:
        """Note a request, and return the rule that strikes it."""
        path = unquote(target)
        operation = "LIST" if method == "GET" and "list-type" in parse_qs(urlsplit(target).query) else method
        with self._lock:
            rule = next((rule for rule in self.rules if rule.strikes(method, path, headers)), None)
            request = Request(operation, path, rule.action if rule else None, size)
            self.requests.append(request)
        return request, rule

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()


class Listener(ThreadingHTTPServer):
    """A thread for each connection; clients that are gone are not worth a word."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_):
        pass


class Handler(BaseHTTPRequestHandler):
    """What is done with each request of a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: FaultProxy

    def log_message(self, *_):
        pass

    def do(self) -> None:
        """Do to the request what its rule says."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request, rule = self.proxy.judge(self.command, self.path, self.headers, len(body))
        try:
            answer = self._answer(rule, body)
            request.status, request.response_bytes = answer.status, len(answer.body)
            self._reply(rule, answer)
        except (Cut, OSError, HTTPException):  # also if the server is dead
            # Closed with a reset, not in order.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do

    def _answer(self, rule: Rule | None, body: bytes) -> Answer:
        """Return the answer to the request: the server's, or what the rule has in its place."""
        match rule.action if rule else None:
            case action if action in ANSWERS:
                return failure(*ANSWERS[action])
            case "refuse_conditions" | "refuse_checksums":
                return failure(501, "NotImplemented")
            case "ignore_conditions":
                _, bucket, key = unquote(urlsplit(self.path).path).split("/", 2)
                told = self.proxy.server.client.put_object(Bucket=bucket, Key=key, Body=body)
                return Answer(200, [("ETag", told["ETag"])])
            case "swallow":
                return Answer(200, [("ETag", f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')])
            case "reset_before":
                raise Cut
            case "truncate_request":
                self._ask(body[: len(body) // 2], len(body))
                raise Cut
            case "reset_after":
                self._ask(body, len(body))
                raise Cut
            case "corrupt_request":
                return self._ask(flip(body), len(body))
            case "delay":
                time.sleep(rule.seconds)
        return self._ask(body, len(body))

    def _ask(self, body: bytes, length: int) -> Answer:
        """Ask the server, with a body that is said to have so many bytes."""
        upstream = HTTPConnection("127.0.0.1", self.proxy.server.ports["s3"], timeout=300)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP:
                    upstream.putheader(name, value)
            if "Content-Length" in self.headers:
                upstream.putheader("Content-Length", str(length))
            upstream.endheaders(body)
            if len(body) < length:
                raise Cut
            got = upstream.getresponse()
            headers = [(name, value) for name, value in got.getheaders() if name.lower() not in HOP]
            if self.command == "HEAD":
                headers.append(("Content-Length", got.getheader("Content-Length", "0")))
            return Answer(got.status, headers, got.read())
        finally:
            upstream.close()

    def _reply(self, rule: Rule | None, answer: Answer) -> None:
        """Send an answer to the client, as the rule says."""
        action, body = rule.action if rule else None, answer.body
        if action == "corrupt_response":
            body = flip(body)
        if action == "short_response":
            body = body[: len(body) // 2]
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if action == "truncate_response":
            body, self.close_connection = body[: len(body) // 2], True
        step = -(-len(body) // PIECES) if action == "drip" else len(body)
        for start in range(0, len(body), step or 1):
            if action == "drip":
                time.sleep(rule.seconds / PIECES)
            self.wfile.write(body[start : start + step])


def failure(status: int, code: str) -> Answer:
    """Return an error as S3 tells it."""
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>by the proxy</Message></Error>'
    return Answer(status, [("Content-Type", "application/xml")], text.encode())


def flip(body: bytes) -> bytes:
    """Flip a bit in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes(byte ^ 0x40 for byte in body[middle : middle + 1]) + body[middle + 1 :]
