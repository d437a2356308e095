"""Copies of the checkout, in which tests run Snakemake as a user types it."""

import csv
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import forked_snakemake
import xarray as xr
from builders import FACETS, dataset_id, make_catalogue, make_dataset
from repository import REPOSITORY

from cmip6zarr.catalogue import drs

LOTUS = ("--cores", "1", "--profile", "lotus")
HERE = (*LOTUS, "--executor", "local")
"""The profile on a machine without SLURM."""
BUNDLED = ("--configfile", "bundles.yaml")

RULES = ("inventory", "convert", "verify", "size_report")
ENDS = ("datasets", "campaign", "all")
TABLES = {"sizes.tsv", "catalogue/stores.json", "catalogue/stores.csv"}
A, B = (dataset_id(source_id=f"MODEL-{letter}") for letter in "AB")
"""What every clone's catalogue holds."""
DEMO = {
    ("CCCR-IITM", "IITM-ESM", "v20191226"): ["r1i1p1f1"],
    ("MIROC", "MIROC6", "v20190311"): ["r1i1p1f1", "r2i1p1f1"],
}
"""Datasets of the demo that the documents name, and a second member: {(institution, model, version): members}."""


class Clone:
    """A copy of the checkout, with the catalogue that its configuration names."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.catalogue = folder / "demo" / "catalogue.json"
        self.results = folder / "results"
        self.stores = self.results / "stores"

    def start(self, *args: str) -> subprocess.Popen:
        """Start `snakemake` with these arguments, in a process group of its own; it says all on stdout."""
        command = (sys.executable, "-m", "snakemake", *with_cores(args))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=variables(), start_new_session=True, **pipes)

    def fork(self, *args: str) -> forked_snakemake.Run:
        """Start the same in a process that does not have to import Snakemake, which is most of what a run takes."""
        return forked_snakemake.Run(with_cores(args), self.folder, variables())

    def snakemake(self, *args: str, expect: int = 0) -> str:
        """Run `snakemake` to its end and return what it said; its exit code must be `expect`."""
        return finish(self.fork(*args), expect)

    def plans(self, *commands: tuple[str, ...]) -> list[set[tuple[str, str]]]:
        """Return (rule, dataset) of all jobs that `snakemake` would run, for each of some commands; no dataset is ''.

        The dry runs go on side by side: starting is what they spend their time on.
        """
        runs = [self.fork("-n", *args) for args in commands]
        return [planned(finish(run)) for run in runs]

    def plan(self, *args: str) -> set[tuple[str, str]]:
        """Return the one of `plans` for one command."""
        return self.plans(args)[0]

    def files(self) -> dict[str, int]:
        """Return {name: time of change} of all that stands in the results, but for logs."""
        found = (path for path in self.results.rglob("*") if path.is_file() and "logs" not in path.parts)
        return {path.relative_to(self.results).as_posix(): path.stat().st_mtime_ns for path in found}

    def copy(self, folder: Path) -> "Clone":
        """Return a copy that is as old as this one, file by file."""
        return Clone(shutil.copytree(self.folder, folder, symlinks=True))


def with_cores(args: tuple[str, ...]) -> tuple[str, ...]:
    """Return arguments of `snakemake`, with a number of cores, without which it does nothing."""
    return args if "--cores" in args else ("--cores", "2", *args)


def variables() -> dict[str, str]:
    """Return the environment without what the user has set for Snakemake."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE_")}


def finish(run: subprocess.Popen | forked_snakemake.Run, expect: int = 0) -> str:
    """Wait for a started command and return what it said; its exit code must be `expect`."""
    said, _ = run.communicate()
    assert run.returncode == expect, said
    return said


def planned(said: str) -> set[tuple[str, str]]:
    """Return (rule, dataset or bundle) of the jobs that a dry run speaks of, which must be as many as it counts."""
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", said, re.MULTILINE)
    about = re.compile(r"^ +wildcards: (?:dataset|bundle)=(.*)$", re.MULTILINE)
    jobs = [(rule, "".join(about.findall(facts))) for rule, facts in blocks]
    table = dict(re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE))
    assert int(table.get("total", 0)) == len(jobs) == len(set(jobs)), said
    assert bool(jobs) != ("Nothing to be done" in said), said
    return set(jobs)


def assert_converted(clone: Clone, *datasets: str) -> None:
    """Assert that xarray sees in the stores of some datasets what it sees in the files that the catalogue lists."""
    for dataset in datasets:
        rows = [row for row in read_rows(clone.catalogue) if ".".join(row[facet] for facet in FACETS) == dataset]
        files = [xr.load_dataset(row["path"]) for row in rows]
        with xr.open_zarr(clone.stores / drs.store_folder(dataset)) as store:
            xr.testing.assert_identical(store.compute(), xr.concat(files, "time", data_vars="minimal"))


def chain(*datasets: str, rules: tuple[str, ...] = RULES) -> set[tuple[str, str]]:
    """Return the jobs of some datasets, and the three that every campaign ends with."""
    return {(rule, dataset) for rule in rules for dataset in datasets} | {(rule, "") for rule in ENDS}


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """Return the names that were made, changed or removed between two looks at the `files` of a clone."""
    return {name for name in before | after if before.get(name) != after.get(name)}


def sources(names: set[str]) -> set[str]:
    """Return the source_ids of the datasets that these files are about."""
    return {source for name in names for source in re.findall(r"CMIP6[./]CMIP[./]ZZZ[./]([\w-]+)[./]", name)}


def read_rows(catalogue: Path) -> list[dict]:
    """Return the rows of a catalogue."""
    with catalogue.with_suffix(".csv").open(newline="") as table:
        return list(csv.DictReader(table))


def write_rows(catalogue: Path, rows: list[dict]) -> None:
    """Give a catalogue other rows."""
    with catalogue.with_suffix(".csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def prepared(base: Path, name: str, make: Callable[[Clone], None]) -> Clone:
    """Return a clone below `base` that `make` has prepared, once for all processes of a test run; each has its copy.

    What tests change they copy once more.
    """
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(made, ignore_errors=True)
            make(Clone(made))
            done.touch()
    return Clone(made).copy(base / f"{name}-copy")


@cache
def checkout(base: Path) -> Clone:
    """Return a clone below `base` that lists A and B, where nothing has been run; tests leave it as it is."""

    def make(clone: Clone) -> None:
        command = ("git", "ls-files", "-co", "--exclude-standard", "-z")
        tracked = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        for file in filter(None, tracked.split("\0")):
            if (REPOSITORY / file).is_file():
                (clone.folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / file, clone.folder / file)
        data = clone.folder.with_name("data")
        for letter in "AB":
            make_dataset(data, source_id=f"MODEL-{letter}", files=2, steps=2)
        make_catalogue(data, clone.catalogue)

    return prepared(base, "checkout", make)


def run_once(base: Path, name: str, run: Callable[[Clone], None]) -> Clone:
    """Return a clone below `base` in which `run` has run something, once for all processes of a test run."""

    def make(clone: Clone) -> None:
        run(checkout(base).copy(clone.folder))

    return prepared(base, name, make)


@cache
def campaign(base: Path) -> Clone:
    """Return a clone below `base` in which the verbatim command has converted A and B; tests leave it as it is."""
    return run_once(base, "campaign", lambda clone: finish(clone.start(*HERE)))


@cache
def bundled(base: Path) -> Clone:
    """Return a clone below `base` in which a bundle has converted A and B; tests leave it as it is."""

    def run(clone: Clone) -> None:
        (clone.folder / "bundles.yaml").write_text("bundle: {datasets: 5}")
        clone.snakemake(*BUNDLED)

    return run_once(base, "bundled", run)


@cache
def demo(base: Path) -> Clone:
    """Return a clone below `base` in which DEMO is done as `make demo` does it; tests leave it as it is."""

    def run(clone: Clone) -> None:
        data = clone.folder / "nc"
        for (institution, model, version), members in DEMO.items():
            for member in members:
                facets = {"institution_id": institution, "source_id": model, "version": version, "variable_id": "ta"}
                make_dataset(data, files=1, member_id=member, attributes={"variant_label": member}, **facets)
        make_catalogue(data, clone.catalogue)
        (clone.folder / "bundles.yaml").write_text("bundle: {datasets: 5}")
        clone.snakemake("--configfile", "config/demo.yaml", "bundles.yaml")

    return run_once(base, "demo", run)
