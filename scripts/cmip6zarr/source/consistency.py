"""Where the files of one dataset must agree before they may become one store: names, structure and meaning.

Structure comes from the first file. Whatever differs in another file is refused with the file, the variable, what was
found and what was expected; nothing is aligned, filled or guessed. `statics` compares the values of coordinates.
"""

import re
from collections.abc import Container, Iterable
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from cmip6zarr.core.errors import Refused
from cmip6zarr.model.inventory import Attribute, AttributeRange, DifferingAttribute
from cmip6zarr.source.attributes import TEXTS, untyped
from cmip6zarr.source.headers import Header
from cmip6zarr.source.policy import ACCEPTED, Judge, remedy
from cmip6zarr.source.time_units import is_time_units

CMIP5_TABLE = re.compile(r"Table (\w+) \(.*\).*")
# Attributes that decide which number or date a stored number is.
DECODING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "calendar")
# Attributes that say what the stored numbers mean: the store has one of each.
MEANING = (
    *DECODING,
    *("units", "flag_values", "flag_masks", "flag_meanings", "positive", "standard_name"),
    *("bounds", "climatology", "grid_mapping", "axis", "cell_methods"),
)
# Those that the conversion of times looks at.
OF_TIMES = ("units", "calendar")
FLOATS = {"float32", "float64"}
# CF conventions 1.11, sections 4.1 and 4.2: UDUNITS takes all of these for the same angle.
DIRECTION = re.compile(r"(?i:degrees?_?)((?i:north|east|west|true)|[NEWT])")


def check_identity(header: Header, first: Header, identity: Iterable[str], judge: Judge) -> None:
    """Raise Refused (`identity`) if both files name themselves, in different ways, unless the policy is `allow`.

    `identity` are the global attributes that the id of a dataset is made of, in its project.
    """
    for name in identity:
        found, expected = header.attributes.get(name), first.attributes.get(name)
        if found is None or expected is None or table_name(found[1]) == table_name(expected[1]):
            continue
        message = f"{header.path}: {name} is {found[1]!r}, expected {expected[1]!r} as in {first.path}."
        choices = "allow (join them) or leave_out"
        refusal = Refused("identity", message, remedy("identity", choices, "Make two datasets of it"))
        judge.lift(refusal, "allow", file=header.path)


def table_name(value: Any) -> Any:
    """Return the value of an attribute that names a dataset; of CMIP5's table_id, the table without its edition.

    >>> table_name("Table Amon (26 July 2011) 976b7fd1d9e1be31dddd28f5dc79b7a1"), table_name("Amon")
    ('Amon', 'Amon')
    """
    match = CMIP5_TABLE.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else value


def check_structure(header: Header, first: Header, time_dim: str | None, widened: Container[str] = ()) -> None:
    """Raise Refused (`structure`) unless both files have the same variables, dimensions and dtypes.

    Only the length of `time_dim` may differ, and the dtype of variables in `widened`. Byte order, chunks and filters
    may differ too: no value has them. Floats without time may be of another width: `statics` compares them.
    """

    def refuse(what: str, found: object, expected: object) -> NoReturn:
        message = f"{header.path}: {what}: found {found}, expected {expected} as in {first.path}."
        raise Refused("structure", message, remedy("structure", "leave_out", "Make two datasets of it"))

    for name in [n for n in first.variables if n not in header.variables]:
        refuse(f"variable {name!r}", "none", f"{first.variables[name].dtype} {tuple(first.variables[name].dims)}")
    for name in [n for n in header.variables if n not in first.variables]:
        refuse(f"variable {name!r}", f"{header.variables[name].dtype} {tuple(header.variables[name].dims)}", "none")
    for name, variable in header.variables.items():
        expected = first.variables[name]
        if variable.dims != expected.dims:
            refuse(f"dimensions of {name!r}", tuple(variable.dims), tuple(expected.dims))
        is_static_float = time_dim not in variable.dims and {variable.dtype, expected.dtype} == FLOATS
        if variable.dtype != expected.dtype and not is_static_float and name not in widened:
            refuse(f"dtype of {name!r}", variable.dtype, expected.dtype)
    for name, size in header.dims.items():
        if name != time_dim and name in first.dims and size != first.dims[name]:
            refuse(f"length of dimension {name!r}", size, first.dims[name])


def check_meaning(header: Header, first: Header, times: set[str], judge: Judge) -> None:
    """Raise Refused (`encoding`) unless stored numbers mean the same in both files.

    `times` are the variables that count time since a date in both: their units and calendars are converted instead. An
    attribute that is spelled in another way and means the same is a finding. Where no number is decoded by it, the
    policy `first` keeps the first file's.
    """
    for name, variable in header.variables.items():
        for attribute in MEANING:
            found, expected = variable.attributes.get(attribute), first.variables[name].attributes.get(attribute)
            if found == expected or (name in times and attribute in OF_TIMES):
                continue
            message = f"{header.path}: {name}:{attribute} is {found}, expected {expected} as in {first.path}"
            where = {"file": header.path, "variable": name}
            if found and expected and means_same(attribute, found, expected):
                judge.note("encoding", ACCEPTED, f"{message}; both mean the same, the first file's is kept.", **where)
                continue
            advice = "Stored numbers cannot be joined if they mean different things: convert the files separately"
            choices = (
                "leave_out" if decodes(attribute, found, expected) else "first (keep the first file's) or leave_out"
            )
            refusal = Refused("encoding", f"{message}.", remedy("encoding", choices, advice))
            if choices == "leave_out":
                raise refusal
            judge.lift(refusal, "first", **where)


def decodes(attribute: str, *values: Attribute | None) -> bool:
    """Tell whether typed values of an attribute decide which number or date a stored number is."""
    return attribute in DECODING or (attribute == "units" and any(v and is_time_units(v[1]) for v in values))


def means_same(attribute: str, found: Attribute, expected: Attribute) -> bool:
    """Tell whether two typed values of an attribute that are not equal mean the same.

    Those are units that UDUNITS takes for one, and equal numbers of another type. A scale is not one of them: its type
    is that of the decoded numbers.

    >>> means_same("units", ["char", "degree_north"], ["char", "degrees_north"])
    True
    >>> means_same("flag_values", ["int8", [0, 1]], ["int32", [0, 1]])
    True
    """
    if attribute == "units":
        return isinstance(found[1], str) and isinstance(expected[1], str) and same_units(found[1], expected[1])
    if attribute in ("scale_factor", "add_offset") or found[0] in TEXTS or expected[0] in TEXTS:
        return False
    return np.array_equal(untyped(found), untyped(expected), equal_nan=True)


def same_units(a: str, b: str) -> bool:
    """Tell whether two spellings of a unit mean the same, as UDUNITS has them; degrees must be of one direction.

    >>> same_units("K ", "K"), same_units("kg m-2 s-1", "kg/m2/s"), same_units("degreesN", "degree_north")
    (True, True, True)
    >>> same_units("K", "degC"), same_units("degrees_north", "degrees_east"), same_units("psu", "1")
    (False, False, False)
    """
    a, b = a.strip(), b.strip()
    if a == b:
        return True
    import cf_units  # 0.15 s, which only files that differ pay for

    try:
        ours, theirs = cf_units.Unit(a), cf_units.Unit(b)
    except ValueError:
        return False  # not known to UDUNITS
    return ours == theirs and not ours.is_unknown() and direction(a) == direction(b)


def direction(units: str) -> str:
    """Return the first letter of the direction that degrees have, empty for other units.

    >>> direction("degrees_north"), direction("degree_E"), direction("degrees")
    ('n', 'e', '')
    """
    match = DIRECTION.fullmatch(units)
    return match[1][0].lower() if match else ""


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays of one shape and dtype hold the same bits: NaN payloads and the sign of zero count."""
    if a.dtype == object:
        return bool(a.tolist() == b.tolist())
    a, b = (x.astype(x.dtype.newbyteorder("<"), copy=False) for x in (a, b))
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def differing_attributes(headers: list[Header], ranges: list[tuple[int, int]]) -> tuple[DifferingAttribute, ...]:
    """Return each attribute that is not the same in all files.

    `ranges` are the files' [start, stop) along time. Neighbouring files with the same value share a range.
    """
    found = []
    for variable in ("", *headers[0].variables):
        sets = [h.variables[variable].attributes if variable else h.attributes for h in headers]
        for attribute in sorted(set().union(*sets)):
            values: list[AttributeRange] = []
            for attributes, (start, stop) in zip(sets, ranges, strict=True):
                value = attributes.get(attribute)
                if values and values[-1].value == value:
                    values[-1] = replace(values[-1], stop=stop)
                else:
                    values.append(AttributeRange(start=start, stop=stop, value=value))
            if len(values) > 1:
                found.append(DifferingAttribute(variable=variable, attribute=attribute, values=tuple(values)))
    return tuple(found)
