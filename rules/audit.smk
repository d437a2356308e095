"""Has anything rotted? `snakemake --cores 2 audits` reads all sealed stores of the campaign, each time."""


rule audit:
    input:
        "<results>/verify/{dataset}.json",
        # A size report that is made after it would void it.
        "<results>/size_report/{dataset}.json",
    output:
        ensure("<results>/audit/{dataset}.json", non_empty=True),
    log:
        "<results>/logs/audit/{dataset}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        command=command_of("audit"),
    params:
        results=results_folder,
    shell:
        # A store that is not sound is an answer too, and must not keep the others from being read.
        "{resources.command} {wildcards.dataset} --results {params.results:q}"
        " --attempt {resources.attempt} &> {log:q} || test -s {output:q}"


rule audits:
    input:
        of_audits,
    log:
        "<results>/logs/audits.log",
    conda:
        "../envs/environment.yaml"
    resources:
        command=script("campaign"),
    params:
        campaign=CAMPAIGN,
    shell:
        "{resources.command} {params.campaign} 2> {log:q}"
