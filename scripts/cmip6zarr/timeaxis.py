"""Time as numbers: exact moves between units, and whether the steps of a dataset follow one another.

Nothing here goes through datetime64, which ends in 2262 and knows one calendar.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

# CF conventions 1.11, section 4.4.1: names of one calendar.
ALIASES = {"gregorian": "standard", "365_day": "noleap", "366_day": "all_leap", "none": "standard", "": "standard"}
# UDUNITS spellings; months and years have no fixed length and so no exact move.
SECONDS = {
    **dict.fromkeys(("day", "days", "d"), 86400),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3600),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 1),
}
UNITS = re.compile(r"\s*(\w+)\s+since\s+(\S.*?)\s*", re.IGNORECASE)
# CMIP6 controlled vocabulary of `frequency`: step in days, or in months.
STEP_DAYS = {"day": 1, "6hr": 1 / 4, "3hr": 1 / 8, "1hr": 1 / 24}
STEP_MONTHS = {"mon": 1, "yr": 12, "dec": 120}


@dataclass(frozen=True)
class Move:
    """What turns a number in one time unit into the same moment in another: `number * scale + offset`, exactly."""

    scale: Fraction
    offset: Fraction

    def __bool__(self):
        return (self.scale, self.offset) != (1, 0)

    @property
    def back(self) -> "Move":
        """The move that undoes this one."""
        return Move(1 / self.scale, -self.offset / self.scale)


def is_time_units(units) -> bool:
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


def parse_units(units: str, calendar: str):
    """Return (seconds in the unit, reference date as cftime) of time units; raises ValueError if they are not known."""
    import cftime

    match = UNITS.fullmatch(units)
    if not match or match[1].lower() not in SECONDS:
        raise ValueError(f"time units {units!r} are not days, hours, minutes or seconds since a date")
    try:
        return SECONDS[match[1].lower()], cftime.num2date(0, f"seconds since {match[2]}", calendar)
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"time units {units!r} are since no date of the calendar {calendar!r}: {error}") from error


def move_between(units: str, to_units: str, calendar: str) -> Move:
    """Return the exact move from `units` to `to_units` in one calendar; raises ValueError for units of no fixed length.

    >>> move_between("days since 1970-01-01", "days since 1850-1-1 00:00", "noleap").offset
    Fraction(43800, 1)
    """
    if units == to_units:
        return Move(Fraction(1), Fraction(0))
    (seconds, reference), (to_seconds, to_reference) = parse_units(units, calendar), parse_units(to_units, calendar)
    apart = reference - to_reference  # a timedelta: whole microseconds
    microseconds = (apart.days * 86400 + apart.seconds) * 1_000_000 + apart.microseconds
    return Move(Fraction(seconds, to_seconds), Fraction(microseconds, to_seconds * 1_000_000))


def move(values: np.ndarray, by: Move, keep=()) -> tuple[np.ndarray, float]:
    """Return `values` moved, in their own dtype, and the largest rounding error (0.0: every number is exact).

    NaN, infinities and the fill values in `keep` stay as they are. Raises OverflowError if an integer does not fit.
    """
    moved, worst = values.copy(), Fraction(0)
    flat, integers = moved.reshape(-1), np.issubdtype(values.dtype, np.integer)
    for i, value in enumerate(values.reshape(-1)):
        if value in keep or not np.isfinite(value):
            continue
        exact = Fraction(value.item()) * by.scale + by.offset
        flat[i] = round(exact) if integers else float(exact)
        worst = max(worst, abs(Fraction(flat[i].item()) - exact))
    return moved, float(worst)


def frequency_of(declared: str, days: np.ndarray) -> str | None:
    """Return the frequency that steps must follow, or None where nothing can be said but that they increase.

    `declared` is the files' `frequency` attribute (`Pt` of instantaneous values is dropped). What most steps in `days`
    (days since anything, one per step, increasing) say is believed where it says otherwise: some daily files declare
    `mon`. Months are 28 to 31 days long.
    """
    if len(days) > 2:
        step = float(np.median(np.diff(days)))
        if 27.5 < step < 31.5:
            return "mon"
        for name, length in STEP_DAYS.items():
            if abs(step / length - 1) < 0.01:
                return name
    name = declared.removesuffix("Pt")
    return name if name in STEP_DAYS or name in STEP_MONTHS else None


def step_errors(days: np.ndarray, frequency: str | None, calendar: str) -> np.ndarray:
    """Return for each step but the first how far it is from following the one before: 0 right, >0 gap, <=-1 overlap.

    `days` are days since 0001-01-01 in `calendar`. The figure counts the steps left out (positive) or repeated
    (negative); for an unknown frequency only the order is judged.
    """
    steps = np.diff(days)
    if frequency in STEP_MONTHS:
        import cftime

        dates = cftime.num2date(days, "days since 0001-01-01", calendar)
        months = np.array([date.year * 12 + date.month for date in dates])
        return np.rint(np.diff(months) / STEP_MONTHS[frequency]).astype(int) - 1
    if frequency in STEP_DAYS:
        return np.rint(steps / STEP_DAYS[frequency]).astype(int) - 1
    return np.where(steps > 0, 0, -1)


def date(days: float, calendar: str) -> str:
    """Return a day count since 0001-01-01 as a date."""
    import cftime

    return cftime.num2date(days, "days since 0001-01-01", calendar).strftime("%Y-%m-%d %H:%M")
