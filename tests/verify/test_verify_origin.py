"""The provenance of a store is proven against its files, and a classic file must be as long as it says."""

import json
from dataclasses import replace

import netCDF4
import numpy as np
import pytest
from builders import UNITS, make_dataset
from chain import ID, failed_verify, leave_receipts, run_verify, take, write
from spoil import each, last

from cmip6zarr.convert import writer
from cmip6zarr.job import receipts
from cmip6zarr.source import netcdf3_size, time_units
from cmip6zarr.store import zarr_store

OTHER_UNITS = [UNITS, "hours since 1850-05-01", "days since 1851-01-01"]


def exact_forms(paths):
    """Give a variable attributes of which the plain value does not say all: a text of variable length, zero bytes."""
    each(lambda nc, _: nc["tas"].setncattr_string("note", "of variable length"))(paths)
    last(lambda nc: nc.setncattr("title", "another\0\0"))(paths)


def convert(paths, folder):
    """Write the unsealed store of some files, and leave its receipts."""
    facts = take(paths, folder)
    write(facts, folder / "s.zarr")
    leave_receipts(folder, facts, folder / "s.zarr", 3)


A_GAP = {"kind": "gap", "policy": "accept", "message": "a gap"}
WRONG = {
    "dataset": (lambda told: told.update(dataset="another"), "provenance: dataset"),
    "path": (lambda told: told["files"][0].update(path="/another.nc"), "provenance: files"),
    "range": (lambda told: told["files"][1].update(start=5, stop=9), "provenance: files"),
    "no-range": (lambda told: told["files"][1].update(start=0), "provenance cannot be read"),
    "file-less": (lambda told: told["files"].pop(), "provenance"),
    "findings": (lambda told: told["findings"].append(A_GAP), "provenance: findings"),
    "no-finding": (lambda told: told["findings"].append({"kind": "gap"}), "provenance cannot be read"),
    "unit": (lambda told: told["variables"]["tas"]["attributes"].update(units=["char", "degC"]), "tas:units"),
    "type": (lambda told: told["variables"]["tas"]["attributes"].update(missing_value=["float64", 1.0]), "tas:miss"),
    "attribute": (lambda told: told["attributes"].pop("frequency"), "frequency"),
    "text-form": (lambda told: told["form"]["variables"]["tas"]["exact"].clear(), "tas:note"),
    "order": (lambda told: told["form"]["order"].reverse(), "order of variables"),
    "moves": (lambda told: told["files"][1]["moves"].update(time=["1", "365"]), "conversions of times"),
    "no-moves": (lambda told: told["files"][2].update(moves={}), "conversions of times"),
    "time-units": (lambda told: told["time"].update(units="days since 1750-01-01"), "units of time"),
    "chunks": (lambda told: told["form"]["variables"]["tas"]["storage"].update(chunks=[9, 9, 9]), "storage of 'tas'"),
    "filters": (lambda told: told["form"]["variables"]["tas"]["storage"].update(filters=[]), "storage of 'tas'"),
    "level": (lambda told: told["form"]["variables"]["tas"]["storage"]["filters"][-1][1].__setitem__(0, 9), "storage"),
    "unfilled": (lambda told: told["form"]["variables"]["tas"]["storage"].update(no_fill=True), "storage of 'tas'"),
    "byte order": (lambda told: told["form"]["variables"]["tas"]["storage"].update(endian="big"), "storage of 'tas'"),
    "format": (lambda told: told["form"].update(format="NETCDF3_CLASSIC"), "format"),
    "unlimited": (lambda told: told["form"].update(unlimited=[]), "unlimited dimensions"),
    "own unlimited": (lambda told: told["files"][1]["form"].update(unlimited=["lat"]), "unlimited dimensions"),
    "no-provenance": (lambda told: told.clear(), "provenance cannot be read"),
}


@pytest.mark.parametrize(("spoil", "said"), WRONG.values(), ids=WRONG)
def test_provenance_that_is_not_its_files_is_found(tmp_path, monkeypatch, spoil, said):
    """A converter that writes a wrong provenance is found: restore would write other files from it."""
    paths = make_dataset(tmp_path, units=OTHER_UNITS)
    exact_forms(paths)
    right = writer.provenance

    def wrong(inventory):
        told = json.loads(json.dumps(right(inventory)))
        spoil(told)
        return told

    monkeypatch.setattr(writer, "provenance", wrong)
    convert(paths, tmp_path)
    record = failed_verify(tmp_path)
    assert record["class"] == "mismatch"
    assert said in record["message"]
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")


def inexact(paths):
    """Give the second file times that do not come back from the first one's units as they were, by rounding alone."""
    with netCDF4.Dataset(paths[1], "a") as nc:
        nc["time"][:] = nc["time"][:] + np.array([-0.0, 1 / 3, 0.1, 2 / 3])
        nc["time_bnds"][:] = nc["time_bnds"][:] + 1 / 7


def test_times_that_do_not_come_back_by_the_move_alone(tmp_path, monkeypatch):
    """What the provenance keeps of them is proven: with another way back restore would write other bits."""
    paths = make_dataset(tmp_path, units=OTHER_UNITS)
    inexact(paths)
    convert(paths, tmp_path)
    told = json.loads((tmp_path / f"s.zarr{zarr_store.PROVENANCE}").read_text())
    assert {row["variable"] for row in told["kept"]} >= {"time_bnds"}
    assert run_verify(tmp_path) == 0

    right = time_units.TimeConversion.inverse.fget
    monkeypatch.setattr(
        time_units.TimeConversion, "inverse", property(lambda by: replace(right(by), offset=right(by).offset + 1))
    )
    (tmp_path / "again").mkdir()
    convert(paths, tmp_path / "again")
    record = failed_verify(tmp_path / "again")
    assert record["class"] == "mismatch"
    assert "times of 'time' come back as others" in record["message"]


def test_provenance_of_files_that_differ_is_right(tmp_path):
    """Units, texts and titles that differ from file to file are in a provenance that is proven."""
    paths = make_dataset(tmp_path, units=OTHER_UNITS)
    exact_forms(paths)
    convert(paths, tmp_path)
    assert run_verify(tmp_path) == 0
    assert receipts.read(tmp_path, "verify", ID)["sealed"]


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_cut_classic_file_is_found_without_the_inventory(tmp_path, monkeypatch, form, dtype):
    """The library reads what is cut off as zeros; verify finds it though the inventory does not."""
    paths = make_dataset(tmp_path, format=form, dtype=dtype, filters={})
    convert(paths, tmp_path)
    assert run_verify(tmp_path) == 0
    zarr_store.unseal(tmp_path / "s.zarr")
    paths[-1].write_bytes(paths[-1].read_bytes()[:-4])
    monkeypatch.setattr(netcdf3_size, "expected_bytes", lambda _: None)
    convert(paths, tmp_path)
    record = failed_verify(tmp_path)
    assert record["class"] == "source"
    assert str(paths[-1]) in record["message"] and "is cut off" in record["message"]
