"""What a store says of its origin, made of an inventory."""

import json
from datetime import UTC, datetime

import netCDF4
import pytest
import xarray as xr
from builders import make_dataset
from chain import ID, run_convert, run_verify, take
from same_files import assert_same
from spoil import each

import restore
from cmip6zarr import RECIPE
from cmip6zarr.campaign import last_run
from cmip6zarr.convert import origin_attribute
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import from_json
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.store import audit, backend, zarr_store

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def made(paths, folder):
    """Return what a store of some files says."""
    told = origin_attribute.made(from_json(Inventory, take(paths, folder)), "v1", NOON)
    return json.loads(told["cmip6_zarr"])


def test_what_is_said(tmp_path):
    """Dataset, files, all tracking_ids in the order of time, recipe, version and date."""
    paths = make_dataset(tmp_path)
    assert made(reversed(paths), tmp_path) == {
        "dataset": ID,
        "files": 3,
        "tracking_ids": [f"hdl:21.14100/{path.stem}" for path in paths],
        "recipe": RECIPE,
        "version": "v1",
        "converted": "2026-01-02T12:00:00Z",
    }


ONE = "hdl:21.14100/one"
TRACKED = {
    "all the same": (lambda nc, _: nc.setncattr("tracking_id", ONE), [ONE] * 3),
    "none": (lambda nc, _: nc.delncattr("tracking_id"), [None] * 3),
    "first has none": (lambda nc, n: nc.setncattr("tracking_id", ONE) if n else nc.delncattr("tracking_id"), None),
    "a number": (lambda nc, n: nc.setncattr("tracking_id", 7 if n == 1 else ONE), [ONE, None, ONE]),
    "padded": (lambda nc, _: nc.setncattr("tracking_id", f"{ONE}\0\0"), [ONE] * 3),
    "texts": (lambda nc, _: nc.setncattr("tracking_id", ["a", "b"]), [None] * 3),
    "a text of any length": (lambda nc, _: nc.setncattr_string("tracking_id", ONE), [ONE] * 3),
    "hostile": (lambda nc, _: nc.setncattr("tracking_id", "</script>\"'\n../é"), ["</script>\"'\n../é"] * 3),
}


@pytest.mark.parametrize(("change", "expected"), TRACKED.values(), ids=TRACKED)
def test_any_tracking_id(tmp_path, change, expected):
    """Each file has its place, with null where it has no text; verify finds the same in the files."""
    paths = make_dataset(tmp_path)
    each(change)(paths)
    assert made(paths, tmp_path)["tracking_ids"] == (expected or [None, ONE, ONE])
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--origin") == 0
    assert run_verify(tmp_path) == 0


@pytest.mark.parametrize("options", [(), ("--zarr-format", 2), ("--codec", "native", "--chunks", '{"time": 1}')])
def test_store_that_says_it(tmp_path, options):
    """xarray shows it, a NetCDF file of what was opened can have it, and restored files do not."""
    paths, store = make_dataset(tmp_path / "data"), tmp_path / "s.zarr"
    take(paths, tmp_path)
    last_run.keep(tmp_path, [], {}, "v0-12-gabcdef0")
    assert run_convert(tmp_path, store, "--origin", *options) == 0
    assert run_verify(tmp_path, "--mode", "streams" if "native" in options else "full") == 0
    with xr.open_zarr(store) as opened:
        told = json.loads(opened.attrs["cmip6_zarr"])
        opened.isel(time=0).to_netcdf(tmp_path / "one.nc")
    assert (told["files"], told["version"]) == (3, "v0-12-gabcdef0")
    assert restore.main([str(store), "--all", "--to", str(tmp_path / "back")]) == 0
    for path in paths:
        assert_same(tmp_path / "back" / path.name, path)
        with netCDF4.Dataset(tmp_path / "back" / path.name) as nc:
            assert "cmip6_zarr" not in nc.ncattrs()


def test_store_that_is_not_asked(tmp_path):
    """Without the option there is no such attribute, and receipts say no more than before."""
    take(make_dataset(tmp_path), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert "origin" not in receipts.read(tmp_path, "convert", ID)["asked"]
    assert "cmip6_zarr" not in zarr_store.open_unsealed(tmp_path / "s.zarr").attrs
    assert run_verify(tmp_path) == 0


def test_source_with_an_attribute_of_that_name(tmp_path):
    """The source's own is kept, and nothing is added; one of a later file alone does not count."""
    paths = make_dataset(tmp_path, attributes={"cmip6_zarr": "theirs"})
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--origin") == 0
    assert run_verify(tmp_path) == 0
    with xr.open_zarr(tmp_path / "s.zarr") as opened:
        assert opened.attrs["cmip6_zarr"] == "theirs"
    each(lambda nc, number: number == 2 or nc.delncattr("cmip6_zarr"))(paths)
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--origin") == 0
    assert run_verify(tmp_path) == 0
    with xr.open_zarr(tmp_path / "s.zarr") as opened:
        assert json.loads(opened.attrs["cmip6_zarr"])["files"] == 3


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_conversion_that_is_done_again(tmp_path, zarr_format):
    """Chunks are kept where only what a store says of itself is new, and the ledger has the new metadata."""
    take(make_dataset(tmp_path), tmp_path)
    resumed = []
    for version, *options in (("v1",), ("v1", "--origin"), ("v2", "--origin"), ("v2",)):
        last_run.keep(tmp_path, [], {}, version)
        assert run_convert(tmp_path, tmp_path / "s.zarr", "--zarr-format", zarr_format, *options) == 0
        assert run_verify(tmp_path) == 0
        assert audit.problems(backend.at(tmp_path / "s.zarr")) == []
        resumed.append(receipts.read(tmp_path, "convert", ID)["resumed_shards"])
        with xr.open_zarr(tmp_path / "s.zarr") as opened:
            said = opened.attrs.get("cmip6_zarr")
            assert (said and json.loads(said)["version"]) == (version if options else None)
    assert resumed == [0, 7, 7, 7]
