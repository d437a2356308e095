"""What the catalogue held when the last run began: the controller has read it, and leaves that in the results."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job.receipts import Results

DATASETS = "datasets.txt"
"""Ids, one a line."""

LEFT_ASIDE = "left_aside.json"
"""Rows that belong to no dataset: {reason: number}."""


def keep(results: Results, names: Iterable[str], left_aside: Mapping[str, int]) -> None:
    """Write both; raises DatasetError as `files.writing` does."""
    files.write_text(Path(results, DATASETS), "".join(f"{name}\n" for name in names))
    files.write_text(Path(results, LEFT_ASIDE), json.dumps(left_aside, indent=1) + "\n")


def read(results: Results) -> tuple[list[str], dict[str, int]]:
    """Return ids and rows left aside; raises DatasetError (`catalogue`) where no run has begun in these results."""
    try:
        return names(results), json.loads(Path(results, LEFT_ASIDE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{results}: found no list of datasets, which a run leaves when it begins: {error}."
        raise DatasetError("catalogue", message, "Run again.") from error


def names(results: Results) -> list[str]:
    """Return the ids; raises OSError."""
    return Path(results, DATASETS).read_text(encoding="utf-8").split()
