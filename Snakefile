"""NetCDF to Zarr, one CMIP6 dataset at a time: inventory, convert, verify, size_report; then the campaign's tables."""

from snakemake.utils import min_version

min_version("9.12")


configfile: "config/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/inventory.smk"
include: "rules/convert.smk"
include: "rules/verify.smk"
include: "rules/size_report.smk"
include: "rules/audit.smk"
include: "rules/publish.smk"
include: "rules/bundle.smk"
include: "rules/campaign.smk"
include: "rules/plan.smk"


localrules:
    all,
    audits,
    campaign,
    plan,
    published,


rule all:
    default_target: True
    input:
        "<results>/campaign.done",


# Not in dry runs, which submit nothing and must work where there is neither SLURM nor a network.
onstart:
    check_submission()
    check_roots()
    receipts.write_text(Path(config["results"], status.LISTED), "".join(f"{name}\n" for name in LISTED))


onsuccess:
    tell_later()


# The campaign's tables need every dataset; where one failed, they are made of the others.
onerror:
    shell("rm -f {config[results]:q}/campaign.done; {CAMPAIGN}")
    tell_later()
