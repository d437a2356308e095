"""Names, shapes, dtypes, dimensions, fill values and attributes of a store against those of its first file."""

import base64
import struct
from typing import Any

import numpy as np
from zarr.types import AnyArray

from cmip6zarr.verify.header import USER_DEFINED, Attribute, Variable
from cmip6zarr.verify.meaning import fill_of, is_numeric
from cmip6zarr.verify.source import Files
from cmip6zarr.verify.tally import Policy, Tally, equal

ABSENT = object()


def compare_metadata(
    attributes: dict[str, Any], arrays: dict[str, AnyArray], files: Files, policy: Policy, tally: Tally
) -> None:
    """Note where a group's attributes and arrays are not as the first file says.

    A variable whose type is not the same in all files may have that of any.
    """
    first, steps = files.first, sum(file.stop - file.start for file in files.ranges)
    listed = {name: v for name, v in first.variables.items() if v.kind != USER_DEFINED}
    tally.same(f"{first.path}: variables in the store", sorted(arrays), sorted(listed))
    compare_attributes(f"{first.path}: global attribute", attributes, first.attributes, tally)
    for name in sorted(listed.keys() & arrays.keys()):
        array, variable, what = arrays[name], listed[name], f"{first.path}: {name!r}"
        shape = [steps if d == files.time_name else n for d, n in zip(variable.dims, variable.shape, strict=True)]
        tally.same(f"{what}: shape", list(array.shape), shape)
        kinds = {header.variables[name].kind for header in files.headers if name in header.variables}
        if kind_of(array.dtype) not in kinds:
            tally.wrong(f"{what}: dtype: found {kind_of(array.dtype)!r}, expected {variable.kind!r}")
        attributes = dict(array.attrs)
        fill = take_fill(array, attributes)
        if array.metadata.zarr_format == 2:
            dims = attributes.pop("_ARRAY_DIMENSIONS", None)
        else:
            dims = list(array.metadata.dimension_names or [])
        tally.same(f"{what}: dimensions", dims, list(variable.dims))
        compare_fill(what, fill, variable, policy, tally)
        others = {key: value for key, value in variable.attributes.items() if key != "_FillValue"}
        compare_attributes(f"{what}: attribute", attributes, others, tally)


def kind_of(dtype: np.dtype) -> str:
    """Return the kind of variable that an array's dtype holds."""
    if dtype.kind in "OTU":
        return "string"
    return "char" if dtype == "S1" else dtype.newbyteorder("=").name


def take_fill(array: AnyArray, attributes: dict[str, Any]) -> Any:
    """Return the fill value that xarray reads of an array, in plain Python, ABSENT if none; takes it from `attributes`.

    In Zarr v3 it is an attribute, a float as base64; of characters and texts it is the array's own, if not empty.
    """
    said, own = attributes.pop("_FillValue", ABSENT), array.fill_value
    if isinstance(own, bytes):
        own = own.decode("latin-1")
    own = own.item() if isinstance(own, np.generic) else own
    own = own.decode("latin-1") if isinstance(own, bytes) else own
    if array.dtype.kind in "SOTU":
        own = own if said is ABSENT else said
        return (own.rstrip("\0") if isinstance(own, str) else own) or ABSENT
    if array.metadata.zarr_format == 2:
        return ABSENT if own is None else own
    if said is not ABSENT and array.dtype.kind == "f" and isinstance(said, str):
        said = struct.unpack("<d", base64.standard_b64decode(said))[0]
    # A chunk that is lost reads as the array's own: it must not be another.
    return said if said is ABSENT or equal(own, said) else {"attribute": said, "array": own}


def compare_fill(what: str, found: Any, variable: Variable, policy: Policy, tally: Tally) -> None:
    """Note a mismatch where the fill value of an array is not that of its variable."""
    expected: object = ABSENT
    if "_FillValue" in variable.attributes:
        attribute = variable.attributes["_FillValue"]
        fits, expected = fill_of(variable)
        if not is_numeric(variable.kind) and expected == "":
            expected = ABSENT  # what an array of texts has without any
        if not fits or (attribute.kind != variable.kind and is_numeric(variable.kind)):
            message = f"{what}: _FillValue {attribute.value!r} is {attribute.kind}, expected {variable.kind}"
            choice = "accept" if fits else str(policy.get("fill_value", "refuse"))
            if choice not in ("accept", "drop"):
                tally.wrong(message)
                return
            tally.note("fill_value", choice, message)
            expected = expected if fits else ABSENT
    if found is ABSENT and expected is ABSENT:
        return
    said, wanted = (None if value is ABSENT else value for value in (found, expected))
    tally.same(f"{what}: attribute '_FillValue'", said, wanted)


def compare_attributes(what: str, found: dict[str, Any], expected: dict[str, Attribute], tally: Tally) -> None:
    """Note where attributes of a store are not those of a file, by value; numbers have lost their type."""
    expected = {name: attribute for name, attribute in expected.items() if attribute.kind != USER_DEFINED}
    tally.same(f"{what}s", sorted(found), sorted(expected))
    for name in sorted(found.keys() & expected.keys()):
        value = found[name].rstrip("\0") if isinstance(found[name], str) else found[name]
        tally.same(f"{what} {name!r}", value, expected[name].value)
