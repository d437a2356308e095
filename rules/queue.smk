"""What a job asks of SLURM, and what SLURM is asked before any job is submitted."""


def asked(wildcards, threads, attempt, rulename):
    """Return QoS, memory and minutes of a job: each try asks for twice what the one before did, as far as is granted."""
    # Snakemake asks again when it submits a job: convert and verify then find the inventory of this run.
    dataset, raw_bytes, rows = wildcards.get("dataset"), None, []
    if dataset:
        rows = map(row_of, [wildcards])
        raw_bytes = slurm.raw_bytes(receipts.path_of(config["results"], "inventory", dataset))
    elif bundle := next((b for b in LEFT.bundles if b.id == wildcards.get("bundle")), None):
        rows = (LISTED[name] for name in bundle.datasets)
        raw_bytes = slurm.RAW_PER_SOURCE * bundle.source_bytes
    mem_mb = slurm.memory_mb(rulename, settings.memory_mib(config, rows))
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
        for job in jobs_to_submit()
    ]
    if not requests:
        return
    try:
        slurm.check_requests(requests, slurm.accounts_of_user())
        slurm.check_queue(slurm.jobname(config["results"]))
    except slurm.LotusError as error:
        raise WorkflowError(str(error)) from None
