"""What all rules share: the checked configuration, the datasets of the catalogue, a few named functions."""

import hashlib
import json
import signal
import sys
import time
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from shlex import quote

from snakemake.cli import parse_args
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir, "scripts")))

from cmip6zarr import RECIPE
from cmip6zarr.campaign import bundles, configuration, outdated, pending, replaced, status, tables
from cmip6zarr.catalogue import dataset, drs, esm
from cmip6zarr.core import errors, files
from cmip6zarr.job import cli, receipts, slurm
from cmip6zarr.store import backend, s3_client


def option_named(name: str):
    """Return an option of the command line or its profile: Snakemake itself tells it when all rules have been read."""
    try:
        with redirect_stderr(StringIO()):
            return getattr(parse_args(sys.argv[1:])[1], name)
    except SystemExit:  # not Snakemake's command line: a program that calls it
        return None


# A terminal that is closed ends a run as Ctrl-C does: its jobs are ended, and no lock is left.
if workflow.is_main_process and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
    with suppress(ValueError):  # not the main thread: a program that calls Snakemake
        signal.signal(signal.SIGHUP, signal.default_int_handler)

BUNDLES_BY_DEFAULT = "bundle" not in config
if wrong := configuration.fault(config, load_configfile(Path(workflow.basedir, "config", "config.schema.yaml"))):
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
LISTED, LEFT = {}, pending.Remaining()
if workflow.is_main_process:
    try:
        LISTED = esm.read_catalogue(config["catalogue"], config["select"]).datasets
    except esm.CatalogueError as error:
        raise WorkflowError(str(error)) from None
    LEFT = pending.remaining(LISTED, config)
    for told in (replaced.refusal(LEFT.replaced, config), outdated.told(LEFT.changed)):
        if told:
            print(told, file=sys.stderr)

# How a job is run, where the catalogue lies, and the policy stand among the resources of the rules: as params, their
# change would be a reason to convert everything again. Another policy asks again for what was refused, no more.
S3 = s3_client.option(config["s3"])
JOBNAME = slurm.jobname(config["results"])
CAMPAIGN = " ".join(
    [
        *("python scripts/campaign.py --results", quote(config["results"])),
        *("--catalogue", quote(config["catalogue"])),
        *("--select", quote(json.dumps(config["select"]))),
        *("--store-root", quote(config["store_root"]), "--publish-root", quote(config["publish_root"])),
        *("--s3", quote(S3)),
    ]
)
LISTING = hashlib.sha256("\n".join(LISTED).encode()).hexdigest()[:16]

# The rules' `python` is the one that runs Snakemake, whether its environment is activated or not; with `--sdm conda` it
# is that of envs/environment.yaml, which is activated before this prefix.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"; ')


def asked(wildcards, threads, attempt, rulename):
    """Return QoS, memory and minutes of a job: each try asks for twice what the one before did, as far as is granted."""
    mem_mb = slurm.memory_mb(rulename, config["memory_mib"])
    # Snakemake asks again when it submits a job: convert and verify then find the inventory of this run.
    dataset, raw_bytes = wildcards.get("dataset"), None
    if dataset:
        raw_bytes = slurm.raw_bytes(receipts.path_of(config["results"], "inventory", dataset))
    elif bundle := next((b for b in LEFT.bundles if b.id == wildcards.get("bundle")), None):
        raw_bytes = slurm.RAW_PER_SOURCE * bundle.source_bytes
    minutes, more = slurm.minutes_for(rulename, raw_bytes), 2 ** (attempt - 1)
    partition = workflow.get_rule(rulename).resources.get("slurm_partition")
    return slurm.granted(partition.raw if partition else "standard", threads, mem_mb * more, minutes * more)


def job_qos(wildcards, threads, attempt, rulename):
    """Return the QoS that a job needs; None in a partition that LOTUS2 does not have."""
    return asked(wildcards, threads, attempt, rulename)[0]


def job_mem_mb(wildcards, threads, attempt, rulename):
    """Return the memory of a job."""
    return asked(wildcards, threads, attempt, rulename)[1]


def job_minutes(wildcards, threads, attempt, rulename):
    """Return the walltime of a job."""
    return asked(wildcards, threads, attempt, rulename)[2]


def job_attempt(wildcards, attempt):
    """Return which try of a job this is."""
    return attempt


def on_slurm():
    """Tell whether this Snakemake submits jobs to SLURM: not in a dry run, and not within a job."""
    return workflow.executor_plugin is not None and workflow.executor_plugin.name == "slurm"


def name_in_queue(wildcards):
    """Name the jobs of this campaign after its results folder, before the executor begins; return no file.

    Every job depends on an inventory, and what that depends on is asked when the executor is chosen and not yet made.
    """
    if on_slurm():
        workflow.executor_settings.jobname_prefix = JOBNAME
    return []


def check_submission():
    """Raise WorkflowError for what SLURM would refuse or keep waiting, and for jobs that a dead controller has left."""
    if not on_slurm():
        return
    requests = [
        slurm.Request(
            job.name,
            account=str(job.resources.get("slurm_account", "")),
            partition=job.resources.get("slurm_partition"),
            qos=job.resources.get("qos"),
            cpus=job.resources.get("cpus_per_task") or job.threads,
            mem_mb=job.resources.get("mem_mb", 0),
            minutes=job.resources.get("runtime", 0),
        )
        for job in workflow.dag.needrun_jobs()
        if not job.is_local
    ]
    if not requests:
        return
    try:
        slurm.check_requests(requests, slurm.accounts_of_user())
        slurm.check_queue(JOBNAME)
    except slurm.LotusError as error:
        raise WorkflowError(str(error)) from None


def of_this_run(wildcards):
    """Return all receipts of this run; those that do not hold are made again, and so is the mark that all are made.

    Snakemake sees that itself, by params, but not of receipts that a bundle has made or somebody has edited.
    """
    workflow.dag.forcefiles.update(map(str, LEFT.again))
    # By name: Snakemake does not make what is missing in the middle of a chain whose end is there.
    each = [(rule, name) for name in LEFT.datasets for rule in cli.RULES]
    each += [("bundle", bundle.id) for bundle in LEFT.bundles]
    return [str(receipts.path_of(config["results"], rule, name)) for rule, name in each]


def check_roots():
    """Raise WorkflowError if a bucket cannot be asked: once, before all jobs find that out."""
    try:
        for root in (config["store_root"], config["publish_root"]):
            backend.at(root, s3_client.settings(S3)).reach()
    except errors.DatasetError as error:
        raise WorkflowError(str(error)) from None


def check_replaced():
    """Raise WorkflowError if this run would write sealed stores again, and that is not allowed."""
    told = replaced.refusal(LEFT.replaced, config)
    if told and (is_planned("convert") or is_planned("bundle")):
        raise WorkflowError(told)


def begin():
    """Keep in the results what was read when the rules were: the datasets, and which of them are finished."""
    if not workflow.is_main_process:  # a job has read neither
        return
    results = Path(config["results"])
    planned = {job.wildcards_dict.get("dataset") for job in workflow.dag.jobs}
    planned.update(name for bundle in LEFT.bundles for name in bundle.datasets)
    try:
        dataset.hand_over(results, (LISTED[name] for name in planned.intersection(LISTED)))
        bundles.hand_over(results, LEFT.bundles)
        files.write_text(results / status.LISTED, "".join(f"{name}\n" for name in LISTED))
        pending.keep(results, LEFT.table)
    except errors.DatasetError as error:
        raise WorkflowError(str(error)) from None
    for path in LEFT.again:
        if path.name == pending.MARK:
            path.unlink(missing_ok=True)


def of_summary(wildcards):
    """Return the summary of a run that leaves datasets which are not verified; it is written by each such run."""
    path = f"{config['results']}/{pending.SUMMARY}"
    if not LEFT.unfinished:
        return []
    workflow.dag.forcefiles.add(path)
    return [path]


def is_planned(rulename):
    """Tell whether a rule is among what this run does."""
    return any(job.rule.name == rulename for job in workflow.dag.jobs)


def tell_end():
    """Print what a run that has done its work leaves to do, or has found rotten; then its exit code is 1."""
    if LEFT.later:
        print(f"{LEFT.later} datasets are left: the same command again does the next of them.", flush=True)
    if is_planned("summary"):
        print(f"{LEFT.unfinished} of {len(LISTED)} datasets are not verified: the exit code is 1.", flush=True)
        sys.exit(1)
    if is_planned("audits"):
        table = tables.audit_table(LISTED, config["results"])
        print(tables.audited(table), flush=True)
        if (table["verdict"] != "sound").any():
            Path(config["results"], pending.MARK).unlink(missing_ok=True)
            sys.exit(1)


def row_digest(wildcards):
    """Return what changes when a dataset's row of the catalogue does."""
    if workflow.is_main_process and wildcards.dataset in LISTED:
        return LISTED[wildcards.dataset].digest
    return dataset.handed_over(config["results"], wildcards.dataset).digest


def store_path(wildcards):
    """Return where the store of a dataset lies."""
    return drs.store_place(config["store_root"], wildcards.dataset)


def published_path(wildcards):
    """Return where the store of a dataset is published."""
    if not config["publish_root"]:
        raise WorkflowError("publish_root: found nothing, expected a folder or s3://BUCKET/PREFIX to publish to.")
    return drs.store_place(config["publish_root"], wildcards.dataset)


def of_sealed(rule):
    """Return an input function: the receipts of a rule for all stores that were sealed."""

    def sealed(wildcards):
        names = [name for name in LISTED if receipts.path_of(config["results"], "verify", name).is_file()]
        return [str(receipts.path_of(config["results"], rule, name)) for name in names]

    return sealed


def of_audits(wildcards):
    """Return the receipts of audits of all stores that were sealed; those older than `audit_days` are made again."""
    paths = of_sealed("audit")(wildcards)
    since = time.time() - config["audit_days"] * 86400
    workflow.dag.forcefiles.update(
        path for path in paths if Path(path).is_file() and Path(path).stat().st_mtime <= since
    )
    return paths


def results_folder(wildcards):
    """Return the folder of all receipts."""
    return config["results"]
