"""Which steps follow one another, and how many are missing between two."""

import cftime
import numpy as np
import pytest

from cmip6zarr.source import steps


def days(dates, calendar):
    return cftime.date2num([cftime.datetime(*d, calendar=calendar) for d in dates], "days since 2000-01-01", calendar)


@pytest.mark.parametrize(
    ("declared", "days", "expected"),
    [
        pytest.param("mon", [0, 31, 59, 90], "mon", id="mon"),
        pytest.param("mon", [0, 1, 2, 3], "day", id="daily-declared-mon"),
        pytest.param("day", [0, 0.25, 0.5], "6hr", id="6hr-declared-day"),
        pytest.param("", [0, 1 / 8, 2 / 8], "3hr", id="undeclared-3hr"),
        pytest.param("", np.arange(5) / 24, "1hr", id="undeclared-1hr"),
        pytest.param("yr", [0, 365, 730], "yr", id="yr"),
        pytest.param("dec", [0, 3652, 7305], "dec", id="dec"),
        pytest.param("", [0, 365, 730], None, id="undeclared-yr"),
        pytest.param("subhrPt", np.arange(4) / 48, None, id="half-hours"),
        pytest.param("monPt", [0, 31], "mon", id="two-steps-believe-the-file"),
        pytest.param("3hrPt", [0], "3hr", id="one-step"),
        pytest.param("fx", [0], None, id="unknown-word"),
        pytest.param("1hrCM", np.arange(24) / 24, None, id="diurnal-climatology"),
        pytest.param("monC", [15, 45, 75], None, id="climatology"),
        pytest.param("", [0, 31], None, id="nothing-known"),
    ],
)
def test_frequency_is_what_most_steps_say(declared, days, expected):
    """The median step is believed where it is a known one; the file's word only where there are too few steps."""
    assert steps.frequency_of(declared, np.asarray(days, "f8")) == expected


@pytest.mark.parametrize(
    ("frequency", "calendar", "dates", "expected"),
    [
        ("mon", "noleap", [(1850, 1, 16), (1850, 2, 15), (1850, 3, 16)], [0, 0]),
        ("mon", "360_day", [(1850, 11, 16), (1850, 12, 16), (1851, 1, 16)], [0, 0]),
        ("mon", "360_day", [(0, 12, 16), (1, 1, 16)], [0]),  # year 0
        ("mon", "standard", [(2262, 3, 16), (2262, 5, 16)], [1]),  # where datetime64 ends
        ("mon", "standard", [(1850, 1, 16), (1850, 1, 31), (1850, 2, 1)], ["between", 0]),
        ("mon", "noleap", [(1850, 1, 1), (1850, 1, 31, 10), (1850, 3, 2, 20)], [0, 0]),  # evenly spaced
        ("mon", "noleap", [(1850, 1, 31), (1850, 3, 1, 1), (1850, 3, 31, 23)], [0, 0]),  # rounded ends of months
        ("mon", "noleap", [(1850, 1, 31), (1850, 1, 31), (1850, 1, 1)], ["repeated"] * 2),
        ("mon", "noleap", [(1850, 1, 31), (1850, 4, 1)], [2]),
        ("yr", "noleap", [(1850, 7, 2), (1851, 7, 2), (1853, 7, 2)], [0, 1]),
        ("yr", "standard", [(1852, 1, 1), (1852, 12, 31), (1853, 12, 31)], [0, 0]),  # evenly spaced
        ("dec", "noleap", [(1850, 7, 2), (1860, 7, 2), (1890, 7, 2)], [0, 2]),
        ("day", "noleap", [(1852, 2, 28), (1852, 3, 1)], [0]),
        ("day", "standard", [(1852, 2, 28), (1852, 3, 1)], [1]),  # 1852 is a leap year
        ("day", "standard", [(1582, 10, 4), (1582, 10, 15)], [0]),  # the Gregorian reform
        ("day", "360_day", [(1850, 2, 30), (1850, 3, 1), (1850, 3, 1)], [0, "repeated"]),
        ("day", "noleap", [(1850, 1, 1, 12), (1850, 1, 2), (1850, 1, 3, 12)], ["between", "between"]),
        ("day", "noleap", [(1850, 1, 1, 12), (1850, 1, 4)], [1]),  # one at least
        ("6hr", "julian", [(1900, 2, 28, 18), (1900, 2, 29, 0), (1900, 2, 29, 18)], [0, 2]),
        (None, "noleap", [(1850, 1, 1), (1850, 1, 1, 1), (1853, 1, 1), (1853, 1, 1)], [0, 0, "repeated"]),
        (None, "noleap", [(1853, 1, 1), (1852, 1, 1)], ["repeated"]),
    ],
)
def test_step_follows_repeats_or_leaves_some_out(frequency, calendar, dates, expected):
    """A step follows (0), leaves out a number of steps, is not later (repeated), or is neither next nor after a gap."""
    distances = steps.steps_between(days(dates, calendar), frequency, calendar)
    missing = steps.missing_of(distances).tolist()
    for i in range(len(distances)):
        missing[i] = "between" if steps.is_between(distances)[i] else missing[i] if distances[i] > 0 else "repeated"
    assert missing == expected
