"""Faults of what is written down: provenance, ledger, receipts."""

from dataclasses import replace

from .declared import fault

DIFFERING = "cmip6zarr.source.inventory:differing_attributes"
WRITER, ORIGINALS = "cmip6zarr.convert.writer", "cmip6zarr.source.file_form"
LEDGER, SUM = "cmip6zarr.store.ledger_writer", "cmip6zarr.store.raw_sum"
PROVENANCE = f"{WRITER}:provenance"


@fault("provenance", PROVENANCE, "plain", says="provenance")
def path_of_another_file(provenance, inventory):
    """The provenance names another file."""
    found = provenance(inventory)
    files = [file | {"path": f"{file['path']}.other"} for file in found["files"]]
    return found | {"files": files}


@fault("provenance", PROVENANCE, "plain", says="provenance")
def file_not_in_provenance(provenance, inventory):
    """The provenance lacks the last file."""
    found = provenance(inventory)
    return found | {"files": found["files"][:-1]}


@fault("provenance", PROVENANCE, "plain", says="provenance")
def range_in_provenance(provenance, inventory):
    """The provenance has the range of another file."""
    found = provenance(inventory)
    one, other, *rest = found["files"]
    here, there = ({key: file[key] for key in ("start", "stop")} for file in (one, other))
    return found | {"files": [one | there, other | here, *rest]}


@fault("provenance", PROVENANCE, "units", says="provenance")
def moves_not_in_provenance(provenance, inventory):
    """The provenance does not say that times were converted."""
    found = provenance(inventory)
    return found | {"files": [file | {"moves": {}} for file in found["files"]]}


@fault("provenance", PROVENANCE, "units", says="provenance")
def move_a_year_off(provenance, inventory):
    """The provenance has moves that restore times a year off."""
    found = provenance(inventory)
    moves = {"moves": {"time": ["1", "365"], "time_bnds": ["1", "365"]}}
    return found | {"files": [found["files"][0], *(file | moves for file in found["files"][1:])]}


@fault("provenance", PROVENANCE, "plain", says="provenance")
def attribute_in_provenance(provenance, inventory):
    """The provenance has another unit of a field."""
    found = provenance(inventory)
    tas = found["variables"]["tas"]
    attributes = tas["attributes"] | {"units": ["char", "degC"]}
    return found | {"variables": found["variables"] | {"tas": tas | {"attributes": attributes}}}


@fault("provenance", PROVENANCE, "plain", says="provenance")
def type_in_provenance(provenance, inventory):
    """The provenance says that a number in an attribute was of double precision."""
    found = provenance(inventory)
    tas = found["variables"]["tas"]
    attributes = tas["attributes"] | {"missing_value": ["float64", tas["attributes"]["missing_value"][1]]}
    return found | {"variables": found["variables"] | {"tas": tas | {"attributes": attributes}}}


@fault("provenance", PROVENANCE, "plain", says="provenance")
def title_in_provenance(provenance, inventory):
    """The provenance lacks a global attribute."""
    found = provenance(inventory)
    return found | {"attributes": {k: v for k, v in found["attributes"].items() if k != "title"}}


@fault("provenance", PROVENANCE, "plain", says="provenance")
def dataset_in_provenance(provenance, inventory):
    """The provenance is another dataset's."""
    return provenance(inventory) | {"dataset": inventory.dataset.replace("MODEL-A", "MODEL-B")}


@fault("provenance", PROVENANCE, "units", says="provenance")
def units_in_provenance(provenance, inventory):
    """The provenance has other units of time."""
    found = provenance(inventory)
    return found | {"time": found["time"] | {"units": "days since 1750-01-01"}}


@fault("provenance", PROVENANCE, "left out", says="provenance")
def findings_in_provenance(provenance, inventory):
    """The provenance does not say that a file was left out."""
    return provenance(inventory) | {"findings": []}


@fault(
    "provenance",
    PROVENANCE,
    "plain",
    says="provenance",
)
def storage_in_provenance(provenance, inventory):
    """The provenance says that values were not compressed."""
    found = provenance(inventory)
    form = found["form"]
    tas = form["variables"]["tas"]
    storage = tas["storage"] | {"filters": []}
    return found | {"form": form | {"variables": form["variables"] | {"tas": tas | {"storage": storage}}}}


@fault("provenance", DIFFERING, "differing", says="provenance|comment|tracking_id")
def differing_attribute_of_another_file(differing_attributes, headers, ranges):
    """An attribute that one file alone has is given to another."""
    found = []
    for differing in differing_attributes(headers, ranges):
        first, *others, last = differing.values
        values = (replace(first, value=last.value), *others, replace(last, value=first.value))
        found.append(replace(differing, values=values))
    return tuple(found)


@fault("provenance", DIFFERING, "differing", says="provenance|comment|tracking_id")
def differing_attributes_lost(differing_attributes, headers, ranges):  # noqa: ARG001
    """Attributes that differ between files are written down nowhere."""
    return ()


@fault("provenance", f"{ORIGINALS}:difference", "noise", says="provenance|lat")
def noise_not_kept(difference, values, given):
    """What restores the noise of a coordinate is another."""
    return difference(given, values * 2)


@fault("provenance", f"{ORIGINALS}:form", "plain", says="provenance")
def order_in_provenance(form, *args):
    """The provenance has another order of variables."""
    found = form(*args)
    return found | {"order": found["order"][::-1]}


@fault("provenance", "cmip6zarr.source.attributes:exact", "exact", says="provenance")
def exact_form_lost(exact, *args):
    """Bytes of attributes that their typed form does not hold are lost."""


@fault("ledger", f"{SUM}:RawSum.hexdigest", "plain", says="tas|time|lat")
def raw_checksum_wrong(hexdigest, raw):
    """The ledger has the checksum of other values."""
    return hexdigest(raw)[::-1]


@fault("ledger", f"{SUM}:RawSum.update_shuffled", "streamed", says="tas|time|lat")
def raw_checksum_of_a_part(update_shuffled, raw, block):
    """The checksum of values lacks their last byte."""
    update_shuffled(raw, block[: len(raw._planes)])


@fault("ledger", f"{LEDGER}:line_of", "plain", says="chunk|object|changed|tas|lat")
def checksum_of_an_object(line_of, entry):
    """The ledger has another checksum of every object."""
    return line_of(entry) | {"xxh3": entry.xxh3[::-1]}


@fault("ledger", f"{LEDGER}:line_of", "plain", says="object|long|short|tas|lat|bytes")
def length_of_an_object(line_of, entry):
    """The ledger has another length of every object."""
    return line_of(entry) | {"bytes": entry.bytes + 1}


@fault("ledger", f"{LEDGER}:LedgerWriter.add", "plain", says="extra|missing|ledger|time")
def object_not_in_the_ledger(add, book, entry):
    """The ledger lacks the chunks of one array."""
    return None if entry.array == "time" and "zarr" not in entry.key else add(book, entry)


@fault("ledger", f"{WRITER}:ledger_head", "plain", says="ledger")
def ledger_of_another_dataset(head, inventory, made_of):
    """The ledger says that the store is another dataset's."""
    return head(inventory, made_of) | {"dataset": inventory.dataset.replace("MODEL-A", "MODEL-B")}


@fault(
    "ledger",
    f"{WRITER}:ledger_head",
    "plain",
    says="",
    listed="it only tells a killed run where to go on: with another one all is written anew",
)
def made_of_something_else(head, inventory, made_of):
    """The ledger says that the store is made of other sources, so that a killed run begins anew."""
    return head(inventory, made_of | {"cuts": []})
