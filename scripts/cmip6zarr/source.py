"""The source of a dataset: its NetCDF files in time order, and whether they are fit to become one store."""

import glob
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from . import timeaxis
from .agreement import (
    check_meaning,
    check_static,
    check_structure,
    differing_attributes,
    fills,
    remedy,
    same_bits,
)
from .errors import Refused
from .headers import Header, open_raw, read_header, reading
from .timeaxis import Move

POLICY = {
    "unreadable": "refuse",
    "empty": "refuse",
    "structure": "refuse",
    "encoding": "refuse",
    "calendar": "refuse",
    "time_units": "refuse",
    "time_order": "refuse",
    "gap": "refuse",
    "overlap": "refuse",
    "coordinates": "refuse",
    "coordinate_tolerance": 1e-12,
    "inflation": "refuse",
}
"""What may be done about each kind of refusal; the choices are in config/config.schema.yaml."""

# Deflate cannot make 1033 bytes of one (zlib technical details): a larger ratio means values that were never written.
MOST_DEFLATED = 1032
HARMLESS_BYTES = 2**30
STRING_BYTES = 32  # taken for one text of variable length where sizes are planned


@dataclass
class File:
    """One file of the source: `time` are its raw time values, `days` the same as days since 0001-01-01."""

    header: Header
    time: np.ndarray
    days: np.ndarray
    skip: int = 0
    moves: dict[str, Move] = field(default_factory=dict)


class Judge:
    """Applies the policy: a refusal is raised unless the policy lifts it, and then it is a finding."""

    def __init__(self, policy: dict):
        self.policy = POLICY | policy
        self.findings: list[dict] = []

    def note(self, refusal: Refused, choice: str) -> None:
        self.findings.append({"kind": refusal.kind, "policy": choice, "message": refusal.message})

    def lift(self, refusal: Refused, *choices: str) -> str:
        """Return the policy's choice if it is one of `choices` and note the finding; else raise the refusal."""
        choice = self.policy[refusal.kind]
        if choice not in choices:
            raise refusal
        self.note(refusal, choice)
        return choice

    def keep(self, items: list, check) -> list:
        """Return what `check` returns for each item; a refused one is left out if the policy says so."""
        kept = []
        for item in items:
            try:
                kept.append(check(item))
            except Refused as refusal:
                self.lift(refusal, "leave_out")
        return kept


def take_inventory(files, policy: dict) -> dict:
    """Read the headers and coordinates of a dataset's files and return the facts of its inventory receipt.

    `files` are paths, or one glob pattern; `policy` overrides POLICY. No data is read (but for steps that two files
    share, where the policy trims them). Raises Refused with file, variable, found, expected and remedy.
    """
    judge = Judge(policy)
    paths = expand(files)
    headers = judge.keep(paths, read_header)
    if not headers:
        raise Refused("unreadable", f"none of {len(paths)} files can be read, {paths[0]} for one.", "Fetch them again.")
    time_name, time_dim = time_axis(headers[0])
    if time_name is None:
        if len(headers) > 1:
            message = f"{headers[1].path}: no time coordinate joins it to {headers[0].path}: found 2 files, expected 1."
            raise Refused("structure", message, "Make a dataset of each file.")
        return facts([File(headers[0], np.empty(0), np.empty(0))], None, None, judge)
    calendar = calendar_of(headers[0], time_name)
    sources = judge.keep(headers, lambda header: read_time(header, time_name, calendar))
    if not sources:
        raise Refused("empty", f"{paths[0]}: none of {len(paths)} files has a time step.", "Fetch them again.")
    sources.sort(key=lambda file: (file.days[0], file.days[-1], file.header.path))
    first = sources[0].header
    sources[1:] = judge.keep(sources[1:], lambda file: compare(file, first, time_dim, judge))
    sources[1:] = judge.keep(sources[1:], lambda file: move_times(file, first, time_name, calendar, judge))
    check_order(sources, time_name, calendar, judge)
    return facts(sources, time_name, time_dim, judge, calendar)


def expand(files) -> list[str]:
    """Return the paths of a row: as they are, or those that its one glob pattern matches; Refused if there is none."""
    paths = [p for f in files for p in (sorted(glob.glob(f)) if glob.has_magic(f) else [f])]  # noqa: PTH207
    if not paths:
        raise Refused("unreadable", f"{files[0]}: no file matches.", "Correct the catalogue or fetch the files.")
    return paths


def time_axis(header: Header) -> tuple[str | None, str | None]:
    """Return name and dimension of the time coordinate: units `... since ...`, and one dimension of its name."""
    names = [
        name
        for name, variable in header.variables.items()
        if variable.dims == [name] and timeaxis.is_time_units(variable.attributes.get("units", [0, 0])[1])
    ]
    if len(names) > 1 and "time" not in names:
        raise Refused("structure", f"{header.path}: {names} all look like the time axis.", "Name one of them 'time'.")
    name = "time" if "time" in names else names[0] if names else None
    return name, name


def calendar_of(header: Header, time_name: str) -> str:
    """Return the calendar of a file's time axis by its one name."""
    return timeaxis.calendar_name(str(header.variables[time_name].attributes.get("calendar", ["char", ""])[1]))


def read_time(header: Header, time_name: str, calendar: str) -> File:
    """Return a file with its time values; raises Refused for no steps, other calendar or units, disorder, NaN."""
    path = header.path
    if time_name not in header.variables:
        found = sorted(header.variables)
        message = f"{path}: variable {time_name!r}: found none among {found}, expected the time coordinate."
        raise Refused("structure", message, remedy("structure", "leave_out", "Make two datasets of it"))
    if header.variables[time_name].dims != [time_name]:
        message = (
            f"{path}: dimensions of {time_name!r}: found {header.variables[time_name].dims}, expected {[time_name]}."
        )
        raise Refused("structure", message, remedy("structure", "leave_out", "Make two datasets of it"))
    if header.variables[time_name].shape == [0]:
        message = f"{path}: {time_name!r} has 0 steps, expected at least 1."
        raise Refused("empty", message, remedy("empty", "leave_out", "Fetch the file again"))
    found = calendar_of(header, time_name)
    if found != calendar:
        message = f"{path}: calendar of {time_name!r} is {found!r}, expected {calendar!r} as in the first file."
        raise Refused("calendar", message, remedy("calendar", "leave_out", "Convert the files separately"))
    raw = read_whole(header, time_name)
    units = str(header.variables[time_name].attributes.get("units", ["char", ""])[1])
    try:
        days = float_days(raw, units, calendar)
        if np.isfinite(days).all():
            date(days[0], calendar), date(days[-1], calendar)
    except (ValueError, OverflowError) as error:
        message = f"{path}: {time_name}:units is {units!r} in calendar {calendar!r}: {error}."
        raise Refused("time_units", message, remedy("time_units", "leave_out", "Correct the file")) from error
    missing = ~np.isfinite(days) | np.isin(raw, fills(header, time_name))
    if missing.any() or (np.diff(days) <= 0).any():
        where = int(np.argmax(missing)) if missing.any() else int(np.argmax(np.diff(days) <= 0)) + 1
        message = (
            f"{path}: {time_name}[{where}] is {raw[where]} after {raw[max(0, where - 1)]}, expected increasing numbers."
        )
        raise Refused("time_order", message, remedy("time_order", "leave_out", "Correct the file"))
    return File(header, raw, days)


def float_days(raw: np.ndarray, units: str, calendar: str) -> np.ndarray:
    """Return raw times as float64 days since 0001-01-01: for order and gaps only, never stored."""
    by = timeaxis.move_between(units, "days since 0001-01-01", calendar)
    return raw.astype("f8") * float(by.scale) + float(by.offset)


def compare(file: File, first: Header, time_dim: str, judge: Judge) -> File:
    """Return the file if it agrees with the first in structure, meaning and static variables; raises Refused."""
    check_structure(file.header, first, time_dim)
    check_meaning(file.header, first)
    ours, calendar = time_like(first), calendar_of(first, time_dim)
    moved = {
        n for n, units in time_like(file.header).items() if n in ours and move_of(file, n, units, ours[n], calendar)
    }
    static = [n for n, variable in first.variables.items() if time_dim not in variable.dims and n not in moved]
    tolerance, policy = judge.policy["coordinate_tolerance"], judge.policy["coordinates"]
    judge.findings += check_static(file.header, first, static, tolerance, policy)
    return file


def move_of(file: File, name: str, units: str, to_units: str, calendar: str) -> Move:
    """Return the move of a time from a file's units to the first file's; raises Refused (`time_units`) without one."""
    try:
        return timeaxis.move_between(units, to_units, calendar)
    except ValueError as error:
        message = f"{file.header.path}: {name!r} is in {units!r}, which cannot be moved to {to_units!r}: {error}."
        raise Refused(
            "time_units", message, remedy("time_units", "leave_out", "Convert the files separately")
        ) from error


def time_like(header: Header) -> dict[str, str]:
    """Return {variable: units} of all that counts time since a date; bounds without units have their coordinate's."""
    units = {
        name: variable.attributes["units"][1]
        for name, variable in header.variables.items()
        if "units" in variable.attributes and timeaxis.is_time_units(variable.attributes["units"][1])
    }
    for name in list(units):
        for attribute in ("bounds", "climatology"):
            bounds = header.variables[name].attributes.get(attribute, ["char", ""])[1]
            if bounds in header.variables:
                units.setdefault(bounds, units[name])
    return units


def move_times(file: File, first: Header, time_name: str, calendar: str, judge: Judge) -> File:
    """Return the file with the moves that bring its times to the first file's units.

    Raises Refused (`time_units`) if a move is not exact, and `coordinates` if a static time is another moment.
    """
    ours = time_like(first)
    for name, units in time_like(file.header).items():
        by = move_of(file, name, units, ours.get(name, units), calendar)
        if not by or file.header.variables[name].dtype[0] not in "fiu":
            continue
        raw = read_whole(file.header, name)
        error = moved_error(raw, by, fills(file.header, name))
        integers = np.issubdtype(raw.dtype, np.integer)
        if error:
            message = (
                f"{file.header.path}: {name!r} in {units!r} cannot be moved exactly to {ours[name]!r} of {first.path}: "
                f"found a rounding error of {error:.3g}, expected none."
            )
            advice = remedy("time_units", "nearest (rounds to the nearest number)", "Convert the files separately")
            judge.lift(Refused("time_units", message, advice), *([] if integers else ["nearest"]))
        moved = timeaxis.move(raw, by, fills(file.header, name))[0]
        if time_name not in first.variables[name].dims and not same_bits(moved, read_whole(first, name)):
            message = f"{file.header.path}: {name!r} is {moved} in {ours[name]!r}, expected as in {first.path}."
            raise Refused("coordinates", message, remedy("coordinates", "leave_out", "Make two datasets of it"))
        file.moves[name] = by
        file.time = moved if name == time_name else file.time
    return file


def moved_error(raw: np.ndarray, by: Move, keep: tuple) -> float:
    """Return the largest rounding error of a move, infinite where a number does not fit its dtype."""
    try:
        return timeaxis.move(raw, by, keep)[1]
    except OverflowError:
        return float("inf")


def read_whole(header: Header, name: str) -> np.ndarray:
    """Return all of one small variable, raw."""
    with open_raw(header.path) as nc, reading(header.path):
        return np.asarray(nc[name][...])


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
    judge.lift(refusal, "trim")
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
            keep = fills(file.header, name)
            if name in before.moves:
                ours = timeaxis.move(ours, before.moves[name], keep)[0]
            if name in file.moves:
                theirs = timeaxis.move(theirs, file.moves[name], keep)[0]
            if not same_bits(ours, theirs):
                return False
    return True


def check_steps(days: np.ndarray, path: str, and_path: str, frequency, calendar: str, judge: Judge) -> None:
    """Raise Refused (`gap`, or `overlap` for repeated steps) at the first step that does not follow the one before."""
    errors = timeaxis.step_errors(days, frequency, calendar)
    repeated, left_out = np.flatnonzero(errors < 0), np.flatnonzero(errors > 0)
    for i in (*repeated[:1], *left_out[:1]):
        span = f"{date(days[i], calendar)} and {date(days[i + 1], calendar)}"
        kind, found = ("gap", f"{errors[i]} steps left out") if errors[i] > 0 else ("overlap", "repeated steps")
        message = f"{path}{and_path}: between {span}: found {found}, expected steps of frequency {frequency!r}."
        if kind == "overlap":
            raise Refused(kind, message, "Correct the files.")
        judge.lift(Refused(kind, message, remedy("gap", "allow", "Fetch the files that are missing")), "allow")


def date(days: float, calendar: str) -> str:
    """Return a day count since 0001-01-01 as a date."""
    import cftime

    return cftime.num2date(days, "days since 0001-01-01", calendar).strftime("%Y-%m-%d %H:%M")


def facts(sources: list[File], time_name, time_dim, judge: Judge, calendar=None) -> dict:
    """Return the inventory receipt: files with their index ranges, variables, time, findings, verdict."""
    first = sources[0].header
    counts = [len(file.time) - file.skip for file in sources]
    stops = np.cumsum(counts).tolist()
    ranges = [(stop - count, stop) for stop, count in zip(stops, counts, strict=True)]
    files = [
        {
            "path": file.header.path,
            "bytes": file.header.bytes,
            "mtime_ns": file.header.mtime_ns,
            "steps": len(file.time),
            "skip": file.skip,
            "start": start,
            "stop": stop,
            "moves": {name: [str(by.scale), str(by.offset)] for name, by in file.moves.items()},
        }
        for file, (start, stop) in zip(sources, ranges, strict=True)
    ]
    variables = {name: variable_facts(name, sources, time_dim, stops[-1]) for name in first.variables}
    raw_bytes = sum(v["raw_bytes"] for v in variables.values())
    check_inflation(raw_bytes, sum(file["bytes"] for file in files), len(files), first.path, judge)
    time = None
    if time_name:
        time = {
            "variable": time_name,
            "steps": stops[-1],
            "start": date(sources[0].days[0], calendar),
            "end": date(sources[-1].days[-1], calendar),
            "calendar": calendar,
            "units": first.variables[time_name].attributes["units"][1],
        }
    return {
        "files": files,
        "source_bytes": sum(file["bytes"] for file in files),
        "raw_bytes": raw_bytes,
        "dims": {name: stops[-1] if name == time_dim else size for name, size in first.dims.items()},
        "unlimited": first.unlimited,
        "variables": variables,
        "attributes": first.attributes,
        "differing_attributes": differing_attributes([file.header for file in sources], ranges),
        "time": time,
        "verdict": "ok",
        "policy": judge.policy,
        "findings": judge.findings,
    }


def variable_facts(name: str, sources: list[File], time_dim: str | None, steps: int) -> dict:
    """Return what the receipt says of a variable; `layouts` are its distinct native chunks and filters in the files."""
    first = sources[0].header.variables[name]
    shape = [steps if dim == time_dim else size for dim, size in zip(first.dims, first.shape, strict=True)]
    itemsize = STRING_BYTES if first.dtype == "str" else np.dtype(first.dtype).itemsize
    layouts: list[dict] = []
    for variable in (file.header.variables[name] for file in sources):
        layout = {"chunks": variable.chunks, "filters": variable.filters}
        if layout not in layouts:
            layouts.append(layout)
    return {
        "dtype": first.dtype,
        "dims": first.dims,
        "shape": shape,
        "static": time_dim not in first.dims,
        "raw_bytes": int(np.prod(shape, dtype=object)) * itemsize,
        "layouts": layouts,
        "attributes": first.attributes,
    }


def check_inflation(raw_bytes: int, source_bytes: int, files: int, path: str, judge: Judge) -> None:
    """Raise Refused (`inflation`) if the store would hold far more than its source can: values that nobody wrote."""
    if raw_bytes > HARMLESS_BYTES and raw_bytes > MOST_DEFLATED * source_bytes:
        message = (
            f"{path}: the store would hold {raw_bytes / 1e9:.0f} GB from {source_bytes / 1e9:.6f} GB in {files} files: "
            f"found {raw_bytes // source_bytes} times as much, expected at most {MOST_DEFLATED} (deflate's limit); "
            "nearly all of it was never written and is fill."
        )
        judge.lift(Refused("inflation", message, remedy("inflation", "convert", "Look at the file")), "convert")
