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
        s3=S3,
        take_over=config["take_over"],
        memory_mib=config["memory_mib"],
        scheduler=config["scheduler"],
    params:
        results=results_folder,
        store=store_path,
        zarr_format=config["zarr_format"],
        chunks=json.dumps(config["chunks"]).strip('"'),
        chunk_mib=config["chunk_mib"],
        shard_mib=config["shard_mib"],
        codec=config["codec"],
        recipe=RECIPE,
    shell:
        "python scripts/convert.py {wildcards.dataset} --results {params.results:q}"
        " --store {params.store:q} --zarr-format {params.zarr_format} --chunks {params.chunks:q}"
        " --chunk-mib {params.chunk_mib} --shard-mib {params.shard_mib} --codec {params.codec} --memory-mib {resources.memory_mib}"
        " --scheduler {resources.scheduler} --threads {threads} --attempt {resources.attempt}"
        " --s3 {resources.s3:q} --take-over {resources.take_over:q} &> {log:q}"
