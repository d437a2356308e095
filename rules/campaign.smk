"""The table of sizes, and the catalogue of the sealed stores."""


rule campaign:
    input:
        expand("<results>/size_report/{dataset}.json", dataset=DATASETS),
    output:
        "<results>/sizes.tsv",
        "<results>/catalogue/stores.json",
        "<results>/catalogue/stores.csv",
    log:
        "<results>/logs/campaign.log",
    conda:
        "../envs/environment.yaml"
    params:
        command=CAMPAIGN,
    shell:
        "{params.command} 2> {log:q}"
