"""Is every bit of the source in the store? Then it is sealed, and opens."""


rule verify:
    input:
        "<results>/inventory/{dataset}.json",
        "<results>/convert/{dataset}.json",
    output:
        ensure("<results>/verify/{dataset}.json", non_empty=True),
    log:
        "<results>/logs/verify/{dataset}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        s3=S3,
        memory_mib=config["memory_mib"],
        policy=json.dumps(config["policy"]),
    params:
        results=results_folder,
        mode=config["verify"],
        digest=row_digest,
    shell:
        "python scripts/verify.py {wildcards.dataset} --results {params.results:q} --mode {params.mode}"
        " --digest {params.digest} --policy {resources.policy:q}"
        " --memory-mib {resources.memory_mib} --attempt {resources.attempt}"
        " --s3 {resources.s3:q} &> {log:q}"
