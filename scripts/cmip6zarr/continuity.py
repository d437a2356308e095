"""Do the steps of a dataset follow one another, within each file and from file to file?"""

from itertools import pairwise

import numpy as np

from . import timeaxis
from .agreement import same_bits
from .attributes import missing_values
from .errors import Refused
from .headers import File, open_raw, reading
from .policy import Judge, remedy
from .timeaxis import date


def check_order(sources: list[File], time_name: str, calendar: str, judge: Judge) -> None:
    """Check that the steps follow one another through all files; trims what two files share if the policy says so.

    Raises Refused (`overlap`, `gap`); sets `skip` of a file to the number of its first steps that the file before has.
    """
    declared = str(sources[0].header.attributes.get("frequency", ["char", ""])[1])
    frequency = timeaxis.frequency_of(declared, np.concatenate([file.days for file in sources]))
    try:
        for before, file in pairwise(sources):
            trim_overlap(before, file, time_name, frequency, calendar, judge)
        for file in sources:
            check_steps(file.days[file.skip :], file.header.path, "", frequency, calendar, judge)
        for before, file in pairwise(sources):
            days = np.array([before.days[-1], file.days[file.skip]])
            check_steps(days, before.header.path, f" and {file.header.path}", frequency, calendar, judge)
    except (ValueError, OverflowError) as error:  # cftime, of numbers that are no date
        message = f"{sources[0].header.path}: {time_name!r} holds numbers that are no dates in {calendar!r}: {error}."
        raise Refused("time_order", message, "Correct the file.") from error


def trim_overlap(before: File, file: File, time_name: str, frequency, calendar: str, judge: Judge) -> None:
    """Raise Refused (`overlap`) if a file begins before the one before it ends, or trim its steps if they are equal."""
    shared = 0
    while shared < len(file.days):
        if timeaxis.step_errors(np.array([before.days[-1], file.days[shared]]), frequency, calendar)[0] >= 0:
            break
        shared += 1
    if not shared:
        return
    message = (
        f"{file.header.path}: its first {shared} steps, from {date(file.days[0], calendar)}, are found in "
        f"{before.header.path} too, which ends {date(before.days[-1], calendar)}; expected each step in one file."
    )
    advice = remedy("overlap", "trim (keeps the earlier file's if all values are equal)", "Correct the catalogue")
    refusal = Refused("overlap", message, advice)
    judge.lift(refusal, "trim", file=file.header.path)
    if shared == len(file.days):
        raise Refused("overlap", f"{message} No step of it is its own.", "Leave it out of the catalogue.")
    if not same_steps(before, file, shared, time_name):
        raise Refused("overlap", message.replace("are found", "are found, with other values,"), "Correct the files.")
    file.skip = shared


def same_steps(before: File, file: File, count: int, time_name: str) -> bool:
    """Tell whether the last `count` steps of one file and the first of the next hold the same bits in all variables."""
    if count > len(before.time) or not same_bits(before.time[-count:], file.time[:count]):
        return False
    with open_raw(before.header.path) as a, open_raw(file.header.path) as b:
        for name, variable in file.header.variables.items():
            if time_name not in variable.dims or name == time_name:
                continue
            axis = variable.dims.index(time_name)
            last, first = [slice(None)] * axis, [slice(None)] * axis
            last.append(slice(len(before.time) - count, len(before.time)))
            first.append(slice(0, count))
            with reading(file.header.path):
                ours, theirs = np.asarray(a[name][tuple(last)]), np.asarray(b[name][tuple(first)])
            keep = missing_values(file.header.variables[name].attributes)
            if name in before.moves:
                ours = timeaxis.move(ours, before.moves[name], keep)[0]
            if name in file.moves:
                theirs = timeaxis.move(theirs, file.moves[name], keep)[0]
            if not same_bits(ours, theirs):
                return False
    return True


def check_steps(days: np.ndarray, path: str, and_path: str, frequency, calendar: str, judge: Judge) -> None:
    """Raise Refused (`gap`, or `overlap` for repeated steps) if a step does not follow the one before.

    The message names the first such step. One finding counts all steps that are missing between these `days`.
    """
    errors = timeaxis.step_errors(days, frequency, calendar)
    repeated, gaps = np.flatnonzero(errors < 0), np.flatnonzero(errors > 0)
    for i in (*repeated[:1], *gaps[:1]):
        span = f"{date(days[i], calendar)} and {date(days[i + 1], calendar)}"
        kind, found = ("gap", f"{errors[i]} steps left out") if errors[i] > 0 else ("overlap", "repeated steps")
        message = f"{path}{and_path}: between {span}: found {found}, expected steps of frequency {frequency!r}."
        if kind == "overlap":
            raise Refused(kind, message, "Correct the files.")
        missing = int(errors[gaps].sum())
        if len(gaps) > 1:
            message += f" {missing} steps are left out in {len(gaps)} gaps."
        refusal = Refused(kind, message, remedy("gap", "allow", "Fetch the files that are missing"))
        judge.lift(refusal, "allow", file=path, steps_missing=missing)
