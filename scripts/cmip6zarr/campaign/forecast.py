"""What a campaign will take, before it begins: bytes, objects, jobs, core-hours, and the limits that it would meet.

A sample of the datasets is looked at; the others are taken to be like them, file by file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import mean
from typing import NamedTuple

from cmip6zarr.campaign.bundles import Bundle
from cmip6zarr.campaign.estimates import Estimate, Figures, look, spread
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.chunks import MIB
from cmip6zarr.job import settings, slurm
from cmip6zarr.job.request import RULES
from cmip6zarr.job.settings import Config

JOB_SECONDS = 5
"""What SLURM and two starts of Snakemake take for a job, as seen on a SLURM of one node."""

MOST_LISTED = 5
"""Largest datasets that are named."""

FOLDER_FILES = 100_000
"""Most files that a folder should hold: JASMIN's help pages on its parallel file systems."""


class Job(NamedTuple):
    """What a job asks for at its first attempt; `qos` is None where LOTUS2 has none for it."""

    rule: str
    mem_mb: int
    qos: str | None


@dataclass(frozen=True)
class Forecast:
    """What all datasets that are left will take; `objects` and `inodes` None if not known.

    `fields` are (dataset, variable, why preset `native` would not copy it, None: it would) of those with inventories.
    """

    figures: tuple[Figures, ...]
    datasets: int
    files: int
    looked_at: int
    by_inventory: int
    looked_at_files: int
    missing_files: tuple[str, ...]
    source_bytes: float
    raw_bytes: float
    stored_bytes: float
    objects: float | None
    inodes: float | None
    small_objects: float
    folder_files: int
    folder_dataset: str | None
    cpu_hours: float
    jobs: dict[Job, float]
    planned_mib: int
    fields: tuple[tuple[str, str, str | None], ...]
    largest: tuple[Estimate, ...]
    problems: tuple[Estimate, ...]


def forecast(
    rows: list[Dataset], bundles: Sequence[Bundle], config: Config, figures: Mapping[int | None, Figures]
) -> Forecast:
    """Return the forecast for some datasets, which the bundles hold (none: each rule of each dataset is a job).

    `figures` has what to reckon with for the datasets of each entry of `settings`, and of none.
    """
    looked_at = spread(rows)
    estimates = [look(row, settings.of(config, row), figures[settings.entry(config, row)]) for row in looked_at]
    files = sum(len(row.files) for row in rows)
    times = files / max(1, sum(len(row.files) for row in looked_at))
    told = [estimate for estimate in estimates if estimate.objects is not None]
    objects = [estimate.objects for estimate in told if estimate.objects is not None]
    inodes = [estimate.inodes for estimate in told if estimate.inodes is not None]
    raw_bytes = times * sum(estimate.raw_bytes for estimate in estimates)
    jobs = jobs_of_bundles(rows, bundles, config) if bundles else jobs_of(looked_at, estimates, len(rows), config)
    widest = max(told, key=lambda estimate: estimate.folder_files, default=None)
    start_seconds = len(rows) * mean(estimate.figures.dataset_seconds for estimate in estimates)
    value_seconds = times * sum(estimate.raw_bytes * estimate.figures.raw_byte_seconds for estimate in estimates)
    cpu_seconds = start_seconds + value_seconds + JOB_SECONDS * sum(jobs.values())
    return Forecast(
        figures=tuple(dict.fromkeys(estimate.figures for estimate in estimates)),
        datasets=len(rows),
        files=files,
        looked_at=len(estimates),
        by_inventory=sum(estimate.by_inventory for estimate in estimates),
        looked_at_files=sum(estimate.files for estimate in estimates),
        missing_files=tuple(path for estimate in estimates for path in estimate.missing_files),
        source_bytes=times * sum(estimate.source_bytes for estimate in estimates),
        raw_bytes=raw_bytes,
        stored_bytes=times * sum(e.source_bytes * e.figures.stored_per_source for e in estimates),
        objects=len(rows) * mean(objects) if objects else None,
        inodes=len(rows) * mean(inodes) if inodes else None,
        small_objects=len(rows) * mean(estimate.small_objects for estimate in told) if told else 0,
        folder_files=widest.folder_files if widest else 0,
        folder_dataset=widest.dataset if widest else None,
        cpu_hours=cpu_seconds / 3600,
        jobs=jobs,
        planned_mib=ceil(max((estimate.planned_bytes for estimate in estimates), default=0) / MIB),
        fields=tuple((estimate.dataset, *field) for estimate in estimates for field in estimate.fields),
        largest=tuple(sorted(estimates, key=lambda estimate: -estimate.source_bytes)[:MOST_LISTED]),
        problems=tuple(estimate for estimate in estimates if estimate.problem),
    )


def jobs_of(rows: list[Dataset], estimates: list[Estimate], datasets: int, config: Config) -> dict[Job, float]:
    """Return how many jobs so many datasets like these would be."""
    counts = Counter(
        _job(rule, settings.memory_mib(config, [row]), estimate.raw_bytes, config)
        for rule in RULES
        for row, estimate in zip(rows, estimates, strict=True)
    )
    return {job: number * datasets / len(rows) for job, number in counts.items()}


def jobs_of_bundles(rows: list[Dataset], bundles: Sequence[Bundle], config: Config) -> dict[Job, float]:
    """Return how many jobs bundles would be; of a bundle that is done in part, the datasets that are left count."""
    by_id = {row.id: row for row in rows}
    left = ([by_id[name] for name in bundle.datasets if name in by_id] for bundle in bundles)
    return dict(Counter(_job("bundle", settings.memory_mib(config, some), None, config) for some in left))


def _job(rule: str, memory_mib: int, raw_bytes: int | None, config: Config) -> Job:
    mem_mb = slurm.memory_mb(rule, memory_mib)
    qos = slurm.granted("standard", config["threads"], mem_mb, slurm.minutes_for(rule, raw_bytes))[0]
    return Job(rule, mem_mb, qos)
