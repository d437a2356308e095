"""Do the files follow one another in time, and is what was trimmed of one found in the file before it?"""

from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from cmip6zarr.verify.meaning import plain_attributes
from cmip6zarr.verify.source import Files, Source
from cmip6zarr.verify.tally import Tally
from cmip6zarr.verify.times import Clock, clocks
from cmip6zarr.verify.values import BLOCK_BYTES, differences, missing_numbers

Number = np.integer[Any] | np.floating[Any]
"""A raw time."""


def times_of(source: Source, time_name: str) -> np.ndarray:
    """Return the raw times of a file."""
    (steps,) = source.header.variables[time_name].shape
    return source.read(time_name, (slice(0, steps),))


def out_of_order(times: np.ndarray, missing: list[np.generic]) -> str | None:
    """Return what is wrong with the raw times of a file, None if they are numbers that increase."""
    if times.dtype.kind not in "fiu":
        return "they are no numbers"
    wrong = ~np.isfinite(times) | np.isin(times, missing)
    if wrong.any():
        return f"step {int(np.argmax(wrong))} is missing"
    falls = times[1:] <= times[:-1]
    return f"step {int(np.argmax(falls)) + 1} is not later than the one before" if falls.any() else None


def check_order(files: Files, time_name: str, tally: Tally) -> None:
    """Note a mismatch where the ranges of the receipt's files are not theirs, or the files do not follow in time."""
    stop, ends = 0, []
    for source, file in zip(files.sources, files.ranges, strict=True):
        path, times = file.path, times_of(source, time_name)
        problem = out_of_order(times, missing_numbers(source.header.variables[time_name]))
        if problem or not times.size:
            tally.wrong(f"{path}: {time_name!r}: {problem or 'has no step'}, expected steps that increase")
            return
        expected = {"steps": times.size, "start": stop, "stop": stop + times.size - file.skip}
        for key, value in expected.items():
            tally.same(f"{path}: {key} in the inventory", getattr(file, key), value)
        if not 0 <= file.skip < times.size:
            tally.wrong(f"{path}: steps trimmed: found {file.skip}, expected less than {times.size}")
            return
        stop = expected["stop"]
        clock = clocks(plain_attributes(source.header))[time_name]
        ends.append((clock, times[file.skip], times[-1]))
        source.close()
    pairs = zip(pairwise(files.sources), files.ranges[1:], pairwise(ends), strict=True)
    for (before, source), file, ((clock, _, last), (next_clock, first, _)) in pairs:
        if not is_later(first, next_clock, last, clock):
            message = f"{file.path}: {time_name!r} begins with {first} ({next_clock.units}), expected later than"
            tally.wrong(f"{message} {last} ({clock.units}), the end of {before.header.path}")
        if skip := file.skip:
            steps = before.header.variables[time_name].shape[0]
            place = slice(steps - skip, steps) if skip <= steps else None
            problem = other_steps(source, slice(0, skip), before, place, time_name, files.memory_bytes)
            if problem:
                tally.wrong(f"{file.path}: its first {skip} steps are trimmed: {problem}")


def is_later(first: Number, clock: Clock, last: Number, clock_before: Clock) -> bool:
    """Tell whether a raw time is later than one of the file before; False where that cannot be told."""
    if clock == clock_before:
        return bool(first > last)
    try:
        return instant(first, clock) > instant(last, clock_before)
    except ValueError:
        return False


def instant(number: Number, clock: Clock) -> Fraction:
    """Return a raw number as microseconds since the calendar began; raises ValueError if the clock means nothing."""
    factor, offset = clock.microseconds()
    return Fraction(number.item()) * factor + offset


def other_steps(
    source: Source, steps: slice, before: Source, place: slice | None, time_name: str, memory_bytes: int
) -> str | None:
    """Return how some steps of a file differ from those of another at a place, None if all values are the same."""
    where = f"expected them in {before.header.path}"
    if place is None:
        return f"found fewer steps, {where}"
    ours, theirs = (clocks(plain_attributes(s.header)) for s in (before, source))
    for name, variable in source.header.variables.items():
        if time_name not in variable.dims or name not in before.header.variables:
            continue
        axis = variable.dims.index(time_name)
        row_bytes = max(1, prod(variable.shape) // max(1, variable.shape[axis]) * variable.itemsize)
        rows = max(1, min(memory_bytes // 8, BLOCK_BYTES) // row_bytes)
        clock = (ours[name], theirs[name]) if name in ours and name in theirs else None
        for start in range(0, steps.stop - steps.start, rows):
            stop = min(start + rows, steps.stop - steps.start)
            values = []
            for side, first in ((before, place.start), (source, steps.start)):
                region = [slice(0, size) for size in variable.shape]
                region[axis] = slice(first + start, first + stop)
                values.append(side.read(name, tuple(region)))
            count, _, expected, found = differences(values[0], values[1], clock)
            if count:
                return f"found another value of {name!r}, {found} in place of {expected}, {where}"
    return None


def place_within(source: Source, before: Source, time_name: str) -> slice | None:
    """Return where all steps of a file lie in another, by their times; None if they do not."""
    ours, theirs = times_of(before, time_name), times_of(source, time_name)
    clock, other = (clocks(plain_attributes(s.header)).get(time_name) for s in (before, source))
    if clock is None or other is None or not theirs.size:
        return None
    if clock == other:
        matches = np.flatnonzero(ours == theirs[0])
    else:
        try:
            begin = instant(theirs[0], other)
            matches = np.flatnonzero([instant(number, clock) == begin for number in ours])
        except ValueError:
            return None
    if not len(matches) or matches[0] + theirs.size > ours.size:
        return None
    return slice(int(matches[0]), int(matches[0]) + theirs.size)
