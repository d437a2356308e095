"""Does the provenance beside a store say of each source file what the file says of itself?"""

import base64
import json
import zlib
from typing import Any, TypeVar

import numpy as np
from zarr.types import AnyArray

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.as_json import from_json, to_json
from cmip6zarr.model.inventory import Inventory, SourceFile
from cmip6zarr.model.provenance import Provenance
from cmip6zarr.store import zarr_store
from cmip6zarr.store.interface import Home
from cmip6zarr.verify.header import USER_DEFINED, Attribute, Header, Variable
from cmip6zarr.verify.kept import compare_converted, compare_kept
from cmip6zarr.verify.meaning import plain_attributes
from cmip6zarr.verify.source import Files
from cmip6zarr.verify.stored import compare_stored
from cmip6zarr.verify.tally import Tally
from cmip6zarr.verify.times import Clock, clocks

AGAIN = "Run again: the dataset will be converted again."
RANGE = ("path", "bytes", "mtime_ns", "steps", "skip", "start", "stop")
KINDS = {"str": "string", "S1": "char"}
UNCONVERTED = ("1", "0")
LIBRARY_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ZeroDivisionError, OverflowError, zlib.error)

Stored = tuple[str, bytes | tuple[bytes | None, ...]]
"""An attribute as it is stored: its type, and its bytes, of texts those of each."""

Held = TypeVar("Held", Variable, Attribute)


def check_provenance(home: Home, inventory: Inventory, arrays: dict[str, AnyArray], files: Files, tally: Tally) -> None:
    """Note a mismatch where the provenance of a store is not what its files say.

    Ranges of files and findings are those of the inventory, whose ranges the values have proven. `arrays` are those of
    the store. Raises DatasetError (`mismatch`) where the provenance cannot be read as one.
    """
    try:
        told = from_json(Provenance, json.loads(home.read_beside(zarr_store.PROVENANCE) or b""))
        compare_summary(told, inventory, files, tally)
        for number, header in enumerate(files.headers):
            compare_file(told, number, header, files, tally)
            compare_stored(told, number, header, tally)
        compare_kept(told, files, tally)
        if not tally.mismatches:
            compare_converted(told, arrays, files, tally)
    except LIBRARY_ERRORS as error:
        message = f"{home}{zarr_store.PROVENANCE}: the provenance cannot be read: {type(error).__name__}: {error}."
        raise DatasetError("mismatch", message, AGAIN) from error


def compare_summary(told: Provenance, inventory: Inventory, files: Files, tally: Tally) -> None:
    """Compare what the provenance says of the dataset as a whole."""
    first, steps = storable(files.first.variables), inventory.files[-1].stop
    tally.same("provenance: dataset", told.dataset, inventory.dataset)
    found, expected = (
        [{key: getattr(file, key) for key in RANGE} for file in said] for said in (told.files, inventory.files)
    )
    tally.same("provenance: files", found, expected)
    tally.same("provenance: findings", to_json(told.findings), to_json(inventory.findings))
    tally.same("provenance: variables", sorted(told.variables), sorted(first))
    for name in told.variables.keys() & first.keys():
        ours = told.variables[name]
        tally.same(f"provenance: dimensions of {name!r}", ours.dims, first[name].dims)
        tally.same(f"provenance: dtype of {name!r}", kind_of(ours.dtype), widest(name, files.headers))
    if files.time_name:
        time = told.time and (told.time.variable, told.time.steps)
        tally.same("provenance: time axis", time, (files.time_name, steps))
        tally.same("provenance: units of time", told.time and told.time.units, first[files.time_name].value("units"))


def storable(held: dict[str, Held]) -> dict[str, Held]:
    """Return the variables or attributes that a store can hold; what else there is the policy has let go."""
    return {name: each for name, each in held.items() if each.kind != USER_DEFINED}


def kind_of(dtype: str) -> str:
    """Return the kind of a variable, as headers have it, that the provenance has as a dtype."""
    return KINDS.get(dtype, dtype)


def dtype_of(told: Provenance, file: SourceFile, name: str) -> str:
    """Return the dtype that the provenance has for a variable of a file: its own, the first file's, the store's."""
    forms = (form.get("variables", {}).get(name, {}) for form in (file.form, told.form))
    return next((str(form["dtype"]) for form in forms if "dtype" in form), told.variables[name].dtype)


def widest(name: str, headers: list[Header]) -> str:
    """Return the kind that a variable has in the store: of times what holds those of all files, else the first's."""
    kinds = {header.variables[name].kind for header in headers}
    if len(kinds) > 1 and name in clocks(plain_attributes(headers[0])):
        return np.result_type(*kinds).name
    return headers[0].variables[name].kind


def compare_file(told: Provenance, number: int, header: Header, files: Files, tally: Tally) -> None:
    """Compare what the provenance says of one file: names and dtypes in order, attributes, conversions of times."""
    file, words = told.files[number], f"provenance of {header.path}"
    form = told.form | file.form
    variables = storable(header.variables)
    dims = [[name, None if name == files.time_name else size] for name, size in header.dims.items()]
    tally.same(f"{words}: dimensions", form["dims"], dims)
    tally.same(f"{words}: order of variables", form["order"], list(variables))
    for name in ("", *variables):
        ours = attributes_of(told, number, name)
        theirs = storable(variables[name].attributes if name else header.attributes)
        tally.same(f"{words}: attributes of {name!r}", list(ours), list(theirs))
        for attribute in ours.keys() & theirs.keys():
            tally.same(f"{words}: {name}:{attribute}", ours[attribute], as_stored(theirs[attribute]))
    for name, variable in variables.items():
        tally.same(f"{words}: dtype of {name!r}", kind_of(dtype_of(told, file, name)), variable.kind)
    conversions = conversions_of(clocks(plain_attributes(header)), clocks(plain_attributes(files.first)))
    expected = {name: by for name, by in conversions.items() if variables[name].kind not in ("char", "string")}
    widened = {name for name in conversions if variables[name].kind != kind_of(told.variables[name].dtype)}
    expected = {name: by for name, by in expected.items() if by != UNCONVERTED or name in widened}
    tally.same(f"{words}: conversions of times", file.moves, expected)


def conversions_of(theirs: dict[str, Clock], ours: dict[str, Clock]) -> dict[str, tuple[str, str]]:
    """Return {variable: (scale, offset)} that turns numbers of a file into those of the first one, exactly."""
    found = {}
    for name in theirs.keys() & ours.keys():
        try:
            (factor, offset), (to_factor, to_offset) = theirs[name].microseconds(), ours[name].microseconds()
        except ValueError:
            continue
        found[name] = (str(factor / to_factor), str((offset - to_offset) / to_factor))
    return found


def attributes_of(told: Provenance, number: int, variable: str) -> dict[str, Stored]:
    """Return {attribute: (type, bytes)} that the provenance has for a variable ("": the file) of a file, in order."""
    file = told.files[number]
    if variable:
        first, own = told.form["variables"][variable], file.form.get("variables", {}).get(variable, {})
        held = told.variables[variable]
        values = held.attributes | held.dropped
    else:
        first, own, values = told.form, file.form, dict(told.attributes)
    exact = {n: e for n, e in (first["exact"] | own.get("exact", {})).items() if e is not None}
    for row in told.differing_attributes:
        for each in row.values:
            if row.variable == variable and each.start <= file.start < each.stop:
                values.pop(row.attribute, None)
                if each.value is not None:
                    values[row.attribute] = each.value
    order = own.get("attributes", first["attributes"])
    return {name: as_told(values[name], exact.get(name)) for name in order}


def as_told(value: list[Any], exact: list[Any] | None) -> Stored:
    """Return the type and bytes of an attribute that the provenance has as [type, value], and [type, form] beside it.

    The form is the length of a text that zero bytes follow, or the bytes in base64, of texts those of each.
    """
    kind, plain = value
    if exact is None:
        if kind == "char":
            return kind, plain.encode()
        if kind == "string":
            return kind, tuple(text.encode() for text in plain)
        return kind, np.array(np.ravel(plain), kind).tobytes()
    kind, form = exact
    if isinstance(form, int):
        return kind, plain.encode().ljust(form, b"\0")
    if isinstance(form, list):
        return kind, tuple(None if text is None else base64.b64decode(text) for text in form)
    return kind, base64.b64decode(form)


def as_stored(attribute: Attribute) -> Stored:
    """Return the type and bytes of an attribute as `as_told` returns them."""
    return attribute.kind, attribute.data
