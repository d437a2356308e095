"""Verify believes nothing of the inventory: a receipt that is falsified, or made by an inventory that errs, fails."""

import json
import subprocess
import sys

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from builders import make_dataset
from chain import ID, ROWS, accept, failed_verify, leave_receipts, run_verify, take, write
from repository import REPOSITORY
from spoil import last, put

from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store
from cmip6zarr.verify import header, source

# What verify shares with the rest: command line, receipts, where stores lie, the catalogue. None of it reads a source.
SHARED = {
    *("catalogue", "catalogue.dataset", "catalogue.drs", "catalogue.projects", "catalogue.row_files"),
    "catalogue.templates",
    *("core", "core.buffers", "core.chunks", "core.errors", "core.files", "core.open_timeout", "core.progress"),
    "core.text",
    *("job", "job.cli", "job.due", "job.failures", "job.in_progress", "job.receipts", "job.request", "job.settings"),
    "job.slurm",
    *("model", "model.as_json", "model.conversion", "model.inventory", "model.proof", "model.provenance"),
    *("store", "store.audit", "store.backend", "store.folder", "store.interface", "store.ledger"),
    *("store.ledger_writer", "store.s3_client", "store.zarr_store"),
}


def test_list_of_modules_that_verify_shares():
    """Verify imports none of the code whose work it proves."""
    code = "import sys, verify; print([m for m in sys.modules if m.startswith('cmip6zarr.')])"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY / "scripts", capture_output=True, text=True, check=True
    )
    found = {name.removeprefix("cmip6zarr.") for name in json.loads(told.stdout.replace("'", '"'))}
    assert {name for name in found if not name.startswith("verify")} == SHARED


def seal(paths, folder, facts, row=None):
    """Write the store that an inventory asks for and leave its receipts; the row has all of `paths`."""
    write(facts, folder / "s.zarr", rule={"time": 4})
    ROWS[str(folder), ID] = ROWS[str(folder), ID].__class__(ID, tuple(str(path) for path in row or paths))
    leave_receipts(folder, facts, folder / "s.zarr", 3)


def renewed(facts, paths):
    """Return an inventory of the files as they are on the disk, which did not look at what they hold."""
    for file, path in zip(facts["files"], paths, strict=True):
        stat = path.stat()
        file |= {
            "bytes": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "inode": stat.st_ino,
            "ctime_ns": stat.st_ctime_ns,
        }
    return facts


def test_file_dropped_from_the_receipt(tmp_path):
    """A file of the row that the receipt does not have is found, also where the receipt says that it is left out."""
    paths = make_dataset(tmp_path)
    facts = take(paths[:2], tmp_path)
    seal(paths, tmp_path, facts)
    assert f"{paths[2]}: found neither used nor left out" in failed_verify(tmp_path)["message"]
    said = {"path": str(paths[2]), "kind": "unreadable", "message": "made up"}
    policy = facts["policy"] | {"unreadable": "leave_out", "encoding": "leave_out"}
    leave_receipts(tmp_path, facts | {"left_out": [said], "policy": policy}, tmp_path / "s.zarr", 3)
    record = failed_verify(tmp_path)
    assert f"{paths[2]}: is left out of its dataset: found no reason" in record["message"]
    assert record["class"] == "mismatch"
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")


def test_file_added_to_the_receipt(tmp_path):
    """A file that is not of the row is found."""
    paths = make_dataset(tmp_path)
    seal(paths, tmp_path, take(paths, tmp_path), row=paths[:2])
    assert f"{paths[2]}: found in the receipt, expected files of the row only" in failed_verify(tmp_path)["message"]


def test_inventory_of_another_row(tmp_path):
    """An inventory of another list of files is taken again."""
    paths = make_dataset(tmp_path)
    facts = take(paths, tmp_path)
    seal(paths, tmp_path, facts)
    receipts.write(receipts.path_of(tmp_path, "inventory", ID), facts | {"row": "0" * 16})
    assert failed_verify(tmp_path)["class"] == "source"
    assert not receipts.path_of(tmp_path, "inventory", ID).exists()


def add_variable(nc):
    nc.createVariable("more", "f4", ("lat",))[:] = 1


ALTERED = {
    "units": (lambda nc: nc["tas"].setncattr("units", "degC"), "tas:units is 'degC', expected 'K'"),
    "scale": (lambda nc: nc["tas"].setncattr("scale_factor", 0.1), "tas:scale_factor is 0.1, expected None"),
    "missing": (lambda nc: nc["tas"].setncattr("missing_value", np.float32(-1)), "tas:missing_value is -1.0, expected"),
    "flags": (lambda nc: nc["tas"].setncattr("flag_meanings", "a b"), "tas:flag_meanings is 'a b', expected None"),
    "positive": (lambda nc: nc["tas"].setncattr("positive", "up"), "tas:positive is 'up', expected None"),
    "cell-methods": (lambda nc: nc["tas"].setncattr("cell_methods", "time: max"), "tas:cell_methods is 'time: max'"),
    "axis": (lambda nc: nc["time"].setncattr("axis", "Z"), "time:axis is 'Z', expected 'T'"),
    "bounds": (lambda nc: nc["lat"].setncattr("bounds", "lon_bnds"), "lat:bounds is 'lon_bnds', expected 'lat_bnds'"),
    "calendar": (
        lambda nc: nc["time"].setncattr("calendar", "noleap"),
        "time:calendar is 'noleap', expected '360_day'",
    ),
    "variable": (lambda nc: nc.setncattr("variable_id", "ta"), "variable_id is 'ta', expected 'tas'"),
    "frequency": (lambda nc: nc.setncattr("frequency", "day"), "frequency is 'day', expected 'mon'"),
    "member": (
        lambda nc: nc.setncattr("variant_label", "r2i1p1f1"),
        "variant_label is 'r2i1p1f1', expected 'r1i1p1f1'",
    ),
    "more": (add_variable, "variable 'more': found one, expected the variables of"),
    "group": (lambda nc: nc.createGroup("forecast"), "found group 'forecast', expected nothing that is not listed"),
}


@pytest.mark.parametrize(("change", "said"), ALTERED.values(), ids=ALTERED)
def test_header_of_a_later_file(tmp_path, change, said):
    """What gives numbers their meaning, or names the dataset, is compared in the last file as in the first."""
    paths = make_dataset(tmp_path, attributes={"variant_label": "r1i1p1f1"})
    facts = take(paths, tmp_path)
    write(facts, tmp_path / "s.zarr", rule={"time": 4})
    last(change)(paths)
    leave_receipts(tmp_path, renewed(facts, paths), tmp_path / "s.zarr", 3)
    record = failed_verify(tmp_path)
    assert record["class"] == "mismatch"
    assert f"{paths[-1]}: " in record["message"]
    assert said in record["message"]
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")


def test_forged_finding_lets_no_value_be_left_out(tmp_path):
    """A coordinate that the inventory calls noise is compared all the same, by a tolerance of verify's own."""
    paths = make_dataset(tmp_path)
    facts = take(paths, tmp_path)
    write(facts, tmp_path / "s.zarr")
    last(put("lat", 0, -59.0))(paths)
    finding = {"kind": "coordinates", "policy": "accept", "message": "", "variable": "lat", "file": str(paths[-1])}
    leave_receipts(tmp_path, renewed(facts, paths) | {"findings": [finding]}, tmp_path / "s.zarr", 3)
    assert (
        "'lat' at [0] of the store: found np.float64(-60.0), expected np.float64(-59.0)"
        in (failed_verify(tmp_path)["message"])
    )


def test_noise_of_coordinates_is_a_finding(tmp_path):
    """A difference within the tolerance of the value itself is named in the receipt, and the store is sealed."""
    paths = make_dataset(tmp_path)
    last(put("lat", 0, np.nextafter(-60.0, 0)))(paths)
    seal(paths, tmp_path, take(paths, tmp_path))
    assert run_verify(tmp_path) == 0
    (finding,) = receipts.read(tmp_path, "verify", ID)["findings"]
    assert (finding["kind"], finding["policy"], finding["variable"]) == ("coordinates", "accept", "lat")


def test_files_in_another_order(tmp_path):
    """Files that do not follow one another in time are found, though each has its place in the store."""
    paths = make_dataset(tmp_path, attributes={"tracking_id": "one"})
    facts = take(paths, tmp_path)
    first, second, third = facts["files"]
    moved = [second | {"start": 0, "stop": 4}, first | {"start": 4, "stop": 8}, third]
    seal(paths, tmp_path, facts | {"files": moved})
    assert f"{paths[0]}: 'time' begins with 15.0" in failed_verify(tmp_path)["message"]


def test_steps_trimmed_that_are_no_copy(tmp_path):
    """A step that was left out as a copy, and is none, is found."""
    paths = make_dataset(tmp_path, attributes={"tracking_id": "one"})
    facts = take(paths, tmp_path)
    for variable in facts["variables"].values():
        if not variable["static"]:
            variable["shape"][0] = 11
    first, second, third = facts["files"]
    cut = [first, second | {"skip": 1, "stop": 7}, third | {"start": 7, "stop": 11}]
    seal(
        paths,
        tmp_path,
        facts | {"files": cut, "dims": facts["dims"] | {"time": 11}, "time": facts["time"] | {"steps": 11}},
    )
    assert (
        f"{paths[1]}: its first 1 steps are trimmed: found another value of 'time'"
        in (failed_verify(tmp_path)["message"])
    )


LEFT_OUT = {
    "unreadable": lambda paths: paths[-1].write_bytes(b"no netCDF file"),
    "empty": lambda paths: make_dataset(paths[0].parents[10], files=1, steps=0, start=8)[0].replace(paths[-1]),
    "encoding": last(lambda nc: nc["tas"].setncattr("scale_factor", 0.1)),
    "coordinates": last(put("lat", 0, -59.0)),
    "time_order": last(put("time", 1, 0.0)),
    "structure": last(add_variable),
    "identity": last(lambda nc: nc.setncattr("variable_id", "ta")),
    "calendar": last(lambda nc: nc["time"].setncattr("calendar", "noleap")),
}


@pytest.mark.parametrize(("kind", "spoil"), LEFT_OUT.items(), ids=LEFT_OUT)
def test_reason_to_leave_a_file_out_is_found_again(tmp_path, kind, spoil):
    """A file is left out where verify finds the reason itself and the policy allows it, and not otherwise."""
    paths = make_dataset(tmp_path)
    spoil(paths)
    facts = take(paths, tmp_path, **{kind: "leave_out"})
    seal(paths, tmp_path, facts)
    assert len(facts["files"]) == 2
    assert run_verify(tmp_path) == 0
    findings = receipts.read(tmp_path, "verify", ID)["findings"]
    assert (kind, "leave_out", str(paths[-1])) in {(f["kind"], f["policy"], f.get("file")) for f in findings}
    record = failed_verify(tmp_path, {kind: "refuse"})
    assert record["class"] == "source"  # the inventory is taken again, with this policy
    assert "The inventory was taken with another policy" in record["message"]


def test_store_that_xarray_cannot_open(tmp_path, monkeypatch):
    """What is proven and yet does not open is not sealed."""
    paths = make_dataset(tmp_path)
    seal(paths, tmp_path, take(paths, tmp_path))

    def refuse(*_, **__):
        raise ValueError("no way to open it")

    monkeypatch.setattr(xr, "open_zarr", refuse)
    record = failed_verify(tmp_path)
    assert "xarray cannot open it: ValueError: no way to open it" in record["message"]
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")


def test_array_fill_value_of_its_own(tmp_path):
    """A v3 array whose own fill value is not its `_FillValue` is not sealed."""
    paths = make_dataset(tmp_path)
    seal(paths, tmp_path, take(paths, tmp_path))
    for file in (tmp_path / "s.zarr" / "tas" / "zarr.json", tmp_path / "s.zarr" / "zarr.json.unsealed"):
        text = file.read_text()
        file.write_text(text.replace('"fill_value": 1.0000000200408773e+20', '"fill_value": 7.0'))
        assert file.read_text() != text
    accept(tmp_path / "s.zarr")
    assert "'tas': attribute '_FillValue': found {'attribute'" in failed_verify(tmp_path)["message"]


def test_zero_byte_as_fill_of_characters(tmp_path):
    """A zero byte is what an array of characters is filled with, declared or not."""
    (path,) = make_dataset(tmp_path, files=1)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createVariable("name", "S1", ("lat",), fill_value=b"\0")[:] = np.array([b"a", b"b", b"c"])
    seal([path], tmp_path, take([path], tmp_path))
    assert run_verify(tmp_path) == 0


def hidden(change, kind):
    """Return what makes a change through h5py, and what is said of it."""

    def spoil(path):
        with h5py.File(path, "a") as file:
            change(file)

    return spoil, kind


HIDDEN = {
    "boolean attribute": hidden(lambda f: f["tas"].attrs.__setitem__("flag", True), "attribute tas:flag"),
    "complex attribute": hidden(lambda f: f.attrs.__setitem__("z", 1 + 2j), "attribute :z"),
    "half floats": hidden(lambda f: f.create_dataset("half", data=np.zeros(3, "f2")), "variable 'half' of a type"),
    "compound": hidden(
        lambda f: f.create_dataset("rows", data=np.zeros(2, [("a", "f4"), ("b", "S3")])), "variable 'rows' of a type"
    ),
    "group": hidden(lambda f: f.create_group("more"), "group 'more'"),
}


@pytest.mark.parametrize(("spoil", "said"), HIDDEN.values(), ids=HIDDEN)
def test_what_netcdf_does_not_list_is_named(tmp_path, spoil, said):
    """What HDF5 holds is listed, whether the netCDF library shows it or not."""
    path = make_dataset(tmp_path, files=1)[0]
    assert header.read(path).unlisted == []
    spoil(path)
    assert any(said in words for words in header.read(path).unlisted)


def test_values_in_other_files_are_named(tmp_path):
    """External storage and external links are no part of the file."""
    with h5py.File(tmp_path / "x.nc", "w") as file:
        file.create_dataset("a", (4,), "i4", external=[(str(tmp_path / "raw"), 0, 16)])
        file["b"] = h5py.SoftLink("/a")
    found = header.read(tmp_path / "x.nc").elsewhere
    assert any("its values lie in other files" in words for words in found)


def test_chunks_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    """However many chunks a variable has, few are read at once, and the file is opened again after some."""
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("time", None)
        nc.createVariable("time", "f8", ("time",), chunksizes=(1,))[:] = np.arange(95.0)
    opened = []
    dataset = netCDF4.Dataset
    monkeypatch.setattr(source.netCDF4, "Dataset", lambda *args: opened.append(args) or dataset(*args))
    monkeypatch.setattr(source, "MOST_CHUNKS_AT_ONCE", 10)
    monkeypatch.setattr(source, "MOST_CHUNKS_OPEN", 30)
    with source.Source(header.read(path)) as found:
        values = found.read("time", (slice(2, 95),))
    assert values.tolist() == list(range(2, 95))
    assert len(opened) == 3


def test_what_lies_beyond_the_extent_is_fill(tmp_path):
    """A variable shorter than its second unlimited dimension ends in fill, whatever the library returns there."""
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("time", None)
        nc.createDimension("x", None)
        nc.createVariable("long", "f4", ("time", "x"))[:] = np.ones((2, 5))
        nc.createVariable("short", "f4", ("time", "x"), fill_value=np.float32(-5))[:] = np.ones((2, 3))
    with source.Source(header.read(path)) as found:
        values = found.read("short", (slice(0, 2), slice(0, 5)))
    assert values.tolist() == [[1, 1, 1, -5, -5]] * 2
