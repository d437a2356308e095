"""The provenance that lies beside a store: what it says of each source file, and of which one is asked for."""

import json
from dataclasses import dataclass

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.source import file_form
from cmip6zarr.store import backend, ledger, zarr_store

KEYS = {"files", "variables", "attributes", "differing_attributes", "findings", "time", "form", "kept"}
CONVERT_AGAIN = "Convert the dataset again."
KEEP = "Keep the original file."


def read(store) -> dict:
    """Return the provenance of a store; raises DatasetError (`provenance`) where it is not whole.

    Nor is it where the ledger knows another checksum. `is_proven` tells whether the ledger knows one.
    """
    home = backend.at(store)
    path = f"{home}{zarr_store.PROVENANCE}"
    try:
        data = home.read_beside(zarr_store.PROVENANCE)
        if data is None:
            raise FileNotFoundError("there is none")
        provenance = json.loads(data)
    except (OSError, ValueError) as error:
        raise DatasetError("provenance", f"{path}: cannot be read: {error}.", CONVERT_AGAIN) from error
    found = sorted(provenance) if isinstance(provenance, dict) else type(provenance).__name__
    if KEYS - set(found):
        message = f"{path}: found {found}, expected {sorted(KEYS)} among them."
        raise DatasetError("provenance", message, CONVERT_AGAIN)
    checksum, expected = ledger.digest_of(data), ledger.load(home)[0].get("provenance")
    if expected not in (None, checksum):
        message = f"{path}: found {checksum}, expected {expected} by the ledger."
        raise DatasetError("provenance", message, "Run the workflow's audit, then the workflow again.")
    return provenance


def is_proven(store) -> bool:
    """Tell whether the ledger of a store knows the checksum of its provenance; those of older stores do not."""
    return bool(ledger.load(store)[0].get("provenance"))


def name_of(file: dict) -> str:
    """Return the bare name of a source file; raises DatasetError (`provenance`) for what is no name in a folder."""
    name = file["path"].rpartition("/")[2]
    if name in ("", ".", "..") or "\0" in name:
        message = f"the provenance names the file {file['path']!r}: expected a path that ends in the name of a file."
        raise DatasetError("provenance", message, CONVERT_AGAIN)
    return name


def number_of(provenance: dict, name: str) -> int:
    """Return which of the source files has a name; raises DatasetError (`restore`) unless just one has it."""
    names = [name_of(file) for file in provenance["files"]]
    if names.count(name) == 1:
        return names.index(name)
    paths = [file["path"] for file in provenance["files"] if name_of(file) == name]
    found = [f for f in provenance["findings"] if f.get("policy") in ("leave_out", "trim")]
    left_out = [f["message"] for f in found if name in f["message"]]
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

    file: dict
    form: dict
    time_name: str | None
    variables: dict[str, dict]
    attributes: dict[str, dict[str, list]]
    kept: dict[str, str | list | None]

    @property
    def path(self) -> str:
        return self.file["path"]

    @property
    def dims(self) -> dict[str, int]:
        return {name: self.file["steps"] if size is None else size for name, size in self.form["dims"]}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that a variable has in the file."""
        return tuple(self.dims[dim] for dim in self.variables[name]["dims"])

    def exact(self, name: str) -> dict[str, list]:
        """Return the attributes of a variable, or of the file, of which their typed form does not say all."""
        return (self.form["variables"][name] if name else self.form)["exact"]


def original(provenance: dict, number: int) -> Original:
    """Return one of the source files as its store's provenance has it; raises DatasetError where that is none."""
    file, time = provenance["files"][number], provenance["time"]
    form = file_form.like(file["form"], provenance["form"])
    steps, first = file["stop"] - file["start"] + file["skip"], file["start"] - file["skip"]
    if time and (file["steps"] != steps or first < 0):
        message = f"{file['path']}: found {file['steps']} steps from {first}, expected {steps} by the provenance."
        raise DatasetError("provenance", message, CONVERT_AGAIN)
    rows = [row for row in provenance["kept"] if number in row["files"]]
    return Original(
        file,
        form,
        time["variable"] if time else None,
        {n: v | {"dtype": form["variables"][n].get("dtype", v["dtype"])} for n, v in provenance["variables"].items()},
        {name: attributes_of(provenance, file, form, name) for name in ("", *form["order"])},
        {row["variable"]: row["kept"] for row in rows},
    )


def attributes_of(provenance: dict, file: dict, form: dict, variable: str) -> dict[str, list]:
    """Return the typed attributes of a variable ("": global ones) in a file, in its order."""
    first, ordered = ((p["variables"][variable] if variable else p)["attributes"] for p in (provenance, form))
    dropped = provenance["variables"][variable].get("dropped", {}) if variable else {}
    own = {
        row["attribute"]: values["value"]
        for row in provenance["differing_attributes"]
        for values in row["values"]
        if row["variable"] == variable and values["start"] <= file["start"] < values["stop"]
    }
    return {name: (first | dropped | own)[name] for name in ordered}
