"""Are the files of a row one dataset? Structure, identity and the meaning of stored numbers, file by file."""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from cmip6zarr.verify.header import Header, Value, Variable
from cmip6zarr.verify.tally import equal
from cmip6zarr.verify.times import CALENDARS, GREGORIAN, clocks

# What decides which number a stored one is.
DECODING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "calendar")
MEANING = (
    *DECODING,
    *("units", "flag_values", "flag_masks", "flag_meanings", "positive", "standard_name"),
    *("bounds", "climatology", "grid_mapping", "axis", "cell_methods"),
)
CMIP5_TABLE = re.compile(r"Table (\w+) \(.*\).*")
DIRECTION = re.compile(r"(?:degrees?_?)(north|south|east|west|true|[nsewt])", re.IGNORECASE)

RULE, POLICY, NEVER = "rule", "policy", "never"
"""What lets a disagreement pass: a rule does, the policy may, nothing does."""

Disagreement = tuple[str, str, str]
"""Its kind, what lets it pass, and a message."""


def time_axis(header: Header) -> str | None:
    """Return the name of the time coordinate: along its own dimension, in units since a date, `time` if it is one."""
    times = clocks(plain_attributes(header))
    names = [n for n, v in header.variables.items() if v.dims == (n,) and n in times]
    return "time" if "time" in names else names[0] if names else None


def plain_attributes(header: Header) -> dict[str, dict[str, Value]]:
    """Return {variable: {attribute: plain value}} of a file."""
    return {n: {a: v.value for a, v in variable.attributes.items()} for n, variable in header.variables.items()}


def disagreements(
    header: Header, first: Header, time_name: str | None, identity: Iterable[str]
) -> Iterator[Disagreement]:
    """Yield where a file is not of the first one's dataset, which the attributes in `identity` name.

    Values of coordinates are not looked at here, and instants of times are not.
    """
    path = header.path
    yield from (
        ("unseen", POLICY, f"{path}: found {thing}, expected nothing that is not listed") for thing in header.unlisted
    )
    yield from (
        ("unseen", NEVER, f"{path}: {problem}, expected all values in the file") for problem in header.elsewhere
    )
    for name in identity:
        found, expected = (h.attributes[name].value if name in h.attributes else None for h in (header, first))
        if None not in (found, expected) and not equal(table_name(found), table_name(expected)):
            yield "identity", POLICY, f"{path}: {name} is {found!r}, expected {expected!r} as in {first.path}"
    for name in first.variables.keys() ^ header.variables.keys():
        found = "none" if name in first.variables else "one"
        yield "structure", NEVER, f"{path}: variable {name!r}: found {found}, expected the variables of {first.path}"
    ours, theirs = (clocks(plain_attributes(h)) for h in (header, first))
    for name in header.variables.keys() & first.variables.keys():
        pair = header.variables[name], first.variables[name]
        is_time = name in ours and name in theirs
        yield from differing_structure(path, name, *pair, time_name, is_time)
        for attribute in MEANING:
            yield from differing_attribute(path, name, attribute, *pair, is_time)


def differing_structure(
    path: str, name: str, found: Variable, expected: Variable, time_name: str | None, is_time: bool
) -> Iterator[Disagreement]:
    """Yield how dimensions, lengths and dtype of a variable differ, as `disagreements` does."""
    if found.dims != expected.dims:
        yield "structure", NEVER, f"{path}: dimensions of {name!r}: found {found.dims}, expected {expected.dims}"
        return
    lengths = [(n, m) for d, n, m in zip(found.dims, found.shape, expected.shape, strict=True) if d != time_name]
    if any(n != m for n, m in lengths):
        yield "structure", NEVER, f"{path}: shape of {name!r}: found {found.shape}, expected {expected.shape}"
    if found.kind != expected.kind:
        message = f"{path}: dtype of {name!r}: found {found.kind}, expected {expected.kind}"
        if is_time and is_numeric(found.kind) and is_numeric(expected.kind):
            yield "structure", RULE, message
        elif {found.kind, expected.kind} == {"float32", "float64"} and time_name not in found.dims:
            yield "coordinates", POLICY, message
        else:
            yield "structure", NEVER, message


def differing_attribute(
    path: str, name: str, attribute: str, found: Variable, expected: Variable, is_time: bool
) -> Iterator[Disagreement]:
    """Yield how an attribute that gives numbers their meaning differs, as `disagreements` does."""
    a, b = (variable.attributes.get(attribute) for variable in (found, expected))
    if a == b or (is_time and attribute in ("units", "scale_factor", "add_offset")):
        return  # of times the instants are compared
    value, wanted = (None if x is None else x.value for x in (a, b))
    message = f"{path}: {name}:{attribute} is {value!r}, expected {wanted!r}"
    if attribute == "calendar":
        names = {calendar_name(value), calendar_name(wanted)}
        if len(names) > 1:
            yield "calendar", RULE if names == GREGORIAN else NEVER, message
    elif a and b and equal(value, wanted) and (a.kind == b.kind or attribute not in ("scale_factor", "add_offset")):
        return
    elif attribute == "units" and isinstance(value, str) and isinstance(wanted, str) and same_units(value, wanted):
        yield "encoding", RULE, message
    else:
        is_clock = attribute == "units" and any("since" in str(units) for units in (value, wanted))
        decodes = attribute in DECODING or is_clock
        yield "encoding", NEVER if decodes else POLICY, message


def table_name(value: Value | None) -> Value | None:
    """Return the value of an attribute that names a dataset; of CMIP5's table_id, the table without its edition."""
    match = CMIP5_TABLE.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else value


def calendar_name(calendar: Value | None) -> str:
    """Return the one name that CF's names of a calendar share; no calendar is the standard one."""
    name = str(calendar or "").strip().lower()
    return CALENDARS.get(name, name)


def is_numeric(kind: str) -> bool:
    """Tell whether a kind of variable holds numbers."""
    return kind.startswith(("int", "uint", "float"))


def same_units(found: str, expected: str) -> bool:
    """Tell whether UDUNITS takes two units for one; it does not know the directions of degrees, which must be one.

    >>> same_units("degree_north", "degrees_north"), same_units("K ", "K"), same_units("degrees_north", "degrees_east")
    (True, True, False)
    """
    import cf_units

    try:
        units = [cf_units.Unit(text.strip()) for text in (found, expected)]
    except ValueError:
        return False
    directions = [DIRECTION.fullmatch(text.strip()) for text in (found, expected)]
    letters = {match and match[1][0].lower() for match in directions}
    return units[0] == units[1] and not units[0].is_unknown() and len(letters) == 1


def fill_of(variable: Variable) -> tuple[bool, object]:
    """Return whether a variable's `_FillValue` can be a value of its type, and that value in plain Python.

    A number of another type is the variable's own after rounding, which must neither overflow nor make it zero.
    """
    attribute = variable.attributes["_FillValue"]
    if not is_numeric(variable.kind):
        value = attribute.value
        if attribute.kind not in ("char", "string") or not isinstance(value, str):
            return False, value
        return variable.kind == "string" or len(value) <= 1, value
    if not attribute.is_number or attribute.numbers.size != 1:
        return False, attribute.value
    number, dtype = attribute.numbers[0], np.dtype(variable.kind)
    if attribute.kind == variable.kind:
        return True, number.item()
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = np.isfinite(number) and limits.min <= number <= limits.max and number == int(number)
        return bool(fits), int(number) if fits else attribute.value
    with np.errstate(over="ignore", under="ignore"):
        rounded = dtype.type(number)
    is_kept = np.isfinite(rounded) == np.isfinite(number) and (rounded != 0 or number == 0)
    return bool(is_kept), rounded.item()
