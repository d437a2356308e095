"""Many small datasets through all rules in one job, each in a process of its own (config key `bundle`)."""


rule bundle:
    input:
        name_in_queue,
    output:
        ensure("<results>/bundle/{bundle}.json", non_empty=True),
    log:
        "<results>/logs/bundle/{bundle}.log",
    conda:
        "../envs/environment.yaml"
    threads: config["threads"]
    resources:
        mem_mb=job_mem_mb,
        runtime=job_minutes,
        qos=job_qos,
        attempt=job_attempt,
        command=script("bundle"),
        # The id of a bundle changes with all that must not be done with another configuration.
        config=json.dumps(config),
    params:
        results=results_folder,
    shell:
        "{resources.command} {wildcards.bundle} --results {params.results:q} --config {resources.config:q}"
        " --attempt {resources.attempt} &> {log:q}"
