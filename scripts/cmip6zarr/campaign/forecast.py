"""What a campaign will take, before it begins: bytes, objects, jobs, core-hours, and the limits that it would meet.

A sample of the datasets is looked at; the others are taken to be like them, file by file.
"""

from collections import Counter
from dataclasses import dataclass
from math import ceil
from statistics import mean

from cmip6zarr.campaign.estimates import Estimate, Figures, look, spread
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.chunks import MIB
from cmip6zarr.job import slurm
from cmip6zarr.job.request import RULES, Config

JOB_SECONDS = 5
"""What SLURM and two starts of Snakemake take for a job, as seen on a SLURM of one node."""

MOST_LISTED = 5
"""Largest datasets that are named."""

FOLDER_FILES = 100_000
"""Most files that a folder should hold: JASMIN's help pages on its parallel file systems."""


@dataclass(frozen=True)
class Forecast:
    """What all datasets that are left will take; `jobs` by (rule, QoS), `objects` and `inodes` None if not known.

    `fields` are (dataset, variable, why preset `native` would not copy it, None: it would) of those with inventories.
    """

    datasets: int
    files: int
    looked_at: int
    by_inventory: int
    missing_files: int
    source_bytes: float
    raw_bytes: float
    stored_bytes: float
    objects: float | None
    inodes: float | None
    small_objects: float
    folder_files: int
    folder_dataset: str | None
    cpu_hours: float
    jobs: dict[tuple[str, str | None], float]
    memory_mib: int
    fields: tuple[tuple[str, str, str | None], ...]
    largest: tuple[Estimate, ...]
    problems: tuple[Estimate, ...]


def forecast(rows: list[Dataset], bundles: int, config: Config, figures: Figures) -> Forecast:
    """Return the forecast for some datasets, which so many bundles hold (0: each rule of each dataset is a job)."""
    estimates = [look(row, config, figures) for row in spread(rows)]
    files = sum(len(row.files) for row in rows)
    times = files / max(1, sum(len(row.files) for row in spread(rows)))
    told = [estimate for estimate in estimates if estimate.objects is not None]
    objects = [estimate.objects for estimate in told if estimate.objects is not None]
    inodes = [estimate.inodes for estimate in told if estimate.inodes is not None]
    raw_bytes = times * sum(estimate.raw_bytes for estimate in estimates)
    jobs = jobs_of(estimates, len(rows), bundles, config)
    widest = max(told, key=lambda estimate: estimate.folder_files, default=None)
    cpu_seconds = figures.cpu_seconds(raw_bytes, len(rows)) + JOB_SECONDS * sum(jobs.values())
    return Forecast(
        datasets=len(rows),
        files=files,
        looked_at=len(estimates),
        by_inventory=sum(estimate.by_inventory for estimate in estimates),
        missing_files=sum(estimate.missing_files for estimate in estimates),
        source_bytes=times * sum(estimate.source_bytes for estimate in estimates),
        raw_bytes=raw_bytes,
        stored_bytes=times * sum(estimate.source_bytes for estimate in estimates) * figures.stored_per_source,
        objects=len(rows) * mean(objects) if objects else None,
        inodes=len(rows) * mean(inodes) if inodes else None,
        small_objects=len(rows) * mean(estimate.small_objects for estimate in told) if told else 0,
        folder_files=widest.folder_files if widest else 0,
        folder_dataset=widest.dataset if widest else None,
        cpu_hours=cpu_seconds / 3600,
        jobs=jobs,
        memory_mib=ceil(max((estimate.planned_bytes for estimate in estimates), default=0) / MIB),
        fields=tuple((estimate.dataset, *field) for estimate in estimates for field in estimate.fields),
        largest=tuple(sorted(estimates, key=lambda estimate: -estimate.source_bytes)[:MOST_LISTED]),
        problems=tuple(estimate for estimate in estimates if estimate.problem),
    )


def jobs_of(
    estimates: list[Estimate], datasets: int, bundles: int, config: Config
) -> dict[tuple[str, str | None], float]:
    """Return {(rule, QoS): jobs} of so many datasets like these, as they would be asked for at the first try."""
    if bundles:
        return {("bundle", _qos("bundle", None, config)): bundles}
    counts = Counter((rule, _qos(rule, estimate.raw_bytes, config)) for rule in RULES for estimate in estimates)
    return {job: number * datasets / len(estimates) for job, number in counts.items()}


def _qos(rule: str, raw_bytes: int | None, config: Config) -> str | None:
    mem_mb = slurm.memory_mb(rule, config["memory_mib"])
    return slurm.granted("standard", config["threads"], mem_mb, slurm.minutes_for(rule, raw_bytes))[0]
