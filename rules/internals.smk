"""What Snakemake has no public way for: each function says why it is needed. Nothing else reaches into Snakemake."""

import sys
from contextlib import redirect_stderr
from io import StringIO

from snakemake.cli import parse_args
from snakemake.logging import logger
from snakemake.settings.enums import Quietness


def option_named(name: str):
    """Return an option of the command line or its profile: Snakemake itself tells it when all rules have been read."""
    try:
        with redirect_stderr(StringIO()):
            return getattr(parse_args(sys.argv[1:])[1], name)
    except SystemExit:  # not Snakemake's command line: a program that calls it
        return None


def output_handler():
    """Return the handler of Snakemake's output, and whether it is told to be quiet about all; None if it is to stay.

    A logger plugin would do, but it has to be installed: it is looked for before any file of a workflow is read.
    """
    settings = workflow.output_settings
    if not workflow.is_main_process or settings.dryrun or settings.verbose or settings.printshellcmds:
        return None, False
    handler = next((handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"), None)
    return handler, Quietness.ALL in (settings.quiet or ())


def is_dry_run():
    """Tell whether Snakemake only says what it would do: the command line tells it before it is asked for jobs."""
    return workflow.output_settings.dryrun


def replace_handler(old, new):
    """Have what a handler of Snakemake's output would show shown by another."""
    logger.removeHandler(old)
    logger.addHandler(new)


def make_again(paths):
    """Have files made again though they are there and young: a receipt can be untrue, which no time or size tells."""
    workflow.dag.forcefiles.update(map(str, paths))


def planned_jobs():
    """Return all jobs of this run: Snakemake tells a workflow of none, also not when the run begins or has ended."""
    return list(workflow.dag.jobs)


def rules_run():
    """Return the rules of which this run does something, or did."""
    return {job.rule.name for job in workflow.dag.needrun_jobs(exclude_finished=False)}


def jobs_of_datasets():
    """Return {id: job} of what this run does for datasets; Snakemake's messages have these ids."""
    bundles = {bundle.id: bundle.datasets for bundle in LEFT.bundles}

    def course_of(job):
        about = job.wildcards_dict
        datasets = bundles[about["bundle"]] if "bundle" in about else (about["dataset"],)
        return course.Job(job.rule.name, datasets, str(job.log), lambda: job.attempt > job.restart_times)

    jobs = workflow.dag.needrun_jobs()
    return {job.jobid: course_of(job) for job in jobs if {"bundle", "dataset"} & job.wildcards_dict.keys()}


def submit_nothing(wildcards):
    """Have the executor look for its jobs each second, and return no file: a rule that submits none is asked for alone.

    It waits for the next look before it ends, which would be half a minute. As for `name_in_queue`.
    """
    if on_slurm():
        for settings in (workflow.executor_plugin.common_settings, workflow.executor_settings):
            settings.init_seconds_before_status_checks = 1
    return []


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
