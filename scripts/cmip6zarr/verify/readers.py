"""Processes that read source files ahead: the netCDF library reads for one thread of a process at a time."""

import mmap
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from math import prod
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Self

import numpy as np

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.verify.source import Source

Region = tuple[slice, ...]

SLOTS = 2
"""Blocks that a process holds: one that is compared, and the one that it reads meanwhile."""


@dataclass(frozen=True)
class Failure:
    """A DatasetError on its way from one process to another."""

    kind: str
    message: str
    remedy: str


class Readers:
    """`count` processes that read blocks of at most `block_bytes`, in memory shared with this one; a context manager.

    They are forked when it is entered, so that they know the headers: nothing may be at work in other threads then, and
    no file open. Without processes (`count` 0), what is larger than a block, and texts are read in this one.
    """

    def __init__(self, sources: Sequence[Source], count: int = 0, block_bytes: int = 0) -> None:
        self.sources, self.count, self.block_bytes = sources, count, block_bytes
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        self._processes = [Process(self.sources, self.block_bytes) for _ in range(self.count)]
        return self

    def __exit__(self, *_: object) -> None:
        while self._processes:
            self._processes.pop().end()

    def read(self, number: int, name: str, regions: Sequence[Region]) -> Iterator[np.ndarray]:
        """Yield the values of regions of a variable in a file, by its number, as `Source.read` returns them.

        An array is valid until the next one. Raises DatasetError (`source`; `killed` where a process has ended).
        """
        source = self.sources[number]
        dtype = source.dtype(name)
        most_bytes = max((prod(r.stop - r.start for r in region) for region in regions), default=0) * dtype.itemsize
        if not self._processes or dtype == np.dtype(object) or most_bytes > self.block_bytes:
            yield from (source.read(name, region) for region in regions)
            return
        ahead, turn = iter(regions), cycle(self._processes)
        asked: deque[Process] = deque()

        def ask(count: int) -> None:
            for region in islice(ahead, count):
                process = next(turn)
                process.ask(number, name, region)
                asked.append(process)

        ask(SLOTS * len(self._processes))
        while asked:
            yield asked.popleft().answer()
            ask(1)


class Process:
    """A process that reads, and the memory into which it puts what it has read."""

    def __init__(self, sources: Sequence[Source], block_bytes: int) -> None:
        self._memory = mmap.mmap(-1, SLOTS * block_bytes)
        self._block_bytes, self._asked, self._answered = block_bytes, 0, 0
        fork = get_context("fork")
        self._connection, other = fork.Pipe()
        self._process = fork.Process(target=serve, args=(sources, other, self._memory), daemon=True)
        self._process.start()
        other.close()

    def ask(self, number: int, name: str, region: Region) -> None:
        """Let it read a region; at most SLOTS may be asked for and not be done with."""
        with suppress(OSError):  # that it has ended is told by `answer`
            self._connection.send((number, name, region, self._asked % SLOTS * self._block_bytes))
        self._asked += 1

    def answer(self) -> np.ndarray:
        """Return what was asked for first; valid until SLOTS - 1 more are."""
        try:
            told = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            message = f"A process that reads source files has ended with exit code {self._process.exitcode}."
            raise DatasetError("killed", message, "Give the job more memory (memory_mib), then run again.") from None
        if isinstance(told, Failure):
            raise DatasetError(told.kind, told.message, told.remedy)
        offset = self._answered % SLOTS * self._block_bytes
        self._answered += 1
        dtype, shape = told
        return np.frombuffer(self._memory, dtype, int(np.prod(shape)), offset).reshape(shape)

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._connection.close()
        self._process.terminate()
        self._process.join()


def serve(sources: Sequence[Source], connection: Connection, memory: mmap.mmap) -> None:
    """Read what is asked for, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The other ends of pipes, so that this process ends when that one does; and its lock on the store.
    os.closerange(3, connection.fileno())
    os.closerange(connection.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    opened = None
    while True:
        try:
            number, name, region, offset = connection.recv()
        except EOFError:
            return
        if opened not in (None, number):
            sources[opened].close()
        opened = number
        try:
            values = sources[number].read(name, region)
        except DatasetError as error:
            connection.send(Failure(error.kind, error.message, error.remedy))
            continue
        np.frombuffer(memory, values.dtype, values.size, offset).reshape(values.shape)[...] = values
        connection.send((values.dtype.str, values.shape))
