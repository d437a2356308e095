"""What every test may use: the folder of real CMIP6 data, where there is one."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from repository import REPOSITORY

# The machine may be busy: how long an example takes says nothing. The same examples are drawn in each run, since what a
# change has not broken must not fail beside it; `--hypothesis-profile explore` draws others, and more of them.
settings.register_profile("repeat", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("repeat")


@pytest.fixture(scope="session")
def real_data():
    """The folder of real CMIP6 files and catalogues: `CMIP6ZARR_DATA`, or `../shared/data` beside the checkout.

    Where it is absent the test is skipped; it fails if `CMIP6ZARR_REQUIRE_DATA` is set, as continuous integration does.
    """
    folder = Path(os.environ.get("CMIP6ZARR_DATA", REPOSITORY.parent / "shared" / "data"))
    if folder.is_dir():
        return folder
    reason = f"no real CMIP6 data: {folder} is not a folder; set CMIP6ZARR_DATA to one"
    if os.environ.get("CMIP6ZARR_REQUIRE_DATA"):
        pytest.fail(reason)
    return pytest.skip(reason)


@pytest.fixture(scope="session")
def real_cmip7(real_data):
    """The folder of ESGF's two files of CMIP7, their mapfile and the table of names: `cmip7` beside the real data."""
    folder = real_data.parent / "cmip7"
    if folder.is_dir():
        return folder
    if os.environ.get("CMIP6ZARR_REQUIRE_DATA"):
        pytest.fail(f"no real CMIP7 data: {folder} is not a folder")
    return pytest.skip(f"no real CMIP7 data: {folder} is not a folder")
