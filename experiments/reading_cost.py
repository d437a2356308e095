"""`make bench`: reading back with plain xarray, from the NetCDF files and from stores of several presets and cuts.

One map, the whole time series of one point, and all of it, each opened anew and read in a process that has imported
xarray; medians of ROUNDS, the files in the page cache. Uses the made-up dataset of `conversion_cost.py`.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import xarray as xr

import conversion_cost
from command_cost import Case, run
from conversion_cost import DATASET, ROOT

ROUNDS = 7
PRESETS = ("balanced", "fast", "small", "portable", "native")
BY_FOUR = ["--chunks", '{"time": 4}']
LAYOUTS = {
    **{f"chunks of {{time: 4}}, {preset}": [*BY_FOUR, "--codec", preset] for preset in PRESETS},
    "shards of 96 MiB, chunks of {time: 1, plev: 1}": ["--chunks", '{"time": 1, "plev": 1}', "--shard-mib", 96],
    "shards of 96 MiB, chunks of {time: 60, plev: 1, lat: 96, lon: 128}": [
        *("--chunks", '{"time": 60, "plev": 1, "lat": 96, "lon": 128}', "--shard-mib", 96)
    ],
}
EXACT = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "exact"}


def seconds(opened: Callable[[], xr.Dataset], where: dict, clock: Callable[[], float]) -> float:
    """Return the median seconds of opening and reading a part of `ta`."""
    spent = []
    for _ in range(ROUNDS):
        start = clock()
        with opened() as dataset:
            dataset["ta"].isel(where).load()
        spent.append(clock() - start)
    return statistics.median(spent)


def milliseconds(opened: Callable[[], xr.Dataset], clock: Callable[[], float] = time.perf_counter) -> list[str]:
    """Return what reading one map in the middle takes, the series of one point, and all, by a clock."""
    with opened() as dataset:
        middle = {name: size // 2 for name, size in dataset["ta"].sizes.items()}
    point = {name: place for name, place in middle.items() if name != "time"}
    one_map = {name: middle[name] for name in ("time", "plev")}
    return [f"{1000 * seconds(opened, where, clock):.0f}" for where in (one_map, point, {})]


def make_store(store: Path, options: list) -> None:
    """Convert and verify the dataset whose inventory was taken beside the store."""
    results = store.parent / "results"
    command = [sys.executable, ROOT / "scripts" / "convert.py", DATASET, "--results", results]
    run(Case([*command, "--store", store, *options], store))
    more = conversion_cost.row_options(results)
    run(Case([sys.executable, ROOT / "scripts" / "verify.py", DATASET, "--results", results, *more]))


def files(folder: Path) -> Callable[[], xr.Dataset]:
    """Return a function that opens all files of a folder."""
    paths = sorted(folder.glob("*.nc"))
    return lambda: xr.open_mfdataset(paths, **EXACT)


def table(rows: list[list[str]]) -> str:
    """Return rows, the first of which is the head, as a table in Markdown."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body]) + "\n"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    warnings.filterwarnings("ignore")
    folder = conversion_cost.make_data(conversion_cost.parse([]))
    rows = [["milliseconds", "one map", "one point, all times", "all of it"]]
    rows.append(["NetCDF, open_mfdataset", *milliseconds(files(folder))])
    for number, (name, options) in enumerate(LAYOUTS.items()):
        store = folder.parent / f"reading-{number}.zarr"
        make_store(store, options)
        rows.append([name, *milliseconds(lambda store=store: xr.open_zarr(store))])
    told = table(rows)
    (folder.parent.parent / "reading.md").write_text(told)
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
