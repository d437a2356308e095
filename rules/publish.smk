"""Sealed stores to where they are published: `snakemake --cores 2 published` copies and proves them (`publish_root`)."""


rule publish:
    input:
        "<results>/verify/{dataset}.json",
    output:
        ensure("<results>/publish/{dataset}.json", non_empty=True),
    log:
        "<results>/logs/publish/{dataset}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        command=command_of("publish"),
    params:
        results=results_folder,
        to=published_path,
    shell:
        "{resources.command} {wildcards.dataset} --results {params.results:q} --to {params.to:q}"
        " --attempt {resources.attempt} &> {log:q}"


rule published:
    input:
        of_sealed("publish"),
    output:
        "<results>/catalogue/published.json",
        "<results>/catalogue/published.csv",
    log:
        "<results>/logs/published.log",
    conda:
        "../envs/environment.yaml"
    resources:
        command=script("campaign"),
    params:
        campaign=CAMPAIGN,
    shell:
        "{resources.command} {params.campaign} 2> {log:q}"
