"""NetCDF to Zarr, one CMIP6 dataset at a time: inventory, convert, verify, size_report; then the campaign's tables."""

from snakemake.utils import min_version

min_version("9.12")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/inventory.smk"
include: "rules/convert.smk"
include: "rules/verify.smk"
include: "rules/size_report.smk"
include: "rules/audit.smk"
include: "rules/publish.smk"
include: "rules/bundle.smk"
include: "rules/campaign.smk"


localrules:
    all,
    audits,
    campaign,
    published,


rule all:
    default_target: True
    input:
        # All receipts by name: Snakemake does not make what is missing in the middle of a chain whose end is there.
        expand("<results>/{step}/{dataset}.json", step=cli.RULES, dataset=DATASETS),
        expand("<results>/bundle/{bundle}.json", bundle=[bundle.id for bundle in BUNDLES]),
        "<results>/campaign.done",


# Not in dry runs, which submit nothing and must work where there is neither SLURM nor a network.
onstart:
    check_submission()
    check_roots()


# The campaign's tables need every dataset; where one failed, they are made of the others.
onerror:
    shell("rm -f {config[results]:q}/campaign.done; {CAMPAIGN}")
