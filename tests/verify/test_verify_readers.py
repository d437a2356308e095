"""Processes that read source files ahead give what one process reads, and end with it."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from builders import make_dataset
from chain import ID, run_convert, run_verify, take
from spoil import damage

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.verify import header, proof
from cmip6zarr.verify.readers import SLOTS, Readers
from cmip6zarr.verify.source import Source

STEPS = 12


def sources(tmp_path, **how):
    """Return the sources of two files of twelve steps."""
    paths = make_dataset(tmp_path, files=2, steps=STEPS, lat=16, lon=32, **how)
    return [Source(header.read(str(path))) for path in paths]


def regions(length):
    """Return regions of so many steps each, which together are a file."""
    return [(slice(i, min(i + length, STEPS)), slice(0, 16), slice(0, 32)) for i in range(0, STEPS, length)]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("length", [1, 5, STEPS])
def test_blocks_come_in_order_and_whole(tmp_path, count, length):
    """However many processes read, and however many blocks there are, each block is that of its region."""
    files = sources(tmp_path)
    with Readers(files, count, 2**20) as readers:
        for number in (0, 1, 0):
            found = [block.copy() for block in readers.read(number, "tas", regions(length))]
            expected = [files[number].read("tas", region) for region in regions(length)]
            assert [block.tobytes() for block in found] == [block.tobytes() for block in expected]
            files[number].close()


def test_what_is_larger_than_a_block_is_read_here(tmp_path):
    """A region that has no room in the shared memory is read all the same."""
    files = sources(tmp_path)
    with Readers(files, 1, block_bytes=100) as readers:
        (found,) = readers.read(0, "tas", regions(STEPS))
    assert found.tobytes() == files[0].read("tas", regions(STEPS)[0]).tobytes()


def test_file_that_cannot_be_read_is_named(tmp_path):
    """What goes wrong in a process is the error that this one raises."""
    files = sources(tmp_path)
    damage(Path(files[0].header.path), "tas")
    with Readers(files, 2, 2**20) as readers, pytest.raises(DatasetError) as error:
        list(readers.read(0, "tas", regions(1)))
    assert (error.value.kind, files[0].header.path in error.value.message) == ("source", True)


def test_process_that_is_killed_is_an_error_and_no_wait(tmp_path):
    """A process that the system ends while it is asked is said to have ended."""
    with Readers(sources(tmp_path), 1, 2**20) as readers:
        blocks = readers.read(0, "tas", regions(1))
        next(blocks)
        os.kill(readers._processes[0]._process.pid, signal.SIGKILL)
        with pytest.raises(DatasetError, match="exit code -9") as error:
            for _ in range(SLOTS + STEPS):
                next(blocks)
    assert error.value.kind == "killed"


def test_processes_end_with_the_one_that_asks(tmp_path):
    """None is left behind by a process that is killed."""
    files = sources(tmp_path)
    told, tell = os.pipe()
    parent = os.fork()
    if not parent:
        with Readers(files, 2, 2**20) as readers:
            os.write(tell, " ".join(str(each._process.pid) for each in readers._processes).encode())
            signal.pause()
    pids = list(map(int, os.read(told, 100).split()))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    for _ in range(100):
        alive = [pid for pid in pids if is_running(pid)]
        if not alive:
            break
        time.sleep(0.05)
    assert len(pids) == 2
    assert not alive


def is_running(pid):
    """Tell whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_verify_in_processes_finds_what_differs(tmp_path, monkeypatch):
    """A store is proven as by one process, and one value that differs is named by its index."""
    monkeypatch.setattr(proof, "LEAST_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    paths = make_dataset(tmp_path, files=2, steps=STEPS)
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_verify(tmp_path, "--threads", "3") == 0
    alone = receipts.read(tmp_path, "verify", ID)["values_compared"]
    assert run_verify(tmp_path) == 0
    assert receipts.read(tmp_path, "verify", ID)["values_compared"] == alone
    seen = proof.compare_variable

    def changed(part, memory_bytes, tally, progress, sums):
        real = part.readers.read

        def other(number, name, regions):
            for block in real(number, name, regions):
                yield np.where(np.arange(block.size).reshape(block.shape) == 7, 0, block).astype(block.dtype)

        monkeypatch.setattr(part.readers, "read", other)
        try:
            return seen(part, memory_bytes, tally, progress, sums)
        finally:
            monkeypatch.setattr(part.readers, "read", real)

    monkeypatch.setattr(proof, "compare_variable", changed)
    assert run_verify(tmp_path, "--threads", "3") == 1
    assert "'tas'" in receipts.read(tmp_path, "failed", ID)["message"]
