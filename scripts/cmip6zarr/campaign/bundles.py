"""Many small datasets as one job: which belong together, and what is asked of them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cmip6zarr.catalogue import dataset
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import settings
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.request import asked
from cmip6zarr.job.settings import Config

FILE_BYTES = 100 * 2**20
"""A file of unknown size: about a century of a monthly field on a grid of one degree, compressed."""


@dataclass(frozen=True)
class Bundle:
    """Datasets that one job takes through all rules; the id changes when they, or what is asked, do."""

    id: str
    datasets: tuple[str, ...]
    source_bytes: int


def bundles(datasets: Mapping[str, Dataset], config: Config) -> list[Bundle]:
    """Return the bundles of a catalogue's datasets, in order: as many as the configuration's `bundle` lets into one.

    A dataset of more bytes than that is a bundle of its own. Bytes are the catalogue's, or FILE_BYTES for each file: to
    ask the file system for 100,000 datasets takes minutes, and what receipts say changes while a campaign runs. So a
    bundle is the same in the process that submits it and in the job, and on every later day.
    """
    most, most_bytes = config["bundle"]["datasets"], config["bundle"]["gib"] * 2**30
    made: list[list[Dataset]] = []
    sizes: list[int] = []
    for row in datasets.values():
        size = len(row.files) * FILE_BYTES if row.source_bytes is None else row.source_bytes
        if not made or len(made[-1]) == most or sizes[-1] + size > most_bytes:
            made.append([])
            sizes.append(0)
        made[-1].append(row)
        sizes[-1] += size
    return [
        Bundle(f"{number:06d}-{digest(some, config)}", tuple(row.id for row in some), size)
        for number, (some, size) in enumerate(zip(made, sizes, strict=True))
    ]


def path_of(results: Results, bundle: str) -> Path:
    """Return where the file lies in which the controller hands a bundle to its job: a list of ids, as JSON."""
    return Path(results, "bundles", f"{bundle}.json")


def hand_over(results: Results, some: Iterable[Bundle]) -> None:
    """Write the files of bundles; those of their datasets are written apart. Raises DatasetError if that fails."""
    for bundle in some:
        files.write_text(path_of(results, bundle.id), json.dumps(bundle.datasets) + "\n")


def handed_over(results: Results, bundle: str, config: Config) -> list[Dataset]:
    """Return the datasets of a bundle from its file and theirs.

    Raises DatasetError (`catalogue`) where they are not there, or not those of which the id was made.
    """
    path = path_of(results, bundle)
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: not the file of a bundle, which a run writes when it begins: {error}."
        raise DatasetError("catalogue", message, "Run again.") from error
    rows = [dataset.handed_over(results, name) for name in names]
    if not rows or not bundle.endswith(f"-{digest(rows, config)}"):
        message = f"{path}: found other datasets, or another configuration, than those of which the bundle was made."
        raise DatasetError("catalogue", message, "The catalogue changed after the start: run again.")
    return rows


def digest(rows: list[Dataset], config: Config) -> str:
    """Return twelve hex digits that change when rows, what is asked of them, the policy or RECIPE do."""
    facts = [asked(config, rows[0]), config["policy"], [row.digest for row in rows]]
    if config["settings"]:
        facts.append([config["settings"], [settings.entry(config, row) for row in rows]])
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
