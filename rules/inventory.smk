"""Is the source of a dataset fit to become one store?"""


rule inventory:
    input:
        name_in_queue,
    output:
        ensure("<results>/inventory/{dataset}.json", non_empty=True),
    log:
        "<results>/logs/inventory/{dataset}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        policy=json.dumps(config["policy"]),
    params:
        results=results_folder,
        digest=row_digest,
    shell:
        "python scripts/inventory.py {wildcards.dataset} --results {params.results:q}"
        " --digest {params.digest} --policy {resources.policy:q}"
        " --attempt {resources.attempt} &> {log:q}"
