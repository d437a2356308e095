"""What the catalogue held when the last run began: the controller has read it, and leaves that in the results.

And how many stores are of datasets that it holds no more.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job.receipts import Results

DATASETS = "datasets.txt"
"""Ids, one a line."""

LEFT_ASIDE = "left_aside.json"
"""Rows that belong to no dataset: {reason: number}."""

WITHDRAWN = "withdrawn.tsv"
"""A row for each store whose dataset is withdrawn, as `campaign.withdrawn` has them."""

WORDS = {"retracted": "retracted", "superseded": "superseded", "gone": "no longer listed"}
"""Why a dataset is withdrawn, the gravest first, and what a person reads."""


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


def withdrawn(results: Results) -> dict[str, int]:
    """Return {change: number} of the stores whose datasets are withdrawn, the gravest change first."""
    try:
        with Path(results, WITHDRAWN).open(encoding="utf-8", newline="") as file:
            number = Counter(row["change"] for row in csv.DictReader(file, delimiter="\t"))
    except (OSError, ValueError, KeyError):
        return {}
    return {change: number[change] for change in WORDS if number[change]}


def told(number: Mapping[str, int], results: Results) -> str:
    """Return in a line what `withdrawn` has counted, "" where that is nothing.

    >>> told({"superseded": 1, "gone": 2}, "results")
    '3 stores of withdrawn datasets: 1 superseded, 2 no longer listed (results/withdrawn.tsv)'
    """
    words = ", ".join(f"{count:,} {WORDS[change]}" for change, count in number.items())
    return f"{sum(number.values()):,} stores of withdrawn datasets: {words} ({results}/{WITHDRAWN})" if words else ""
