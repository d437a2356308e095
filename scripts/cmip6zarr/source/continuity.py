"""Do the steps of a dataset follow one another, within each file and from file to file?"""

from itertools import pairwise

import numpy as np

from cmip6zarr.core.errors import Refused
from cmip6zarr.source.consistency import same_bits
from cmip6zarr.source.headers import File, open_raw, reading
from cmip6zarr.source.policy import Judge, remedy
from cmip6zarr.source.statics import blocks
from cmip6zarr.source.steps import LATER_DAYS, frequency_of, is_between, missing_of, steps_between
from cmip6zarr.source.time_conversion import converted
from cmip6zarr.source.time_units import date


def check_order(
    sources: list[File], time_name: str, calendar: str, judge: Judge, is_climatology: bool = False
) -> list[File]:
    """Check that the steps follow one another through all files, and return the files that have steps of their own.

    What two files share is trimmed if the policy says so: that sets `skip` of a file to the number of its first steps
    that the file before has, or leaves it out. Steps of a climatology, which the id or the time axis says it is, only
    increase. Raises Refused (`overlap`, `gap`, `irregular`).
    """
    header = sources[0].header
    declared = str(header.attributes.get("frequency", ["char", ""])[1])
    frequency = None
    if not is_climatology and "climatology" not in header.variables[time_name].attributes:
        frequency = frequency_of(declared, np.concatenate([file.days for file in sources]))
    try:
        kept = sources[:1]
        for file in sources[1:]:
            if trim_overlap(kept[-1], file, time_name, calendar, judge):
                kept.append(file)
        for file in kept:
            check_steps(file.days[file.skip :], file.header.path, "", frequency, calendar, judge)
        for before, file in pairwise(kept):
            days = np.array([before.days[-1], file.days[file.skip]])
            check_steps(days, before.header.path, f" and {file.header.path}", frequency, calendar, judge)
    except (ValueError, OverflowError) as error:  # cftime, of numbers that are no date
        message = f"{header.path}: {time_name!r} holds numbers that are no dates in {calendar!r}: {error}."
        raise Refused("time_order", message, "Correct the file.") from error
    return kept


def trim_overlap(before: File, file: File, time_name: str, calendar: str, judge: Judge) -> bool:
    """Trim the first steps of a file that the one before it has, and tell whether it has any of its own.

    Raises Refused (`overlap`) if they are not equal, or the policy does not say so.
    """
    shared = int(np.count_nonzero(file.days <= before.days[-1] + LATER_DAYS))
    if not shared:
        return True
    message = (
        f"{file.header.path}: its first {shared} steps, from {date(file.days[0], calendar)}, are not later than "
        f"{before.header.path}, which ends {date(before.days[-1], calendar)}; expected steps that follow it."
    )
    advice = remedy("overlap", "trim (keeps the earlier file's if all values are equal)", "Correct the catalogue")
    refusal = Refused("overlap", message, advice)
    if judge.policy["overlap"] == "trim" and not same_steps(before, file, shared, time_name):
        message += " That file does not hold the same steps with the same values."
        raise Refused("overlap", message, "Correct the files.")
    if shared == len(file.days):
        judge.leave_out(file.header.path, refusal, "trim")
        return False
    judge.lift(refusal, "trim", file=file.header.path)
    file.skip = shared
    return True


def same_steps(before: File, file: File, count: int, time_name: str) -> bool:
    """Tell whether the first `count` steps of a file are steps of the one before, with the same bits in all variables.

    They must be its last ones, unless the file has no others.
    """
    start = int(np.argmin(abs(before.days - file.days[0])))
    if count < len(file.days) and start + count != len(before.days):
        return False
    if not same_bits(before.time[start : start + count], file.time[:count]):
        return False
    with open_raw(before.header.path) as a, open_raw(file.header.path) as b:
        for name, variable in file.header.variables.items():
            if time_name not in variable.dims or name == time_name:
                continue
            axis, shape = variable.dims.index(time_name), list(variable.shape)
            shape[axis] = count
            for block in blocks(shape, 8):
                region = [block, *map(slice, shape[1:])]
                theirs = tuple(region)
                region[axis] = slice(region[axis].start or 0, region[axis].stop)
                region[axis] = slice(region[axis].start + start, region[axis].stop + start)
                with reading(file.header.path):
                    pair = np.asarray(a[name][tuple(region)]), np.asarray(b[name][theirs])
                if not same_bits(converted(before, name, pair[0]), converted(file, name, pair[1])):
                    return False
    return True


def check_steps(days: np.ndarray, path: str, and_path: str, frequency: str | None, calendar: str, judge: Judge) -> None:
    """Raise Refused if a step does not follow the one before: `overlap` (it is not later), `irregular`, `gap`.

    The message names the first such step. One finding counts all steps that are missing between these `days`.
    """
    steps = steps_between(days, frequency, calendar)
    missing, expected = missing_of(steps), f"expected steps of frequency {frequency!r}"

    def between(which: np.ndarray) -> str:
        first = int(np.argmax(which))
        return f"{path}{and_path}: between {date(days[first], calendar)} and {date(days[first + 1], calendar)}: found"

    repeated, irregular, gaps = steps <= 0, is_between(steps), missing > 0
    if repeated.any():
        raise Refused("overlap", f"{between(repeated)} repeated steps, {expected}.", "Correct the files.")
    if irregular.any():
        message = (
            f"{between(irregular)} {steps[irregular][0]:.3g} of a step, {expected}; that is neither a step left out "
            f"nor one repeated ({np.count_nonzero(irregular)} such in all)."
        )
        advice = remedy("irregular", "allow", "Look whether the files have the same kind of time stamps")
        judge.lift(Refused("irregular", message, advice), "allow", file=path)
    if gaps.any():
        message = f"{between(gaps)} {missing[gaps][0]} steps left out, {expected}."
        if np.count_nonzero(gaps) > 1:
            message += f" {missing.sum()} steps are left out in {np.count_nonzero(gaps)} gaps."
        refusal = Refused("gap", message, remedy("gap", "allow", "Fetch the files that are missing"))
        judge.lift(refusal, "allow", file=path, steps_missing=int(missing.sum()))
