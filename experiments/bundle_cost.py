"""Many small datasets: in bundles through a real SLURM on this machine, and by the rules on the machine itself.

Needs slurmdbd and MariaDB (`ACCOUNTING=1 tests/slurm/cluster.sh install`), since it is SLURM that tells the CPU time of
its jobs. Prints the tables of docs/performance.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import clones
import queues
import yaml
from builders import make_catalogue, make_dataset

from cmip6zarr.job import receipts, request

LOCAL = ("--cores", "2", "--keep-going")
SIZE = {"files": 2, "steps": 12, "lat": 96, "lon": 120}
"""Of a dataset: 1.1 MB of float32 before compression."""


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=50, help="how many")
    parser.add_argument("--bundle", type=int, default=200, help="most datasets in a bundle")
    parser.add_argument("--local", type=int, help="how many by the rules, where fewer: they take long")
    parser.add_argument("--folder", type=Path, help="where; a temporary folder if it is not told")
    return parser.parse_args(argv)


def row(name: str, datasets: int, wall: float, cpu: float) -> str:
    """Return a row of the table of runs."""
    return f"| {name} | {datasets} | {wall:.0f} | {cpu:.0f} | {cpu / datasets:.2f} |"


def spent() -> tuple[float, float]:
    """Return the time now, and the CPU seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def run(clone: clones.Clone, *args: str) -> tuple[float, float]:
    """Run Snakemake, and return its wall and CPU seconds."""
    start, cpu = spent()
    clone.snakemake(*args)
    end, cpu_end = spent()
    return end - start, cpu_end - cpu


def seconds(told: str) -> float:
    """Return the seconds of sacct's [days-][hours:]minutes:seconds.

    >>> seconds("01:02.500"), seconds("1-00:00:01")
    (62.5, 86401.0)
    """
    days, _, clock = told.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part)
    return 86400 * int(days or 0) + total


def jobs_cpu() -> tuple[float, list[str]]:
    """Return the CPU seconds of all jobs of the cluster, and what SLURM says of each."""
    form = "--format=JobID,JobName%60,State,Elapsed,TotalCPU,ReqMem,MaxRSS"
    time.sleep(5)  # slurmdbd is told a little later
    said = subprocess.run(["sacct", "-n", "-P", form], capture_output=True, text=True, check=True).stdout.splitlines()
    return sum(seconds(line.split("|")[4]) for line in said if "." not in line.split("|")[0]), said


def by_rule(clone: clones.Clone, names: list[str]) -> dict[str, float]:
    """Return the mean CPU seconds of each rule for a dataset in a bundle; a receipt has those of its process so far."""
    total, before = {}, dict.fromkeys(names, 0.0)
    for rule in request.RULES:
        now = {name: receipts.read(clone.results, rule, name)["cpu_seconds"] for name in names}
        total[rule] = sum(now[name] - before[name] for name in names) / len(names)
        before = now
    return total


def rerun(clone: clones.Clone) -> tuple[float, float, int]:
    """Run a bundle again in which all is done; return wall and CPU seconds, and how many datasets it has."""
    receipt = sorted((clone.results / "bundle").glob("*.json"))[0]
    schema = yaml.safe_load((clone.folder / "config" / "config.schema.yaml").read_text())["properties"]
    config = defaults(schema) | {"policy": defaults(schema["policy"]["properties"])} | settings(clone)
    command = [
        sys.executable,
        "scripts/bundle.py",
        receipt.stem,
        "--results",
        "results",
        "--config",
        json.dumps(config),
    ]
    start, cpu = spent()
    subprocess.run(command, cwd=clone.folder, check=True, stdout=subprocess.DEVNULL)
    end, cpu_end = spent()
    return end - start, cpu_end - cpu, len(json.loads(receipt.read_text())["datasets"])


def defaults(schema: dict) -> dict:
    """Return what holds where a configuration says nothing."""
    return {key: told.get("default") for key, told in schema.items()}


def settings(clone: clones.Clone) -> dict:
    """Return the clone's own settings."""
    return yaml.safe_load((clone.folder / "few.yaml").read_text())


@contextmanager
def cluster(folder: Path):
    """A SLURM that keeps accounts."""
    os.environ["ACCOUNTING"] = "1"
    (folder / "slurm").mkdir()
    with queues.started(folder / "slurm") as queue:
        queue.over.set()  # nobody needs to look
        yield


def main(argv=None) -> None:
    args = parse(argv)
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        folder = Path(place)
        for number in range(args.datasets):
            make_dataset(folder / "archive", member_id=f"r{number + 1}i1p1f1", **SIZE)
        clone = clones.checkout(folder).copy(folder / "clone")
        make_catalogue(folder / "archive", clone.catalogue)
        (clone.folder / "few.yaml").write_text(f"bundle: {{datasets: {args.bundle}, gib: 20}}")
        here = clone.copy(folder / "here")
        by_rules = min(args.local or args.datasets, args.datasets)
        (here.folder / "some.yaml").write_text(f"select: {{limit: {by_rules}}}")
        print("| | datasets | wall s | CPU s | CPU s a dataset |\n| --- | --- | --- | --- | --- |")
        print(row("rules, here", by_rules, *run(here, *LOCAL, "--configfile", "some.yaml")), flush=True)
        with cluster(folder):
            wall, cpu = run(clone, *clones.LOTUS, "--configfile", "few.yaml")
            in_jobs, said = jobs_cpu()
        print(row("bundles, SLURM", args.datasets, wall, cpu + in_jobs), flush=True)
        names = [path.stem for path in (clone.results / "size_report").glob("*.json")]
        assert len(names) == args.datasets
        told = by_rule(clone, names)
        print("\n| CPU s a dataset, in a bundle | |\n| --- | --- |")
        for rule, used in told.items():
            print(f"| {rule} | {used:.3f} |")
        print(f"| all four | {sum(told.values()):.3f} |")
        wall, cpu, number = rerun(clone)
        print(f"\nA bundle of {number} again, nothing left to do: {wall:.1f} s, {cpu:.1f} CPU s.\n")
        print(*said, sep="\n")


if __name__ == "__main__":
    main()
