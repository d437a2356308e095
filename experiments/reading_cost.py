"""`make bench`: reading back with plain xarray, from the NetCDF files and from stores of several presets and cuts.

One map, the whole time series of one point, and all of it, each opened anew and read in a process that has imported
xarray; medians of ROUNDS, the files in the page cache. Uses the made-up dataset of `conversion_cost.py`.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable

import xarray as xr

from command_cost import Case, run
from conversion_cost import DATASET, ROOT, make_data, parse, row_options

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
READS: dict[str, dict] = {
    "one map": {"time": 100, "plev": 3},
    "one point, all times": {"plev": 3, "lat": 200, "lon": 300},
    "all of it": {},
}


def seconds(opened: Callable[[], xr.Dataset], where: dict) -> float:
    """Return the median seconds of opening and reading a part of `ta`."""
    spent = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        with opened() as dataset:
            dataset["ta"].isel(where).load()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


warnings.filterwarnings("ignore")
folder = make_data(parse([]))
work = folder.parent
paths = sorted(folder.glob("*.nc"))
exact = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "exact"}
sources: dict[str, Callable] = {"NetCDF, open_mfdataset": lambda: xr.open_mfdataset(paths, **exact)}
for number, (name, options) in enumerate(LAYOUTS.items()):
    store = work / f"reading-{number}.zarr"
    command = [sys.executable, ROOT / "scripts" / "convert.py", DATASET, "--results", work / "results"]
    run(Case([*command, "--store", store, *options]))
    more = row_options(work / "results")
    run(Case([sys.executable, ROOT / "scripts" / "verify.py", DATASET, "--results", work / "results", *more]))
    sources[name] = lambda store=store: xr.open_zarr(store)
rows = []
for name, opened in sources.items():
    rows.append([name, *(f"{1000 * seconds(opened, where):.0f}" for where in READS.values())])
head = ["milliseconds", *READS]
table = "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])
(work.parent / "reading.md").write_text(table + "\n")
sys.stdout.write(table + "\n")
