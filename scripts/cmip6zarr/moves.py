"""Bring the times of a file to the units of the first file, exactly."""

from . import originals, timeaxis
from .agreement import same_bits
from .attributes import bounds_of, missing_values
from .errors import Refused
from .headers import File, Header, read_whole
from .policy import remedy
from .timeaxis import Move


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
        for bounds in bounds_of(header.variables[name].attributes):
            if bounds in header.variables:
                units.setdefault(bounds, units[name])
    return units


def move_times(file: File, first: Header, time_name: str, calendar: str) -> File:
    """Return the file with the moves that bring its times to the first file's units.

    Raises Refused (`time_units`) if a move is not exact, and `coordinates` if a static time is another moment.
    """
    ours = time_like(first)
    for name, units in time_like(file.header).items():
        by = move_of(file, name, units, ours.get(name, units), calendar)
        if not by or file.header.variables[name].dtype[0] not in "fiu":
            continue
        raw, keep = read_whole(file.header, name), missing_values(file.header.variables[name].attributes)
        try:
            moved, error = timeaxis.move(raw, by, keep)
        except OverflowError:  # a number that does not fit its dtype
            moved, error = raw, float("inf")
        if error:
            message = (
                f"{file.header.path}: {name!r} in {units!r} cannot be moved exactly to {ours[name]!r} of {first.path}: "
                f"found a rounding error of {error:.3g}, expected none."
            )
            raise Refused("time_units", message, remedy("time_units", "leave_out", "Convert the files separately"))
        if time_name not in first.variables[name].dims and not same_bits(moved, read_whole(first, name)):
            message = f"{file.header.path}: {name!r} is {moved} in {ours[name]!r}, expected as in {first.path}."
            raise Refused("coordinates", message, remedy("coordinates", "leave_out", "Make two datasets of it"))
        file.moves[name] = by
        back, _ = timeaxis.move(moved, by.back, keep)
        if not same_bits(back, raw):  # -0.0, or a time that is moved to where fill lies
            file.kept[name] = originals.difference(raw, back)
        file.time = moved if name == time_name else file.time
    return file
