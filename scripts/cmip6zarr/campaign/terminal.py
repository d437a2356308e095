"""What a run says while it runs: on a terminal a line that rewrites itself, in a log a line a dataset.

It stands for Snakemake's own output, some sixty lines a dataset, which `.snakemake/log` keeps. Refusals and failures
have a line of their own, with the reason; errors and warnings are shown as Snakemake has them, also where it was told
to be quiet.
"""

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import TextIO

from cmip6zarr.campaign.course import Course, Ended
from cmip6zarr.campaign.tables import brief
from cmip6zarr.core.progress import bar, duration, rewritten
from cmip6zarr.core.text import printable

BAR = 20  # characters
REDRAW_SECONDS = 1

SHOWN = re.compile(r"Will exit after|Shutting down|Terminating processes")
"""Messages of Snakemake that are shown though they are no warnings."""

HIDDEN = re.compile(r"Assuming unrestricted shared filesystem")
"""A message of Snakemake from before the workflow starts that tells nobody anything."""

OF_COMMAND = re.compile(r"CalledProcessError in file")
"""How Snakemake says that a command has failed, just before it says of which job."""

OF_RUN = re.compile(r"At least one job did not complete|Exiting because a job execution failed")
"""How Snakemake says once more that jobs have failed."""

OF_RULES = re.compile(
    r'WorkflowError in file "[^"\n]*/rules/\w+\.smk", line \d+:\n(.*?)(\n  File "[^"\n]*", line \d+, in .*)?', re.DOTALL
)
"""An error that the rules raise, and what Snakemake puts around it: the message needs no line of a program."""


class Terminal(logging.Handler):
    """Shows Snakemake's messages in place of `plain`, its own handler, from the time when the workflow has started.

    `is_quiet`: no progress is shown. `standing` returns lines about a campaign of which nothing is left to do.
    """

    def __init__(
        self, plain: "logging.StreamHandler[TextIO]", standing: Callable[[], Iterable[str]], is_quiet: bool = False
    ) -> None:
        super().__init__()
        self._plain, self._standing, self._is_quiet = plain, standing, is_quiet
        self._is_terminal = plain.stream.isatty()
        self._course = Course({}, "")
        self._has_started = self._is_drawn = False
        self._is_paused = True
        self._held: list[logging.LogRecord] = []
        self._over = Event()

    def follow(self, course: Course) -> None:
        """Show how a run goes on, from now on."""
        self._course = course
        if self._is_terminal and not self._is_quiet:
            Thread(target=self._redraw, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message of Snakemake, or what follows from it."""
        event = getattr(record, "event", None)
        job = getattr(record, "jobid", getattr(record, "job_id", None))
        if job is not None and job in self._course.jobs:
            self._follow_job(event, job)
        elif event == "workflow_started":
            self._has_started = True
        elif event == "job_info":
            self.pause()  # it prints by itself: the tables
        elif record.levelno >= logging.WARNING:
            self._pass_on(record)
        elif not self._has_started:
            if not HIDDEN.match(record.getMessage()):
                self._plain.handle(record)
        elif SHOWN.match(record.getMessage() or ""):
            self._print(record.getMessage())
        elif "Nothing to be done" in (record.getMessage() or ""):
            for line in (record.getMessage(), *self._standing()):
                self._print(line)

    def pause(self) -> None:
        """Leave the terminal to others, until the next job of a dataset begins."""
        self.acquire()
        self._clear()
        self._is_paused = True
        self.release()

    def close(self) -> None:
        """Take the line away: nothing is shown after it."""
        self._over.set()
        self._clear()
        for record in self._held:
            self._plain.emit(record)
        self._held.clear()
        self._plain.close()
        super().close()

    def _follow_job(self, event: str | None, job: int) -> None:
        if event == "job_info":
            self._course.begin(job)
            self._is_paused = False
            self._draw()
        elif event == "job_finished":
            self._tell(self._course.finish(job))
        elif event == "job_error":
            self._held.clear()
            self._tell(self._course.fail(job))

    def _pass_on(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if of_rules := OF_RULES.fullmatch(message):
            message = f"WorkflowError: {of_rules[1]}"
        if OF_COMMAND.search(message):
            self._held.append(record)
            return
        if (self._course.states["refused"] or self._course.states["failed"]) and OF_RUN.search(message):
            return
        self._clear()
        for one in (*self._held, logging.makeLogRecord(record.__dict__ | {"msg": message, "args": ()})):
            # Not `handle`: its filter drops errors too where Snakemake was told to be quiet.
            self._plain.emit(one)
        self._held.clear()

    def _tell(self, ended: list[Ended]) -> None:
        for number, one in enumerate(ended, self._course.done - len(ended) + 1):
            if one.reason:
                told = f"{one.state}: {one.reason} [{one.dataset}]"
            elif self._is_terminal or self._is_quiet:
                continue
            else:
                told = f"{one.state}: {one.dataset}"
            self._print(told if self._is_terminal else f"{time.strftime('%X')} {number}/{self._course.total} {told}")
        self._draw()

    def _print(self, line: str) -> None:
        self._clear()
        print(printable(line), file=self._plain.stream, flush=True)

    def _draw(self) -> None:
        if self._is_terminal and not self._is_quiet and not self._is_paused:
            print(rewritten(self._line()), end="", file=self._plain.stream, flush=True)
            self._is_drawn = True

    def _clear(self) -> None:
        if self._is_drawn:
            print(rewritten(""), end="", file=self._plain.stream, flush=True)
            self._is_drawn = False

    def _redraw(self) -> None:
        while not self._over.wait(REDRAW_SECONDS):
            self.acquire()
            self._draw()
            self.release()

    def _line(self) -> str:
        """Return how far the run is, in a line."""
        course = self._course
        words = [f"{bar(100 * course.done / max(1, course.total), BAR)} {course.done:,}/{course.total:,}"]
        words += [f"{course.states[state]:,} {state}" for state in ("refused", "failed") if course.states[state]]
        left = course.seconds_left()
        end = [] if left is None else [f"{duration(left)} left"]
        if course.at_work:
            job = next(iter(course.at_work.values()))
            name = brief(job.datasets[0]) if len(job.datasets) == 1 else f"{len(job.datasets)} datasets"
            more = f" +{len(course.at_work) - 1}" if len(course.at_work) > 1 else ""
            room = shutil.get_terminal_size().columns - 1 - len("  ".join(("", *words, job.rule, more, *end))) - 2
            words.append(f"{job.rule} {name if len(name) <= room else name[: max(0, room - 1)] + '…'}{more}")
        return "  ".join(words + end)
