"""Time as numbers: what they count, and exact conversions from one way to count to another.

Nothing here goes through datetime64, which ends in 2262 and knows one calendar.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

# CF conventions 1.11, section 4.4.1: names of one calendar.
ALIASES = {"gregorian": "standard", "365_day": "noleap", "366_day": "all_leap", "none": "standard", "": "standard"}
# These two have the same dates from 1582-10-15 on.
GREGORIAN = {"standard", "proleptic_gregorian"}
# What cftime knows, in microseconds.
MICROSECONDS: dict[str, int] = {
    **dict.fromkeys(("day", "days", "d"), 86_400_000_000),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3_600_000_000),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60_000_000),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 1_000_000),
    **dict.fromkeys(("millisecond", "milliseconds", "millisec", "millisecs", "msec", "msecs", "ms"), 1000),
    **dict.fromkeys(("microsecond", "microseconds", "microsec", "microsecs"), 1),
}
# Units that have a fixed length, and are known to cftime or xarray, in some calendars only.
CALENDAR_MICROSECONDS: dict[str, dict[str, int | Fraction]] = {
    "360_day": dict.fromkeys(("month", "months"), 30 * MICROSECONDS["day"]),
    "noleap": dict.fromkeys(("common_year", "common_years"), 365 * MICROSECONDS["day"]),
    **dict.fromkeys(GREGORIAN, dict.fromkeys(("nanosecond", "nanoseconds"), Fraction(1, 1000))),
}
UNITS = re.compile(r"\s*(\w+)\s+since\s+(\S.*?)\s*", re.IGNORECASE)
# A date without a day, or without month and day; xarray takes the first, in GREGORIAN and within datetime64.
NO_DAY = re.compile(r"(\d+)(?:-(\d{1,2}))?")
NO_DAY_YEARS = range(1678, 2263)
# Instants are counted from here, where the calendars of GREGORIAN agree.
EPOCH = (2000, 1, 1)


@dataclass(frozen=True)
class Clock:
    """What stored numbers count: `number * scale + offset` in `units` (`<unit> since <date>`) of a calendar.

    `calendar` is its one name, as `calendar_name` returns it; `scale` and `offset` are those of packed numbers.
    """

    units: str
    calendar: str
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)

    def line(self) -> tuple[Fraction, Fraction]:
        """Return (a, b): `a * number + b` are microseconds since EPOCH; raises ValueError if the units mean nothing."""
        unit, reference = parse_units(self.units, self.calendar)
        return self.scale * unit, self.offset * unit + reference


@dataclass(frozen=True)
class TimeConversion:
    """What turns a number in one time unit into the same moment in another: `number * scale + offset`, exactly."""

    scale: Fraction
    offset: Fraction

    def __bool__(self) -> bool:
        return self.scale != 1 or self.offset != 0

    @property
    def inverse(self) -> "TimeConversion":
        """The conversion that undoes this one."""
        return TimeConversion(1 / self.scale, -self.offset / self.scale)


UNCHANGED = TimeConversion(Fraction(1), Fraction(0))


def is_time_units(units: object) -> bool:
    """Tell whether an attribute's value reads as `<unit> since <date>`.

    >>> is_time_units("days since 1850-01-01"), is_time_units("days"), is_time_units(1.0)
    (True, False, False)
    """
    return isinstance(units, str) and UNITS.fullmatch(units) is not None


def calendar_name(calendar: str) -> str:
    """Return the one name that CF's aliases of a calendar share; an empty one is `standard`.

    >>> calendar_name("365_day"), calendar_name("Gregorian"), calendar_name("")
    ('noleap', 'standard', 'standard')
    """
    name = calendar.strip().lower()
    return ALIASES.get(name, name)


def parse_units(units: str, calendar: str) -> tuple[int | Fraction, int]:
    """Return (microseconds in the unit, those from EPOCH to the reference date) of time units in a calendar.

    Raises ValueError for a unit of no fixed length, and a date that the calendar does not have.
    """
    import cftime

    match = UNITS.fullmatch(units)
    lengths: dict[str, int | Fraction] = {**MICROSECONDS, **CALENDAR_MICROSECONDS.get(calendar, {})}
    if not match or match[1].lower() not in lengths:
        known = ", ".join(sorted(name for name in lengths if name.endswith("s") and len(name) > 4))
        raise ValueError(f"time units {units!r} are none of {known} since a date of the calendar {calendar!r}")
    try:
        reference = cftime.num2date(0, f"microseconds since {whole_date(match[2], calendar)}", calendar)
        apart = reference - cftime.datetime(*EPOCH, calendar=calendar)  # a timedelta: whole microseconds
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"time units {units!r} are since no date of the calendar {calendar!r}: {error}") from error
    return lengths[match[1].lower()], (apart.days * 86400 + apart.seconds) * 1_000_000 + apart.microseconds


def whole_date(text: str, calendar: str) -> str:
    """Return a reference date with month and day; raises ValueError for one without, where xarray reads none either.

    >>> whole_date("2008", "standard"), whole_date("2008-02-01 12:00", "noleap")
    ('2008-01-01', '2008-02-01 12:00')
    """
    match = NO_DAY.fullmatch(text)
    if not match:
        return text
    if calendar not in GREGORIAN or int(match[1]) not in NO_DAY_YEARS:
        lacking = "no day" if match[2] else "no month and no day"
        raise ValueError(
            f"the reference date {text!r} has {lacking}, which xarray reads as the first in the calendars "
            f"{sorted(GREGORIAN)} from {NO_DAY_YEARS[0]} to {NO_DAY_YEARS[-1]} only"
        )
    return f"{match[1]}-{match[2] or '01'}-01"


def conversion_between(clock: Clock, to: Clock) -> TimeConversion:
    """Return the exact conversion of stored numbers from one clock to another.

    Raises ValueError for units of no fixed length, and for calendars that have not the same dates: those of GREGORIAN
    have, from 1582-10-15 on, which the caller checks.

    >>> conversion_between(Clock("days since 1970-01-01", "noleap"), Clock("days since 1850-1-1", "noleap")).offset
    Fraction(43800, 1)
    """
    if clock == to:
        return UNCHANGED
    if clock.calendar != to.calendar and not {clock.calendar, to.calendar} <= GREGORIAN:
        raise ValueError(f"the calendars {clock.calendar!r} and {to.calendar!r} have not the same dates")
    (factor, start), (to_factor, to_start) = clock.line(), to.line()
    return TimeConversion(Fraction(factor) / to_factor, Fraction(start - to_start) / to_factor)


def convert(
    values: np.ndarray, by: TimeConversion, keep: Collection[Any] = (), dtype: DTypeLike | None = None
) -> tuple[np.ndarray, Fraction]:
    """Return `values` converted, as `dtype` (None: their own), and the largest rounding error (0: all are exact).

    NaN, infinities and the fill values in `keep` stay as they are. Raises OverflowError if a number does not fit.
    """
    converted, worst = values.astype(dtype or values.dtype), Fraction(0)
    flat, integers = converted.reshape(-1), np.issubdtype(converted.dtype, np.integer)
    for i, value in enumerate(values.reshape(-1)):
        if value in keep or not np.isfinite(value):
            continue
        exact = Fraction(value.item()) * by.scale + by.offset
        flat[i] = round(exact) if integers else float(exact)
        worst = max(worst, abs(Fraction(flat[i].item()) - exact))
    return converted, worst


def days_of(values: np.ndarray, clock: Clock) -> np.ndarray:
    """Return stored times as float64 days since EPOCH: for order and gaps only, never stored."""
    factor, start = (Fraction(part) / MICROSECONDS["day"] for part in clock.line())
    return values.astype("f8") * float(factor) + float(start)


def date(days: float, calendar: str) -> str:
    """Return a count of days since EPOCH as a date."""
    return str(dates(np.asarray(days), calendar).item().strftime("%Y-%m-%d %H:%M"))


def dates(days: np.ndarray, calendar: str) -> np.ndarray:
    """Return counts of days since EPOCH as dates of cftime."""
    import cftime

    return np.asarray(cftime.num2date(days, "days since {:04d}-{:02d}-{:02d}".format(*EPOCH), calendar))
