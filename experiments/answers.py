"""`make experiments`: answer the questions of the note of June 2020 by measuring, and write docs/answers.md.

Each question is a module in `questions/`, with its text beside it. Figures go to `results/experiments/<question>.json`
as they are measured. The page and its plots are made of the figures alone, which lie beside the plots, so that it can
be made again (`--render`). `--quick` runs the smallest form of all, in a minute or two, and leaves docs/ alone.

From the environment: CMIP6ZARR_DATA, a folder of real NetCDF files; CMIP6ZARR_PYTHON_2020, a Python with
envs/requirements-2020.txt.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path

import wording
from command_cost import EXPERIMENTS
from questions import QUESTIONS
from setting import Setting

ROOT = EXPERIMENTS.parent
VERSIONS = ("xarray", "zarr", "numcodecs", "dask", "netCDF4", "h5py", "numpy")
HEAD = """# Answers to the note of June 2020

In a note of June 2020 a user of CMIP6 describes the conversion of one dataset, 320 GB of NetCDF, to a Zarr store by a
short script of xarray and dask. This workflow grew out of that note. It ends with six questions, and leaves two
effects unexplained. This page answers them by measuring.

**The page is written by `make experiments`**: every figure, and every word that depends on one, comes from what one
run has measured and left [beside the plots](answers/). To change the page, change
[experiments/questions](../experiments/questions). Cases run in turn, round after round, and medians are given.
Seconds and memory that differ by less than 10 % are called the same, since the machine is no quieter than that.
"""


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, default=ROOT / "results" / "experiments", help="folder for data and figures"
    )
    parser.add_argument(
        "--page", type=Path, help="default docs/answers.md; with --quick, answers.md in the work folder"
    )
    parser.add_argument("--quick", action="store_true", help="the smallest form; its figures mean nothing")
    parser.add_argument("--rounds", type=int, default=3)
    only = f"measure these, and keep the figures of the others: {', '.join(QUESTIONS)}"
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), metavar="QUESTION", help=only)
    parser.add_argument("--render", action="store_true", help="measure nothing: make the page of its stored figures")
    args = parser.parse_args(argv)
    args.page = args.page or (args.work / "answers.md" if args.quick else ROOT / "docs" / "answers.md")
    return args


def machine() -> dict:
    """Return what the figures were measured on."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory_kib = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kib / 2**20),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
    }


def measure(args) -> None:
    """Measure, and write the figures of each question as soon as they are there."""
    args.work.mkdir(parents=True, exist_ok=True)
    # The folder that the tests read, if there is one.
    real = Path(os.environ.get("CMIP6ZARR_DATA", ROOT.parent / "shared" / "data"))
    setting = Setting(args.work, args.quick, 1 if args.quick else args.rounds, real if real.is_dir() else None)
    for name in args.only:
        print(name, file=sys.stderr)
        start = time.monotonic()
        figures = {"measured": QUESTIONS[name].measure(setting), "machine": machine(), "quick": args.quick}
        figures["seconds"] = round(time.monotonic() - start)
        part = args.work / f"{name}.json.part"
        part.write_text(json.dumps(figures, indent=1) + "\n")
        part.replace(args.work / f"{name}.json")


def read(folder: Path) -> dict[str, dict]:
    """Return the figures of all questions that have been measured, in the order of the page."""
    paths = {name: folder / f"{name}.json" for name in QUESTIONS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()}


def page(figures: dict[str, dict], folder: str) -> str:
    """Return the page in Markdown, whose plots lie in `folder`."""
    parts = [HEAD]
    if any(one["quick"] for one in figures.values()):
        parts.append("**A quick trial: the figures mean nothing.**\n")
    for name, one in figures.items():
        text = (EXPERIMENTS / "questions" / f"{name}.md").read_text()
        picture = f"![{text.splitlines()[0].split('. ', 1)[1]}]({folder}/{name}.svg)" if drawn(one) else ""
        parts.append(text.format(picture=picture, **QUESTIONS[name].words(one["measured"])))
    return wording.wrapped("\n".join([*parts, "## Where\n", where(figures)]))


def drawn(one: dict) -> bool:
    """Tell whether a question has a plot: one that was not run has none."""
    return "reason" not in one["measured"]


def where(figures: dict[str, dict]) -> str:
    """Return on what the figures were measured, a line for each machine and day."""
    groups: dict[str, list[str]] = {}
    for name, one in figures.items():
        m = one["machine"]
        versions = ", ".join(f"{package} {number}" for package, number in m["versions"].items())
        text = f"{m['date']}, {m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB; Python {m['python']}, {versions}"
        groups.setdefault(text, []).append(f"{name} ({one['seconds']} s)")
    return "\n".join(f"* {', '.join(names)}: {text}." for text, names in groups.items()) + "\n"


def draw(figures: dict[str, dict], folder: Path) -> None:
    """Draw a plot for each question that has tables: SVG, the same bytes for the same figures."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    grey = "#7d8590"  # legible on white and on black
    pyplot.rcParams.update(
        {"svg.hashsalt": "answers", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
         "text.color": grey, "axes.labelcolor": grey, "axes.edgecolor": grey, "xtick.color": grey, "ytick.color": grey,
         "axes.prop_cycle": pyplot.cycler(color=["#3b82c4", "#d9822b", "#3f9b5f", "#a05fb4"]), "axes.spines.top": False,
         "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8}
    )  # fmt: skip
    for name, one in figures.items():
        if not drawn(one):
            (folder / f"{name}.svg").unlink(missing_ok=True)
            continue
        plot, axes = pyplot.subplots(figsize=(7.5, 3.8), layout="constrained")
        QUESTIONS[name].draw(one["measured"], axes)
        plot.legend(loc="outside upper center", ncols=3)
        plot.savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(plot)


def main(argv=None) -> int:
    args = parse(argv)
    folder = args.page.with_suffix("")
    if not args.render:
        measure(args)
        folder.mkdir(parents=True, exist_ok=True)
        for path in (args.work / f"{name}.json" for name in QUESTIONS):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
    figures = read(folder)
    draw(figures, folder)
    args.page.write_text(page(figures, folder.name))
    for name in set(args.only).intersection(figures):
        if tables := getattr(QUESTIONS[name], "tables", None):
            print(tables(figures[name]["measured"]))
    print(args.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
