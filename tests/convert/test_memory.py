"""A file many times larger than the memory is converted within it, under a limit of the kernel."""

import resource
import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import zarr
from builders import UNITS
from chain import ID, take
from repository import REPOSITORY

from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

BUDGET_MIB, STEPS, LATITUDES, LONGITUDES = 256, 660, 1024, 2048
"""Steps of 8 MiB: 5.2 GiB in one file, of which next to nothing is allocated."""


@pytest.fixture
def sparse(tmp_path):
    """The inventory of one file of 20 times the budget: a few steps of noise, the rest was never written."""
    path = tmp_path / "tas.nc"
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (("time", STEPS), ("lat", LATITUDES), ("lon", LONGITUDES)):
            nc.createDimension(name, size)
        time = nc.createVariable("time", "f8", ("time",))
        time.setncatts({"units": UNITS, "calendar": "360_day"})
        time[:] = np.arange(STEPS)
        filters = {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": (1, LATITUDES, LONGITUDES)}
        tas = nc.createVariable("tas", "f4", ("time", "lat", "lon"), fill_value=1e20, **filters)
        for step in (0, 7, STEPS - 1):
            tas[step] = np.random.default_rng(step).random((LATITUDES, LONGITUDES), "f4")
    return take([path], tmp_path, inflation="convert")


def convert_within(tmp_path, limit_mib, memory_mib, steps):
    """Run convert.py as a process that the kernel gives so much memory of its own, and return its exit code."""
    command = [sys.executable, REPOSITORY / "scripts" / "convert.py", ID, "--results", tmp_path]
    command += ["--store", tmp_path / "s.zarr", "--memory-mib", memory_mib, "--chunks", f'{{"time": {steps}}}']
    size = limit_mib * 2**20

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))

    return subprocess.run(list(map(str, command)), preexec_fn=limit, capture_output=True).returncode


def test_file_of_twenty_times_the_memory(tmp_path, sparse):
    """5.2 GiB go through a budget of 256 MiB, and the kernel gives no more than that."""
    assert sparse["raw_bytes"] > 20 * BUDGET_MIB * 2**20
    assert convert_within(tmp_path, BUDGET_MIB, BUDGET_MIB, 4) == 0
    receipt = receipts.read(tmp_path, "convert", ID)
    assert receipt["peak_rss_mib"] <= receipt["planned_mib"] <= BUDGET_MIB
    zarr_store.seal(tmp_path / "s.zarr", 3)
    array = zarr.open_group(tmp_path / "s.zarr", mode="r")["tas"]
    with netCDF4.Dataset(tmp_path / "tas.nc") as nc:
        nc.set_auto_mask(False)
        for step in (0, 6, 7, 300, STEPS - 1):
            assert array[step].tobytes() == nc["tas"][step].tobytes()


def test_the_limit_of_the_kernel_bites(tmp_path, sparse):
    """Where the plan is told of more memory than there is, the run dies of it: class memory, and no receipt."""
    assert sparse["variables"]["tas"]["shape"] == [STEPS, LATITUDES, LONGITUDES]
    assert convert_within(tmp_path, BUDGET_MIB, 8 * BUDGET_MIB, 60) != 0
    assert receipts.read(tmp_path, "failed", ID)["class"] == "memory"
    assert not receipts.path_of(tmp_path, "convert", ID).exists()
