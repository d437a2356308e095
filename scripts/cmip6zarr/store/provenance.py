"""The provenance that lies beside a store: what it says of each source file, and of which one is asked for."""

import json
from dataclasses import dataclass, replace
from typing import Any

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import JSON
from cmip6zarr.model.as_json import from_json
from cmip6zarr.model.inventory import Attributes, SourceFile, Variable
from cmip6zarr.model.provenance import Provenance
from cmip6zarr.source import file_form
from cmip6zarr.store import backend, ledger, zarr_store
from cmip6zarr.store.backend import Place

CONVERT_AGAIN = "Convert the dataset again."
KEEP = "Keep the original file."


def from_text(data: bytes, path: str) -> Provenance:
    """Return what lies at a path as a provenance; raises DatasetError (`provenance`) where it is none."""
    try:
        return from_json(Provenance, json.loads(data))
    except ValueError as error:
        raise DatasetError("provenance", f"{path}: cannot be read: {error}.", CONVERT_AGAIN) from error


def read(store: Place) -> Provenance:
    """Return the provenance of a store; raises DatasetError (`provenance`) where it is not whole.

    Nor is it where the ledger knows another checksum. `is_proven` tells whether the ledger knows one.
    """
    home = backend.at(store)
    path = f"{home}{zarr_store.PROVENANCE}"
    try:
        data = home.read_beside(zarr_store.PROVENANCE)
        if data is None:
            raise FileNotFoundError("there is none")
    except OSError as error:
        raise DatasetError("provenance", f"{path}: cannot be read: {error}.", CONVERT_AGAIN) from error
    provenance = from_text(data, path)
    checksum, expected = ledger.digest_of(data), ledger.load(home)[0].get("provenance")
    if expected not in (None, checksum):
        message = f"{path}: found {checksum}, expected {expected} by the ledger."
        raise DatasetError("provenance", message, "Run the workflow's audit, then the workflow again.")
    return provenance


def is_proven(store: Place) -> bool:
    """Tell whether the ledger of a store knows the checksum of its provenance; those of older stores do not."""
    return bool(ledger.load(store)[0].get("provenance"))


def name_of(file: SourceFile) -> str:
    """Return the bare name of a source file; raises DatasetError (`provenance`) for what is no name in a folder."""
    name = file.path.rpartition("/")[2]
    if name in ("", ".", "..") or "\0" in name:
        message = f"the provenance names the file {file.path!r}: expected a path that ends in the name of a file."
        raise DatasetError("provenance", message, CONVERT_AGAIN)
    return name


def number_of(provenance: Provenance, name: str) -> int:
    """Return which of the source files has a name; raises DatasetError (`restore`) unless just one has it."""
    names = [name_of(file) for file in provenance.files]
    if names.count(name) == 1:
        return names.index(name)
    paths = [file.path for file in provenance.files if name_of(file) == name]
    messages = [f.message for f in provenance.findings if f.policy in ("leave_out", "trim")]
    left_out = [message for message in messages if name in message]
    if paths:
        message, remedy = f"{name!r}: found files {paths}, expected one.", "Copy them by hand."
    elif left_out:
        message, remedy = f"{name!r}: is not in the store, the policy left it out: {left_out[0]}", KEEP
    else:
        message = f"{name!r}: found none of this name, expected one of {len(names)} files, such as {names[0]!r}."
        remedy = "Name a file of the store's provenance."
    raise DatasetError("restore", message, remedy)


@dataclass(frozen=True)
class Original:
    """One source file as it was.

    `form` as in `originals`, `variables` are the dataset's with the dtypes of the file, `attributes` the file's: typed
    and in their order, by variable ("": of the file). `kept` are the values that the store does not give back.
    """

    file: SourceFile
    form: JSON
    time_name: str | None
    variables: dict[str, Variable]
    attributes: dict[str, Attributes]
    kept: dict[str, str | list[Any] | None]

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def dims(self) -> dict[str, int]:
        return {name: self.file.steps if size is None else size for name, size in self.form["dims"]}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that a variable has in the file."""
        return tuple(self.dims[dim] for dim in self.variables[name].dims)

    def exact(self, name: str) -> Attributes:
        """Return the attributes of a variable, or of the file, of which their typed form does not say all."""
        exact: Attributes = (self.form["variables"][name] if name else self.form)["exact"]
        return exact


def original(provenance: Provenance, number: int) -> Original:
    """Return one of the source files as its store's provenance has it."""
    file, variables = provenance.files[number], provenance.variables
    form = file_form.like(file.form, provenance.form)
    return Original(
        file,
        form,
        provenance.time.variable if provenance.time else None,
        {name: replace(v, dtype=form["variables"][name].get("dtype", v.dtype)) for name, v in variables.items()},
        {name: attributes_of(provenance, file, form, name) for name in ("", *form["order"])},
        {each.variable: each.kept for each in provenance.kept if number in each.files},
    )


def attributes_of(provenance: Provenance, file: SourceFile, form: JSON, variable: str) -> Attributes:
    """Return the typed attributes of a variable ("": global ones) in a file, in its order."""
    if variable:
        first, ordered = provenance.variables[variable], form["variables"][variable]["attributes"]
        known = first.attributes | first.dropped
    else:
        known, ordered = provenance.attributes, form["attributes"]
    own = {
        each.attribute: values.value
        for each in provenance.differing_attributes
        for values in each.values
        if each.variable == variable and values.start <= file.start < values.stop and values.value is not None
    }
    return {name: (known | own)[name] for name in ordered}
