"""The blocks of code in the documents, and a shell in which a reader types them."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clones import Clone
from repository import REPOSITORY

PAGES = sorted(
    [REPOSITORY / "README.md", REPOSITORY / "config" / "README.md", *(REPOSITORY / "docs").glob("*.md")], key=str
)
COMMANDS = ("sh", "python")
"""What a reader types; blocks in other languages are output, settings and pictures."""


@dataclass(frozen=True)
class Block:
    """A block of code: the page that has it, the language that it names, its text."""

    page: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in their order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [Block(page.relative_to(REPOSITORY).as_posix(), language, text) for language, text in found]


def here(text: str, folder: Path) -> str:
    """Return a command whose absolute paths lie below `folder`, and whose profiles run without SLURM.

    `…` in a path stands for any folders.
    """
    text = re.sub(r"(?<![\w.…])/(?=(?:data|badc|gws)/)", f"{folder}/", text).replace("/…/", "/**/")
    return re.sub(r"--profile \S*(?:lotus|mycluster)\b", r"\g<0> --executor local --jobs 2", text)


def type_in(clone: Clone, text: str, expect: int = 0, **variables: str) -> str:
    """Type a block of `sh` in a clone and return what it says; the exit code of its last command must be `expect`."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE_")}
    command = ("bash", "-O", "globstar", "-c", here(text, clone.folder.parent))
    done = subprocess.run(
        command,
        cwd=clone.folder,
        env=kept | {"PATH": path} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == expect, f"{text}{done.stdout}"
    return done.stdout
