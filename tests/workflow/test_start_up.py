"""What a script loads: small datasets spend most of their time on that."""

import json
import subprocess
import sys

import pytest
from builders import make_dataset
from chain import ID, ROWS, run_convert, take
from repository import REPOSITORY

from cmip6zarr.catalogue.dataset import hand_over

HEAVY = {
    "inventory": {"zarr", "dask", "obstore", "imagecodecs", "polars", "xarray", "pandas"},
    "convert": {"netCDF4", "distributed", "obstore", "polars", "xarray", "pandas"},
    "verify": {"h5py", "imagecodecs", "dask", "distributed", "obstore", "polars"},
    "size_report": {"netCDF4", "dask", "obstore", "polars", "xarray"},
}
"""Script -> packages that it does without, for an ordinary dataset in a folder."""


def loaded(script, argv=None):
    """Return the packages that a script loads in a process of its own: by its start, or by a run that succeeds."""
    code = f"import json, sys, {script}; argv = json.loads(sys.argv[1])\n"
    code += f"if argv and {script}.main(argv): raise SystemExit(1)\n"
    code += "print(json.dumps(sorted(name for name in sys.modules if '.' not in name)))"
    command = [sys.executable, "-c", code, json.dumps(argv)]
    done = subprocess.run(command, cwd=REPOSITORY / "scripts", capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("script", HEAVY)
def test_start(script):
    """Nothing that is slow to load and not needed is loaded before anything is done."""
    found = loaded(script)
    assert "numpy" in found or script == "inventory"
    assert not found & HEAVY[script]


def test_run(tmp_path):
    """Nor is it while a dataset is converted; verify opens the store with xarray in the end."""
    take(make_dataset(tmp_path), tmp_path)
    row = ROWS[str(tmp_path), ID]
    hand_over(tmp_path, [row])
    common = [ID, "--results", str(tmp_path)]
    assert not loaded("inventory", [*common, "--digest", row.digest]) & HEAVY["inventory"]
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert not loaded("convert", [*common, "--store", str(tmp_path / "t.zarr")]) & HEAVY["convert"]
    found = loaded("verify", [*common, "--digest", row.digest])
    assert run_convert(tmp_path, tmp_path / "n.zarr", "--codec", "native") == 0
    found |= loaded("verify", [*common, "--digest", row.digest, "--mode", "streams"])
    assert not found & (HEAVY["verify"] - {"dask"})
    assert "xarray" in found
