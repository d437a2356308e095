"""What one dataset will take, before it is converted: by its inventory, else by the sizes of its files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from pathlib import Path
from typing import NamedTuple, TypeVar

from cmip6zarr.catalogue import drs, row_files
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.convert.writer import arrays_of
from cmip6zarr.core.chunks import MIB, folders_of
from cmip6zarr.core.errors import Refused
from cmip6zarr.job import receipts
from cmip6zarr.job.request import RULES
from cmip6zarr.job.settings import Config
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.plan import planning
from cmip6zarr.plan.budget import Budget, ChunkRule
from cmip6zarr.store import s3_client
from cmip6zarr.store.backend import at
from cmip6zarr.store.interface import Home

Each = TypeVar("Each")

MOST_LOOKED_AT = 2000
"""Datasets: on a network file system a look at a file takes up to a millisecond."""

RAW_PER_SOURCE = 2.5
"""Bytes before compression for each of a file: the benchmark's files (docs/performance.md) keep 0.4 of them."""

STORED_PER_SOURCE = {"balanced": 0.98, "fast": 1.29, "small": 0.86, "portable": 0.98, "native": 1.0}
"""Preset -> bytes of a store for each of its files, in the benchmark; `portable`, not in it, is at most `balanced`."""

CONVERT_CPU_SECONDS = {"balanced": 5.14, "fast": 3.94, "small": 13.13, "portable": 13.13, "native": 1.6}
VERIFY_CPU_SECONDS = 5.56
BENCHMARK_BYTES = 1080 * MIB
"""Preset -> CPU seconds of so many bytes before compression, in the benchmark; `portable` tries codecs as `small` does.
"""

DATASET_CPU_SECONDS = 1.9
BUNDLED_CPU_SECONDS = 0.28
"""Of all rules for a dataset of next to nothing: mostly the start of four processes (docs/performance.md)."""

OTHER_ARRAYS = 6
"""Beside the field of a dataset without inventory: time, latitude and longitude with their bounds."""

SMALL_FILE_BYTES = 64_000
"""Files of less are slow on a parallel file system, and take more room than they have bytes."""

FEW_BYTES = 1000
"""About what a metadata object has, and a coordinate."""

LEAST_FINISHED = 20
"""Finished datasets from which figures are taken instead of those of the benchmark."""


@dataclass(frozen=True)
class Figures:
    """What is reckoned with, by what `source` says: bytes for bytes, CPU seconds for a dataset and for a raw byte."""

    source: str
    raw_per_source: float
    stored_per_source: float
    dataset_seconds: float
    raw_byte_seconds: float

    def cpu_seconds(self, raw_bytes: float, datasets: float = 1) -> float:
        return datasets * self.dataset_seconds + raw_bytes * self.raw_byte_seconds


@dataclass(frozen=True)
class Estimate:
    """What one dataset will take, reckoned with `figures`.

    `objects` are those of a store, None where not even the plan can be guessed, `folder_files` the most in one folder,
    `small_objects` those below the limit. `fields` are those that preset `native`
    would copy (None) or not (why not). `problem` is what the plan says where it cannot be made.
    """

    dataset: str
    figures: Figures
    files: int
    source_bytes: int
    raw_bytes: int
    by_inventory: bool
    missing_files: tuple[str, ...] = ()
    objects: int | None = None
    inodes: int | None = None
    folder_files: int = 0
    small_objects: int = 0
    planned_bytes: int = 0
    fields: tuple[tuple[str, str | None], ...] = ()
    problem: str | None = None


class Chunks(NamedTuple):
    """The objects of an array: how many there are along each axis, and whether they are below SMALL_FILE_BYTES."""

    grid: tuple[int, ...]
    is_small: bool


def assumed(config: Config) -> Figures:
    """Return the figures of the benchmark for the configuration of a dataset."""
    codec = config["codec"]
    return Figures(
        f"the benchmark of {codec} in docs/performance.md",
        RAW_PER_SOURCE,
        STORED_PER_SOURCE[codec],
        BUNDLED_CPU_SECONDS if config["bundle"]["datasets"] else DATASET_CPU_SECONDS,
        (CONVERT_CPU_SECONDS[codec] + VERIFY_CPU_SECONDS) / BENCHMARK_BYTES,
    )


def measured(config: Config, finished: Iterable[str]) -> Figures:
    """Return the figures of the receipts of finished datasets, those of the benchmark where these are too few."""
    figures, results = assumed(config), config["results"]
    found = [{rule: receipts.find(results, rule, name) or {} for rule in RULES} for name in spread(list(finished))]
    found = [facts for facts in found if all(facts.values())]
    if len(found) < LEAST_FINISHED:
        return figures
    netcdf, raw, stored = (
        sum(facts["size_report"][key] for facts in found) for key in ("netcdf_bytes", "raw_bytes", "zarr_bytes")
    )
    took = sum(facts[rule]["cpu_seconds"] for facts in found for rule in RULES)
    slower = took / figures.cpu_seconds(raw, len(found))
    source = f"{len(found)} finished datasets of this campaign ({slower:.2f} of the benchmark's CPU time)"
    seconds = (slower * figures.dataset_seconds, slower * figures.raw_byte_seconds)
    return Figures(source, raw / netcdf, stored / netcdf, *seconds)


def spread(some: Sequence[Each]) -> list[Each]:
    """Return at most MOST_LOOKED_AT of a list, evenly spread over it.

    >>> len(spread(list(range(10**6)))), spread([1, 2, 3])
    (2000, [1, 2, 3])
    """
    number = min(len(some), MOST_LOOKED_AT)
    return [some[i * len(some) // number] for i in range(number)]


def look(row: Dataset, config: Config, figures: Figures) -> Estimate:
    """Return what a dataset will take in its configuration, from the receipt of its inventory, else from its files."""
    inventory = receipts.load_if_any(Inventory, config["results"], row.id)
    if inventory and inventory.row == row.digest:
        return by_plan(row, inventory, config, figures)
    try:
        paths: Sequence[str] = row_files.expand(row.files)
    except Refused:
        paths = row.files
    sizes = {path: _size(path) for path in paths}
    missing = tuple(path for path, size in sizes.items() if size is None)
    source_bytes = sum(size or 0 for size in sizes.values())
    estimate = Estimate(row.id, figures, len(paths), source_bytes, 0, False, missing)
    return by_size(estimate, config)


def by_plan(row: Dataset, inventory: Inventory, config: Config, figures: Figures) -> Estimate:
    """Return what the plan of a dataset says, the one that convert would make."""
    source_bytes, raw_bytes = inventory.source_bytes, inventory.raw_bytes
    known = Estimate(row.id, figures, len(inventory.files), source_bytes, raw_bytes, True)
    lengths = None if config["chunks"] == "auto" else config["chunks"]
    rule = ChunkRule(lengths, int(config["chunk_mib"] * MIB), int(config["shard_mib"] * MIB))
    budget = Budget(int(config["memory_mib"] * MIB), config["threads"], home_of(row.id, config).uploads)
    try:
        plan = planning.plan(arrays_of(inventory, config["codec"]), rule, budget)
    except planning.PlanError as error:
        return replace(known, problem=str(error))
    stored_per_raw = figures.stored_per_source * source_bytes / max(1, raw_bytes)
    chunks = [Chunks(cut.grid, cut.array.bytes_of(cut.shards) * stored_per_raw < SMALL_FILE_BYTES) for cut in plan.cuts]
    if config["codec"] == "native":
        fields = ((cut.array.name, cut.array.not_copied) for cut in plan.cuts if cut.array.field)
        known = replace(known, fields=tuple(fields))
    return store(known, chunks, config, plan.planned_bytes)


def home_of(dataset: str, config: Config) -> Home:
    """Return where the store of a dataset will lie; a bucket is not asked."""
    place = drs.store_place(config["store_root"], dataset)
    return at(place, s3_client.settings(s3_client.option(config["s3"])))


def by_size(estimate: Estimate, config: Config) -> Estimate:
    """Return an estimate with what can be said without an inventory: objects only where chunks have a size in bytes."""
    figures = estimate.figures
    raw_bytes = round(estimate.source_bytes * figures.raw_per_source)
    estimate = replace(estimate, raw_bytes=raw_bytes)
    if config["chunks"] != "auto":
        return estimate
    size = max(config["chunk_mib"], config["shard_mib"]) * MIB
    object_bytes = min(size, raw_bytes) * figures.stored_per_source / figures.raw_per_source
    # As most are: time, latitude and longitude, cut along time; and coordinates of one chunk.
    field = Chunks((ceil(raw_bytes / size), 1, 1), object_bytes < SMALL_FILE_BYTES)
    return store(estimate, [field, *[few(1)] * OTHER_ARRAYS], config)


def few(number: int) -> Chunks:
    """Return a number of objects of FEW_BYTES each."""
    return Chunks((number,), FEW_BYTES < SMALL_FILE_BYTES)


def store(estimate: Estimate, chunks: list[Chunks], config: Config, planned_bytes: int = 0) -> Estimate:
    """Return an estimate with the files of a store, of the chunks of each array."""
    arrays, is_nested = len(chunks), config["zarr_format"] == 3
    # zarr.json of the root and each array; .zgroup, .zattrs and .zmetadata, and .zarray and .zattrs of each array.
    metadata = arrays + 1 if config["zarr_format"] == 3 else 2 * arrays + 3
    objects = sum(prod(array.grid) for array in chunks) + metadata
    folders = sum(folders_of(array.grid) for array in chunks) if is_nested else 0
    beside = 0 if is_nested else metadata // (arrays + 1)
    most = (max(array.grid, default=1) if is_nested else prod(array.grid) + beside for array in chunks)
    return replace(
        estimate,
        objects=objects,
        # A folder for the store and each array; ledger and provenance beside the store.
        inodes=objects + folders + arrays + 1 + 2,
        folder_files=max(most, default=0),
        small_objects=sum(prod(grid) for grid, is_small in [*chunks, few(metadata)] if is_small),
        planned_bytes=planned_bytes,
    )


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None
