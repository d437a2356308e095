"""How far a script is, on a terminal and in a log."""

import io

import pytest
from builders import make_dataset
from chain import leave_receipts, run_verify, take, write

from cmip6zarr.core import progress
from cmip6zarr.core.chunks import MIB


class Clock:
    """Seconds that go on only where a test says so."""

    seconds = 100.0

    def __call__(self):
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


def told(stream, work, total_mib=100):
    """Return what is written to a stream while `work` goes on with a progress and a clock."""
    clock = Clock()
    with progress.Progress("convert", total_mib * MIB, stream, clock) as bar:
        work(bar, clock)
    return stream.getvalue()


def ten_mib_a_second(bar, clock, seconds=10):
    for _ in range(seconds * 8):
        clock.seconds += 1 / 8
        bar.add(10 * MIB // 8)


def test_terminal_shows_a_bar_that_grows():
    """On a terminal one line is drawn again, no more than five times a second, and stays in the end."""
    said = told(Terminal(), ten_mib_a_second)
    frames = said.split("\r\x1b[K")[1:]
    assert len(frames) == 41
    assert "convert:  50%  50 of 100 MiB  10.0 MiB/s  0:05 left" in frames[19]
    assert (frames[19].count("█"), frames[-1].count("░")) == (frames[19].count("░"), 0)
    assert frames[-1].startswith("convert: 100%  100 of 100 MiB  10.0 MiB/s  done")
    assert said.count("\n") == 1
    assert said.endswith("\n")


@pytest.mark.parametrize("columns", [20, 60, 100])
def test_bar_fits_the_terminal(monkeypatch, columns):
    """A line never wraps, which would leave its pieces behind."""
    monkeypatch.setenv("COLUMNS", str(columns))
    frames = told(Terminal(), ten_mib_a_second).split("\r\x1b[K")[1:]
    assert max(map(len, (frame.rstrip("\n") for frame in frames))) < columns


def test_log_gets_a_plain_line_each_minute():
    """What is no terminal gets a line each minute, however often something is done, and one in the end."""
    said = told(io.StringIO(), lambda bar, clock: ten_mib_a_second(bar, clock, 150), 1500)
    assert said.splitlines() == [
        "convert:  40%  600 of 1500 MiB  10.0 MiB/s  1:30 left",
        "convert:  80%  1200 of 1500 MiB  10.0 MiB/s  0:30 left",
        "convert: 100%  1500 of 1500 MiB  10.0 MiB/s  done",
    ]


def test_log_of_a_short_work_gets_nothing():
    """Work of less than a minute says nothing: thousands of logs stay as they are."""
    assert told(io.StringIO(), ten_mib_a_second) == ""


def test_what_is_there_already_is_no_speed():
    """What an earlier run has written counts as done, and not as speed."""

    def resumed(bar, clock):
        bar.keep(50 * MIB)
        clock.seconds += 60
        bar.add(6 * MIB)
        assert bar.line() == "convert:  56%  56 of 100 MiB  0.1 MiB/s  7:20 left"

    told(io.StringIO(), resumed)


def test_failure_is_not_called_done():
    """What ended by an error leaves its last line, and no word that it is done."""
    stream = Terminal()

    def broken(bar, clock):
        ten_mib_a_second(bar, clock, 5)
        raise OSError

    with pytest.raises(OSError):
        told(stream, broken)
    assert "done" not in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_nothing_to_do_is_no_division_by_zero():
    """No bytes and no seconds have no speed, and a line nevertheless."""
    lines = []
    told(io.StringIO(), lambda bar, _clock: lines.append(bar.line()), 0)
    assert lines == ["convert:   0%  0 of 0 MiB  0.0 MiB/s  ? left"]


def test_every_byte_is_counted(tmp_path, monkeypatch):
    """Convert and verify count what they do: in the end all of it, and a resumed convert what it finds."""
    made = []

    class Recorded(progress.Progress):
        def __exit__(self, *error):
            super().__exit__(*error)
            made.append((self.what, self._kept_bytes, self._done_bytes, self.total_bytes))

    monkeypatch.setattr("cmip6zarr.convert.writer.Progress", Recorded)
    monkeypatch.setattr("cmip6zarr.verify.proof.Progress", Recorded)
    facts = take(make_dataset(tmp_path / "data"), tmp_path)
    for _ in range(2):
        write(facts, tmp_path / "s.zarr", rule={"time": 1})
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0
    (_, none, done, total), (_, kept, nothing, same), (_, _, compared, expected) = made
    assert (none, done, nothing, kept, same) == (0, total, 0, total, total)
    assert compared == expected > total
