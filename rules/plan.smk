"""What will a campaign take? Asked before it begins, of the catalogue and of the inventories that there are."""


rule plan:
    input:
        submit_nothing,
    log:
        "<results>/logs/plan.log",
    conda:
        "../envs/environment.yaml"
    resources:
        command=script("plan"),
    params:
        config=json.dumps(config),
    shell:
        "{resources.command} --config {params.config:q} 2> {log:q}"
