"""Receipts: small JSON files that say what a rule did to a dataset, whole or absent."""

import json
from pathlib import Path
from typing import TypeVar

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import JSON, digest, text_of, write_text
from cmip6zarr.model.as_json import from_json
from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.proof import Proof

REMEDY = "Delete it; the next run makes it."

Results = str | Path
"""The folder of the receipts of a campaign, one folder in it for each rule."""

Receipt = TypeVar("Receipt", bound=Inventory | Conversion | Proof)


def path_of(results: Results, rule: str, dataset: str) -> Path:
    """Return where the receipt of a rule for a dataset lies; `failed` instead of a rule: the record of its failure."""
    return Path(results, rule, f"{dataset}.json")


def read(results: Results, rule: str, dataset: str) -> JSON:
    """Return a rule's receipt for a dataset; raises DatasetError unless it is there as it was written."""
    path = path_of(results, rule, dataset)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or facts.pop("digest", None) != digest(facts):
            raise ValueError("it is not as it was written")
        return facts
    except FileNotFoundError as error:
        message = f"{path}: there is no receipt of {rule} for {dataset}."
        raise DatasetError("receipt", message, f"Run {rule} first, as the workflow does.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError("receipt", f"{path}: not a receipt: {error}.", REMEDY) from error


def load(kind: type[Receipt], results: Results, dataset: str) -> Receipt:
    """Return the receipt of a dataset as its type; raises DatasetError (`receipt`) where it is none."""
    facts = read(results, kind.RULE, dataset)
    try:
        return from_json(kind, facts)
    except ValueError as error:
        message = f"{path_of(results, kind.RULE, dataset)}: not a receipt of {kind.RULE}: {error}."
        raise DatasetError("receipt", message, REMEDY) from error


def load_if_any(kind: type[Receipt], results: Results, dataset: str) -> Receipt | None:
    """Return the receipt of a dataset as its type, or None where `load` would raise."""
    try:
        return load(kind, results, dataset)
    except DatasetError:
        return None


def find(results: Results, rule: str, dataset: str) -> JSON | None:
    """Return a rule's receipt for a dataset, or None where `read` would raise."""
    try:
        return read(results, rule, dataset)
    except DatasetError:
        return None


def write(path: str | Path, facts: JSON) -> None:
    """Write `facts` as JSON to `path`, whole or not at all, with a digest by which a later reader can trust them."""
    write_text(path, text_of(facts))
