"""The course of a run: which datasets have come to an end and how, and what is at work, told by its jobs."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cmip6zarr.campaign import findings
from cmip6zarr.job import due, failures, receipts
from cmip6zarr.job.receipts import Results

DONE = {"audit": "sound", "publish": "published"}
"""Rule -> the state of a dataset of which it was the last; after any other it is `verified`."""


@dataclass(frozen=True)
class Job:
    """A job: rule, the datasets that it is about, its log, and whether a failure of it now is its last."""

    rule: str
    datasets: tuple[str, ...]
    log: str
    is_last_try: Callable[[], bool]


@dataclass(frozen=True)
class Ended:
    """A dataset that has come to an end: its state, and why where it was refused or has failed."""

    dataset: str
    state: str
    reason: str = ""


class Course:
    """Counts what becomes of the datasets of `jobs`, which have ids; `clock` counts seconds."""

    def __init__(self, jobs: Mapping[int, Job], results: Results, clock: Callable[[], float] = time.monotonic) -> None:
        self.jobs, self._results, self._clock = jobs, results, clock
        self._open = Counter(name for job in jobs.values() for name in job.datasets)
        self.total, self.states = len(self._open), Counter[str]()
        self.at_work: dict[int, Job] = {}
        self._start, self._jobs_done, self._jobs_left = clock(), 0, len(jobs)

    @property
    def done(self) -> int:
        """How many datasets have come to an end."""
        return self.total - len(self._open)

    def begin(self, job: int) -> None:
        """A job is at work."""
        self.at_work[job] = self.jobs[job]

    def finish(self, job: int) -> list[Ended]:
        """A job has done its work; return the datasets of which it was the last."""
        self.at_work.pop(job, None)
        self._jobs_done, self._jobs_left = self._jobs_done + 1, self._jobs_left - 1
        last = []
        for name in self.jobs[job].datasets:
            if name in self._open:
                self._open[name] -= 1
                last += [name] if not self._open[name] else []
        return [self._end(name, job) for name in last]

    def fail(self, job: int) -> list[Ended]:
        """A job has failed; return the datasets that have come to an end, unless it is tried again."""
        failed = self.at_work.pop(job, None) or self.jobs[job]
        ended = []
        for name in failed.datasets:
            record = receipts.find(self._results, "failed", name)
            if name not in self._open or not (failed.is_last_try() or due.is_answered(failed.rule, record, 2)):
                continue
            is_sealed = receipts.path_of(self._results, "size_report", name).is_file()
            # Of a bundle that was killed most datasets wait.
            if record or is_sealed or len(failed.datasets) == 1:
                self._jobs_left -= self._open[name]
                ended.append(self._end(name, job, lost=not (record or is_sealed)))
        return ended

    def seconds_left(self) -> float | None:
        """Return how long it will take if all jobs take what those did that are done; None before the first."""
        if not self._jobs_done:
            return None
        return (self._clock() - self._start) / self._jobs_done * max(0, self._jobs_left)

    def _end(self, name: str, job: int, lost: bool = False) -> Ended:
        del self._open[name]
        ended = self._ended(name, self.jobs[job], lost)
        self.states[ended.state] += 1
        return ended

    def _ended(self, name: str, job: Job, lost: bool) -> Ended:
        if record := receipts.find(self._results, "failed", name):
            return Ended(name, "refused" if record["class"] == "refused" else "failed", failures.told(record))
        if lost:
            return Ended(name, "failed", f"{job.rule} has ended without a word -> See {job.log}, then run again.")
        state = DONE.get(job.rule, findings.VERIFIED)
        has_findings = receipts.path_of(self._results, findings.FOLDER, name).is_file()
        return Ended(name, findings.WITH_FINDINGS if state == findings.VERIFIED and has_findings else state)
