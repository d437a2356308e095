"""Receipts: small JSON files that say what a rule did to a dataset, whole or absent."""

import json
import os
from pathlib import Path

from .errors import DatasetError


def path_of(results, rule: str, dataset: str) -> Path:
    """Return where the receipt of a rule for a dataset lies; `failed` instead of a rule: the record of its failure."""
    return Path(results, rule, f"{dataset}.json")


def read(results, rule: str, dataset: str) -> dict:
    """Return a rule's receipt for a dataset; raises DatasetError where there is none, or it is not whole."""
    path = path_of(results, rule, dataset)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(
            "receipt", f"{path}: not a receipt: {error}.", "Delete it; the next run makes it."
        ) from error


def write(path, facts: dict) -> None:
    """Write `facts` as JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(facts, indent=1, allow_nan=False) + "\n")


def write_text(path, text: str) -> None:
    """Write `text` to `path`, whole or not at all, so that it survives a crash of the machine right after."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
