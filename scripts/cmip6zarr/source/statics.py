"""Are the variables without time, coordinates above all, the same in two files? Value by value."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import netCDF4
import numpy as np

from cmip6zarr.core.errors import Refused
from cmip6zarr.source.attributes import missing_values
from cmip6zarr.source.consistency import same_bits
from cmip6zarr.source.headers import Header, open_raw, reading
from cmip6zarr.source.policy import ACCEPTED, Judge, remedy

# Most that is held of one variable of one file while static variables are compared.
COMPARED_BYTES = 16 * 2**20
# How far a number is from itself after it was rounded to float32, relative to it.
FLOAT32_ROUNDING = float(np.finfo("f4").eps) / 2
# The bits of a float64 but those that tell numbers apart which differ by less than 6 %.
COARSE = np.uint64(48)

Missing = tuple[Any, ...]
"""The values that mark missing numbers, see `missing_values`."""


@dataclass
class Difference:
    """How two variables differ: `largest` in their units (inf: not comparable), `beyond` one that is not within limits.

    `largest` of bits that differ between equal numbers is the smallest float.
    """

    largest: float = 0.0
    beyond: str = ""


def check_static(header: Header, first: Header, names: Iterable[str], judge: Judge) -> None:
    """Compare the static variables `names` of two files; each that differs and may is a finding.

    Floats may differ by `coordinate_tolerance` of the number itself, or of the variable's median magnitude where that
    is larger; integers and texts by nothing. What differs by more raises Refused (`coordinates`), unless the policy is
    `first`: two grids are two datasets. So does a float of another width, within the rounding of float32.
    """
    tolerance = float(judge.policy["coordinate_tolerance"])
    with open_raw(header.path) as nc, open_raw(first.path) as reference:
        for name in names:
            found, expected = header.variables[name], first.variables[name]
            is_wider = found.dtype != expected.dtype
            limit = max(tolerance, FLOAT32_ROUNDING) if is_wider else tolerance
            missing = [missing_values(variable.attributes) for variable in (expected, found)]
            with reading(header.path):
                difference = static_difference(reference[name], nc[name], missing, limit)
            if not difference.largest and not is_wider:
                continue
            largest = difference.largest if np.isfinite(difference.largest) else "not comparable"
            details = {"variable": name, "file": header.path, "max_difference": largest}
            message = f"{header.path}: {name!r} differs from {first.path} by up to {difference.largest:.6g}"
            if is_wider:
                message = f"{header.path}: {name!r} is {found.dtype}, expected {expected.dtype} as in {first.path}"
            if difference.beyond:
                message += f": found {difference.beyond}, expected equal, or within {limit:g} of it"
            if not difference.beyond and not is_wider:
                judge.note("coordinates", ACCEPTED, f"{message}; the first file's is kept.", **details)
                continue
            choices = "first (keep the first file's) or leave_out"
            if is_wider and difference.beyond:  # no choice of a width would give this file's numbers
                choices = "leave_out"
            refusal = Refused("coordinates", f"{message}.", remedy("coordinates", choices, "Make two datasets of it"))
            if choices == "leave_out":
                raise refusal
            judge.lift(refusal, "first", **details)


def static_difference(
    reference: "netCDF4.Variable[Any]", variable: "netCDF4.Variable[Any]", missing: list[Missing], tolerance: float
) -> Difference:
    """Return how a netCDF variable differs from the reference of the same shape.

    `missing` are the values that stand for no value in the reference and in the variable; `tolerance` as in
    `check_static`.
    """
    found, floor = Difference(), None
    for block in blocks(reference.shape, 8):
        a, b = np.asarray(reference[block]), np.asarray(variable[block])
        if a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=") and same_bits(a, b):
            continue
        apart = differences(a, b, *missing)
        found.largest = max(found.largest, float(apart.max(initial=0)), np.finfo("f8").tiny)
        is_float = a.dtype.kind == "f"
        with np.errstate(invalid="ignore", over="ignore"):
            beyond = apart > (tolerance * np.abs(a.astype("f8")) if is_float else 0)
        if found.beyond or not beyond.any():
            continue
        if is_float:
            floor = tolerance * typical_magnitude(reference, missing[0]) if floor is None else floor
            beyond &= apart > floor
        if beyond.any():
            index = tuple(int(i) for i in np.argwhere(beyond)[0])
            row = (block.start + index[0], *index[1:]) if index else ()
            found.beyond = f"{b[index]} for {a[index]} at {list(row)}"
    return found


def differences(a: np.ndarray, b: np.ndarray, missing: Missing, missing_in_b: Missing) -> np.ndarray:
    """Return |a - b| as float64 in the shape of both; infinite where one of them is no number and the other is another.

    No numbers are missing values, NaN, infinities and texts. Of one dtype they must have the same bits.
    """
    if a.dtype.kind not in "fiu":
        return np.where(a != b, np.inf, 0.0)
    ours, theirs = (np.isfinite(x) & ~np.isin(x, gone) for x, gone in ((a, missing), (b, missing_in_b)))
    if a.dtype.newbyteorder("=") == b.dtype.newbyteorder("="):
        kind = f"<u{a.dtype.itemsize}"
        little = [np.ascontiguousarray(x.astype(x.dtype.newbyteorder("<"), copy=False)).view(kind) for x in (a, b)]
        same = (little[0] == little[1]).reshape(a.shape)
    else:
        same = ~ours & ~theirs & ((np.isfinite(a) & np.isfinite(b)) | (a == b) | (np.isnan(a) & np.isnan(b)))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a.astype("f8") - b.astype("f8"))
    if a.dtype.kind != "f":
        apart = np.where(a != b, np.maximum(apart, 1), 0.0)  # large integers may be one float64
    return np.where(same, 0.0, np.where(ours & theirs, apart, np.inf))


def typical_magnitude(variable: "netCDF4.Variable[Any]", missing: Missing) -> float:
    """Return the median magnitude of a float variable's numbers, rounded down by at most 6 %; 0 if there is none.

    It is counted in blocks, since a variable may be larger than memory.
    """
    counts = np.zeros(1 << 15, "i8")
    for block in blocks(variable.shape, 8):
        values = np.asarray(variable[block])
        numbers = values[np.isfinite(values) & ~np.isin(values, missing)].astype("f8")
        counts += np.bincount((np.abs(numbers).view("u8") >> COARSE).astype("i8"), minlength=len(counts))
    if not counts.any():
        return 0.0
    middle = np.searchsorted(np.cumsum(counts), (counts.sum() + 1) // 2)
    return float((np.uint64(middle) << COARSE).view("f8"))


def blocks(shape: Sequence[int], itemsize: int) -> Iterator[Any]:
    """Yield slices of axis 0 that cover `shape` in COMPARED_BYTES each, or in one row; `...` for a scalar."""
    if not shape:
        yield ...
        return
    rows = max(1, COMPARED_BYTES // max(1, itemsize * int(np.prod(shape[1:]))))
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))
