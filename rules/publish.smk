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
        how=how_of("publish"),
    params:
        results=results_folder,
        to=published_path,
    shell:
        "python scripts/publish.py {wildcards.dataset} --results {params.results:q} --to {params.to:q}"
        " {resources.how} --attempt {resources.attempt} &> {log:q}"


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
    params:
        command=CAMPAIGN,
    shell:
        "{params.command} 2> {log:q}"
