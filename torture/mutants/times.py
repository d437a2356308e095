"""Faults of the conversion of times from one file's units to another's."""

from dataclasses import replace
from fractions import Fraction

from .declared import fault

TIMEAXIS, MOVES = "cmip6zarr.source.time_units", "cmip6zarr.source.time_conversion"
BOTH = ("units", "units v2")


@fault("time conversion", f"{TIMEAXIS}:move_between", *BOTH, says="time|seen|steps")
def a_day_more(move_between, clock, to):
    """The references of two files are a day further apart."""
    by = move_between(clock, to)
    return replace(by, offset=by.offset + 1) if by else by


@fault("time conversion", f"{TIMEAXIS}:move_between", *BOTH, says="time|seen|steps")
def direction_turned(move_between, clock, to):
    """Times are moved in the other direction."""
    by = move_between(clock, to)
    return replace(by, offset=-by.offset)


@fault("time conversion", f"{TIMEAXIS}:move_between", *BOTH, says="time|seen|steps")
def scale_of_hours_ignored(move_between, clock, to):
    """Hours are taken for days."""
    return replace(move_between(clock, to), scale=Fraction(1))


@fault("time conversion", f"{TIMEAXIS}:move_between", *BOTH, says="time|seen|steps")
def ten_microseconds(move_between, clock, to):
    """Moved times are off by ten microseconds."""
    by = move_between(clock, to)
    return replace(by, offset=by.offset + Fraction(1, 8_640_000_000)) if by else by


@fault("time conversion", f"{MOVES}:clock_of", "packed times", says="time|steps")
def packing_of_time_ignored(clock_of, *args):
    """Packed times are taken as they are stored."""
    return replace(clock_of(*args), scale=Fraction(1))


@fault("time conversion", f"{TIMEAXIS}:parse_units", *BOTH, says="time|seen|steps")
def calendar_swapped(parse_units, units, calendar):  # noqa: ARG001
    """References are counted in the standard calendar, which has a leap day more."""
    return parse_units(units, "standard")


@fault("time conversion", f"{MOVES}:clock_of", *BOTH, says="time_bnds")
def calendar_of_bounds(clock_of, path, name, attributes):
    """Bounds are moved in another calendar than their coordinate."""
    clock = clock_of(path, name, attributes)
    return replace(clock, calendar="standard") if name == "time_bnds" else clock


@fault("time conversion", f"{MOVES}:clocks", *BOTH, says="time_bnds")
def bounds_not_moved(clocks, header):
    """Bounds stay in the units of their file."""
    return {name: clock for name, clock in clocks(header).items() if name != "time_bnds"}


@fault("time conversion", f"{MOVES}:move_times", *BOTH, says="time|seen|steps")
def moves_forgotten(move_times, file, *args):
    """Times of later files stay in the units of their file."""
    moved = move_times(file, *args)
    moved.moves = {}
    return moved


@fault("time conversion", f"{MOVES}:move_times", *BOTH, says="time|seen|steps")
def moved_by_the_second_file(move_times, file, *args):
    """Every file is moved as the second one is."""
    moved = move_times(file, *args)
    if moved.moves:
        moved.moves = FIRST.setdefault("moves", moved.moves)
    return moved


FIRST: dict = {}
"""What `moved_by_the_second_file` has seen first; each fault runs in a process of its own."""


@fault("time conversion", f"{TIMEAXIS}:move", "units", says="seen")
def missing_times_moved(move, values, by, keep=(), dtype=None):  # noqa: ARG001
    """Fill values of a time are moved as if they were times."""
    return move(values, by, (), dtype)[0], Fraction(0)


@fault("time conversion", f"{TIMEAXIS}:move", *BOTH, says="time|seen|steps")
def rounded_to_hours(move, *args):
    """Moved times are rounded, and the rounding is called exact."""
    moved, _ = move(*args)
    return (moved * 0.3).round() / 0.3, Fraction(0)


@fault("time conversion", f"{TIMEAXIS}:move", *BOTH, says="time|seen|steps")
def last_time_not_moved(move, values, *args):
    """The last number of a file is not moved."""
    moved, error = move(values, *args)
    moved.reshape(-1)[-1] = values.reshape(-1)[-1]
    return moved, error


@fault(
    "time conversion",
    f"{TIMEAXIS}:Move.back",
    "units",
    says="provenance",
)
def way_back_wrong(back, by):
    """The move that restores a file's own times is another."""
    return replace(back(by), offset=Fraction(0))
