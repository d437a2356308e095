"""How far a script is: a bar on a terminal, a plain line each minute in a log.

The line is the same in both. tqdm would write its bar into logs too, and its import is 4 % of a small dataset's CPU.
"""

import shutil
import sys
import time
from collections.abc import Callable
from threading import Lock
from typing import Self, TextIO

from cmip6zarr.core.chunks import MIB

REDRAW_SECONDS, LOG_SECONDS = 0.2, 60
BAR, LEAST_BAR = 24, 8  # characters


class Progress:
    """Bytes before compression that are done, of `total_bytes`; use as a context manager, from any thread.

    Tells them on `stream` (stderr): each 0.2 s where that is a terminal, else each minute. `clock` counts seconds.
    """

    def __init__(
        self,
        what: str,
        total_bytes: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what, self.total_bytes = what, total_bytes
        self._stream, self._clock = stream or sys.stderr, clock
        self._terminal = self._stream.isatty()
        self._lock, self._kept_bytes, self._done_bytes = Lock(), 0, 0

    def __enter__(self) -> Self:
        self._start = self._told = self._clock()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._terminal:
            print(self._drawn() if kind else self._drawn("done"), file=self._stream, flush=True)
        elif not kind and self._told > self._start:
            print(self.line("done"), file=self._stream, flush=True)

    def keep(self, bytes_: int) -> None:
        """Count what is there already: it is done, and says nothing of the speed."""
        with self._lock:
            self._kept_bytes += bytes_

    def add(self, bytes_: int) -> None:
        """Count what was done, and tell how far it is if it is time to."""
        with self._lock:
            self._done_bytes += bytes_
            now = self._clock()
            if now - self._told < (REDRAW_SECONDS if self._terminal else LOG_SECONDS):
                return
            self._told = now
            if self._terminal:
                print(self._drawn(), end="", file=self._stream, flush=True)
            else:
                print(self.line(), file=self._stream, flush=True)

    def line(self, end: str = "") -> str:
        """Return how far it is, MiB in a second since the start, and how long it will take if that stays."""
        seconds = self._clock() - self._start
        there = min(self._kept_bytes + self._done_bytes, self.total_bytes)
        rate = self._done_bytes / seconds if seconds else 0
        left = f"{duration((self.total_bytes - there) / rate)} left" if rate else "? left"
        of = f"{there / MIB:.0f} of {self.total_bytes / MIB:.0f} MiB"
        return f"{self.what}: {self._percent():3d}%  {of}  {rate / MIB:.1f} MiB/s  {end or left}"

    def _percent(self) -> int:
        return min(100, 100 * (self._kept_bytes + self._done_bytes) // max(1, self.total_bytes))

    def _drawn(self, end: str = "") -> str:
        """Return the line with a bar, where the terminal has room for one, which takes the place of the one before."""
        line = self.line(end)
        width = min(BAR, shutil.get_terminal_size().columns - len(line) - 3)
        return rewritten(f"{line}  {bar(self._percent(), width)}" if width >= LEAST_BAR else line)


def bar(percent: float, width: int) -> str:
    """Return a bar of so many characters.

    >>> bar(50, 6)
    '███░░░'
    """
    full = int(width * percent // 100)
    return "█" * full + "░" * (width - full)


def rewritten(line: str) -> str:
    """Return what a terminal is told so that a line, cut to its width, takes the place of the one before."""
    return f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}"


def duration(seconds: float) -> str:
    """Return a time as hours, minutes and seconds.

    >>> duration(59.6), duration(3725)
    ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
