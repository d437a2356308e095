"""What all rules share: the checked configuration, the datasets of the catalogue, a few named functions."""

import json
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir, "scripts")))

from cmip6zarr import RECIPE, campaign, catalogue, cli, drs, receipts

validate(config, "../config/config.schema.yaml")


pathvars:
    results=config["results"],


wildcard_constraints:
    dataset=drs.DATASET_PATTERN,


try:
    LISTED = catalogue.read_catalogue(config["catalogue"], config["select"]).datasets
except catalogue.CatalogueError as error:
    raise WorkflowError(str(error)) from None

# A refusal is an answer: it is not asked for again while the row and the policy are the same.
REFUSED = (
    campaign.refused_before(LISTED, config["results"], config["policy"]) if config["rerun"] != "refused" else set()
)
DATASETS = {name: row for name, row in LISTED.items() if name not in REFUSED}
SEALED = [name for name in DATASETS if receipts.path_of(config["results"], "verify", name).is_file()]

# How a job is run, where the catalogue lies, and the policy stand among the resources of the rules: as params, their
# change would be a reason to convert everything again. Another policy asks again for what was refused, no more.
JOB_MIB = config["memory_mib"] + 250  # Snakemake itself takes 250 MiB in a cluster job
CAMPAIGN = " ".join(
    [
        *("python scripts/campaign.py --results", quote(config["results"])),
        *("--catalogue", quote(config["catalogue"])),
        *("--select", quote(json.dumps(config["select"]))),
    ]
)

# The rules' `python` is the one that runs Snakemake, whether its environment is activated or not.
shell.prefix(f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"; ')


def row_digest(wildcards):
    """Return what changes when a dataset's row of the catalogue does."""
    return LISTED[wildcards.dataset].digest


def store_path(wildcards):
    """Return where the store of a dataset lies."""
    return f"{config['store_root'].rstrip('/')}/{drs.store_folder(wildcards.dataset)}"


def results_folder(wildcards):
    """Return the folder of all receipts."""
    return config["results"]
