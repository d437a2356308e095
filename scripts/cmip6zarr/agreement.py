"""Where the files of one dataset must agree before they may become one store.

Structure comes from the first file. Whatever differs in another file is refused with the file, the variable, what was
found and what was expected; nothing is aligned, filled or guessed.
"""

import numpy as np

from .attributes import missing_values
from .errors import Refused
from .headers import Header, open_raw, reading
from .policy import remedy
from .timeaxis import is_time_units

# Attributes that say what the stored numbers mean: the store has one of each.
MEANING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "units")
# Most that is held of one variable of one file while static variables are compared.
BLOCK_BYTES = 16 * 2**20


def check_structure(header: Header, first: Header, time_dim: str | None) -> None:
    """Raise Refused (`structure`) unless both files have the same variables, dimensions and dtypes.

    Only the length of `time_dim` may differ. Byte order, chunks and filters may differ too: no value has them.
    """

    def refuse(what, found, expected):
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
        if variable.dtype != expected.dtype:
            refuse(f"dtype of {name!r}", variable.dtype, expected.dtype)
    for name, size in header.dims.items():
        if name != time_dim and name in first.dims and size != first.dims[name]:
            refuse(f"length of dimension {name!r}", size, first.dims[name])


def check_meaning(header: Header, first: Header) -> None:
    """Raise Refused (`encoding`) unless stored numbers mean the same in both files (time units are moved instead)."""
    for name, variable in header.variables.items():
        for attribute in MEANING:
            found, expected = variable.attributes.get(attribute), first.variables[name].attributes.get(attribute)
            if found == expected or all(v and is_time_units(v[1]) for v in (found, expected)):
                continue
            message = f"{header.path}: {name}:{attribute} is {found}, expected {expected} as in {first.path}."
            advice = "Stored numbers cannot be joined if they mean different things: convert the files separately"
            raise Refused("encoding", message, remedy("encoding", "leave_out", advice))


def blocks(shape, itemsize: int):
    """Yield slices of axis 0 that cover `shape` in at most BLOCK_BYTES each (at least one row), `...` for a scalar."""
    if not shape:
        yield ...
        return
    rows = max(1, BLOCK_BYTES // max(1, itemsize * int(np.prod(shape[1:]))))
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays of one shape and dtype hold the same bits: NaN payloads and the sign of zero count."""
    if a.dtype == object:
        return a.tolist() == b.tolist()
    a, b = (x.astype(x.dtype.newbyteorder("<"), copy=False) for x in (a, b))
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def largest_difference(a: np.ndarray, b: np.ndarray, missing: tuple) -> tuple[float, float]:
    """Return max |a - b| and max |a| over numbers; values in `missing`, NaN and infinities must be the same in both.

    The difference is infinite where they are not, or where texts differ.
    """
    if a.dtype.kind not in "fiu":
        return float("inf"), 0.0
    numbers = np.isfinite(a) & np.isfinite(b) & ~np.isin(a, missing) & ~np.isin(b, missing)
    if not same_bits(a[~numbers], b[~numbers]):
        return float("inf"), 0.0
    a, b = a[numbers].astype("f8"), b[numbers].astype("f8")
    return float(np.abs(a - b).max(initial=0)), float(np.abs(a).max(initial=0))


def check_static(header: Header, first: Header, names, tolerance: float, policy: str) -> list[dict]:
    """Compare the static variables `names` of two files; return a finding for each that differs and may.

    `tolerance` is relative to the largest magnitude in the variable. Numbers that differ by more raise Refused
    (`coordinates`) with the largest difference, unless the policy is `first`: two grids are two datasets.
    """
    findings = []
    with open_raw(header.path) as nc, open_raw(first.path) as reference:
        for name in names:
            with reading(header.path):
                worst, magnitude = static_difference(
                    nc[name], reference[name], missing_values(first.variables[name].attributes)
                )
            if worst > tolerance * magnitude and policy != "first":
                message = (
                    f"{header.path}: {name!r} differs from {first.path} by up to {worst:.6g}; "
                    f"expected equal, or within {tolerance:g} of its largest magnitude {magnitude:.6g}."
                )
                choices = "first (keep the first file's) or leave_out"
                raise Refused("coordinates", message, remedy("coordinates", choices, "Make two datasets of it"))
            if worst:
                difference = worst if np.isfinite(worst) else "not comparable"
                findings.append(
                    {"kind": "coordinates", "variable": name, "file": header.path, "max_difference": difference}
                )
    return findings


def static_difference(variable, reference, missing: tuple) -> tuple[float, float]:
    """Return the largest difference between two netCDF variables of one shape, and the largest magnitude.

    `missing` are the values that stand for no value.
    """
    worst = magnitude = 0.0
    for block in blocks(reference.shape, 8):
        a, b = np.asarray(reference[block]), np.asarray(variable[block])
        if not same_bits(a, b):
            difference, largest = largest_difference(a, b, missing)
            worst, magnitude = max(worst, difference or np.finfo("f8").tiny), max(magnitude, largest)
    return worst, magnitude


def differing_attributes(headers: list[Header], ranges: list[tuple[int, int]]) -> list[dict]:
    """Return a row for each attribute that is not the same in all files: variable, attribute, value by index range.

    `ranges` are the files' [start, stop) along time. Global attributes have variable "". Neighbouring files with the
    same value share an entry; a value of None means that the attribute is absent.
    """
    rows = []
    for variable in ("", *headers[0].variables):
        sets = [h.variables[variable].attributes if variable else h.attributes for h in headers]
        for attribute in sorted(set().union(*sets)):
            values: list[dict] = []
            for attributes, (start, stop) in zip(sets, ranges, strict=True):
                value = attributes.get(attribute)
                if values and values[-1]["value"] == value:
                    values[-1]["stop"] = stop
                else:
                    values.append({"start": start, "stop": stop, "value": value})
            if len(values) > 1:
                rows.append({"variable": variable, "attribute": attribute, "values": values})
    return rows
