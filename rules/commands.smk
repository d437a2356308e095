"""What the shell commands of the rules are made of: scripts of this workflow, and the options of a dataset."""

import json
import sys
from pathlib import Path
from shlex import join, quote

# The rules' `python` is the one that runs Snakemake, whether its environment is activated or not; with `--sdm conda` it
# is that of envs/environment.yaml, which is activated before this prefix.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"; ')


def script(name):
    """Return the command that begins with a script of this workflow, wherever it is run."""
    return join(["python", str(HERE / "scripts" / f"{name}.py")])


CAMPAIGN = " ".join(
    [
        *("--results", quote(config["results"])),
        *("--store-root", quote(config["store_root"]), "--publish-root", quote(config["publish_root"])),
        *("--public-url", quote(config["public_url"])),
        *("--s3", quote(S3)),
        *(("--projects", quote(json.dumps(config["projects"]))) if config["projects"] else ()),
        *(["--stac"] if config["stac"] else []),
        *(["--unseal"] if config["withdrawn"] == "unseal" else []),
    ]
)


def row_of(wildcards):
    """Return the row of a dataset: a job has it from the file that the controller wrote."""
    return LISTED.get(wildcards.dataset) or dataset.handed_over(config["results"], wildcards.dataset)


def request_of(rule):
    """Return a function of a dataset: the options that decide what the rule makes of it."""
    return lambda wildcards: join(request.words(request.asked(config, row_of(wildcards)).get(rule, {})))


def command_of(rule):
    """Return a function of a dataset: script and other options. They are a resource, and no reason to do it again."""
    return lambda wildcards, threads: " ".join(
        (script(rule), join(request.words(request.how(rule, config | {"threads": threads}, row_of(wildcards)))))
    )
