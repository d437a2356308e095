"""`make bench-scale`: what the workflow itself costs in a campaign of 100,000 datasets that is all but done.

One made-up dataset of ten files is converted, and its receipts are written down for all others as if they had been,
with their own names and digests; nothing but receipts is there. Each case is one command, as a user types it. Memory is
that of its whole tree of processes, looked at twenty times a second, pages that two share counted once. Writes
`scale.md` to the work folder.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import convert  # noqa: E402
import demo  # noqa: E402
import inventory  # noqa: E402
import size_report  # noqa: E402
import verify  # noqa: E402
from cmip6zarr.catalogue import build, drs, esm, projects  # noqa: E402
from cmip6zarr.catalogue.dataset import Dataset, hand_over  # noqa: E402
from cmip6zarr.core import files  # noqa: E402
from cmip6zarr.job import receipts, request  # noqa: E402

SCRIPTS = {"inventory": inventory, "convert": convert, "verify": verify, "size_report": size_report}
FILES = 10


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "scale", help="folder for all that is made")
    parser.add_argument("--datasets", type=int, nargs="+", default=[10_000, 100_000], help="in the catalogues")
    parser.add_argument("--new", type=int, default=1000, help="datasets that are not converted, in the dry run")
    return parser.parse_args(argv)


def make_catalogue(path: Path, datasets: int) -> dict[str, Dataset]:
    """Write a catalogue of so many datasets of FILES files each, and return them."""
    with path.open("w") as table:
        print(*projects.built_in("cmip6").facets, "time_range", "path", sep=",", file=table)
        for number in range(datasets):
            member, variable, source = f"r{number % 100 + 1}i1p1f1", f"v{number // 100 % 10}", f"M-{number // 1000:03}"
            facets = ("CMIP6", "CMIP", "NONE", source, "historical", member, "Amon", variable, "gn", "v20200101")
            for decade in range(FILES):
                dates = f"{1850 + 10 * decade}01-{1859 + 10 * decade}12"
                file = f"/archive/{'/'.join(facets)}/{variable}_Amon_{source}_historical_{member}_gn_{dates}.nc"
                print(*facets, dates, file, sep=",", file=table)
    return esm.read_catalogue(path).datasets


def make_receipts(config: dict, datasets: dict[str, Dataset], made: dict[str, dict]) -> None:
    """Write the receipts of all datasets, from those of one that was converted, and the root of each store."""
    for row in datasets.values():
        root = Path(config["results"]).parent / drs.store_place(config["store_root"], row.id) / "zarr.json"
        root.parent.mkdir(parents=True)
        root.touch()
    for rule, facts in made.items():
        folder = Path(config["results"], rule)
        folder.mkdir(parents=True)
        for row in datasets.values():
            facts |= {"dataset": row.id, "asked": request.asked(config, row).get(rule, {})}
            text = json.dumps(facts | {"digest": files.digest(facts)}, indent=1)
            (folder / f"{row.id}.json").write_text(text)


def convert_one(work: Path, config: dict) -> dict[str, dict]:
    """Convert the made-up dataset, and return its receipts by rule."""
    demo.LATITUDES, demo.LONGITUDES = 16, 24
    root = work / "data"
    demo.make_files(root / demo.FOLDER, FILES, 2)
    rows, _ = build.build([root])
    build.write(rows, work / "one.json")
    (row,) = esm.read_catalogue(work / "one.json").datasets.values()
    config = config | {"catalogue": str(work / "one.json"), "store_root": str(work / "stores")}
    hand_over(work / "one", [row])
    for rule, script in SCRIPTS.items():
        if script.main(request.command(rule, config, row, work / "one")):
            raise SystemExit(f"{rule} failed")
    return {rule: receipts.read(work / "one", rule, row.id) for rule in SCRIPTS}


def run(command: list, folder: Path) -> tuple[dict, str]:
    """Run a command in a folder; return its wall and CPU seconds and peak MiB, and what it said."""
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0
    with (folder / "said").open("w+") as said:
        process = psutil.Popen([str(word) for word in command], cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                tree = (process, *process.children(recursive=True))
                # A process that is being started has all pages of its parent; to tell them apart takes long.
                if sum(one.memory_info().rss for one in tree) > peak:
                    peak = max(peak, sum(one.memory_full_info().pss for one in tree))
            time.sleep(0.05)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{text[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "mib": peak / 2**20}, text


def measure(clone: Path, new: int, datasets: dict[str, Dataset], results: Path) -> dict[str, dict]:
    """Return the figures of all cases of one catalogue by name; `new` datasets are taken for not converted in some."""
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "1"]
    figures = {}

    def case(name: str, command: list, expected: str) -> None:
        figures[f"{name}, {len(datasets):,} datasets"], said = run(command, clone)
        if expected not in " ".join(said.split()):
            raise SystemExit(f"{name}: {command} did not say {expected!r}, but:\n{said[-3000:]}")

    case("first look at all receipts, and the tables", snakemake, f"{len(datasets)} datasets: {len(datasets)} verified")
    case("nothing to do", snakemake, "Nothing to be done")
    case("status", [sys.executable, "scripts/status.py"], f"verified {len(datasets)}")
    for row in list(datasets.values())[-new:]:
        for rule in SCRIPTS:
            receipts.path_of(results, rule, row.id).unlink()
    case(f"dry run of {new:,} new", [*snakemake, "-n"], "rule convert")
    return figures


def main(argv=None) -> int:
    args = parse(argv)
    shutil.rmtree(args.work, ignore_errors=True)
    clone = args.work / "clone"
    for name in ("Snakefile", "rules", "scripts", "config", "envs"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        clone.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, clone / name)
    schema = yaml.safe_load((ROOT / "config" / "config.schema.yaml").read_text())
    config = {key: told["default"] for key, told in schema["properties"].items()}
    made = convert_one(args.work, config)
    figures = {}
    for number in args.datasets:
        datasets = make_catalogue(clone / "all.csv", number)
        shutil.rmtree(clone / "results", ignore_errors=True)
        make_receipts(config | {"results": clone / "results"}, datasets, made)
        (clone / "config" / "config.yaml").write_text("catalogue: all.csv\n")
        figures |= measure(clone, args.new, datasets, clone / "results")
    head = ["", "wall s", "CPU s", "peak MiB"]
    lines = [[name, f"{f['wall']:.1f}", f"{f['cpu']:.1f}", f"{f['mib']:.0f}"] for name, f in figures.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])
    (args.work / "scale.md").write_text(f"{table}\n")
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
