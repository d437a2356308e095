"""What chunks cost to write and to read, for five kinds of datasets: docs/choosing-settings.md.

Fields are synthetic (`scripts/demo.py`), of the shape and size of the kind. Each is converted and verified in several
layouts, and read back as `reading_cost.py` does; times are CPU time, of all threads, so that a busy machine changes
them little. Writes `layouts.md` to the work folder.
"""

import argparse
import json
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

import conversion_cost
import made_up_data
from conversion_cost import ROOT
from reading_cost import files, make_store, milliseconds, table


@dataclass(frozen=True)
class Kind:
    """A kind of dataset: its files, steps in each, levels, and grid (latitudes, longitudes)."""

    files: int
    steps: int
    levels: int
    grid: tuple[int, int]


KINDS = {
    "monthly, surface (Amon tas)": Kind(1, 1980, 1, (144, 192)),
    "daily, surface (day pr)": Kind(2, 1800, 1, (192, 288)),
    "monthly, 19 levels (Amon ta)": Kind(2, 120, 19, (144, 192)),
    "monthly, ocean of 40 levels (Omon thetao)": Kind(2, 24, 40, (300, 360)),
    "daily, high resolution (day tas, HighResMIP)": Kind(2, 120, 1, (768, 1024)),
}
HEAD = ["layout", "objects", "Zarr / NetCDF", "CPU s to convert", "peak MiB", "one map", "one point", "all of it"]
PRESETS = ("fast", "small", "portable", "native")


def layouts(kind: Kind) -> dict[str, list]:
    """Return the options of convert.py by the name of a layout."""
    steps = kind.files * kind.steps
    for_series = f'{{"time": {min(steps, 1200)}, "plev": 1, "lat": 36, "lon": 36}}'
    for_both = f'{{"time": {min(steps, 60)}, "plev": 1, "lat": 96, "lon": 96}}'
    return {
        "default": [],
        "`chunk_mib: 4`": ["--chunk-mib", 4],
        "maps: `{time: 1, lev: 1}`, `shard_mib: 128`": ["--chunks", '{"time": 1, "plev": 1}', "--shard-mib", 128],
        f"both: `{{time: {min(steps, 60)}, lev: 1, lat: 96, lon: 96}}`, `shard_mib: 128`": [
            *("--chunks", for_both, "--shard-mib", 128)
        ],
        f"series: `{{time: {min(steps, 1200)}, lev: 1, lat: 36, lon: 36}}`, `shard_mib: 256`": [
            *("--chunks", for_series, "--shard-mib", 256, "--memory-mib", 2048)
        ],
        **{f"default, `{preset}`": ["--codec", preset] for preset in PRESETS},
    }


def measured(folder: Path, kind: Kind) -> str:
    """Return the table of a kind, whose files lie in a folder."""
    conversion_cost.take_inventory(folder)
    netcdf_bytes = sum(path.stat().st_size for path in folder.glob("*.nc"))
    rows = [
        HEAD,
        ["the NetCDF files", str(kind.files), "1.00", "", "", *milliseconds(files(folder), time.process_time)],
    ]
    for number, (name, options) in enumerate(layouts(kind).items()):
        store = folder.parent / f"layout-{number}.zarr"
        make_store(store, options)
        took = json.loads((folder.parent / "results" / "convert" / f"{conversion_cost.DATASET}.json").read_text())
        objects = [path for path in store.rglob("*") if path.is_file()]
        ratio = sum(path.stat().st_size for path in objects) / netcdf_bytes
        figures = [str(len(objects)), f"{ratio:.2f}", f"{took['cpu_seconds']:.1f}", f"{took['peak_rss_mib']}"]
        rows.append([name, *figures, *milliseconds(lambda store=store: xr.open_zarr(store), time.process_time)])
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "layouts", help="folder of data and tables")
    parser.add_argument("--only", default="", help="kinds with this in their names")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    told = []
    for name, kind in KINDS.items():
        if args.only not in name:
            continue
        folder = made_up_data.make(args.work, kind.files, kind.steps, kind.grid, levels=kind.levels)
        told.append(f"### {name}: {kind.files * kind.steps} x {kind.levels} x {kind.grid[0]} x {kind.grid[1]}\n\n")
        told.append(measured(folder, kind) + "\n")
        sys.stdout.write("".join(told[-2:]))
        sys.stdout.flush()
    (args.work / "layouts.md").write_text("".join(told))


if __name__ == "__main__":
    main()
