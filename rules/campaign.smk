"""The table of sizes, and the catalogue of the sealed stores."""


rule campaign:
    input:
        expand("<results>/size_report/{dataset}.json", dataset=DATASETS),
        expand("<results>/bundle/{bundle}.json", bundle=[bundle.id for bundle in BUNDLES]),
        [] if BUNDLES else expand("<results>/failed/{dataset}.json", dataset=REFUSED),
    output:
        "<results>/sizes.tsv",
        "<results>/catalogue/stores.json",
        "<results>/catalogue/stores.csv",
        # A run that failed writes the tables too, and takes this away: the next one makes them again.
        touch("<results>/campaign.done"),
    log:
        "<results>/logs/campaign.log",
    conda:
        "../envs/environment.yaml"
    params:
        command=CAMPAIGN,
    shell:
        "{params.command} 2> {log:q}"
