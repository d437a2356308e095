"""Snakemake in a fork of a process that has imported it: the same commands, without two seconds of imports each."""

import multiprocessing
import os
import sys
from pathlib import Path

# Of other projects alone: what a clone of the checkout imports must come from the clone.
PRELOADED = ["snakemake.cli", "snakemake.report", "snakemake_executor_plugin_slurm", "smart_open", "jsonschema"]
PRELOADED += ["intake_esm.cat", "pandas", "polars", "xarray", "zarr"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


def run(output, arguments: list[str], folder: str, variables: dict[str, str], path: list[str]) -> None:
    """Be `python -m snakemake` in a folder and a process group of its own; all that it says goes to `output`."""
    from snakemake.cli import main

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    sys.path[:] = [folder, *path]
    sys.argv = ["snakemake", *arguments]
    main()


class Run:
    """A command that was started; has of `subprocess.Popen` what tests use of it."""

    def __init__(self, arguments, folder: Path, variables: dict[str, str]):
        self._output, output = CONTEXT.Pipe(duplex=False)
        # What the tests themselves import is out of reach.
        path = [entry for entry in sys.path if "site-packages" in entry or entry.startswith(sys.base_prefix)]
        given = (output, list(map(str, arguments)), str(folder), variables, path)
        self._process = CONTEXT.Process(target=run, args=given)
        self._process.start()
        output.close()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self.returncode

    def communicate(self) -> tuple[str, None]:
        """Wait for the command, and for all that has its output, and return what was said."""
        parts = []
        while part := os.read(self._output.fileno(), 2**16):
            parts.append(part)
        self._process.join()
        self._output.close()
        return b"".join(parts).decode(), None
