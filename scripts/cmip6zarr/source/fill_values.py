"""`_FillValue` as a value of its variable's type; a file may have one that is none."""

from typing import TYPE_CHECKING

import numpy as np

from cmip6zarr.core.errors import Refused
from cmip6zarr.model.inventory import Attribute, Attributes
from cmip6zarr.source.attributes import TEXTS, untyped
from cmip6zarr.source.policy import ACCEPTED, Judge, remedy

if TYPE_CHECKING:  # convert asks for fill values, and mostly does without the netCDF library
    from cmip6zarr.source.headers import Header


def check_fill_values(first: "Header", judge: Judge) -> Attributes:
    """Return {variable: typed `_FillValue`} of those that the policy drops.

    One of another type that is the same number after rounding is a finding. One that is no value of its variable's type
    raises Refused (`fill_value`), unless the policy is `drop`.
    """
    dropped = {}
    for name, variable in first.variables.items():
        attribute = variable.attributes.get("_FillValue")
        if attribute is None:
            continue
        value = fill_of(attribute, variable.dtype)
        message = f"{first.path}: {name}:_FillValue is {attribute}, expected a value of its type {variable.dtype}"
        if value is None:
            choice = remedy("fill_value", "drop (a store without it)", "Correct the attribute in all files")
            judge.lift(Refused("fill_value", f"{message}.", choice), "drop", variable=name)
            dropped[name] = attribute
        elif attribute[0] not in (*TEXTS, variable.dtype):
            judge.note("fill_value", ACCEPTED, f"{message}; the store has {value}.", variable=name)
    return dropped


def fill_of(attribute: Attribute, dtype: str) -> np.generic | str | None:
    """Return a typed `_FillValue` as a value of `dtype` (a numpy scalar or text), or None if it is none.

    `dtype` is named as in `headers.Variable`. A number of another type is a value of it if it is in its range: integers
    are kept exactly, floats are rounded and neither overflow nor become zero.

    >>> fill_of(["float64", 1e20], "float32"), fill_of(["float64", -999.0], "int16"), fill_of(["char", "x"], "S1")
    (np.float32(1e+20), np.int16(-999), np.bytes_(b'x'))
    >>> fill_of(["float32", "nan"], "int16"), fill_of(["int8", -1], "uint8"), fill_of(["int32", [1, 2]], "int32")
    (None, None, None)
    """
    value = untyped(attribute)
    if attribute[0] in TEXTS or dtype in ("str", "S1"):
        if attribute[0] not in TEXTS or dtype not in ("str", "S1") or not isinstance(value, str):
            return None
        if dtype == "str":
            return value
        data = value.encode("latin-1", "replace")
        return np.bytes_(data) if len(data) <= 1 else None
    if np.ndim(value):
        return None
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits, number = np.iinfo(kind), value.item()
        is_kept = np.isfinite(value) and limits.min <= number <= limits.max and number % 1 == 0
        return kind.type(int(number)) if is_kept else None
    with np.errstate(over="ignore", under="ignore"):
        rounded = kind.type(value)
    is_kept = np.isfinite(rounded) == np.isfinite(value) and (rounded != 0 or value == 0)
    return rounded if is_kept else None
