"""Which readers of Zarr read which stores: the lines of the table in docs/readers.md."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import netCDF4
import numpy as np
from builders import make_dataset
from chain import run_convert, run_verify, take

from cmip6zarr.convert.codecs import PRESETS

HERE = Path(__file__).parent
FIELD = "tas"
LAYOUTS = {"v3": (3, 0), "v3, shards": (3, 0.1), "v2": (2, 0)}
"""What a column of the table is about: Zarr format, and MiB of a shard."""
NODE = Path(sys.prefix, "node")
"""Where zarrita is installed."""
VERSIONS = {
    "zarr_python": "import zarr; print('zarr-python', zarr.__version__)",
    "zarrs": "import importlib.metadata as m; print('zarrs', m.version('zarrs'))",
    "tensorstore": "import importlib.metadata as m; print('tensorstore', m.version('tensorstore'))",
    "netcdf_c": "import netCDF4; print('netCDF-C', netCDF4.__netcdf4libversion__)",
    "gdal": "import rasterio; print('GDAL', rasterio.__gdal_version__)",
}
"""Python that prints which version of a reader this is."""


def make_stores(folder: Path) -> tuple[dict[tuple[str, str], Path], bytes]:
    """Make a sealed store of each preset in each layout; return {(preset, layout): store}, and the values of FIELD."""
    paths = make_dataset(folder, steps=20, lat=60, lon=50, filters={"zlib": True, "shuffle": True})
    take(paths, folder)
    stores = {}
    for preset in PRESETS:
        for layout, (zarr_format, shard_mib) in LAYOUTS.items():
            store = stores[preset, layout] = folder / f"{preset} {layout}.zarr"
            options = ("--zarr-format", zarr_format, "--shard-mib", shard_mib, "--codec", preset)
            assert run_convert(folder, store, *options, "--chunks", '{"time": 4}') == run_verify(folder) == 0
    values = []
    for path in paths:
        with netCDF4.Dataset(path) as nc:
            nc.set_auto_maskandscale(False)
            values.append(nc[FIELD][...])
    return stores, np.concatenate(values).astype("<f4").tobytes()


def run(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, env=os.environ | {"PYTHONWARNINGS": "ignore"})


def read(reader: str, store: Path) -> bytes | None:
    """Return the values of FIELD as a reader reads them, None if it does not."""
    if reader == "zarrita":
        # Packages of node are found from where a script lies.
        done = run("node", shutil.copy(HERE / "read_array.mjs", NODE), store, FIELD)
    else:
        done = run(sys.executable, HERE / "read_array.py", reader, store, FIELD)
    return done.stdout if done.returncode == 0 else None


def name_of(reader: str) -> str:
    """Return the name of a reader with its version."""
    if reader == "zarrita":
        package = json.loads((NODE / "node_modules" / "zarrita" / "package.json").read_bytes())
        return f"zarrita {package['version']}"
    return run(sys.executable, "-c", VERSIONS[reader]).stdout.decode().strip()


def words(outcomes: Iterable[tuple[str, bool]]) -> str:
    """Return a cell of the table: yes, no, or which presets are not read."""
    refused = [preset for preset, is_read in outcomes if not is_read]
    return "no" if len(refused) == len(PRESETS) else f"not {', '.join(f'`{p}`' for p in refused)}" if refused else "yes"


def row(reader: str, stores: dict[tuple[str, str], Path], values: bytes) -> str:
    """Return the line of a reader in the table. Raises AssertionError if it reads other values than the files have."""
    read_from = {which: read(reader, store) for which, store in stores.items()}
    wrong = [which for which, found in read_from.items() if found not in (None, values)]
    assert not wrong, f"{reader} reads other values from {wrong}"
    cells = [words((p, read_from[p, layout] is not None) for p in PRESETS) for layout in LAYOUTS]
    return " | ".join(["|", name_of(reader), *cells, "|"]).replace("| |", "|").strip()
