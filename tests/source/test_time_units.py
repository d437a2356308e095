"""Exact conversions between time units, and which steps follow one another."""

from fractions import Fraction

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.source import time_units
from cmip6zarr.source.time_units import Clock, TimeConversion

CALENDARS = ("standard", "proleptic_gregorian", "julian", "noleap", "all_leap", "360_day")
DAYS_TO_HOURS = TimeConversion(Fraction(24), Fraction(0))


def between(units, to_units, calendar):
    return time_units.conversion_between(Clock(units, calendar), Clock(to_units, calendar))


@pytest.mark.parametrize(
    ("calendar", "name"),
    [
        ("gregorian", "standard"),
        ("STANDARD", "standard"),
        (" 365_day ", "noleap"),
        ("366_day", "all_leap"),
        ("proleptic_gregorian", "proleptic_gregorian"),
        ("360_day", "360_day"),
        ("", "standard"),
        ("none", "standard"),
    ],
)
def test_aliases_of_a_calendar_share_one_name(calendar, name):
    """CF's names of one calendar are one, and an empty name is the standard one."""
    assert time_units.calendar_name(calendar) == name


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("days since 1850-1-1", True),
        (" Hours  SINCE 1850-01-01 00:00:00.0 ", True),
        ("months since 1850-01-01", True),
        ("days", False),
        ("since 1850", False),
        ("days since", False),
        (1.0, False),
        (["days since 1850-01-01"], False),
    ],
)
def test_time_units_are_known_by_their_form(units, expected):
    """A text of the form `<unit> since <date>` is a time unit, whether or not the unit has a fixed length."""
    assert time_units.is_time_units(units) is expected


@pytest.mark.parametrize(
    ("units", "to_units", "calendar", "scale", "offset"),
    [
        pytest.param("days since 1850-01-01", "hours since 1850-01-01", "360_day", 24, 0, id="days-hours"),
        pytest.param("hours since 1850-01-01", "days since 1850-01-01", "360_day", Fraction(1, 24), 0, id="hours-days"),
        pytest.param("s since 1970-01-01", "min since 1970-01-01", "standard", Fraction(1, 60), 0, id="s-min"),
        pytest.param("days since 1970-01-01", "days since 1850-1-1 00:00", "noleap", 1, 120 * 365, id="noleap"),
        pytest.param("days since 1970-01-01", "days since 1850-01-01", "360_day", 1, 120 * 360, id="360-day"),
        pytest.param("days since 1970-01-01", "days since 1850-01-01", "standard", 1, 43829, id="standard"),
        pytest.param("days since 1582-10-15", "days since 1582-10-04", "standard", 1, 1, id="gregorian-reform"),
        pytest.param("days since 0400-01-01", "days since 0000-01-01", "noleap", 1, 400 * 365, id="year-0"),
        pytest.param("days since 3000-01-01", "days since 2263-01-01", "360_day", 1, 737 * 360, id="beyond-2262"),
        pytest.param("days since 1850-01-01 12:00", "days since 1850-01-01", "julian", 1, Fraction(1, 2), id="noon"),
        pytest.param(
            "s since 1850-01-01 00:00:00.5", "s since 1850-01-01", "noleap", 1, Fraction(1, 2), id="half-second"
        ),
        pytest.param("days since 1850-1-1", "days since 1850-01-01 00:00:00", "standard", 1, 0, id="spelling"),
        pytest.param("months since 1850-01-01", "months since 1850-01-01", "noleap", 1, 0, id="equal-needs-no-length"),
        pytest.param("ms since 1970-01-01", "s since 1970-01-01", "noleap", Fraction(1, 1000), 0, id="milliseconds"),
        pytest.param("microsecs since 1970-01-01", "ms since 1970-01-01", "julian", Fraction(1, 1000), 0, id="micro"),
        pytest.param("months since 1960-02-01", "days since 1960-01-01", "360_day", 30, 30, id="months"),
        pytest.param("common_years since 1961-01-01", "days since 1960-01-01", "noleap", 365, 365, id="common-years"),
        pytest.param("days since 2008", "days since 2008-1-2", "standard", 1, -1, id="no-month"),
        pytest.param("days since 2008-02", "days since 2008", "proleptic_gregorian", 1, 31, id="no-day"),
    ],
)
def test_conversion_between_units_is_exact(units, to_units, calendar, scale, offset):
    """The conversion between two units is an exact fraction, of their lengths and reference dates in the calendar."""
    assert between(units, to_units, calendar) == TimeConversion(Fraction(scale), Fraction(offset))


@pytest.mark.parametrize(
    ("units", "calendar", "message"),
    [
        ("months since 1850-01-01", "noleap", "are none of common"),
        ("years since 1850-01-01", "noleap", "are none of common"),
        ("K", "noleap", "are none of common"),
        ("days since 0000-01-01", "standard", "zero"),  # the standard calendar has no year 0
        ("days since 1850-02-30", "noleap", "day"),
        ("days since 1850-01-01", "lunar", "calendar"),
        ("milliseconds since 1850-13-01", "noleap", "no date|month"),
        ("months since 1850-01-01", "standard", "since a date of the calendar 'standard'"),
        ("common_years since 1850-01-01", "360_day", "since a date of the calendar '360_day'"),
        ("nanoseconds since 1850-01-01", "360_day", "since a date of the calendar '360_day'"),
        ("days since 2008", "360_day", "the reference date '2008' has no month and no day"),
        ("days since 2008-01", "noleap", "the reference date '2008-01' has no day"),
        ("days since 1600", "standard", "the reference date '1600' has no month and no day"),
        ("days since 1\x88\x99\x99\x991", "noleap", "no date of the calendar 'noleap'"),  # of a damaged header
    ],
)
def test_units_without_fixed_length_or_date_are_refused(units, calendar, message):
    """Months, years, dates that are none and unknown calendars raise ValueError and say which."""
    with pytest.raises(ValueError, match=message):
        between(units, "days since 1850-01-02", calendar)


def test_calendars_with_the_same_dates_move():
    """A standard reference date before 1582-10-15 is ten days and more from the proleptic one of that name."""
    clocks = [Clock("days since 1582-10-01", calendar) for calendar in ("standard", "proleptic_gregorian")]
    assert time_units.conversion_between(*clocks) == TimeConversion(Fraction(1), Fraction(10))
    with pytest.raises(ValueError, match="have not the same dates"):
        time_units.conversion_between(clocks[0], Clock("days since 1582-10-01", "noleap"))


def test_packed_numbers_move_as_they_are_stored():
    """The scale and the offset of packed numbers are part of the conversion, exactly."""
    packed = Clock("days since 1850-01-21", "noleap", Fraction(5, 2), Fraction(1))
    to = Clock("days since 1850-01-01", "noleap", Fraction(5, 2), Fraction(1))
    assert time_units.conversion_between(packed, to) == TimeConversion(Fraction(1), Fraction(8))
    assert time_units.conversion_between(packed, Clock("hours since 1850-01-01", "noleap")) == TimeConversion(
        Fraction(60), Fraction(504)
    )


@pytest.mark.parametrize("units", sorted(time_units.MICROSECONDS))
def test_units_have_the_length_that_cftime_knows(units):
    """A unit is as long as it is for cftime."""
    number = 3 * 86_400_000_000 // time_units.MICROSECONDS[units]
    assert cftime.num2date(number, f"{units} since 2000-01-01", "noleap") == cftime.DatetimeNoLeap(2000, 1, 4)


def test_only_a_move_that_changes_numbers_is_true():
    """The identity is false, so that what need not be converted is not."""
    assert not between("days since 1850-1-1", "days since 1850-01-01", "noleap")
    assert TimeConversion(Fraction(1), Fraction(1))
    assert TimeConversion(Fraction(2), Fraction(0))


@given(
    st.sampled_from(CALENDARS),
    st.sampled_from(["days", "hours", "minutes", "seconds"]),
    st.sampled_from(["days", "hours", "minutes", "seconds"]),
    st.tuples(st.integers(1, 4000), st.integers(1, 12), st.integers(1, 28)),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=5),
)
def test_moved_numbers_are_the_same_dates(calendar, unit, to_unit, reference, numbers):
    """Whatever the calendar and the units, cftime reads the converted numbers as the dates that they were."""
    units = f"{unit} since {'{:04d}-{:02d}-{:02d}'.format(*reference)}"
    to_units = f"{to_unit} since 1850-01-01"
    by = between(units, to_units, calendar)
    exact = [Fraction(n) * by.scale + by.offset for n in numbers]
    to_seconds = between(to_units, "seconds since 1850-01-01", calendar)
    seconds = [int(number * to_seconds.scale) for number in exact]
    expected = cftime.num2date(numbers, units, calendar)
    assert (cftime.num2date(seconds, "seconds since 1850-01-01", calendar) == expected).all()


@given(st.lists(st.integers(-(2**26), 2**26), max_size=5), st.sampled_from(["i4", "i8", "f8", ">f8"]))
def test_move_there_and_back_changes_nothing(numbers, dtype):
    """Days converted to hours and back are the same bits, without error, and keep their dtype."""
    values = np.array(numbers, dtype)
    there, error = time_units.convert(values, DAYS_TO_HOURS)
    back, error_back = time_units.convert(there, TimeConversion(Fraction(1, 24), Fraction(0)))
    assert (error, error_back, there.dtype) == (0.0, 0.0, values.dtype)
    assert there.tolist() == [24 * n for n in numbers]
    assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("dtype", "value", "by", "converted", "error"),
    [
        ("i4", 13, TimeConversion(Fraction(1, 24), Fraction(0)), 1, Fraction(11, 24)),
        ("f4", 2**24, TimeConversion(Fraction(1), Fraction(1)), 2**24, 1),
        ("f8", 0.5, TimeConversion(Fraction(1, 3), Fraction(0)), 1 / 6, abs(Fraction(1 / 6) - Fraction(1, 6))),
        ("f8", 0.5, TimeConversion(Fraction(24), Fraction(24)), 36, 0),
    ],
)
def test_rounding_error_of_a_conversion_is_reported(dtype, value, by, converted, error):
    """What does not fit the dtype is rounded to the nearest number, and the largest error is told."""
    values, worst = time_units.convert(np.array([0, value], dtype), by)
    assert values[1] == converted
    assert worst == error


def test_fill_values_and_non_numbers_do_not_move():
    """NaN with its payload, infinities and fill values keep their bits, and the source array is not touched."""
    payload = np.array([0x7FF8_0000_0000_BEEF], "u8").view("f8")
    values = np.array([payload[0], np.inf, -np.inf, 1e20, -999.0, 2.0])
    before = values.tobytes()
    converted, error = time_units.convert(values, DAYS_TO_HOURS, (np.float64(1e20), -999.0))
    assert converted[:5].tobytes() == values[:5].tobytes()
    assert (converted[5], error, values.tobytes()) == (48.0, 0.0, before)


def test_scalars_move_too():
    """A 0-d time, as of a static reference time, is converted and stays 0-d."""
    converted, _ = time_units.convert(np.array(2.5), DAYS_TO_HOURS)
    assert (converted.shape, converted[()]) == ((), 60.0)


@pytest.mark.parametrize(("dtype", "value", "by"), [("i4", 2**30, 24), ("u2", 1, -1), ("i2", 2000, 24)])
def test_integer_that_does_not_fit_raises(dtype, value, by):
    """A converted integer never wraps around."""
    with pytest.raises(OverflowError):
        time_units.convert(np.array([value], dtype), TimeConversion(Fraction(by), Fraction(0)))
