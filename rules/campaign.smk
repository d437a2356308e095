"""The end of a run: all its datasets are done. Then the report, the tables, and the catalogue of the sealed stores."""

# Where nothing is left to do its mark is there, and is made by no rule: the tables depend on the mark alone, since
# another set of datasets would be a reason to make them again. Where something is left, the mark is among what does
# not hold: whether Snakemake makes it again must not depend on what it remembers of an earlier run.
if Path(config["results"], pending.MARK) in LEFT.again:

    rule datasets:
        input:
            of_this_run,
        output:
            touch(f"<results>/{pending.MARK}"),
        localrule: True


rule campaign:
    input:
        f"<results>/{pending.MARK}",
    output:
        report("<results>/report.html", caption="../report/campaign.rst", category="Campaign"),
        report("<results>/sizes.tsv", caption="../report/sizes.rst", category="Campaign"),
        "<results>/catalogue/stores.json",
        report("<results>/catalogue/stores.csv", caption="../report/stores.rst", category="Campaign"),
        # Not its STAC items: of a job that has one output more than before Snakemake compares no params.
        # A run that failed writes the tables too, and takes this away: the next one makes them again.
        touch("<results>/campaign.done"),
    log:
        "<results>/logs/campaign.log",
    conda:
        "../envs/environment.yaml"
    resources:
        command=script("campaign"),
    params:
        campaign=CAMPAIGN,
        listed=LISTING,
    shell:
        "{resources.command} {params.campaign} 2> {log:q}"


# The last job of a run after which not all datasets are verified, also of one that has nothing else to do.
rule summary:
    input:
        "<results>/campaign.done",
    output:
        f"<results>/{pending.SUMMARY}",
    log:
        "<results>/logs/summary.log",
    conda:
        "../envs/environment.yaml"
    resources:
        command=script("status"),
    params:
        results=results_folder,
    shell:
        "{resources.command} {params.results:q} 2> {log:q} > {output:q}"
