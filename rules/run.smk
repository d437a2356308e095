"""How a run begins and ends: what it makes, what it leaves for the next one, and what it says."""

import sys
import time


def of_this_run(wildcards):
    """Return all receipts of this run; those that do not hold are made again, and so is the mark that all are made.

    Snakemake sees that itself, by params, but not of receipts that a bundle has made or somebody has edited.
    """
    make_again(LEFT.again)
    # By name: Snakemake does not make what is missing in the middle of a chain whose end is there.
    each = [(rule, name) for name in LEFT.datasets for rule in request.RULES]
    each += [("bundle", bundle.id) for bundle in LEFT.bundles]
    return [str(receipts.path_of(config["results"], rule, name)) for rule, name in each]


def of_summary(wildcards):
    """Return the summary of a run that leaves datasets which are not verified; it is written by each such run."""
    path = f"{config['results']}/{pending.SUMMARY}"
    if not LEFT.unfinished:
        return []
    make_again([path])
    return [path]


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
    make_again(path for path in paths if Path(path).is_file() and Path(path).stat().st_mtime <= since)
    return paths


def check_roots():
    """Raise WorkflowError if a bucket cannot be asked: once, before all jobs find that out."""
    try:
        for root in (config["store_root"], config["publish_root"]):
            backend.at(root, s3_client.settings(S3)).reach()
    except errors.DatasetError as error:
        raise WorkflowError(str(error)) from None


def check_replaced():
    """Raise WorkflowError if this run would write sealed stores again, and that is not allowed."""
    told = replaced.refusal(LEFT.replaced)
    if told and (is_planned("convert") or is_planned("bundle")):
        raise WorkflowError(told)


def begin():
    """Keep in the results what was read when the rules were: the datasets, and which of them are finished."""
    global LEFT
    # A job has read neither, and a plan must not change of what status and tables speak.
    if not workflow.is_main_process or rules_run() == {"plan"}:
        return
    results = Path(config["results"])
    planned = {job.wildcards_dict.get("dataset") for job in planned_jobs()}
    planned.update(name for bundle in LEFT.bundles for name in bundle.datasets)
    try:
        dataset.hand_over(results, (LISTED[name] for name in planned.intersection(LISTED)))
        bundles.hand_over(results, LEFT.bundles)
        listed.keep(results, LISTED, LEFT_ASIDE)
        withdrawn.keep(results, WITHDRAWN)
        if is_planned("campaign"):
            last_run.keep(results, sys.argv[1:], config, last_run.version(HERE))
        if LEFT.table is not None:
            finished.keep(results, LEFT.table)
            LEFT = replace(LEFT, table=None)  # it is large, and the tables are made by another process
    except errors.DatasetError as error:
        raise WorkflowError(str(error)) from None
    for path in LEFT.again:
        if path.name == pending.MARK:
            path.unlink(missing_ok=True)


def follow():
    """Show on the terminal how this run goes on."""
    if PLAIN:
        SHOWN.follow(course.Course(jobs_of_datasets(), config["results"]))


def standing():
    """Return the last lines of a run that had nothing to do."""
    left = {*LEFT.names, *LEFT.unasked}
    have_findings = tables.names_in(Path(config["results"], findings.FOLDER))
    states = {
        name: tables.state(name, config["results"]) if name in left else findings.SEALED[name in have_findings]
        for name in LISTED
    }
    return [tables.counted(states), report_line()]


def report_line():
    """Return where the report lies."""
    return f"Report: {config['results']}/report.html"


def is_planned(rulename):
    """Tell whether a rule is among what this run does."""
    return any(job.rule.name == rulename for job in planned_jobs())


def tell_end():
    """Print what a run that has done its work leaves to do, or has found rotten; then its exit code is 1."""
    if LEFT.later and is_planned("campaign"):
        print(f"{LEFT.later} datasets are left: the same command again does the next of them.", flush=True)
    if is_planned("summary"):
        if "campaign" not in rules_run():
            print(Path(config["results"], pending.SUMMARY).read_text(encoding="utf-8"), end="")
        print(f"{LEFT.unfinished} of {len(LISTED)} datasets are not verified: the exit code is 1.", report_line())
        sys.exit(1)
    if is_planned("audits"):
        table = tables.audit_table(LISTED, config["results"])
        print(tables.audited(table), flush=True)
        if (table["verdict"] != "sound").any():
            Path(config["results"], pending.MARK).unlink(missing_ok=True)
            sys.exit(1)
