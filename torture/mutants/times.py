"""Faults of the conversion of times from one file's units to another's."""

from dataclasses import replace
from fractions import Fraction

from .declared import fault

TIMEAXIS, CONVERSION = "cmip6zarr.source.time_units", "cmip6zarr.source.time_conversion"
BOTH = ("units", "units v2")


@fault("time conversion", f"{TIMEAXIS}:conversion_between", *BOTH, says="time|seen|steps")
def a_day_more(conversion_between, clock, to):
    """The references of two files are a day further apart."""
    by = conversion_between(clock, to)
    return replace(by, offset=by.offset + 1) if by else by


@fault("time conversion", f"{TIMEAXIS}:conversion_between", *BOTH, says="time|seen|steps")
def direction_turned(conversion_between, clock, to):
    """Times are converted in the other direction."""
    by = conversion_between(clock, to)
    return replace(by, offset=-by.offset)


@fault("time conversion", f"{TIMEAXIS}:conversion_between", *BOTH, says="time|seen|steps")
def scale_of_hours_ignored(conversion_between, clock, to):
    """Hours are taken for days."""
    return replace(conversion_between(clock, to), scale=Fraction(1))


@fault("time conversion", f"{TIMEAXIS}:conversion_between", *BOTH, says="time|seen|steps")
def ten_microseconds(conversion_between, clock, to):
    """Converted times are off by ten microseconds."""
    by = conversion_between(clock, to)
    return replace(by, offset=by.offset + Fraction(1, 8_640_000_000)) if by else by


@fault("time conversion", f"{CONVERSION}:clock_of", "packed times", says="time|steps")
def packing_of_time_ignored(clock_of, *args):
    """Packed times are taken as they are stored."""
    return replace(clock_of(*args), scale=Fraction(1))


@fault("time conversion", f"{TIMEAXIS}:parse_units", *BOTH, says="time|seen|steps")
def calendar_swapped(parse_units, units, calendar):  # noqa: ARG001
    """References are counted in the standard calendar, which has a leap day more."""
    return parse_units(units, "standard")


@fault("time conversion", f"{CONVERSION}:clock_of", *BOTH, says="time_bnds")
def calendar_of_bounds(clock_of, path, name, attributes):
    """Bounds are converted in another calendar than their coordinate."""
    clock = clock_of(path, name, attributes)
    return replace(clock, calendar="standard") if name == "time_bnds" else clock


@fault("time conversion", f"{CONVERSION}:clocks", *BOTH, says="time_bnds")
def bounds_not_converted(clocks, header):
    """Bounds stay in the units of their file."""
    return {name: clock for name, clock in clocks(header).items() if name != "time_bnds"}


@fault("time conversion", f"{CONVERSION}:convert_times", *BOTH, says="time|seen|steps")
def conversions_forgotten(convert_times, file, *args):
    """Times of later files stay in the units of their file."""
    converted = convert_times(file, *args)
    converted.conversions = {}
    return converted


@fault("time conversion", f"{CONVERSION}:convert_times", *BOTH, says="time|seen|steps")
def converted_by_the_second_file(convert_times, file, *args):
    """Every file is converted as the second one is."""
    converted = convert_times(file, *args)
    if converted.conversions:
        converted.conversions = FIRST.setdefault("conversions", converted.conversions)
    return converted


FIRST: dict = {}
"""What `converted_by_the_second_file` has seen first; each fault runs in a process of its own."""


@fault("time conversion", f"{TIMEAXIS}:convert", "units", says="seen")
def missing_times_converted(convert, values, by, keep=(), dtype=None):  # noqa: ARG001
    """Fill values of a time are converted as if they were times."""
    return convert(values, by, (), dtype)[0], Fraction(0)


@fault("time conversion", f"{TIMEAXIS}:convert", *BOTH, says="time|seen|steps")
def rounded_to_hours(convert, *args):
    """Converted times are rounded, and the rounding is called exact."""
    converted, _ = convert(*args)
    return (converted * 0.3).round() / 0.3, Fraction(0)


@fault("time conversion", f"{TIMEAXIS}:convert", *BOTH, says="time|seen|steps")
def last_time_not_converted(convert, values, *args):
    """The last number of a file is not converted."""
    converted, error = convert(values, *args)
    converted.reshape(-1)[-1] = values.reshape(-1)[-1]
    return converted, error


@fault(
    "time conversion",
    f"{TIMEAXIS}:TimeConversion.inverse",
    "units",
    says="provenance",
)
def way_back_wrong(inverse, by):
    """The conversion that restores a file's own times is another."""
    return replace(inverse(by), offset=Fraction(0))
