"""`make torture`: break the workflow on purpose, and count which promises hold.

Writes torture.md to the work folder, and exits with 1 if a promise was broken. `--share` does a part of the full
counts. Needs Linux, root (it mounts a small tmpfs) and strace.
"""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import buckets
from common import ROOT, Outcome
from copies import NATIVE, STREAMS, flipped_sources
from faults import failing_calls, full_disk, moving_sources, rot, two_runs
from kills import kill_controller, kill_convert, kill_verify
from mutations import inject
from s3.faultproxy import FaultProxy
from s3.server import Server


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "torture", help="folder, emptied first")
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts: 0.05 takes some minutes")
    parser.add_argument("--only", default="", help="the tests whose names begin so, such as s3")
    return parser.parse_args(argv)


def run(tests: dict[str, Callable[[Path], Outcome]], work: Path) -> tuple[list[str], list[str]]:
    """Run tests, each in a folder of its own; return the lines of the table, and the promises that were broken."""
    lines = [
        "| what was done | times | what came of it | broken promises | seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    broken = []
    for name, test in tests.items():
        start = time.perf_counter()
        told = test(work / name)
        spent = time.perf_counter() - start
        lines.append(f"| {told.name} | {told.count} | {told.said} | {len(told.broken)} | {spent:.0f} |")
        print(lines[-1], flush=True)
        broken += [f"{told.name}: {what}" for what in told.broken]
    return lines, broken


def main(argv=None) -> int:
    args = parse(argv)
    shutil.rmtree(args.work, ignore_errors=True)

    def some(count: int) -> int:
        return max(2, round(count * args.share))

    tests = {
        "convert": lambda folder: kill_convert(folder, some(200)),
        "verify": lambda folder: kill_verify(folder, some(40)),
        "controller": lambda folder: kill_controller(folder, some(10)),
        "rot": lambda folder: rot(folder, some(1000)),
        "native-convert": lambda folder: kill_convert(folder, some(200), STREAMS),
        "native-rot": lambda folder: rot(folder, some(1000), NATIVE),
        "native-streams-rot": lambda folder: rot(folder, some(1000), STREAMS),
        "native-sources": lambda folder: flipped_sources(folder, some(200)),
        "disk": full_disk,
        "calls": lambda folder: failing_calls(folder, some(60)),
        "two": lambda folder: two_runs(folder, some(20)),
        "sources": moving_sources,
        "mutations": lambda folder: inject(folder, args.share),
    }
    with Server(args.work / "server") as server, FaultProxy(server) as proxy:
        tests |= buckets.tests(server, proxy, args.share)
        lines, broken = run({name: test for name, test in tests.items() if name.startswith(args.only)}, args.work)
    (args.work / "torture.md").write_text("\n".join([*lines, "", *broken]) + "\n")
    print("\n".join(broken))
    return 1 if broken else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends too
    sys.exit(main())
