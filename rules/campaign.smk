"""The end of a run: all its datasets are done. Then the report, the tables, and the catalogue of the sealed stores."""

# Where nothing is left to do its mark is there, and is made by no rule: the tables depend on the mark alone, since
# another set of datasets would be a reason to make them again.
if LEFT.datasets or LEFT.bundles or not Path(config["results"], remaining.MARK).is_file():

    rule datasets:
        input:
            of_this_run,
        output:
            touch(f"<results>/{remaining.MARK}"),
        localrule: True


rule campaign:
    input:
        f"<results>/{remaining.MARK}",
    output:
        report("<results>/report.html", caption="../report/campaign.rst", category="Campaign"),
        report("<results>/sizes.tsv", caption="../report/sizes.rst", category="Campaign"),
        "<results>/catalogue/stores.json",
        report("<results>/catalogue/stores.csv", caption="../report/stores.rst", category="Campaign"),
        # A run that failed writes the tables too, and takes this away: the next one makes them again.
        touch("<results>/campaign.done"),
    log:
        "<results>/logs/campaign.log",
    conda:
        "../envs/environment.yaml"
    params:
        command=CAMPAIGN,
        listed=LISTING,
    shell:
        "{params.command} 2> {log:q}"
