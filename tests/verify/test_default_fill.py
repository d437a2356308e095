"""Values of netCDF's default fill that no attribute declares are counted, and no others."""

import netCDF4
import numpy as np
import pytest
from builders import make_dataset
from chain import ID, run_convert, run_verify, take

import size_report
from cmip6zarr.campaign import findings, tables
from cmip6zarr.job import receipts
from cmip6zarr.verify.default_fill import DEFAULT_FILL, count

FILL = DEFAULT_FILL["float32"]


@pytest.mark.parametrize("name", DEFAULT_FILL)
def test_numbers_are_those_of_the_library(name):
    """The default fill of each type is that of netCDF4, which masks it; of bytes and characters there is none."""
    code = np.dtype(name).str[1:]
    assert np.dtype(name).type(netCDF4.default_fillvals[code]) == np.dtype(name).type(DEFAULT_FILL[name])
    values = np.zeros(5, f">{code}")
    values[1:3] = DEFAULT_FILL[name]
    assert count(values, []) == 2


def test_what_has_none_has_none():
    """Bytes, characters and texts have every value as data."""
    for values in (np.array([-127, 1], "i1"), np.array([255], "u1"), np.array([b"\0"]), np.array(["a"], object)):
        assert count(values, []) == 0


@pytest.mark.parametrize(
    ("dtype", "declared", "found"),
    [
        pytest.param("f4", [np.float32(FILL)], 0, id="declared"),
        pytest.param("f4", [np.float64(FILL)], 0, id="declared in another type"),
        pytest.param("f4", [np.float32(1e20)], 1, id="a float beside another fill value"),
        pytest.param("i2", [np.int16(-1)], 0, id="an integer beside another fill value"),
        pytest.param("i2", [], 1, id="an integer"),
    ],
)
def test_a_declared_fill_is_no_finding(dtype, declared, found):
    """What an attribute declares is said; of integers the number may be data where another one is the fill."""
    assert count(np.array([1, DEFAULT_FILL[np.dtype(dtype).name]], dtype), declared) == found


def test_masked_by_the_library(tmp_path):
    """netCDF4 masks as many values as are counted."""
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as nc:
        nc.createDimension("x", 6)
        variable = nc.createVariable("tas", "f4", ("x",))
        variable[:4] = np.arange(4)
        assert np.ma.count_masked(variable[:]) == 2
        variable.set_auto_maskandscale(False)
        assert count(np.asarray(variable[:]), []) == 2


@pytest.mark.parametrize("fill_value", [None, -1.0], ids=["undeclared", "another is declared"])
def test_verify_finds_default_fill(tmp_path, fill_value):
    """A verified store has a finding for each variable, of the values in all files, bounds of time included."""
    paths = make_dataset(tmp_path / "data", files=2)
    for path in paths:
        with netCDF4.Dataset(path, "a") as nc:
            nc["time_bnds"][-1] = FILL
            nc.renameVariable("tas", "old")
            field = nc.createVariable("tas", "f4", nc["old"].dimensions, fill_value=fill_value)
            field[:] = np.ones(nc["old"].shape)
            field[0, 0] = FILL
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_verify(tmp_path) == 0
    found = {f["variable"]: f for f in receipts.read(tmp_path, "verify", ID)["findings"] if f["kind"] == "default_fill"}
    assert {name: finding["values"] for name, finding in found.items()} == {"tas": 8, "time_bnds": 4}
    assert found["tas"] | {"file": str(paths[0]), "policy": "accept"} == found["tas"]
    assert f"{paths[0]}: 'tas': 8 values in 2 files are netCDF's default fill" in found["tas"]["message"]
    assert size_report.main([ID, "--results", str(tmp_path)]) == 0
    assert receipts.read(tmp_path, "size_report", ID)["let_pass"]["kinds"]["default_fill"] == 2
    assert tables.state(ID, tmp_path) == findings.WITH_FINDINGS
    assert run_verify(tmp_path, "--mode", "checksums") == 0
    assert receipts.read(tmp_path, "verify", ID)["findings"] == []


def test_files_without_default_fill_have_no_finding(tmp_path):
    """Files that declare their fill value, and have it, are verified without findings."""
    take(make_dataset(tmp_path / "data"), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_verify(tmp_path) == 0
    assert receipts.read(tmp_path, "verify", ID)["findings"] == []
