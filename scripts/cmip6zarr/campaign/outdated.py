"""Sources that are others since their stores were sealed: each run names them, and leaves the stores as they are."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import polars as pl

from cmip6zarr.catalogue import row_files
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import Refused
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.model.inventory import Inventory

Each = TypeVar("Each")
Seen = TypeVar("Seen")

LOOKS = 16
"""Looks at files at a time."""

PART = 500
"""Datasets that one thread looks at."""

MOST_TOLD = 10  # stores


def changed(rows: Iterable[Dataset], results: Path, table: pl.DataFrame) -> dict[str, list[str]]:
    """Return {dataset: which of its files have changed, or came, since its inventory} of finished datasets."""
    made_ns = dict(table.select("dataset", "inventory_mtime_ns").iter_rows())

    def look(part: Sequence[Dataset]) -> dict[str, list[str]]:
        found = {row.id: changes(row.files, results, row.id, made_ns[row.id]) for row in part}
        return {name: words for name, words in found.items() if words}

    return side_by_side(look, rows)


def told(changed: Mapping[str, list[str]]) -> str | None:
    """Return what is said of stores whose sources have changed since they were sealed; None if there is none.

    >>> told({"a": ["/d/1.nc has changed", "/d/2.nc is new"], "b": ["/e/1.nc is new"]})[:96]
    '2 sealed stores have other sources now: a (/d/1.nc has changed, and 1 more); b (/e/1.nc is new).'
    """
    if not changed:
        return None
    each = [
        f"{name} ({words[0]}{f', and {len(words) - 1} more' * (len(words) > 1)})" for name, words in changed.items()
    ]
    each = each[:MOST_TOLD] + [f"and {len(each) - MOST_TOLD} more"] * (len(each) > MOST_TOLD)
    remedy = "They stay as they are. To convert one again, remove its receipt in results/inventory/ and run again."
    return f"{len(changed)} sealed stores have other sources now: {'; '.join(each)}. {remedy}"


def changes(files: Sequence[str], results: Results, dataset: str, made_ns: int) -> list[str]:
    """Return in words which files of a row are others than those of an inventory that was written at `made_ns`.

    A file whose status (ctime) is older is not compared. Files that are gone are none: a store may outlive its sources.
    """
    try:
        young = [row_files.look(path) for path in row_files.expand(files) if is_younger(path, made_ns)]
    except Refused:
        young = []
    if not young:
        return []
    inventory = receipts.load_if_any(Inventory, results, dataset)
    if not inventory:
        return []
    known = {file.path: file for file in inventory.files}
    left_out = {file.path for file in inventory.left_out or ()}
    found = [f"{file['path']} is new" for file in young if file["path"] not in known.keys() | left_out]
    for file in young:
        before = known.get(file["path"])
        if before and (before.bytes, before.mtime_ns) != (file["bytes"], file["mtime_ns"]):
            found.append(f"{file['path']} has changed")
    return found


def is_younger(path: str, than_ns: int) -> bool:
    """Tell whether the status of a file has changed since; one that is gone is none."""
    try:
        return os.stat(path).st_ctime_ns > than_ns  # noqa: PTH116 - of millions of files
    except OSError:
        return False


def side_by_side(look: Callable[[Sequence[Each]], dict[str, Seen]], all_of: Iterable[Each]) -> dict[str, Seen]:
    """Return what `look` finds in each of the parts into which it divides all.

    On a network file system a look at a file is a question to a server.
    """
    parts = iter(all_of)
    found: dict[str, Seen] = {}
    with ThreadPoolExecutor(LOOKS) as pool:
        # Not all parts at once, for each is of objects that are large.
        while some := [part for _ in range(LOOKS) if (part := list(islice(parts, PART)))]:
            for seen in pool.map(look, some):
                found |= seen
    return found
