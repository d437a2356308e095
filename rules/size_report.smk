"""How big did the dataset become, and why?"""


rule size_report:
    input:
        "<results>/inventory/{dataset}.json",
        "<results>/convert/{dataset}.json",
        "<results>/verify/{dataset}.json",
    output:
        ensure("<results>/size_report/{dataset}.json", non_empty=True),
    log:
        "<results>/logs/size_report/{dataset}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        command=command_of("size_report"),
    params:
        results=results_folder,
    shell:
        "{resources.command} {wildcards.dataset} --results {params.results:q}"
        " --attempt {resources.attempt} &> {log:q}"
