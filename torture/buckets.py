"""A store in a bucket while its server, the network and the credentials fail: proven in spite of it, or failed by name.

The server is a real one; a proxy before it does to requests what the rows say.
"""

import json
import os
import random
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from common import ID, Bench, Outcome
from s3 import reading
from s3.faultproxy import FaultProxy
from s3.server import Server, without_aws

from cmip6zarr.job import receipts
from cmip6zarr.store import ledger, zarr_store

BUCKET = "torture"
PATIENT, HASTY = {"retry_seconds": 120}, {"retry_seconds": 2}
IMPATIENT = PATIENT | {"timeout_seconds": 2}
CONVERT = 90  # requests of it; verify makes three times as many

STORMS = {
    "503 SlowDown, a request of ten": (PATIENT, [("503", None, "", {"every": 10})]),
    "503 SlowDown, 20 in a row": (PATIENT, [("503", None, "", {"times": 20, "after": 50})]),
    "500 and 429": (PATIENT, [("500", None, "", {"every": 23}), ("429", None, "", {"every": 19})]),
    "connections reset, before and after": (
        PATIENT,
        [("reset_before", None, "", {"every": 23}), ("reset_after", None, "", {"every": 19})],
    ),
    "uploads cut off": (PATIENT, [("truncate_request", "PUT", "", {"every": 7})]),
    "uploads with a flipped bit": (PATIENT, [("corrupt_request", "PUT", "/tas/c", {"every": 6})]),
    "answers cut off": (PATIENT, [("truncate_response", "GET", "", {"every": 17})]),
    "answers with a flipped bit": (PATIENT, [("corrupt_response", "GET", "/tas/c", {"every": 13})]),
    "answers after 3 s, where a request may take 2": (IMPATIENT, [("delay", None, "", {"every": 29, "seconds": 3})]),
    "answers dripping for 1 s": (PATIENT, [("drip", "GET", "", {"every": 10, "seconds": 1})]),
    "uploads acknowledged and not kept": (PATIENT, [("swallow", "PUT", "/tas/c", {"every": 13})]),
    "404 for what is there": (PATIENT, [("404", "GET", "/tas/c", {"every": 13})]),
}
"""What is done to requests: settings of the workflow, and the rules of the proxy."""

ENDINGS = {
    "credentials expire": ("expired", "PUT", "/tas/c"),
    "access denied from some moment on": ("403", None, "/tas/c"),
    "a store that fails for good": ("500", None, "/tas/c"),
}
"""What goes on until somebody sees to it."""

HUNDREDTH = ("503", "500", "429", "reset_before", "reset_after", "truncate_request", "truncate_response")


class BucketBench(Bench):
    """A bench whose store is in a bucket, asked through the proxy; each round has a store of its own."""

    def __init__(self, folder: Path, server: Server, proxy: FaultProxy, steps: int = 30):
        super().__init__(folder, steps, 36, 72)
        self.server, self.proxy, self.settings, self.rounds = server, proxy, PATIENT, 0

    def command(self, rule: str, *options) -> list[str]:
        """Return the command line of a rule's script."""
        if rule != "inventory":
            options = (*options, "--s3", json.dumps(self.settings | {"endpoint_url": self.proxy.endpoint}))
        return super().command(rule, *options)

    def forget(self) -> None:
        """Begin a round: another store, no receipt but that of the inventory, no fault."""
        self.proxy.reset()
        self.rounds += 1
        self.store = f"s3://{BUCKET}/{self.folder.name}/{self.rounds}.zarr"
        for folder in ("convert", "verify", "failed", "ledger"):
            shutil.rmtree(self.results / folder, ignore_errors=True)

    def noted(self) -> set[str]:
        """Return the keys of the chunks that the ledger of the store has, which is a file until it is sealed."""
        path = self.results / "ledger" / f"{ID}.jsonl"
        return (
            {key for key in ledger.parse(path.read_bytes())[1] if zarr_store.is_chunk(key)} if path.exists() else set()
        )

    def equal(self) -> bool:
        """Tell whether the sealed store, read without the proxy and without our code, is what the files hold."""
        try:
            reading.compare(self.store, self.paths)
        except AssertionError:
            return False
        return True


class Ordeal(Outcome):
    """A row of rounds, in each of which a store is converted and verified while something is wrong."""

    through, failed, kept = 0, 0, 0

    def go(self, bench: BucketBench, calm: Callable[[], None] | None = None) -> None:
        """Convert and verify, then `calm` what is wrong; if that failed, convert and verify again.

        Whatever it is: a store is sealed if it was proven, and then it is right. Else the class is `store`, or `chunks`
        for an object that is not what convert has written, and the message has a key or the store; no object is written
        again that is in the ledger and in the store; and in the end the store is proven.
        """
        done = next((done for rule in ("convert", "verify") if (done := bench.run(rule)).returncode), None)
        self.count += bench.proxy.faults().total()
        bench.proxy.reset()
        if calm:
            calm()
        sealed = zarr_store.is_sealed(bench.store)
        self.promise(sealed == (done is None), f"sealed: {sealed}; {done and done.stderr[-500:]}")
        self.promise(not sealed or bench.equal(), "a wrong store is sealed")
        if done is None:
            self.through += 1
            return
        self.failed += 1
        kind, message = (bench.failed().get(key, "") for key in ("class", "message"))
        self.promise(kind in ("store", "chunks"), f"class {kind}: {done.stderr[-500:]}")
        named = re.search(rf"{re.escape(bench.store)}|'\w+/[\w.]+'", message)
        self.promise(bool(named), f"nothing named: {message}")
        self.promise(os.environ["AWS_SECRET_ACCESS_KEY"] not in done.stderr + message, "a secret is told")
        noted = len(bench.noted())
        done = bench.run("convert")
        self.promise(done.returncode == 0, f"did not go on: {done.stderr[-500:]}")
        kept = receipts.read(bench.results, "convert", ID)["resumed_shards"] if not done.returncode else 0
        self.promise(kept == noted or kind == "chunks", f"{kept} objects kept of {noted}")
        self.kept += kept
        done = bench.run("verify")
        self.promise(done.returncode == 0 and bench.equal(), f"not proven in the end: {done.stderr[-500:]}")

    def end(self) -> Outcome:
        """Return itself, with words for what came of it."""
        words = [f"{self.through} stores proven all the same"] * bool(self.through)
        words += [f"{self.failed} runs failed by name, the next kept {self.kept} objects"] * bool(self.failed)
        self.said = "; ".join(words)
        return self


def storm(bench: BucketBench, name: str, rounds: int) -> Outcome:
    """Convert and verify in one of the STORMS."""
    told = Ordeal(f"S3: {name}")
    bench.settings, rules = STORMS[name]
    for _ in range(rounds):
        bench.forget()
        for action, method, path, options in rules:
            bench.proxy.rule(action, method, path, **options)
        told.go(bench)
    told.promise(told.count >= rounds, f"{told.count} faults in {rounds} rounds")
    return told.end()


def ending(bench: BucketBench, name: str, rounds: int) -> Outcome:
    """Convert and verify until one of the ENDINGS comes, at a random moment."""
    told, chance = Ordeal(f"S3: {name}"), random.Random(6)
    bench.settings = HASTY
    for _ in range(rounds):
        bench.forget()
        bench.proxy.rule(*ENDINGS[name], after=chance.randrange(25))
        told.go(bench)
    told.promise(told.failed == rounds, f"{told.through} of {rounds} runs did not fail")
    return told.end()


def one_of_hundred(bench: BucketBench, rounds: int) -> Outcome:
    """Let one of 100 requests fail, another way each time, for whole conversions."""
    told = Ordeal("S3: one request of 100 fails, in seven ways")
    bench.settings = PATIENT
    for _ in range(rounds):
        bench.forget()
        for number, action in enumerate(HUNDREDTH):
            bench.proxy.rule(action, every=100 * len(HUNDREDTH), after=100 * number)
        told.go(bench)
    told.promise(told.through == rounds, f"{told.failed} of {rounds} runs failed")
    return told.end()


def kill_server(bench: BucketBench, rounds: int) -> Outcome:
    """Kill the server at a random moment of convert or verify, and start it again at once."""
    told, chance = Ordeal("S3: server killed -9, and started again"), random.Random(7)
    bench.settings = PATIENT
    for _ in range(rounds):
        bench.forget()
        killer = Killer(bench, chance.randrange(2 * CONVERT))
        killer.back.set()
        told.go(bench, killer.join)
        told.count += killer.killed
    return told.end()


def bury_server(bench: BucketBench, rounds: int) -> Outcome:
    """Kill the server, and start it again when the workflow has given up."""
    told, chance = Ordeal("S3: server killed -9, back when the run has failed"), random.Random(8)
    bench.settings = HASTY
    for _ in range(rounds):
        bench.forget()
        killer = Killer(bench, chance.randrange(CONVERT))
        told.go(bench, killer.join)
        told.count += killer.killed
    told.promise(told.failed == told.count, f"{told.failed} runs failed, {told.count} servers killed")
    return told.end()


class Killer(threading.Thread):
    """Kills the server after so many requests, and starts it again when it may be `back`."""

    def __init__(self, bench: BucketBench, requests: int):
        super().__init__(daemon=True)
        self.bench, self.requests = bench, requests
        self.back, self.over, self.killed = threading.Event(), threading.Event(), False
        self.start()

    def run(self):
        while not self.over.wait(0.01) and len(self.bench.proxy.requests) < self.requests:
            pass
        if not self.over.is_set():
            self.bench.server.kill()
            self.killed = True
            self.back.wait()
            self.bench.server.start()

    def join(self, timeout=None):
        """Wait until the server is back."""
        self.over.set()
        self.back.set()
        super().join(timeout)


def tests(server: Server, proxy: FaultProxy, share: float) -> dict[str, Callable[[Path], Outcome]]:
    """Return the rows by their names, as functions of a folder; `share` is that of the full counts."""
    server.make_bucket(BUCKET)
    for name in os.environ.keys() - without_aws(os.environ).keys():
        del os.environ[name]
    os.environ |= server.environment()

    def row(rounds, test, *arguments, steps=30):
        rounds = max(1, round(rounds * share))
        return lambda folder: test(BucketBench(folder, server, proxy, steps), *arguments, rounds)

    rows = {f"s3-storm-{number}": row(3, storm, name) for number, name in enumerate(STORMS)}
    rows |= {f"s3-ending-{number}": row(5, ending, name) for number, name in enumerate(ENDINGS)}
    rows["s3-hundred"] = row(5, one_of_hundred, steps=300)
    rows["s3-killed"] = row(20, kill_server)
    rows["s3-buried"] = row(10, bury_server)
    return rows
