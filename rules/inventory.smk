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
        command=command_of("inventory"),
    params:
        results=results_folder,
        request=request_of("inventory"),
    shell:
        "{resources.command} {wildcards.dataset} --results {params.results:q} {params.request}"
        " --attempt {resources.attempt} &> {log:q}"
