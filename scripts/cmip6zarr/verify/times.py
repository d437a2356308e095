"""Verify's own comparison of times that are counted in different units: instants as exact rational numbers.

Which variables count time, and in what, follows `xarray.decode_cf`; reference dates are read by cftime.
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np

MOST_NAMED = 10
"""Differences that are spelled out; all are counted."""

# As cftime spells them. Months and years have a length in two calendars only.
MICROSECONDS = {
    **dict.fromkeys(("microsecond", "microseconds", "microsec", "microsecs"), 1),
    **dict.fromkeys(("millisecond", "milliseconds", "millisec", "millisecs", "msec", "msecs", "ms"), 1_000),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 1_000_000),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60_000_000),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3_600_000_000),
    **dict.fromkeys(("day", "days", "d"), 86_400_000_000),
}
DAY = MICROSECONDS["day"]
CALENDAR_UNITS: dict[str, dict[str, int | Fraction]] = {
    "360_day": dict.fromkeys(("month", "months"), 30 * DAY),
    "noleap": dict.fromkeys(("common_year", "common_years"), 365 * DAY),
}
CALENDARS = {"gregorian": "standard", "365_day": "noleap", "366_day": "all_leap", "none": "standard", "": "standard"}
GREGORIAN = {"standard", "proleptic_gregorian"}
# xarray alone knows these, in the calendars of datetime64.
CALENDAR_UNITS |= dict.fromkeys(GREGORIAN, dict.fromkeys(("nanosecond", "nanoseconds"), Fraction(1, 1000)))
SHORT_DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?")
# 1582-10-15, the first day that both have alike, as a Julian day.
REFORM = 2_299_161 * DAY


@dataclass(frozen=True)
class Clock:
    """How the numbers of one variable count time.

    `scale_factor`, `add_offset` and `unsigned` say how they are unpacked; `missing` has the raw numbers of
    `_FillValue` and `missing_value`, which are no times. Two equal clocks make the same instant of the same number.
    """

    units: str
    calendar: str = "standard"
    scale_factor: float | str = 1
    add_offset: float | str = 0
    unsigned: bool = False
    missing: tuple[np.generic, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "Clock":
        """Return the clock that the attributes of a variable describe; its `units` are a text."""
        calendar = str(attributes.get("calendar", "")).strip().lower()
        missing = [attributes[name] for name in ("_FillValue", "missing_value") if name in attributes]
        return cls(
            attributes["units"],
            CALENDARS.get(calendar, calendar),
            _number(attributes.get("scale_factor"), 1),
            _number(attributes.get("add_offset"), 0),
            attributes.get("_Unsigned") == "true",
            tuple(value for values in missing if not isinstance(values, str | bytes) for value in np.ravel(values)),
        )

    def microseconds(self) -> tuple[Fraction, Fraction]:
        """Return (factor, offset): a raw number times `factor` plus `offset` are microseconds since the calendar began.

        Raises ValueError if the units, the calendar or the packing mean nothing.
        """
        unit, reference = self._parsed()
        packing = (self.scale_factor, self.add_offset)
        if any(isinstance(number, str) for number in packing):
            raise ValueError(f"scale_factor and add_offset are {packing}, expected two numbers")
        scale, offset = map(Fraction, packing)
        return scale * unit, offset * unit + reference

    def date(self, number: np.generic) -> str:
        """Return a raw number, a numpy scalar, as a date with its units, or as the number if it is no date."""
        try:
            factor, offset = self.microseconds()
            _, reference = self._parsed()
            exact = Fraction(_items(np.asarray(number), self).item()) * factor + offset
            moment = self._reference() + timedelta(microseconds=round(exact - reference))
        except (ValueError, OverflowError):
            return f"{number.item()!r} ({self.units}, {self.calendar})"
        return f"{moment.isoformat(' ')} ({number.item()!r} {self.units}, {self.calendar})"

    def _parsed(self) -> tuple[int | Fraction, int]:
        """Return the microseconds of the unit, and those from the calendar's beginning to the reference date."""
        words = self.units.split(None, 2)
        lengths = MICROSECONDS | CALENDAR_UNITS.get(self.calendar, {})
        if len(words) != 3 or words[1].lower() != "since" or words[0].lower() not in lengths:
            raise ValueError(f"time units {self.units!r} of calendar {self.calendar!r} are none that cftime knows")
        date = self._reference()
        seconds = (date.hour * 60 + date.minute) * 60 + date.second
        return lengths[words[0].lower()], date.toordinal() * DAY + seconds * 1_000_000 + date.microsecond

    def _reference(self) -> Any:
        """Return the reference date, as cftime has it."""
        import cftime

        try:
            date = self.units.split(None, 2)[2].strip()
            # cftime knows no date without a day, but xarray does in these calendars.
            if self.calendar in GREGORIAN and (short := SHORT_DATE.fullmatch(date)):
                date = f"{short[1]}-{short[2] or '01'}-01"
            return cftime.num2date(0, f"seconds since {date}", self.calendar)
        except (TypeError, AttributeError, OverflowError, ValueError, IndexError) as error:
            raise ValueError(f"{self.units!r} has no date of the calendar {self.calendar!r}: {error}") from error


@dataclass
class Differences:
    """How many times differ, and the first of them: (index, found, expected), both in words."""

    count: int = 0
    named: list[tuple[tuple[int, ...], str, str]] = field(default_factory=list)

    def add(self, where: np.ndarray, found: np.ndarray, expected: np.ndarray, ours: Clock, theirs: Clock) -> None:
        """Add the differences at the True elements of `where`."""
        self.count += int(np.count_nonzero(where))
        for index in itertools.islice(map(tuple, np.argwhere(where)), MOST_NAMED - len(self.named)):
            self.named.append((tuple(map(int, index)), ours.date(found[index]), theirs.date(expected[index])))


def clocks(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Clock]:
    """Return {variable: clock} of what counts time since a date, of {variable: {attribute: plain value}}.

    Bounds and climatologies without units take those of their coordinate, and without a calendar its calendar: each of
    the two for itself.
    """
    complete = {name: dict(own) for name, own in attributes.items()}
    for own in complete.values():
        if not _counts_time(own):
            continue
        for bounds in (own.get("bounds"), own.get("climatology")):
            if isinstance(bounds, str) and bounds in complete:
                for name in ("units", "calendar"):
                    if name in own:
                        complete[bounds].setdefault(name, own[name])
    return {name: Clock.of(own) for name, own in complete.items() if _counts_time(own)}


def compare(found: np.ndarray, expected: np.ndarray, ours: Clock, theirs: Clock) -> Differences:
    """Compare raw times of a store with those of a file of the same shape, both integers or floats.

    Times are equal within a microsecond or one unit in the last place of the number in the store, whichever is more.
    What is missing (not finite, or a number that `missing` lists) must be so in both, by the same number. Equal
    clocks must have equal bits. Raises nothing: what means no time differs.
    """
    differences = Differences()
    if found.shape != expected.shape:
        differences.count = expected.size
        differences.named.append(((), f"shape {found.shape}", f"shape {expected.shape}"))
        return differences
    different = ~_same_numbers(found, expected)
    if ours == theirs and found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("="):
        differences.add(different, found, expected, ours, theirs)
        return differences
    missing = [_is_missing(found, ours), _is_missing(expected, theirs)]
    differences.add(different & (missing[0] | missing[1]), found, expected, ours, theirs)
    numbers = ~(missing[0] | missing[1])
    try:
        if ours.calendar != theirs.calendar and not GREGORIAN.issuperset((ours.calendar, theirs.calendar)):
            raise ValueError("the calendars are not the same")
        apart = _apart(found[numbers], expected[numbers], ours, theirs)
    except ValueError:
        # Equal numbers of one clock are the same, whatever it means; of two clocks nothing is.
        apart = different[numbers] if ours == theirs else np.ones(np.count_nonzero(numbers), bool)
    where = np.zeros(found.shape, bool)
    where[numbers] = apart
    differences.add(where, found, expected, ours, theirs)
    return differences


def _apart(found: np.ndarray, expected: np.ndarray, ours: Clock, theirs: Clock) -> np.ndarray:
    """Tell for each number whether it is another instant; raises ValueError if a clock means nothing."""
    (factor, offset), (their_factor, their_offset) = ours.microseconds(), theirs.microseconds()
    exact, shift = _whole(_items(found, ours))
    their_exact, their_shift = _whole(_items(expected, theirs))
    finest = max(shift, their_shift)
    denominator = np.lcm.reduce(
        [int(f.denominator) for f in (factor, offset, their_factor, their_offset)], dtype=object
    )
    one = int(denominator) << finest  # so many make a microsecond
    terms = [int(factor * one) >> shift, int(their_factor * one) >> their_shift]
    # The reference dates cancel where they are the same, and so small numbers stay small.
    distance = int((offset - their_offset) * one)
    largest = sum(abs(t) * _largest(e) for t, e in zip(terms, (exact, their_exact), strict=True))
    if largest + abs(distance) + one < 2**62:
        exact, their_exact = exact.astype(np.int64), their_exact.astype(np.int64)
    else:
        exact, their_exact = exact.astype(object), their_exact.astype(object)
    apart: np.ndarray = np.abs(exact * terms[0] - their_exact * terms[1] + distance) > _limits(found, abs(factor), one)
    if ours.calendar != theirs.calendar:
        apart |= exact * terms[0] < int((REFORM - offset) * one)
    return apart.astype(bool)


def _limits(found: np.ndarray, factor: Fraction, one: int) -> int | np.ndarray:
    """Return how far each number may be off, in parts of a microsecond of which `one` make a whole."""
    if found.dtype.kind != "f" or not found.size:
        return one
    # One ulp of the largest is no more than a microsecond almost always, and then no number has its own limit.
    ulps = np.spacing(np.abs(found))
    if Fraction(float(ulps.max())) * factor <= 1:
        return one
    exact, shift = _whole(ulps)
    limits: np.ndarray = np.maximum(exact.astype(object) * int(factor * one) // 2**shift, one)
    return limits


def _whole(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """Return integers and a shift: each number, a finite one, is its integer divided by two to the power of `shift`."""
    if numbers.dtype.kind != "f" or not numbers.size:
        return numbers, 0
    mantissas, exponents = np.frexp(numbers.astype(np.float64))
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    shifts = 53 - exponents.astype(np.int64)
    # Zeros at the end are no digits; zero has nothing else.
    zeros = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    whole, shifts = whole >> np.maximum(zeros, 0), np.where(whole == 0, 0, shifts - zeros)
    shift = max(int(shifts.max()), 0)
    up = shift - shifts
    if int(up.max()) < 62 and np.ldexp(np.abs(whole).astype(np.float64), up).max() < 2**62:
        return whole << up, shift
    return np.array([int(w) << int(u) for w, u in zip(whole, up, strict=True)], object), shift


def _largest(whole: np.ndarray) -> int:
    return max(abs(int(whole.max())), abs(int(whole.min()))) if whole.size else 0


def _items(numbers: np.ndarray, clock: Clock) -> np.ndarray:
    """Return raw numbers as what they stand for: signed integers may be declared to be unsigned."""
    if clock.unsigned and numbers.dtype.kind == "i":
        unsigned: np.ndarray = numbers.astype(numbers.dtype.newbyteorder("=")).view(f"u{numbers.dtype.itemsize}")
        return unsigned
    return numbers


def _same_numbers(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Tell for each number whether its bits are the same, or its value where the dtypes differ."""
    same: np.ndarray
    if found.dtype.newbyteorder("=") != expected.dtype.newbyteorder("="):
        same = (found == expected) | ((found != found) & (expected != expected))
    else:
        size = found.dtype.itemsize
        a, b = (np.ascontiguousarray(v.astype(v.dtype.newbyteorder("="), copy=False)) for v in (found, expected))
        same = a.view(f"u{size}").reshape(found.shape) == b.view(f"u{size}").reshape(found.shape)
    return same


def _is_missing(numbers: np.ndarray, clock: Clock) -> np.ndarray:
    """Tell for each raw number whether it is no time; a marker of another type counts as what it rounds to."""
    missing: np.ndarray = ~np.isfinite(numbers)
    for marker in clock.missing:
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = marker.astype(numbers.dtype) if numbers.dtype.kind == "f" else marker
        missing |= numbers == rounded
    return missing


def _counts_time(attributes: Mapping[str, Any]) -> bool:
    return isinstance(attributes.get("units"), str) and "since" in attributes["units"].lower()


def _number(value: Any, default: int) -> float | str:
    """Return an attribute as one finite number; as text, of which no time can be made, if it is none."""
    if value is None:
        return default
    values = np.ravel(value)
    plain = values.size == 1 and values.dtype.kind in "iuf" and np.isfinite(values[0])
    return values[0].item() if plain else str(value)
