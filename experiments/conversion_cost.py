"""`make bench`: what converting costs, against the script of June 2020, in ratios taken side by side in one run.

All commands run in turn, round after round, so that a machine whose speed drifts slows all of them; each figure is the
median over the rounds. What a command writes is removed, and the disk left to finish, before it starts. Fields are made
up (`scripts/demo.py`); sizes on real fields: `experiments/preset_sizes.py`. Writes `performance.md` and
`performance.tsv` to the results folder. What copies chunks, on a larger dataset: `--files 9 --only native job`.
"""

import argparse
import json
import os
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

import made_up_data
from command_cost import Case, interleave, run

ROOT = Path(__file__).resolve().parent.parent
DATASET = "CMIP6.CMIP.cmip6-zarr.SYNTHETIC.control-1950.r1i1p1f1.day.ta.gn.v20200601"
VERSIONS = ("xarray", "zarr", "zarrs", "numcodecs", "netCDF4", "h5py", "dask", "imagecodecs", "pcodec", "numpy")


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "benchmark", help="folder for data and tables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="time steps in each file")
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--grid", type=int, nargs=2, default=(384, 512), metavar=("LATITUDES", "LONGITUDES"))
    parser.add_argument("--bits", type=int, default=9, help="that a value keeps after the point: less deflates better")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="rows with one of these in their names, and the note's script"
    )
    return parser.parse_args(argv)


def make_data(args, layout: str = "steps") -> Path:
    """Make the NetCDF files of the made-up dataset, unless they are there, and its inventory; return their folder."""
    folder = made_up_data.make(args.work, args.files, args.steps, tuple(args.grid), args.bits, layout)
    take_inventory(folder)
    return folder


def take_inventory(folder: Path) -> None:
    """Write a catalogue of the files in a folder, and the receipt of their inventory, beside the folder."""
    catalogue = folder.parent / "files.csv"
    names = (
        "mip_era activity_id institution_id source_id experiment_id member_id table_id variable_id grid_label version"
    )
    facets = dict(zip(names.split(), DATASET.split("."), strict=True))
    rows = [",".join([*facets.values(), str(path)]) for path in sorted(folder.glob("*.nc"))]
    catalogue.write_text("\n".join([",".join([*facets, "path"]), *rows]) + "\n")
    program = ROOT / "experiments" / "one_inventory.py"
    run(Case([sys.executable, program, catalogue, DATASET, folder.parent / "results"]))


def row_options(results: Path) -> list:
    """Return the options of verify.py that name the row of the dataset whose inventory was taken."""
    receipt = json.loads((results / "inventory" / f"{DATASET}.json").read_text())
    return ["--digest", receipt["row"]]


def cases(folder: Path, repacked: Path | None = None) -> dict[str, tuple[Path, list]]:
    """Return the commands to compare by name, each with what it writes; `verify` proves what was converted before it.

    `repacked` has the same files, written again by another tool.
    """
    python, work = sys.executable, folder.parent
    experiments, scripts = ROOT / "experiments", ROOT / "scripts"

    def convert(
        name, codec, *more, zarr_format=3, threads=2, script=(scripts / "convert.py",), results=work / "results"
    ):
        options = ["--chunks", '{"time": 4}', "--threads", threads, *more]
        store = work / f"{name}.zarr"
        command = [python, *script, DATASET, "--results", results, "--store", store]
        return store, [*command, "--zarr-format", zarr_format, "--codec", codec, *options]

    def floor(preset):
        return work / "floor", [python, experiments / "codec_floor.py", folder, work / "floor", preset, 2]

    def instead(what):
        return convert(what, "fast", zarr_format=2, script=(experiments / "convert_variants.py", what))

    def verify(mode):
        command = [
            python,
            scripts / "verify.py",
            DATASET,
            "--results",
            work / "results",
            *row_options(work / "results"),
        ]
        return work / "none", [*command, "--mode", mode]

    def whole_job(preset, mode, threads=1):
        store = work / f"job-{preset}.zarr"
        program = [python, experiments / "whole_job.py", work / "files.csv", DATASET]
        return store, [*program, work / f"job-{preset}", store, preset, mode, threads]

    note = work / "note.zarr"
    found = {
        "note's script, lz4": (note, [python, experiments / "note_script.py", folder, note]),
        "convert fast (lz4), v2": convert("fast", "fast", zarr_format=2),
        "floor, lz4": floor("fast"),
        "the same, a plain thread pool for dask": instead("pool"),
        "the same, without streaming": instead("slabs"),
        "the same, written by zarr-python": instead("zarr"),
        "the same, written by zarrs": instead("zarrs"),
        "convert balanced, v3": convert("balanced", "balanced"),
        "verify it": verify("full"),
        "floor of verify": (
            work / "none",
            [python, experiments / "verify_floor.py", folder, work / "balanced.zarr"],
        ),
        "floor, zstd-2": floor("balanced"),
        "convert balanced, 1 thread": convert("one", "balanced", threads=1),
        "convert balanced, shards of 96 MiB": convert("sharded", "balanced", "--shard-mib", 96),
        "convert small, v3": convert("small", "small"),
        "convert native, v3": convert("native", "native"),
        "verify native by its streams": verify("streams"),
        "floor of native: read, sum and write the files": (
            work / "copied",
            [python, experiments / "plain_copy.py", folder, work / "copied"],
        ),
        "whole job, balanced, verify full": whole_job("balanced", "full"),
        "whole job, balanced, verify full in 2 threads": whole_job("balanced", "full", 2),
        "whole job, native, verify full": whole_job("native", "full"),
        "whole job, native, verify streams": whole_job("native", "streams"),
    }
    if repacked:
        again = convert("repacked", "balanced", results=repacked.parent / "results")
        found["convert balanced, files with chunks of 3 MiB and fletcher32"] = again
    return found


def size_mib(folder: Path) -> float:
    """Return what the files below a folder take."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def main(argv=None) -> int:
    args = parse(argv)
    folder = make_data(args)
    repacked = make_data(args, "repacked")
    commands = {
        name: Case(command, written)
        for name, (written, command) in cases(folder, repacked).items()
        if any(words in name for words in (*args.only, "note"))
    }
    figures = interleave(commands, args.rounds)
    write_tables(args, folder, figures, {name: case.written for name, case in commands.items()})
    return 0


def write_tables(args, folder: Path, figures: dict[str, list[dict]], written: dict[str, Path]) -> None:
    """Write the medians, and the median of the ratios to the note's script round by round."""
    note = figures["note's script, lz4"]
    netcdf = sum(path.stat().st_size for path in sorted(folder.glob("*.nc"))[: args.files]) / 2**20
    head = ["", "wall s", "CPU s", "peak MiB", "wall: note / this", "CPU: note / this", "size / NetCDF"]
    lines = []
    for name, runs in figures.items():
        ratios = [
            statistics.median(a[key] / b[key] for a, b in zip(note, runs, strict=True)) for key in ("wall_s", "cpu_s")
        ]
        size = f"{size_mib(written[name]) / netcdf:.2f}" if written[name].suffix == ".zarr" else ""
        medians = [statistics.median(run[key] for run in runs) for key in ("wall_s", "cpu_s", "rss_mib")]
        lines.append(
            [name, f"{medians[0]:.2f}", f"{medians[1]:.2f}", f"{medians[2]:.0f}", *(f"{r:.2f}" for r in ratios), size]
        )
    raw = args.files * args.steps * 8 * args.grid[0] * args.grid[1] * 4 / 2**20
    title = (
        f"{args.files} files of {args.steps} x 8 x {args.grid[0]} x {args.grid[1]} float32, {args.bits} bits after the "
        f"point: {raw:.0f} MiB raw, "
        f"{netcdf:.0f} MiB as NetCDF; {len(os.sched_getaffinity(0))} cores, medians of {args.rounds} rounds. "
        f"Python {sys.version.split()[0]}, " + ", ".join(f"{name} {version(name)}" for name in VERSIONS) + "."
    )
    markdown = [title, "", *(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])]
    (args.work / "performance.md").write_text("\n".join(markdown) + "\n")
    (args.work / "performance.tsv").write_text("\n".join("\t".join(line) for line in [head, *lines]) + "\n")
    print("\n".join(markdown))


if __name__ == "__main__":
    sys.exit(main())
