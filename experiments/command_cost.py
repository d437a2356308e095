"""Run commands and measure them: seconds, CPU seconds, memory and threads, of a command and of what it starts.

Imports nothing large: the memory of a child process is counted from that of its parent.
"""

import contextlib
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parent
SAMPLE_SECONDS = 0.005
# Parts of the names of shared libraries that bring threads with them.
THREADED = re.compile(r"openblas|libmkl|libgomp|libiomp|libomp|Accelerate|numexpr|blosc", re.IGNORECASE)


@dataclass(frozen=True)
class Case:
    """A command, what it writes (removed before it starts), the cores it may use, what its environment has beyond ours.

    A variable that is None there is taken away.
    """

    command: list
    written: Path | None = None
    cores: int | None = None
    environment: dict = field(default_factory=dict)


def run(case: Case, *, sample: bool = False, may_fail: bool = False) -> dict:
    """Run a command and return what it took.

    `wall_s`, `cpu_s` (with that of the processes it waited for), `rss_mib` (peak), `exit`; `said`, the last line of its
    output if that is JSON. With `sample`, every SAMPLE_SECONDS, also the most `threads` and `processes` at a time, and
    the `libraries` of threads that it loaded; where there were several processes, `rss_mib` is the largest sum of their
    proportional set sizes. Raises SystemExit if it fails, unless it may.
    """
    if case.written:
        shutil.rmtree(case.written, ignore_errors=True)
    os.sync()
    allowed = os.sched_getaffinity(0)
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        os.sched_setaffinity(0, sorted(allowed)[: case.cores])  # a child inherits them
        try:
            environment = {k: v for k, v in (os.environ | case.environment).items() if v is not None}
            process = subprocess.Popen(
                [str(word) for word in case.command],
                stdout=output,
                stderr=subprocess.DEVNULL if may_fail else None,
                env=environment,
            )
        finally:
            os.sched_setaffinity(0, allowed)
        sampler = Sampler(process.pid) if sample else None
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        lines = output.read().splitlines()
    if process.returncode and not may_fail:
        raise SystemExit(f"{case.command} failed with {process.returncode}")
    figure = {
        "wall_s": round(wall, 3),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "rss_mib": round(usage.ru_maxrss / 1024, 1),
        "exit": process.returncode,
    }
    if sampler:
        figure |= sampler.end()
        figure["rss_mib"] = max(figure["rss_mib"], round(figure.pop("pss_mib"), 1))
    if lines and lines[-1].startswith("{"):
        figure["said"] = json.loads(lines[-1])
    return figure


def interleave(cases: dict[str, Case], rounds: int, *, warm: bool = True, **how) -> dict[str, list[dict]]:
    """Run all cases in turn, round after round, so that a machine whose speed drifts slows all of them.

    Returns the figures of each. With `warm` there is one round more, the first, which is not counted: it warms caches.
    `how` is that of `run`.
    """
    figures: dict[str, list[dict]] = {name: [] for name in cases}
    for number in range(1 - warm, rounds + 1):
        for name, case in cases.items():
            figure = run(case, **how)
            if number:
                figures[name].append(figure)
        print(f"  round {number} of {rounds}", file=sys.stderr)
    return figures


def median(runs: list[dict], key: str) -> float:
    """Return the median of one figure over the rounds that did not fail; NaN if all did."""
    values = [run[key] for run in runs if not run["exit"]]
    return statistics.median(values) if values else math.nan


def said(runs: list[dict], key: str) -> list:
    """Return what the command itself said of one thing, for each round that did not fail."""
    return [run["said"][key] for run in runs if not run["exit"]]


class Sampler(threading.Thread):
    """Watches a process and what it starts, until told to end."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.most_threads, self.most_processes, self.most_pss_kib, self.libraries = 0, 0, 0, set()
        self.start()

    def run(self):
        count = 0
        while not self.over.wait(SAMPLE_SECONDS):
            # A process may be gone by the time it is looked at.
            with contextlib.suppress(OSError):
                family = tree(self.pid)
                threads = sum(1 for pid in family for _ in Path(f"/proc/{pid}/task").iterdir())
                self.most_threads = max(self.most_threads, threads)
                self.most_processes = max(self.most_processes, len(family))
                if len(family) > 1:
                    self.most_pss_kib = max(self.most_pss_kib, sum(map(pss_kib, family)))
                if count % 20 == 0:
                    mapped = Path(f"/proc/{self.pid}/maps").read_text()
                    names = {Path(line.split(maxsplit=5)[-1]).name for line in mapped.splitlines() if "/" in line}
                    self.libraries |= {match[0].lower() for name in names if (match := THREADED.search(name))}
            count += 1

    def end(self) -> dict:
        """Stop, and return what was seen."""
        self.over.set()
        self.join()
        return {
            "threads": self.most_threads,
            "processes": self.most_processes,
            "pss_mib": self.most_pss_kib / 1024,
            "libraries": sorted(self.libraries),
        }


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for task in tasks for child in Path(task, "children").read_text().split()]
    return [pid, *(below for child in children for below in tree(child))]


def pss_kib(pid: int) -> int:
    """Return the proportional set size of a process: memory that several share is shared out among them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])
