"""NetCDF to Zarr, one CMIP6 dataset at a time: inventory, convert, verify, size_report; then the campaign's tables."""

from os.path import exists

from snakemake.utils import min_version

min_version("9.12")


# In the folder of the campaign; in another one than this, all can be said on the command line.
if exists("config/config.yaml"):

    configfile: "config/config.yaml"


report: "report/workflow.rst"


include: "rules/internals.smk"
include: "rules/common.smk"
include: "rules/commands.smk"
include: "rules/queue.smk"
include: "rules/run.smk"
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
    summary,


rule all:
    default_target: True
    input:
        "<results>/campaign.done",
        of_summary,


# Not in dry runs, which submit nothing and must work where there is neither SLURM nor a network.
onstart:
    check_replaced()
    check_submission()
    check_roots()
    begin()
    follow()


onsuccess:
    tell_end()


# The campaign's tables need every dataset; where one failed, they are made of the others.
onerror:
    if PLAIN:
        SHOWN.pause()
    shell(
        "rm -f {config[results]:q}/campaign.done {config[results]:q}/{pending.MARK}; {command} {CAMPAIGN}",
        command=script("campaign"),
    )
    tell_end()
