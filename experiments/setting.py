"""What an experiment gets: a folder to work in, how many rounds to run, and whether this is only a trial."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_cost import EXPERIMENTS, Case

SCRIPTS = EXPERIMENTS.parent / "scripts"


@dataclass(frozen=True)
class Setting:
    """`quick`: the smallest form, for trying and for tests; its figures mean nothing.

    `real_data` is a folder of NetCDF files of real models, or None.
    """

    work: Path
    quick: bool = False
    rounds: int = 3
    real_data: Path | None = None

    def pick(self, full: Any, quick: Any) -> Any:
        """Return one size or the other."""
        return quick if self.quick else full


def note_script(folder: Path, store: Path, *options: str, cores: int | None = None, environment=None) -> Case:
    """Return the note's script on a folder, with options of `note_script.py`."""
    command = [sys.executable, EXPERIMENTS / "note_script.py", folder, store, *options]
    return Case(command, store, cores, environment or {})


def in_child(module: str, *arguments) -> Case:
    """Return a case that runs a file of `questions` as a program, with our own modules in reach."""
    command = [sys.executable, EXPERIMENTS / "questions" / f"{module}.py", *arguments]
    return Case(command, environment={"PYTHONPATH": f"{EXPERIMENTS}:{SCRIPTS}"})
