"""Every real dataset becomes one verified store, or is refused for the reason that is known."""

import json
from itertools import pairwise

import pytest
import xarray as xr
from chain import list_files, run_convert, run_inventory, run_verify
from real_datasets import DATASETS, HADGEM

import size_report
from cmip6zarr.convert.codecs import PRESETS
from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

MOST_CHUNKS = 40  # of a field along time: thousands of objects are tested elsewhere, and slow
OPTIONS = {"decode_times": xr.coders.CFDatetimeCoder(use_cftime=True)}
# What it takes to keep static variables static and coordinates as they are in the first file.
CAREFUL = {
    "data_vars": "minimal",
    "coords": "minimal",
    "compat": "override",
    "join": "override",
    "combine_attrs": "override",
}


@pytest.fixture(scope="module")
def listed(real_data, tmp_path_factory):
    """The catalogue of all real datasets, a row with a glob pattern for each."""
    path = tmp_path_factory.mktemp("listed") / "catalogue.json"
    list_files({real.id: [real_data / real.folder / real.files] for real in DATASETS}, path)
    return path


def test_list_is_complete(real_data):
    """Every NetCDF file that lies there is one of a listed dataset, and no dataset is listed that is not there."""
    found = {path for pattern in ("*.nc", "*.tmp") for path in real_data.rglob(pattern)}
    matched = [set((real_data / real.folder).glob(real.files)) for real in DATASETS]
    assert found == set().union(*matched)
    assert [real.said for real, files in zip(DATASETS, matched, strict=True) if not files] == ["no file matches"]
    assert len({real.id for real in DATASETS}) == len(DATASETS)


def read_source(facts):
    """Return the files of an inventory as xarray reads them, joined in order of time."""
    parts = [xr.load_dataset(file["path"], **OPTIONS) for file in facts["files"]]
    return parts[0] if len(parts) == 1 else xr.concat(parts, facts["time"]["variable"], **CAREFUL)


@pytest.mark.filterwarnings("ignore:variable .* has multiple fill values")
@pytest.mark.parametrize("real", DATASETS, ids=lambda real: real.id)
def test_dataset_converts_or_is_refused(real, listed, real_data, tmp_path):
    """A real dataset is refused for the known reason, or its stores are verified and read as its files do."""
    if real.refused:
        assert run_inventory(real.id, listed, tmp_path) == 3
        record = receipts.read(tmp_path, "failed", real.id)
        assert record["class"] == "refused"
        assert real.said in record["message"]
        files = list((real_data / real.folder).glob(real.files))
        assert f"policy.{real.refused}" in record["remedy"] or len(files) < 2  # of one file, none can be left out
        if not real.policy:
            return
    assert run_inventory(real.id, listed, tmp_path, **real.policy) == 0
    facts = receipts.read(tmp_path, "inventory", real.id)
    assert all(a["stop"] == b["start"] for a, b in pairwise(facts["files"]))
    expected = read_source(facts)
    # Both formats, both ways to cut and one thread and two, in two stores; what goes together with which codecs, and
    # whether there are shards, alternates from dataset to dataset.
    number = DATASETS.index(real)
    rule = json.dumps({"time": max(4, facts["dims"].get("time", 1) // MOST_CHUNKS)})
    for zarr_format, chunks in zip((2, 3) if number % 2 else (3, 2), (rule, "auto"), strict=True):
        store = tmp_path / f"{zarr_format}.zarr"
        preset = list(PRESETS)[(number + zarr_format) % len(PRESETS)]
        options = ["--zarr-format", zarr_format, "--chunks", chunks, "--codec", preset]
        options += ["--shard-mib", 1] if zarr_format == 3 else ["--threads", 2]
        assert run_convert(tmp_path, store, *options, dataset=real.id) == 0
        assert run_verify(tmp_path, dataset=real.id) == 0
        with zarr_store.quiet(), xr.open_zarr(store, **OPTIONS) as opened:
            found = opened.load()
        for variable in found.variables.values():
            # xarray takes this attribute for an encoding of netCDF files, and so hides it there.
            variable.attrs.pop("least_significant_digit", None)
        xr.testing.assert_identical(found, expected)
    assert size_report.main([real.id, "--results", str(tmp_path)]) == 0
    report = receipts.read(tmp_path, "size_report", real.id)
    assert sum(report["causes"].values()) == report["zarr_bytes"] - report["netcdf_bytes"]
    assert not (tmp_path / "failed" / f"{real.id}.json").exists()


def test_overlap_with_other_values_is_not_trimmed(listed, tmp_path):
    """Where two files hold different values for one month, policy cannot choose between them."""
    real = next(real for real in DATASETS if real.folder == HADGEM)
    assert run_inventory(real.id, listed, tmp_path, overlap="trim") == 3
    assert "does not hold the same steps with the same values" in receipts.read(tmp_path, "failed", real.id)["message"]
