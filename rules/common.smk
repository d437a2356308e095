"""What all rules share: the checked configuration, and the datasets of the catalogue."""

import hashlib
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

# Where these rules lie: `workflow.basedir` is another folder where they are a module of another workflow.
HERE = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(HERE / "scripts"))

from cmip6zarr import RECIPE
from cmip6zarr.campaign import bundles, configuration, course, findings, finished, last_run, listed, outdated
from cmip6zarr.campaign import pending, replaced, tables, terminal, withdrawn
from cmip6zarr.catalogue import dataset, drs, esm
from cmip6zarr.core import errors
from cmip6zarr.job import receipts, request, settings, slurm
from cmip6zarr.store import backend, s3_client

# A terminal that is closed ends a run as Ctrl-C does: its jobs are ended, and no lock is left.
if workflow.is_main_process and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
    with suppress(ValueError):  # not the main thread: a program that calls Snakemake
        signal.signal(signal.SIGHUP, signal.default_int_handler)

PLAIN, IS_QUIET = output_handler()
if PLAIN:
    SHOWN = terminal.Terminal(PLAIN, lambda: standing(), IS_QUIET)
    replace_handler(PLAIN, SHOWN)

BUNDLES_BY_DEFAULT = "bundle" not in config
if wrong := configuration.fault(config, load_configfile(HERE / "config" / "config.schema.yaml")):
    raise WorkflowError(wrong)
validate(config, "../config/config.schema.yaml")
if BUNDLES_BY_DEFAULT and workflow.is_main_process and option_named("executor") != "slurm":
    config["bundle"]["datasets"] = 0


pathvars:
    results=config["results"],


wildcard_constraints:
    dataset=drs.DATASET_PATTERN,
    bundle=r"\d{6}-[0-9a-f]{12}",


# What is done is left out before anything is planned. A job of the workflow needs no dataset but its own.
LISTED, LEFT_ASIDE, WITHDRAWN, LEFT = {}, {}, withdrawn.NONE, pending.Remaining()
if workflow.is_main_process:
    try:
        read = withdrawn.listing(config)
    except esm.CatalogueError as error:
        raise WorkflowError(str(error)) from None
    if wrong := settings.fault(config):
        raise WorkflowError(wrong)
    LISTED, LEFT_ASIDE, WITHDRAWN = read.datasets, read.left_aside, read.withdrawn
    LEFT = pending.remaining(LISTED, config)
    for told in (
        replaced.refusal(LEFT.replaced),
        outdated.told(LEFT.changed),
        settings.unused(config, LISTED.values()),
        pending.told(LEFT, len(LISTED), config["results"]) if is_dry_run() else None,
    ):
        if told:
            print(told, file=sys.stderr)

S3 = s3_client.option(config["s3"])
LISTING = hashlib.sha256("\n".join([*LISTED, *map(str, WITHDRAWN.iter_rows())]).encode()).hexdigest()[:16]


def results_folder(wildcards):
    """Return the folder of all receipts."""
    return config["results"]


def published_path(wildcards):
    """Return where the store of a dataset is published."""
    if not config["publish_root"]:
        raise WorkflowError("publish_root: found nothing, expected a folder or s3://BUCKET/PREFIX to publish to.")
    return drs.store_place(config["publish_root"], wildcards.dataset)
