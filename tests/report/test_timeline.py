"""What ran when: at work are as many datasets as the receipts say, and no time is lost."""

import numpy as np
import polars as pl
import pytest

from cmip6zarr.campaign import finished
from cmip6zarr.report.timeline import PARTS, extent, timeline

SECOND_NS = 10**9


def table(*rows):
    """Return the table of datasets of which (end of convert, its seconds, end of verify, its seconds) are given."""
    columns = ("convert_mtime_ns", "convert_seconds", "verify_mtime_ns", "verify_seconds")
    rows = [dict.fromkeys(finished.REPORTED) | dict(zip(columns, row, strict=True)) for row in rows]
    return pl.DataFrame(rows, finished.REPORTED)


def test_work_is_where_it_was():
    """Two datasets convert side by side, nothing happens for a while, then both are verified one after another."""
    night = 100 * SECOND_NS
    course = timeline(
        table(
            (10 * SECOND_NS, 10.0, night + 10 * SECOND_NS, 10.0), (10 * SECOND_NS, 10.0, night + 20 * SECOND_NS, 10.0)
        )
    )
    assert extent(course) == (0, pytest.approx(120))
    step = course["step"] / 1000
    assert np.sum(course["convert"]) * step == pytest.approx(20, abs=0.1)
    assert np.sum(course["verify"]) * step == pytest.approx(20, abs=0.1)
    assert course["convert"][0] == 2
    assert (course["convert"][PARTS // 2], course["verify"][PARTS // 2]) == (0, 0)
    assert course["verify"][-1] == 1
    assert (course["done"][0], course["done"][-1]) == (0, 2)


def test_seconds_that_are_not_known_count_for_none():
    """A convert that was resumed does not say how long it took."""
    course = timeline(table((10 * SECOND_NS, None, 20 * SECOND_NS, 5.0)))
    assert set(course["convert"]) == {0}


def test_no_course_without_time():
    """Before anything is verified, and where all is of one moment, there is nothing to draw."""
    assert timeline(table()) is None
    assert timeline(table((SECOND_NS, None, SECOND_NS, None))) is None
    assert extent(None) is None
