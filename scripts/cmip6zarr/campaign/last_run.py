"""How the last run of a campaign was asked for: its command and its configuration, kept in the results.

So whoever reads the results can type the command again that works on them. Of the command line the options are kept
that say what is made and where it runs, not those that force something once. No environment is kept; a configuration
holds no secret, which its schema sees to.
"""

import platform
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cmip6zarr.core.files import JSON
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.settings import Config

NAME = "campaign"
"""Of the file in the results, which is written as receipts are."""

GIT_SECONDS = 10

UNKNOWN = ("snakemake", "--cores", "1")
"""The command where none was kept."""

MANY = 1000
OPTIONS = {
    **dict.fromkeys(("--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile", "--executor", "-e"), 1),
    **dict.fromkeys(("--snakefile", "-s", "--directory", "-d", "--retries", "-T"), 1),
    **dict.fromkeys(("--keep-going", "-k", "--use-conda"), 0),
    **dict.fromkeys(("--configfile", "--configfiles", "--config", "-C", "--set-resources"), MANY),
    **dict.fromkeys(("--default-resources", "--software-deployment-method", "--sdm"), MANY),
}
"""Options of Snakemake that are kept, and how many words may follow each."""

CONFIG = ("--config", "-C")


def keep(results: Results, argv: Sequence[str], config: Config, version: str) -> None:
    """Keep how a run was asked for: the words behind `snakemake`, and the configuration; raises DatasetError.

    `version` is that of this workflow.
    """
    facts = {
        "command": ["snakemake", *kept(argv)],
        "config": dict(config),
        "folder": str(Path.cwd()),
        "host": platform.node(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version,
    }
    receipts.write(receipts.path_of(results, "", NAME), facts)


def read(results: Results) -> JSON:
    """Return what `keep` has kept; an empty mapping where there is nothing of it."""
    return receipts.find(results, "", NAME) or {}


def version(root: Path) -> str:
    """Return which version of this workflow lies in a folder, as git describes it; `unknown` where git does not say."""
    command = ("git", f"--git-dir={root / '.git'}", f"--work-tree={root}", "describe", "--always", "--tags", "--dirty")
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.strip() or "unknown"


def kept(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line of Snakemake that are worth to be typed again; targets are not.

    >>> kept(["-c2", "-R", "convert", "--config", "codec=fast", "rerun=bug", "--", "published"])
    ['-c', '2', '--config', 'codec=fast']
    """
    groups: list[list[str]] = []
    left = 0
    for word in argv:
        if word == "--":
            break
        if word.startswith("-"):
            name, value = word.partition("=")[::2] if word.startswith("--") else (word[:2], word[2:])
            left = OPTIONS.get(name, 0)
            if name in OPTIONS:
                groups.append([name])
            if not value:
                continue
            word, left = value, min(left, 1)
        if left:
            left -= 1
            groups[-1] += [word]
    for group in groups:
        if group[0] in CONFIG:
            group[1:] = [word for word in group[1:] if not word.startswith("rerun=")]
    return [word for group in groups if group[0] not in CONFIG or group[1:] for word in group]


def again(results: Results, rerun: str | None = None) -> str:
    """Return the command of the last run for a shell, with the key `rerun` set if it is given.

    Of several `--config` Snakemake takes the last.
    """
    words = list(read(results).get("command", UNKNOWN))
    if rerun:
        places = [place for place, word in enumerate(words) if word in CONFIG]
        if places:
            words.insert(places[-1] + 1, f"rerun={rerun}")
        else:
            words += ["--config", f"rerun={rerun}"]
    return shlex.join(words)
