"""A campaign in a folder of its own: by `--snakefile` and a configuration there, or as a module of another workflow."""

import os
import subprocess
import sys

import pytest
import xarray as xr
import yaml
from builders import dataset_id, make_catalogue, make_dataset
from repository import REPOSITORY

from cmip6zarr.catalogue import drs

pytestmark = pytest.mark.workflow

MODULE = """
configfile: "mine.yaml"


module cmip6zarr:
    snakefile:
        {snakefile!r}
    config:
        config


use rule * from cmip6zarr
"""
HANDLERS = """

onstart:
    cmip6zarr.onstart()


onsuccess:
    cmip6zarr.onsuccess()


onerror:
    cmip6zarr.onerror()
"""


def snakemake(folder, *args):
    """Run Snakemake in a folder and return what it said and its exit code."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *args]
    home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=os.environ | home, capture_output=True, text=True)
    return done.stdout + done.stderr, done.returncode


def own_campaign(folder):
    """Leave a dataset, its catalogue, and the configuration that names it; return that."""
    make_dataset(folder / "nc", files=1)
    return yaml.safe_dump({"catalogue": str(make_catalogue(folder / "nc"))})


def assert_verified(folder, said):
    assert "1 datasets: 1 verified" in said
    assert (folder / "results" / "report.html").is_file()
    with xr.open_zarr(drs.store_place(str(folder / "results" / "stores"), dataset_id())) as opened:
        assert opened["tas"].sizes["time"] == 4


def test_folder_of_its_own(tmp_path):
    """Configuration and results are those of the folder."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(own_campaign(tmp_path))
    said, code = snakemake(tmp_path, "--snakefile", str(REPOSITORY / "Snakefile"))
    assert code == 0, said
    assert_verified(tmp_path, said)


def test_folder_without_a_configuration(tmp_path):
    """All is said on the command line; what is not said is asked for in one line."""
    said, code = snakemake(REPOSITORY, "--directory", str(tmp_path), "--dry-run")
    assert code != 0
    assert "catalogue" in said
    (tmp_path / "mine.yaml").write_text(own_campaign(tmp_path))
    said, code = snakemake(REPOSITORY, "--directory", str(tmp_path), "--configfile", str(tmp_path / "mine.yaml"))
    assert code == 0, said
    assert_verified(tmp_path, said)


def test_module_of_another_workflow(tmp_path):
    """Its configuration is the caller's; without the handlers the failure says what is missing."""
    (tmp_path / "mine.yaml").write_text(own_campaign(tmp_path))
    rules = MODULE.format(snakefile=str(REPOSITORY / "Snakefile"))
    (tmp_path / "Snakefile").write_text(rules)
    assert snakemake(tmp_path)[1] == 1
    assert "onstart" in (tmp_path / "results" / "logs" / "inventory" / f"{dataset_id()}.log").read_text()
    (tmp_path / "Snakefile").write_text(rules + HANDLERS)
    said, code = snakemake(tmp_path)
    assert code == 0, said
    assert_verified(tmp_path, said)
