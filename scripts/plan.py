"""Say what the datasets that are left will take, before anything is converted: bytes, objects, jobs, limits."""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from cmip6zarr.campaign import estimates, forecast, pending, replaced, withdrawn
from cmip6zarr.campaign.estimates import Figures
from cmip6zarr.campaign.forecast import Forecast
from cmip6zarr.catalogue import esm
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.text import human, printable, words
from cmip6zarr.job import cli, settings


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=json.loads, help="JSON: the configuration of the workflow")
    return parser.parse_args(argv)


def figures_of(config: dict, finished: list[Dataset]) -> dict[int | None, Figures]:
    """Return {entry of `settings`: what to reckon with for its datasets}; None stands for those of no entry."""
    names = defaultdict(list)
    for row in finished:
        names[settings.entry(config, row)].append(row.id)
    own = dict(enumerate(settings.merged(config, number) for number in range(len(config["settings"])))) | {None: config}
    return {number: estimates.measured(each, names[number]) for number, each in own.items()}


def lines_of_settings(rows: list[Dataset], config: dict) -> Iterator[str]:
    """Yield what each entry of `settings` makes of how many datasets, and the configuration of the others."""
    for number, count in settings.numbers(config, rows).items():
        own = config if number is None else settings.merged(config, number)
        which = "others" if number is None else words(config["settings"][number]["select"])
        yield f"  settings             {count:,} of {which}: {settings.told(own)}, {own['memory_mib']} MiB of memory"


def lines(told: Forecast, config: dict) -> Iterator[str]:
    """Yield the forecast for a person, sums first."""
    others = f"; the other {told.datasets - told.looked_at:,} are taken to be like them"
    yield (
        f"{told.looked_at:,} datasets were looked at, {told.by_inventory:,} by their inventories, the others by the "
        f"size of their files{others if told.looked_at < told.datasets else ''}."
    )
    for figures in told.figures:
        yield (
            f"Reckoned by {figures.source}: {figures.raw_per_source:.2f} bytes before compression and "
            f"{figures.stored_per_source:.2f} in the store for each of a file, {figures.dataset_seconds:.1f} CPU "
            f"seconds a dataset and {1 / figures.raw_byte_seconds / 1e6:.0f} MB/s, {forecast.JOB_SECONDS} s a job."
        )
    objects = (
        "not known: no inventories" if told.objects is None else f"{told.objects:,.0f} in {told.inodes:,.0f} inodes"
    )
    yield f"  in                   {human(told.source_bytes)} in {told.files:,} files"
    yield f"  before compression   {human(told.raw_bytes)}"
    yield f"  out                  {human(told.stored_bytes)} under {config['store_root']}"
    yield f"  objects              {objects}"
    yield f"  core-hours           {told.cpu_hours:,.2f}"
    for (rule, mem_mb, qos), number in told.jobs.items():
        yield f"  jobs                 {number:,.0f} {rule} of {config['threads']} cores, {mem_mb} MB, QoS {qos}"
    if told.planned_mib:
        yield f"  memory of a convert  at most {told.planned_mib} MiB"
    if told.fields:
        anew = [field for field in told.fields if field[2]]
        copied = len(told.fields) - len(anew)
        yield f"  copied as they are   {copied:,} of the {len(told.fields):,} fields of datasets with inventories"
        for dataset, name, reason in anew[: forecast.MOST_LISTED]:
            yield f"  compressed anew      {name} of {dataset}: {reason}"
        if len(anew) > forecast.MOST_LISTED:
            yield f"  compressed anew      ... and {len(anew) - forecast.MOST_LISTED:,} more"
    for estimate in told.largest:
        yield f"  largest              {human(estimate.source_bytes):>7}  {estimate.dataset}"


def missing(told: Forecast) -> str:
    """Return how many of the files that were looked at are not there, and what to do."""
    which = f"{len(told.missing_files):,} of {told.looked_at_files:,} files"
    return f"{which} are not there, such as {told.missing_files[0]}: correct the catalogue, or fetch them."


def warnings(told: Forecast, listed: int, config: dict) -> Iterator[str]:
    """Yield what would go wrong, or would be bad manners: each with what to do."""
    root = Path(config["store_root"]).absolute()
    for estimate in told.problems[: forecast.MOST_LISTED]:
        yield f"{estimate.dataset} cannot be converted: {estimate.problem}"
    if len(told.problems) > forecast.MOST_LISTED:
        yield f"... and {len(told.problems) - forecast.MOST_LISTED:,} more cannot be converted."
    if listed > forecast.FOLDER_FILES:
        yield (
            f"Each folder of receipts would hold {listed:,} files, of at most {forecast.FOLDER_FILES:,} "
            "for a file system: make campaigns of a part each, with `select` and a `results` of their own."
        )
    if told.folder_files > forecast.FOLDER_FILES:
        yield (
            f"{told.folder_dataset}: a folder of its store would hold {told.folder_files:,} files, of at most "
            f"{forecast.FOLDER_FILES:,} for a file system: raise chunk_mib, or set shard_mib."
        )
    if told.objects and told.small_objects > told.objects / 2:
        yield (
            f"{told.small_objects / told.objects:.0%} of the objects would be smaller than "
            f"{estimates.SMALL_FILE_BYTES:,} bytes, which is slow to read: coordinates and metadata are, about a "
            "dozen in each store; if chunks are too, raise chunk_mib, or set shard_mib."
        )
    room = estimates.home_of(told.largest[0].dataset, config).room()
    if room is None:
        return
    free_bytes, free_files = room.f_bavail * room.f_frsize, room.f_favail
    if told.stored_bytes > free_bytes:
        yield f"{root} has room for {human(free_bytes)}, and the stores would take {human(told.stored_bytes)}."
    if room.f_files and told.inodes and told.inodes > free_files:
        yield f"{root} has room for {free_files:,} files, and the stores would take {told.inodes:,.0f}: set shard_mib."


def main(argv=None) -> int:
    config = parse(argv).config
    try:
        listed = withdrawn.listing(config).datasets
    except esm.CatalogueError as error:
        print(error, file=sys.stderr)
        return cli.FAILED
    left = pending.remaining(listed, config | {"batch": len(listed)})
    done = listed.keys() - set(left.names)
    print(f"{len(left.names):,} datasets to do, of {len(listed):,}; the others are finished or were refused.")
    if not left.names:
        return cli.OK
    if stopped := replaced.refusal(left.replaced):
        print(printable(f"WARNING: {stopped}"))
    figures = figures_of(config, [listed[name] for name in sorted(done)])
    rows = [listed[name] for name in left.names]
    told = forecast.forecast(rows, left.bundles, config, figures)
    if told.missing_files:
        print(printable(f"WARNING: {missing(told)}"))
    if config["settings"]:
        for line in lines_of_settings(rows, config):
            print(printable(line))
    for line in lines(told, config):
        print(printable(line))
    for line in warnings(told, len(listed), config):
        print(printable(f"WARNING: {line}"))
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
