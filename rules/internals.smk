"""What Snakemake has no public way for: each function says why it is needed. Nothing else reaches into Snakemake."""

import sys
from contextlib import redirect_stderr
from io import StringIO

from snakemake.cli import parse_args


def option_named(name: str):
    """Return an option of the command line or its profile: Snakemake itself tells it when all rules have been read."""
    try:
        with redirect_stderr(StringIO()):
            return getattr(parse_args(sys.argv[1:])[1], name)
    except SystemExit:  # not Snakemake's command line: a program that calls it
        return None


def make_again(paths):
    """Have files made again though they are there and young: a receipt can be untrue, which no time or size tells."""
    workflow.dag.forcefiles.update(map(str, paths))


def planned_jobs():
    """Return all jobs of this run: Snakemake tells a workflow of none, also not when the run begins or has ended."""
    return list(workflow.dag.jobs)


def jobs_to_submit():
    """Return the jobs that will be submitted, with what each asks for: SLURM refuses some only when it is too late."""
    return [job for job in workflow.dag.needrun_jobs() if not job.is_local]


def on_slurm():
    """Tell whether this Snakemake submits jobs to SLURM: not in a dry run, and not within a job."""
    return workflow.executor_plugin is not None and workflow.executor_plugin.name == "slurm"


def name_in_queue(wildcards):
    """Name the jobs of this campaign after its results folder, before the executor begins; return no file.

    A profile can only give a fixed name. Every job depends on an inventory, and what that depends on is asked when the
    executor is chosen and not yet made.
    """
    if on_slurm():
        workflow.executor_settings.jobname_prefix = slurm.jobname(config["results"])
    return []
