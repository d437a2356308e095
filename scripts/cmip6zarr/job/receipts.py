"""Receipts: small JSON files that say what a rule did to a dataset, whole or absent."""

import json
from pathlib import Path

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import digest, text_of, write_text


def path_of(results, rule: str, dataset: str) -> Path:
    """Return where the receipt of a rule for a dataset lies; `failed` instead of a rule: the record of its failure."""
    return Path(results, rule, f"{dataset}.json")


def read(results, rule: str, dataset: str) -> dict:
    """Return a rule's receipt for a dataset; raises DatasetError unless it is there as it was written."""
    path = path_of(results, rule, dataset)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or facts.pop("digest", None) != digest(facts):
            raise ValueError("it is not as it was written")
        return facts
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            "receipt", f"{path}: not a receipt: {error}.", "Delete it; the next run makes it."
        ) from error


def find(results, rule: str, dataset: str) -> dict | None:
    """Return a rule's receipt for a dataset, or None where `read` would raise."""
    try:
        return read(results, rule, dataset)
    except DatasetError:
        return None


def write(path, facts: dict) -> None:
    """Write `facts` as JSON to `path`, whole or not at all, with a digest by which a later reader can trust them."""
    write_text(path, text_of(facts))
