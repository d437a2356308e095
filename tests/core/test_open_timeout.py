"""A library that hangs over a file ends the process, with the file's name in the record of failure."""

import multiprocessing
import time

import pytest
from chain import ID

import inventory
from cmip6zarr.core import open_timeout
from cmip6zarr.job import cli, receipts

OPTIONS = ["--digest", "0"]


@pytest.fixture
def told(monkeypatch):
    """Return the list of errors that the watch gives up with."""
    errors = []
    monkeypatch.setattr(open_timeout, "give_up", errors.append)
    return errors


def test_file_that_opens_in_time_is_no_error(told):
    """Nothing is said, then or later."""
    with open_timeout.opening("x.nc", 0.05):
        pass
    time.sleep(0.1)
    assert told == []


def test_file_that_does_not_open_is_told(told):
    """The error has the file and the limit."""
    with open_timeout.opening("x.nc", 0.01):
        time.sleep(0.2)
    (error,) = told
    assert error.kind == "source"
    assert "x.nc: found no answer of the library that opens it within 0.01 s" in error.message


def test_script_that_hangs_ends_with_a_record(tmp_path):
    """The exit code is that of a failure, the class `source`; no receipt and no note of work are left."""
    args = inventory.parse([ID, "--results", str(tmp_path), *OPTIONS])

    def hang():
        with open_timeout.opening("/data/x.nc", 0.05):
            time.sleep(60)

    process = multiprocessing.get_context("fork").Process(target=cli.attempt, args=("inventory", args, hang))
    process.start()
    process.join(20)
    assert process.exitcode == cli.FAILED
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["rule"], record["class"], "/data/x.nc" in record["message"]) == ("inventory", "source", True)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [receipts.path_of(tmp_path, "failed", ID)]
