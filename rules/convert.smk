"""Raw bits from NetCDF files into a Zarr store that does not open yet."""


rule convert:
    input:
        "<results>/inventory/{dataset}.json",
    output:
        ensure("<results>/convert/{dataset}.json", non_empty=True),
    log:
        "<results>/logs/convert/{dataset}.log",
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        command=command_of("convert"),
    params:
        results=results_folder,
        request=request_of("convert"),
        recipe=RECIPE,
    shell:
        "{resources.command} {wildcards.dataset} --results {params.results:q} {params.request}"
        " --attempt {resources.attempt} &> {log:q}"
