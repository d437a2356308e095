"""Bring the times of a file to the units, calendar and dtype that the store has, exactly or nearly so."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from cmip6zarr.core.errors import Refused
from cmip6zarr.model.inventory import Attributes
from cmip6zarr.source import file_form, time_units
from cmip6zarr.source.attributes import TEXTS, bounds_of, missing_values, untyped
from cmip6zarr.source.consistency import same_bits
from cmip6zarr.source.headers import File, Header, read_whole
from cmip6zarr.source.policy import ACCEPTED, Judge, remedy
from cmip6zarr.source.time_units import Clock, TimeConversion

# A converted time that is no double may be off by one microsecond, which is what cftime tells apart. A double is the
# nearest to the moment, so it is at most half a unit in its last place off.
MOST_OFF_MICROSECONDS = 1
# 1582-10-15, in microseconds since timeaxis.EPOCH.
REFORM = time_units.parse_units("days since 1582-10-15", "proleptic_gregorian")[1]


@dataclass(frozen=True)
class StoredTime:
    """What a time variable is in the store: the clock of the first file, at `path`, and a dtype that holds all."""

    clock: Clock
    dtype: np.dtype
    path: str


def separately(kind: str, message: str) -> Refused:
    """Return the refusal of a file whose times do not fit the others'."""
    return Refused(kind, message, remedy(kind, "leave_out", "Convert the files separately"))


def clocks(header: Header) -> dict[str, Clock]:
    """Return {variable: clock} of all that counts time since a date; raises Refused (`time_units`) for a bad scale.

    Bounds without units have those of their coordinate, and without a calendar its calendar, as in xarray.
    """
    told = {name: variable.attributes for name, variable in header.variables.items()}
    own = {name: attributes for name, attributes in told.items() if counts_time(attributes)}
    for attributes in list(own.values()):
        lent = {key: attributes[key] for key in ("units", "calendar") if key in attributes}
        for bounds in bounds_of(attributes):
            if bounds in told:
                own[bounds] = lent | own.get(bounds, told[bounds])
    return {name: clock_of(header.path, name, told) for name, told in own.items() if counts_time(told)}


def counts_time(attributes: Attributes) -> bool:
    """Tell whether the units of a variable with these typed attributes are `... since ...`."""
    return time_units.is_time_units(attributes.get("units", ("", None))[1])


def clock_of(path: str, name: str, attributes: Attributes) -> Clock:
    """Return the clock of a variable with these typed attributes; raises Refused (`time_units`) for a bad scale."""
    numbers = []
    for key, default in (("scale_factor", 1), ("add_offset", 0)):
        kind, value = attributes.get(key, ("int64", default))
        found = np.ravel(untyped([kind, value])) if kind not in TEXTS else np.empty(0)
        if found.size != 1 or not np.isfinite(found[0]) or (key == "scale_factor" and found[0] == 0):
            message = f"{path}: {name}:{key} is {value!r} ({kind}), expected a number that times can be unpacked with."
            raise Refused("time_units", message, remedy("time_units", "leave_out", "Correct the file"))
        numbers.append(Fraction(found[0].item()))
    calendar = time_units.calendar_name(str(attributes.get("calendar", ["char", ""])[1]))
    return Clock(attributes["units"][1], calendar, *numbers)


def conversion_of(path: str, name: str, clock: Clock, to: Clock) -> TimeConversion:
    """Return the conversion from a file's clock to the first file's; raises Refused (`time_units`) without one."""
    try:
        return time_units.conversion_between(clock, to)
    except ValueError as error:
        message = f"{path}: {name!r} is in {clock.units!r}, which cannot be converted to {to.units!r}: {error}."
        raise separately("time_units", message) from error


def common_dtypes(sources: list[File], time_name: str) -> dict[str, str]:
    """Return {variable: dtype} of the times that have more than one numeric dtype in the files: what holds them all."""
    found: dict[str, set[str]] = {}
    for file in sources:
        for name in clocks(file.header):
            variable = file.header.variables[name]
            if time_name in variable.dims and variable.dtype[0] in "fiu":
                found.setdefault(name, set()).add(variable.dtype)
    return {name: np.result_type(*dtypes).name for name, dtypes in found.items() if len(dtypes) > 1}


def convert_times(file: File, first: Header, time_name: str, dtypes: dict[str, str]) -> File:
    """Return the file with the conversions that bring its times to the first file's units and to `dtypes`.

    Raises Refused: `time_units` if a conversion is not exact enough, `calendar` if a date is not the same in the first
    file's calendar, `structure` if a number does not fit a wider dtype, `coordinates` if a static time is another
    moment.
    """
    ours = clocks(first)
    for name, clock in clocks(file.header).items():
        variable, to = file.header.variables[name], ours.get(name, clock)
        by, dtype = conversion_of(file.header.path, name, clock, to), dtypes.get(name, variable.dtype)
        if variable.dtype[0] not in "fiu" or (clock == to and dtype == variable.dtype):
            continue
        raw = read_whole(file.header, name)
        if clock.calendar != to.calendar:
            check_reform(file, name, raw, clock, first)
        if by or dtype != variable.dtype:
            convert_time(file, name, raw, by, StoredTime(to, np.dtype(dtype), first.path))
            if time_name not in variable.dims:
                check_moment(file, name, raw, first)
            file.time = converted(file, name, raw) if name == time_name else file.time
    return file


def convert_time(file: File, name: str, raw: np.ndarray, by: TimeConversion, stored: StoredTime) -> None:
    """Note the conversion of one variable with its file; raises Refused unless it is exact enough."""
    variable, what = file.header.variables[name], f"{file.header.path}: {name!r}"
    if "_Unsigned" in variable.attributes and by:
        message = f"{what} has the attribute _Unsigned and other units than in {stored.path}, expected the same units."
        raise separately("time_units", message)
    keep, dtype = missing_values(variable.attributes), stored.dtype
    try:
        values, error = time_units.convert(raw, by, keep, dtype)
        off_microseconds = float(error * abs(stored.clock.line()[0])) if by else float(error)
    except OverflowError:
        values, off_microseconds = raw, float("inf")
    if not by and off_microseconds:
        message = f"{what} is {variable.dtype}, and has numbers that {dtype} of another file cannot hold exactly."
        raise Refused("structure", message, remedy("structure", "leave_out", "Make two datasets of it"))
    if off_microseconds > MOST_OFF_MICROSECONDS and (dtype != "f8" or off_microseconds == float("inf")):
        message = (
            f"{what} in {clocks(file.header)[name].units!r} cannot be converted as {dtype} to {stored.clock.units!r} "
            f"of {stored.path}: found a rounding error of {off_microseconds / 1e6:.3g} s, expected at most one "
            "microsecond."
        )
        raise separately("time_units", message)
    file.conversions[name] = by
    file.dtypes[name] = dtype.name
    file.off[name] = off_microseconds
    back, _ = time_units.convert(values, by.inverse, keep, raw.dtype)
    if not same_bits(back, raw):  # -0.0, a rounded time, or one that is converted to where fill lies
        file.kept[name] = file_form.difference(raw, back)


def converted(file: File, name: str, raw: np.ndarray) -> np.ndarray:
    """Return raw values of a variable of a file as the store has them."""
    if name not in file.conversions:
        return raw
    keep = missing_values(file.header.variables[name].attributes)
    return time_units.convert(raw, file.conversions[name], keep, file.dtypes[name])[0]


def check_moment(file: File, name: str, raw: np.ndarray, first: Header) -> None:
    """Raise Refused (`coordinates`) unless a static time is the same moment as in the first file."""
    ours, expected = converted(file, name, raw), read_whole(first, name)
    if not same_bits(ours, expected):
        units = first.variables[name].attributes["units"][1]
        message = f"{file.header.path}: {name!r} is {ours} in {units!r}, expected {expected} as in {first.path}."
        raise Refused("coordinates", message, remedy("coordinates", "leave_out", "Make two datasets of it"))


def check_reform(file: File, name: str, raw: np.ndarray, clock: Clock, first: Header) -> None:
    """Raise Refused (`calendar`) if a time lies before 1582-10-15, where the calendars have not the same dates."""
    numbers = raw[np.isfinite(raw) & ~np.isin(raw, missing_values(file.header.variables[name].attributes))]
    factor, start = clock.line()
    if numbers.size and min(Fraction(n.item()) * factor + start for n in (numbers.min(), numbers.max())) < REFORM:
        message = (
            f"{file.header.path}: calendar of {name!r} is {clock.calendar!r}, and another in {first.path}: found a "
            "date before 1582-10-15, expected dates from then on, which are the same in both."
        )
        raise separately("calendar", message)


def note_conversions(sources: list[File], judge: Judge) -> None:
    """Note what of the times is not as it is in its file: rounded, of another dtype, by another calendar's name."""
    for name in dict.fromkeys(name for file in sources for name in file.conversions):
        files = [file for file in sources if name in file.conversions]
        worst = max(files, key=lambda file: file.off[name])
        if worst.off[name]:
            count = sum(file.off[name] > 0 for file in files)
            message = (
                f"{worst.header.path}: {name!r} is rounded by up to {worst.off[name] / 1e6:.3g} s in the first file's "
                f"units, as in {count} files in all."
            )
            judge.note("time_units", ACCEPTED, message, file=worst.header.path, variable=name)
        wider = [file for file in files if file.header.variables[name].dtype != file.dtypes[name]]
        if wider:
            path, narrow = wider[0].header.path, wider[0].header.variables[name].dtype
            message = (
                f"{path}: {name!r} is {narrow}, {wider[0].dtypes[name]} in the store, which holds the numbers of all "
                f"files exactly; widened in {len(wider)} files in all."
            )
            judge.note("structure", ACCEPTED, message, file=path, variable=name)
    ours, first = clocks(sources[0].header), sources[0].header.path
    others = [
        (file.header.path, name, clock.calendar)
        for file in sources
        for name, clock in clocks(file.header).items()
        if name in ours and clock.calendar != ours[name].calendar
    ]
    for path, name, calendar in others[:1]:
        message = (
            f"{path}: calendar of {name!r} is {calendar!r}, and {ours[name].calendar!r} in {first} and the store; the "
            f"dates are the same, from 1582-10-15 on. So it is in {len({other[0] for other in others})} files in all."
        )
        judge.note("calendar", ACCEPTED, message, file=path, variable=name)
