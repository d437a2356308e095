"""Verify's own reading of times, held against xarray and cftime, and against inventory's."""

import time
from datetime import timedelta

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.source import time_conversion
from cmip6zarr.source.attributes import typed
from cmip6zarr.source.headers import Header, Variable
from cmip6zarr.verify import times
from cmip6zarr.verify.times import Clock, clocks, compare

REFORM = np.datetime64("1582-10-15", "us")
DAYS = {"units": "days since 1850-01-01", "calendar": "noleap"}

TIMES = {
    "plain": {"time": DAYS},
    "calendar absent": {"time": {"units": "days since 1850-01-01"}},
    "bounds have nothing": {"time": DAYS | {"bounds": "bnds"}, "bnds": {}},
    "bounds have units alone": {"time": DAYS | {"bounds": "bnds"}, "bnds": {"units": "hours since 1900-01-01"}},
    "bounds have a calendar alone": {"time": DAYS | {"bounds": "bnds"}, "bnds": {"calendar": "360_day"}},
    "bounds of a time without calendar": {
        "time": {"units": "days since 1850-01-01", "bounds": "bnds"},
        "bnds": {"units": "days since 1850-01-01", "calendar": "noleap"},
    },
    "bounds come first": {"bnds": {}, "time": DAYS | {"bounds": "bnds"}},
    "bounds that are absent": {"time": DAYS | {"bounds": "bnds"}},
    "no time": {"tas": {"units": "K"}, "time": DAYS},
    "milliseconds": {"time": {"units": "milliseconds since 2000-01-01", "calendar": "standard"}},
    "months of 30 days": {"time": {"units": "months since 2000-01-01", "calendar": "360_day"}},
    "common years": {"time": {"units": "common_years since 2000-01-01", "calendar": "365_day"}},
    "short date": {"time": {"units": "days since 2008", "calendar": "standard"}},
    "zone": {"time": {"units": "hours since 2000-01-01 12:00 +02:00", "calendar": "standard"}},
    "capitals": {"time": {"units": "Days since 2000-1-1", "calendar": "GREGORIAN"}},
    "packed": {"time": DAYS | {"scale_factor": 0.25, "add_offset": 100.0}},
    "packed unsigned": {"time": DAYS | {"scale_factor": 0.5, "_Unsigned": "true"}},
}
"""Attributes of the variables of a file, each of which xarray decodes. Values: the bytes -3 to 6 if `_Unsigned`."""


def values_of(attributes):
    unsigned = "_Unsigned" in attributes
    return np.arange(-3, 7).astype("i1") if unsigned else np.arange(10)


def decoded(variables):
    """Return {variable: dates} of what xarray decodes as times."""
    data = {name: xr.Variable("x", values_of(own), dict(own)) for name, own in variables.items()}
    opened = xr.decode_cf(xr.Dataset(data), decode_coords=False)
    return {name: v.values for name, v in opened.variables.items() if v.dtype.kind in "OM"}


@pytest.mark.parametrize("name", TIMES)
def test_what_counts_time_and_how_is_as_in_xarray(name):
    """The same variables are times, and the same numbers the same dates, as xarray and cftime decode them."""
    expected, ours = decoded(TIMES[name]), clocks(TIMES[name])
    assert ours.keys() == expected.keys()
    for variable, dates in expected.items():
        clock = ours[variable]
        factor, offset = clock.microseconds()
        numbers = times._items(values_of(TIMES[name][variable]), clock)
        for number, date in zip(numbers.tolist(), dates, strict=True):
            if isinstance(date, np.datetime64):
                later = int((date.astype("M8[us]") - REFORM).astype(int))
                assert number * factor + offset == times.REFORM + later
                continue
            seconds = (date.hour * 60 + date.minute) * 60 + date.second
            instant = date.toordinal() * times.DAY + seconds * 1_000_000 + date.microsecond
            assert number * factor + offset == instant
            assert times.CALENDARS.get(date.calendar, date.calendar) == clock.calendar


def test_capitals_are_no_other_word():
    """cftime reads `Since` as `since`, though xarray does not take it for a time."""
    assert (
        clocks({"time": {"units": "Days Since 1850-01-01"}})["time"].microseconds()
        == Clock("days since 1850-01-01").microseconds()
    )


def test_climatologies_are_bounds_too():
    """A climatology takes units and calendar of its coordinate, as CF says of both and xarray of bounds."""
    assert clocks({"time": DAYS | {"climatology": "clim"}, "clim": {}})["clim"] == Clock(**DAYS)


@pytest.mark.parametrize("name", [name for name in TIMES if name not in ("no time",)])
def test_inventory_takes_the_same_for_times(name):
    """Inventory has code of its own for which variables count time, in what units and calendar; both agree."""
    variables = {
        key: Variable("float64", ["x"], [10], None, [], {k: typed(v) for k, v in own.items()})
        for key, own in TIMES[name].items()
    }
    found = time_conversion.clocks(Header("a.nc", 1, 1, {"x": 10}, [], variables))
    expected = clocks(TIMES[name])
    assert {key: (clock.units, clock.calendar) for key, clock in found.items()} == {
        key: (clock.units, clock.calendar) for key, clock in expected.items()
    }
    # Both count microseconds, from another beginning.
    beginnings = set()
    for key, clock in found.items():
        (factor, offset), (our_factor, our_offset) = clock.line(), expected[key].microseconds()
        assert factor == our_factor
        beginnings.add((clock.calendar, offset - our_offset))
    assert len(beginnings) == len({clock.calendar for clock in found.values()})


def instants(numbers, clock):
    return cftime.num2date(numbers, clock.units, clock.calendar)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("days since 1850-01-01", "days since 1950-01-01"),
        ("hours since 1850-01-01", "days since 1850-01-01"),
        ("milliseconds since 1850-01-01", "microseconds since 1850-01-02"),
        ("seconds since 1850-01-01 00:00:00.25", "minutes since 1850-01-01"),
        ("common_years since 1850-01-01", "days since 1850-01-01"),
    ],
)
@pytest.mark.parametrize("dtype", ["f8", "i8"])
def test_other_units_of_the_same_instants_are_equal(ours, theirs, dtype):
    """What cftime writes of the same dates in two units is equal, and two units later is not."""
    dates = cftime.num2date(np.arange(0, 36500 * 3, 365), "days since 1950-01-01", "noleap")
    one, two = Clock(ours, "noleap"), Clock(theirs, "noleap")
    if "0.25" in ours:
        dates = dates + timedelta(milliseconds=250)
        if dtype == "i8":
            pytest.skip("minutes are no whole numbers then")
    found, expected = (
        np.asarray(cftime.date2num(dates, clock.units, "noleap")).astype(dtype)
        if "common" not in clock.units
        else np.arange(100, 400).astype(dtype)
        for clock in (one, two)
    )
    assert not compare(found, expected, one, two).count
    moved = expected.astype("f8")
    moved[7] += 2
    differences = compare(found, moved, one, two)
    assert differences.count == 1
    [(index, ours_named, theirs_named)] = differences.named
    assert index == (7,)
    assert ours in ours_named and theirs in theirs_named and ours_named[:19] == dates[7].isoformat(" ")[:19]


STEPS = np.arange(20_000) / 8 + 1e5


@pytest.mark.parametrize(
    ("found", "count"),
    [
        pytest.param(STEPS, 0, id="as it is"),
        pytest.param(np.nextafter(STEPS, np.inf), 0, id="1 ulp (1.3 microseconds)"),
        pytest.param(STEPS + 2 * np.spacing(STEPS), STEPS.size, id="2 ulps"),
        pytest.param(STEPS.astype("f4"), 0, id="float32"),
        pytest.param(STEPS.astype("f4") + np.float32(1 / 64), STEPS.size, id="float32, 2 ulps"),
    ],
)
def test_the_limit_is_a_microsecond_or_an_ulp(found, count):
    """Rounding of the last place is the same time; more is not."""
    two = Clock("hours since 1850-01-01", "noleap")
    one = Clock("days since 1850-01-01", "noleap")
    expected = np.arange(20_000) * 3 + 24e5
    assert compare(found, expected, one, two).count == count


def test_a_microsecond_is_allowed_where_numbers_are_finer():
    """Near the reference date an ulp is less than a microsecond."""
    one, two = Clock("days since 1850-01-01"), Clock("microseconds since 1850-01-01")
    expected = np.array([1_000_000])
    for off, count in ((0.9, 0), (1.1, 1)):
        assert compare(np.array([(1_000_000 + off) / times.DAY]), expected, one, two).count == count


def test_packed_times_are_unpacked():
    """A number counts with its scale and offset, exactly."""
    one = Clock.of(DAYS)
    two = Clock.of({"units": "days since 1851-01-01", "calendar": "noleap", "scale_factor": 0.5, "add_offset": 10.0})
    expected = np.arange(10, dtype="i2")
    assert not compare(expected * 0.5 + 375, expected, one, two).count
    assert compare(expected + 365.0, expected, one, two).count == 10
    repacked = Clock.of(DAYS | {"scale_factor": 0.25})
    assert compare(expected, expected, one, repacked).count == 9  # zero is the same


@pytest.mark.parametrize("missing", [np.nan, np.inf, 1e20])
def test_what_is_missing_is_missing_in_both(missing):
    """A fill value stays what it is; a time in its place, or it in place of a time, is a difference."""
    one = Clock.of(DAYS | {"_FillValue": np.float64(1e20)})
    two = Clock.of({"units": "days since 1851-01-01", "calendar": "noleap", "missing_value": np.float32(1e20)})
    expected = np.array([0.0, missing, 2.0])
    assert not compare(np.array([365.0, missing, 367.0]), expected, one, two).count
    assert compare(np.array([365.0, 366.0, 367.0]), expected, one, two).count == 1
    assert compare(np.array([missing, missing, 367.0]), expected, one, two).count == 1
    two = Clock.of({"units": "days since 1851-01-01", "calendar": "noleap", "_FillValue": -1.0})
    assert compare(np.array([1e20, 367.0]), np.array([-1.0, 2.0]), one, two).count == 1


def test_equal_clocks_have_equal_bits():
    """Without other units the sign of zero and the payload of NaN count."""
    clock = Clock.of(DAYS)
    values = np.array([0.0, np.nan, 5.0])
    assert not compare(values.astype(">f8"), values, clock, clock).count
    assert compare(np.array([-0.0, -np.nan, 5.0]), values, clock, clock).count == 2
    assert not compare(np.array([1, 2]), np.array([1, 2], "f4"), clock, clock).count  # another width
    nonsense = Clock("months since 2000-01-01", "noleap")
    assert not compare(values, values, nonsense, nonsense).count
    assert compare(np.array([1.0, 2]), np.array([1, 3], "f4"), nonsense, nonsense).count == 1


def test_proleptic_gregorian_is_standard_since_the_reform():
    """The two have the same dates from 1582-10-15 on, whatever date they count from."""
    dates = [(1582, 10, 15), (1850, 1, 1), (2300, 12, 31)]
    one, two = Clock("days since 0001-01-01"), Clock("hours since 1500-03-01", "proleptic_gregorian")
    numbers = [
        np.array([cftime.date2num(cftime.datetime(*d, calendar=c.calendar), c.units, c.calendar) for d in dates])
        for c in (one, two)
    ]
    assert not compare(*numbers, one, two).count
    before = [
        np.array([cftime.date2num(cftime.datetime(*d, calendar=c.calendar), c.units, c.calendar)])
        for c, d in ((one, (1582, 10, 4)), (two, (1582, 10, 14)))  # one day before the reform
    ]
    assert compare(*before, one, two).count == 1


@pytest.mark.parametrize(
    "other",
    [
        {"units": "days since 1850-01-01", "calendar": "360_day"},
        {"units": "days since 1850-01-01", "calendar": "mayan"},
        {"units": "fortnights since 1850-01-01", "calendar": "noleap"},
        {"units": "days since 1850-02-30", "calendar": "noleap"},
        {"units": "since", "calendar": "noleap"},
        {"units": "days since then", "calendar": "noleap"},
        {"units": "days since 1850-01-01", "calendar": "noleap", "scale_factor": "two"},
        {"units": "days since 1850-01-01", "calendar": "noleap", "add_offset": np.inf},
        {"units": "days since 1850-01-01", "calendar": "noleap", "scale_factor": np.array([1.0, 2.0])},
    ],
)
def test_what_means_another_time_or_none_differs(other):
    """Another calendar, and units that mean no date, are differences that say what was found, and no error."""
    clock, values = Clock.of(other), np.array([1.0, np.nan, 2.0])
    for one, two in ((Clock.of(DAYS), clock), (clock, Clock.of(DAYS))):
        differences = compare(values, values, one, two)
        assert differences.count == 2
        assert any(other["units"] in named and str(other["calendar"]) in named for named in differences.named[0][1:])


def test_only_the_first_differences_are_named():
    """All differences are counted, and a few of them are in words."""
    differences = compare(np.zeros((5, 9)), np.ones((5, 9)), Clock.of(DAYS), Clock.of(DAYS))
    assert (differences.count, len(differences.named), differences.named[9][0]) == (45, times.MOST_NAMED, (1, 0))
    assert compare(np.zeros(3), np.zeros(4), Clock.of(DAYS), Clock.of(DAYS)).count == 4


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_floats_as_integers_are_exact(numbers):
    """Each finite float is its integer over the power of two, to the last bit."""
    from fractions import Fraction

    whole, shift = times._whole(np.array(numbers))
    assert [Fraction(int(w), 2**shift) for w in whole] == [Fraction(number) for number in numbers]


def test_a_million_times_take_seconds():
    """Hourly times of centuries in other units are compared in a few seconds, equal ones at once."""
    hours = np.arange(500_000, dtype="f8")
    began = time.process_time()
    one, two = Clock("days since 1850-01-01", "noleap"), Clock("hours since 1851-01-01", "noleap")
    assert not compare(hours / 24 + 365, hours, one, two).count
    assert not compare(hours, hours, two, two).count
    assert time.process_time() - began < 5
