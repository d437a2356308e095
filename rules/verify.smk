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
    threads: config["threads"]
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        command=command_of("verify"),
    params:
        results=results_folder,
        request=request_of("verify"),
    shell:
        "{resources.command} {wildcards.dataset} --results {params.results:q} {params.request}"
        " --attempt {resources.attempt} &> {log:q}"
