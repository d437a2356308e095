"""What all rules share: the checked configuration, the datasets of the catalogue, a few named functions."""

import json
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir, "scripts")))

from cmip6zarr import RECIPE, bundles, campaign, catalogue, cli, drs, errors, lotus, objects, receipts, s3client

validate(config, "../config/config.schema.yaml")


pathvars:
    results=config["results"],


wildcard_constraints:
    dataset=drs.DATASET_PATTERN,
    bundle=r"\d{6}-[0-9a-f]{12}",


try:
    LISTED = catalogue.read_catalogue(config["catalogue"], config["select"]).datasets
except catalogue.CatalogueError as error:
    raise WorkflowError(str(error)) from None

# A refusal is an answer: it is not asked for again while the row and the policy are the same.
REFUSED = (
    campaign.refused_before(LISTED, config["results"], config["policy"]) if config["rerun"] != "refused" else set()
)
DATASETS = {name: row for name, row in LISTED.items() if name not in REFUSED}
if config["rerun"] not in ("failed", "refused"):
    DATASETS = {
        name: row for name, row in DATASETS.items() if campaign.state(name, config["results"]) == config["rerun"]
    }
SEALED = [name for name in DATASETS if receipts.path_of(config["results"], "verify", name).is_file()]

# With bundles no dataset has jobs of its own. The receipt of one that is no longer finished goes before any job runs.
BUNDLES = bundles.bundles(LISTED, config) if config["bundle"]["datasets"] else []
if BUNDLES:
    DATASETS = {}
    if workflow.is_main_process:
        for unfinished in bundles.unfinished(BUNDLES, config["results"], REFUSED):
            receipts.path_of(config["results"], "bundle", unfinished.id).unlink(missing_ok=True)

# How a job is run, where the catalogue lies, and the policy stand among the resources of the rules: as params, their
# change would be a reason to convert everything again. Another policy asks again for what was refused, no more.
S3 = s3client.option(config["s3"])
JOBNAME = lotus.jobname(config["results"])
CAMPAIGN = " ".join(
    [
        *("python scripts/campaign.py --results", quote(config["results"])),
        *("--catalogue", quote(config["catalogue"])),
        *("--select", quote(json.dumps(config["select"]))),
    ]
)

# The rules' `python` is the one that runs Snakemake, whether its environment is activated or not.
shell.prefix(f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"; ')


def asked(wildcards, threads, attempt, rulename):
    """Return QoS, memory and minutes of a job: each try asks for twice what the one before did, as far as is granted."""
    # Snakemake itself takes 250 MiB in a cluster job.
    mem_mb = 250 + (config["memory_mib"] if rulename in ("convert", "verify", "publish", "bundle") else 750)
    # Snakemake asks again when it submits a job: convert and verify then find the inventory of this run.
    dataset = wildcards.get("dataset")
    raw_bytes = lotus.raw_bytes(receipts.path_of(config["results"], "inventory", dataset)) if dataset else None
    minutes, more = lotus.minutes_for(rulename, raw_bytes), 2 ** (attempt - 1)
    partition = workflow.get_rule(rulename).resources.get("slurm_partition")
    return lotus.granted(partition.raw if partition else "standard", threads, mem_mb * more, minutes * more)


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
        lotus.Request(
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
    try:
        lotus.check_requests(requests, lotus.accounts_of_user() if requests else set())
        lotus.check_queue(JOBNAME)
    except lotus.LotusError as error:
        raise WorkflowError(str(error)) from None


def check_roots():
    """Raise WorkflowError if a bucket cannot be asked: once, before all jobs find that out."""
    try:
        for root in (config["store_root"], config["publish_root"]):
            objects.at(root, s3client.settings(S3)).reach()
    except errors.DatasetError as error:
        raise WorkflowError(str(error)) from None


def row_digest(wildcards):
    """Return what changes when a dataset's row of the catalogue does."""
    return LISTED[wildcards.dataset].digest


def store_path(wildcards):
    """Return where the store of a dataset lies."""
    return f"{config['store_root'].rstrip('/')}/{drs.store_folder(wildcards.dataset)}"


def published_path(wildcards):
    """Return where the store of a dataset is published."""
    if not config["publish_root"]:
        raise WorkflowError("publish_root: found nothing, expected a folder or s3://BUCKET/PREFIX to publish to.")
    return f"{config['publish_root'].rstrip('/')}/{drs.store_folder(wildcards.dataset)}"


def results_folder(wildcards):
    """Return the folder of all receipts."""
    return config["results"]
