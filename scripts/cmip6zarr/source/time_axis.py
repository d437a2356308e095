"""Which variable is the time axis of a file, and which times are on it?"""

import numpy as np

from cmip6zarr.core.errors import Refused
from cmip6zarr.source import time_units
from cmip6zarr.source.attributes import missing_values
from cmip6zarr.source.headers import File, Header, read_whole
from cmip6zarr.source.policy import remedy
from cmip6zarr.source.time_conversion import clocks
from cmip6zarr.source.time_units import GREGORIAN, date


def time_axis(header: Header) -> str | None:
    """Return the name of the time coordinate, and of its one dimension: it has units `... since ...`."""
    names = [
        name
        for name, variable in header.variables.items()
        if variable.dims == [name] and time_units.is_time_units(variable.attributes.get("units", [0, 0])[1])
    ]
    if len(names) > 1 and "time" not in names:
        raise Refused("structure", f"{header.path}: {names} all look like the time axis.", "Name one of them 'time'.")
    return "time" if "time" in names else names[0] if names else None


def no_time_axis(headers: list[Header]) -> Refused:
    """Return the refusal of several files that no time axis joins; it names what may have been meant for one."""
    found = []
    for name, variable in headers[0].variables.items():
        told = {key: value[1] for key, value in variable.attributes.items()}
        named = name.lower() in ("time", "times", "xtime") or told.get("standard_name") == "time"
        if named or told.get("axis") == "T" or "since" in str(told.get("units")):
            found.append(f"{name!r} of dimensions {variable.dims} in units {told.get('units')!r}")
    message = (
        f"{headers[1].path}: no time axis joins it to {headers[0].path}: found "
        f"{'; '.join(found) or f'none among {sorted(headers[0].variables)}'}; expected a variable of one dimension, "
        "named like that, in units such as 'days since 1850-01-01'."
    )
    return Refused("structure", message, "Correct the files, or make a dataset of each.")


def calendar_of(header: Header, time_name: str) -> str:
    """Return the calendar of a file's time axis by its one name."""
    return time_units.calendar_name(str(header.variables[time_name].attributes.get("calendar", ["char", ""])[1]))


def read_time(header: Header, time_name: str, calendar: str) -> File:
    """Return a file with its time values; raises Refused for no steps, other calendar or units, disorder, NaN."""
    path = header.path
    if time_name not in header.variables:
        names = sorted(header.variables)
        message = f"{path}: variable {time_name!r}: found none among {names}, expected the time coordinate."
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
    if found != calendar and not {found, calendar} <= GREGORIAN:
        message = f"{path}: calendar of {time_name!r} is {found!r}, expected {calendar!r} as in the first file."
        raise Refused("calendar", message, remedy("calendar", "leave_out", "Convert the files separately"))
    clock = clocks(header).get(time_name)
    if clock is None:
        units = header.variables[time_name].attributes.get("units", [None, None])[1]
        message = f"{path}: {time_name}:units is {units!r}, expected units since a date, as in the first file."
        raise Refused("time_units", message, remedy("time_units", "leave_out", "Correct the file"))
    raw = read_whole(header, time_name)
    try:
        days = time_units.days_of(raw, clock)
    except (ValueError, OverflowError) as error:
        message = f"{path}: {time_name}:units is {clock.units!r} in calendar {found!r}: {error}."
        raise Refused("time_units", message, remedy("time_units", "leave_out", "Correct the file")) from error
    missing = ~np.isfinite(days) | np.isin(raw, missing_values(header.variables[time_name].attributes))
    if missing.any() or (np.diff(days) <= 0).any():
        where = int(np.argmax(missing)) if missing.any() else int(np.argmax(np.diff(days) <= 0)) + 1
        message = (
            f"{path}: {time_name}[{where}] is {raw[where]} after {raw[max(0, where - 1)]}, expected increasing numbers."
        )
        raise Refused("time_order", message, remedy("time_order", "leave_out", "Correct the file"))
    try:
        date(days[0], found), date(days[-1], found)
    except (ValueError, OverflowError) as error:
        message = f"{path}: {time_name} from {raw[0]} to {raw[-1]} in {clock.units!r}: {error}."
        raise Refused("time_order", message, remedy("time_order", "leave_out", "Correct the file")) from error
    return File(header, raw, days)
