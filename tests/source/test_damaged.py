"""Damaged and odd sources, most of them made from real files: refused, failed or handled, and never a wrong store."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
from builders import make_dataset
from chain import ID, list_files, run_convert, run_inventory, run_verify
from spoil import again, damage, each, last, put, renamed_in_header

from cmip6zarr.catalogue import esm
from cmip6zarr.catalogue.dataset import hand_over
from cmip6zarr.convert import hdf5_layout
from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

CAMS = "esmvaltool/CMIP6/CMIP/CAMS/CAMS-CSM1-0/historical/r1i1p1f1/Amon/ta/gn/v20190708"
EC_EARTH = "cmip5/output1/ICHEC/EC-EARTH/historical/mon/atmos/Amon/r1i1p1/latest/tas"
ROOT = Path(__file__).parents[2]
FIELDS = {"real": "ta", "classic": "tas", "made": "tas"}
VERIFIED, REFUSED = "verified", "refused"


def attribute(name, **values):
    """Give the last file other attributes of a variable ("": global ones)."""
    return last(lambda nc: (nc[name] if name else nc).setncatts(values))


def renamed(names):
    """Give the files other names, whose order is not that of time."""

    def spoil(paths):
        for index, name in enumerate(names):
            paths[index] = paths[index].rename(paths[index].with_name(name))

    return spoil


def cut(where):
    """End the last file at a share of its length."""
    return lambda paths: os.truncate(paths[-1], int(paths[-1].stat().st_size * where))


def data(change):
    """Change the bytes of the last file."""
    return lambda paths: paths[-1].write_bytes(change(paths[-1].read_bytes()))


def flip(where):
    """Flip a bit of the byte at a place of the last file."""
    return data(lambda b: b[:where] + bytes([b[where] ^ 16]) + b[where + 1 :])


def instead(make):
    """Put something else at the place of the last file."""
    return lambda paths: (paths[-1].unlink(), make(paths[-1]))


def drop(index):
    """Take a file out of the row."""
    return lambda paths: paths.pop(index).unlink()


def more(link):
    """Add another name of the last file to the row."""

    def spoil(paths):
        paths.append(paths[-1].with_name("again.nc"))
        link(paths[-2], paths[-1])

    return spoil


def flipped_latitudes(nc, index):
    """Turn the second file upside down."""
    if index == 1:
        nc["lat"][:] = nc["lat"][::-1]


TWO_UNITS = each(lambda nc, _: nc["tas"].setncattr("units", ["a since b", "c"]))


def moved_times(name, value):
    """Count the times of the last file from another date, and give all times an attribute."""

    def change(nc, index):
        nc["time"].setncattr(name, value)
        if index == 2:
            nc["time"].units = "days since 1849-12-30"
            nc["time"][:] += 1
            nc["time_bnds"][:] += 1

    return each(change)


def filled(nc, value):
    """Add a variable of a fill value."""
    nc.createVariable("v", "f4", ("time",), fill_value=value)


def user_type(nc):
    """Add a variable of lists."""
    nc.createVariable("v", nc.createVLType("f4", "l"), ("lat",))


def hdf5_attribute(value):
    """Write a global attribute that netCDF would not."""

    def spoil(paths):
        with h5py.File(paths[-1], "a") as file:
            file.attrs.create("odd", value)

    return spoil


def extra(name, dims=("lat",), every=True, **settings):
    """Add a variable to all files, or to the last one."""
    change = lambda nc: nc.createVariable(name, "f4", dims, **settings).__setitem__(..., 1)  # noqa: E731
    return each(lambda nc, _: change(nc)) if every else last(change)


STEP = {
    "gap": ("real", drop(1), {}, REFUSED),
    "gap that is allowed": ("real", drop(1), {"gap": "allow"}, VERIFIED),
    "gap in a file": ("made", last(put("time", slice(2, 4), [345.0, 375.0])), {}, REFUSED),
    "file twice in the row": ("real", lambda paths: paths.append(paths[-1]), {}, VERIFIED),
    "hard link": ("real", more(lambda old, new: new.hardlink_to(old)), {}, REFUSED),
    "symbolic link": ("real", more(lambda old, new: new.symlink_to(old)), {}, REFUSED),
    "copy, trimmed": ("real", more(shutil.copy), {"overlap": "trim"}, VERIFIED),
    "overlap of other values": ("made", again(start=7), {"overlap": "trim"}, VERIFIED),
    "overlap": ("made", again(start=7), {}, REFUSED),
    "order of names": ("real", renamed(["e.nc", "d.nc", "c.nc", "b.nc", "a.nc"]), {}, VERIFIED),
    "brackets in names": ("real", renamed(["[1].nc", "[2].nc", "[3].nc", "[4].nc", "[5].nc"]), {}, VERIFIED),
    "order of the row": ("real", lambda paths: paths.reverse(), {}, VERIFIED),
    "another calendar": ("real", attribute("time", calendar="360_day"), {}, REFUSED),
    "unknown calendar": ("real", attribute("time", calendar="lunar"), {}, REFUSED),
    "months since": ("real", attribute("time", units="months since 2000-01-01"), {}, REFUSED),
    "no units": ("real", last(lambda nc: nc["time"].delncattr("units")), {}, REFUSED),
    "units that are none": ("real", attribute("time", units="days since yesterday"), {}, REFUSED),
    "year 0 of no calendar": ("real", attribute("time", units="days since 0000-00-00"), {}, REFUSED),
    "units in capitals": ("real", attribute("time", units="Days since 2000-01-01"), {}, VERIFIED),
    "NaN time": ("real", last(put("time", 3, np.nan)), {}, REFUSED),
    "time that decreases": ("real", last(put("time", 3, 0.0)), {}, REFUSED),
    "time that stands still": ("real", last(lambda nc: nc["time"].__setitem__(3, nc["time"][2])), {}, REFUSED),
    "time beyond all dates": ("real", last(put("time", -1, 1e300)), {}, REFUSED),
    "file left out": ("real", last(put("time", 3, np.nan)), {"time_order": "leave_out"}, VERIFIED),
    "one step": ("made", lambda paths: make_dataset(paths[0].parents[10], files=1, steps=1, start=12), {}, VERIFIED),
    "no step": ("made", again(steps=0), {}, REFUSED),
    "no step, left out": ("made", again(steps=0), {"empty": "leave_out"}, VERIFIED),
}
STRUCTURE = {
    "another grid": ("made", again(lat=5), {}, REFUSED),
    "another grid, left out": ("made", again(lat=5), {"structure": "leave_out"}, VERIFIED),
    "bounds missing in one file": ("real", last(lambda nc: nc.renameVariable("time_bnds", "x")), {}, REFUSED),
    "variable more in one file": ("real", extra("more", every=False), {}, REFUSED),
    "another dtype": ("made", again(dtype="f8"), {}, REFUSED),
    "another fill value": (
        "made",
        each(lambda nc, i: nc.createVariable("v", "f4", ("time",), fill_value=i)),
        {},
        REFUSED,
    ),
    "another scale": ("made", attribute("tas", scale_factor=2.0), {}, REFUSED),
    "scale of text": ("made", each(lambda nc, _: nc["tas"].setncattr("scale_factor", "2")), {}, VERIFIED),
    "other units of the field": ("real", attribute("ta", units="degC"), {}, REFUSED),
    "no units of the field": ("real", last(lambda nc: nc["ta"].delncattr("units")), {}, REFUSED),
    "latitudes with noise": ("real", last(lambda nc: nc["lat"].__setitem__(0, nc["lat"][0] + 1e-14)), {}, VERIFIED),
    "latitudes elsewhere": ("real", last(put("lat", 0, 1.0)), {}, REFUSED),
    "latitudes elsewhere, first": ("real", last(put("lat", 0, 1.0)), {"coordinates": "first"}, VERIFIED),
    "upside down": ("real", each(flipped_latitudes), {}, REFUSED),
    "groups": ("real", last(lambda nc: nc.createGroup("g")), {}, REFUSED),
    "user-defined type": (
        "real",
        last(lambda nc: nc.createVariable("v", nc.createVLType("f4", "l"), ("lat",))),
        {},
        REFUSED,
    ),
    "static, then not": (
        "made",
        each(lambda nc, i: nc.createVariable("v", "f4", ("time",) if i == 2 else ("lat",))),
        {},
        REFUSED,
    ),
    "name with a space": ("made", extra("a b"), {}, VERIFIED),
    "name beyond ASCII": ("made", extra("höhe"), {}, VERIFIED),
    "name of Zarr's own": ("made", extra("zarr.json"), {}, REFUSED),
    "name that leaves the store": ("classic", renamed_in_header(b"../"), {}, REFUSED),
    "name of a hidden file": ("classic", renamed_in_header(b".zz"), {}, REFUSED),
    "name of shell characters": ("made", extra("a;b&c|$(d)"), {}, VERIFIED),
    "checksum filter": ("made", extra("v", fletcher32=True), {}, VERIFIED),
    "values never written": ("made", each(lambda nc, _: nc.createVariable("v", "f8", ("time", "lat"))), {}, VERIFIED),
}
ATTRIBUTES = {
    "tracking id twice": ("made", each(lambda nc, _: nc.setncattr("tracking_id", "hdl:1")), {}, VERIFIED),
    "no tracking id": ("made", last(lambda nc: nc.delncattr("tracking_id")), {}, VERIFIED),
    "a megabyte of history": ("real", attribute("", history="x" * 2**20), {}, VERIFIED),
    "HTML": ("real", attribute("", title="<script>alert(1)</script>"), {}, VERIFIED),
    "quotes and newlines": ("real", attribute("", title="'\"`$(rm -rf /)\n\r\t\\"), {}, VERIFIED),
    "path in an attribute": (
        "real",
        attribute("", variable_id="../../x", source_id="/etc"),
        {"identity": "allow"},
        VERIFIED,
    ),
    "another name in an attribute": ("real", attribute("", variable_id="tasmax"), {}, REFUSED),
    "NUL": ("made", hdf5_attribute(np.bytes_(b"a\0b")), {}, VERIFIED),
    "not UTF-8": ("made", hdf5_attribute(np.bytes_(b"caf\xe9")), {}, VERIFIED),
    "empty": ("made", attribute("", title=""), {}, VERIFIED),
    "infinite": ("made", attribute("tas", valid_max=np.float32("inf")), {}, VERIFIED),
    "NaN fill": ("made", each(lambda nc, _: filled(nc, np.nan)), {}, VERIFIED),
    "bounds that are numbers": ("made", each(lambda nc, _: nc["time"].setncattr("bounds", [1, 2])), {}, VERIFIED),
    "units that are texts": ("made", TWO_UNITS, {}, VERIFIED),
    "text for missing times": ("made", moved_times("missing_value", "none"), {}, VERIFIED),
    "numbers for missing times": ("made", moved_times("missing_value", np.array([1e20, 2e20])), {}, VERIFIED),
}
BYTES = {
    "gone": ("real", lambda paths: paths[-1].unlink(), {}, REFUSED),
    "gone, left out": ("real", lambda paths: paths[-1].unlink(), {"unreadable": "leave_out"}, VERIFIED),
    "no byte": ("real", cut(0), {}, REFUSED),
    "one byte": ("real", data(lambda b: b[:1]), {}, REFUSED),
    "folder": ("real", instead(lambda path: path.mkdir()), {}, REFUSED),
    "circle of links": ("real", instead(lambda path: path.symlink_to(path.name)), {}, REFUSED),
    "link to nothing": ("real", instead(lambda path: path.symlink_to("nothing")), {}, REFUSED),
    "pipe": ("real", instead(lambda path: os.mkfifo(path)), {}, REFUSED),
    "text": ("real", instead(lambda path: path.write_text("no data")), {}, REFUSED),
    "error page": ("real", instead(lambda path: path.write_text("<html>404</html>")), {}, REFUSED),
    "gzip": ("real", data(gzip.compress), {}, REFUSED),
    "half": ("real", cut(0.5), {}, REFUSED),
    "nearly all": ("real", cut(0.99), {}, REFUSED),
    "classic, half": ("classic", cut(0.5), {}, REFUSED),
    "classic, nearly all": ("classic", cut(0.96), {}, REFUSED),
    "more behind the end": ("real", data(lambda b: b + b"more"), {}, VERIFIED),
    "classic, more behind the end": ("classic", data(lambda b: b + b"more"), {}, VERIFIED),
    "signature": ("real", flip(1), {}, REFUSED),
    "superblock": ("real", flip(8), {}, REFUSED),
    "classic magic": ("classic", flip(3), {}, REFUSED),
    "classic header": ("classic", flip(11), {}, REFUSED),
    "classic header, fewer steps": ("classic", flip(7), {}, VERIFIED),  # nothing protects it: another source
    "chunk": ("made", lambda paths: damage(paths[-1], "tas"), {}, "source"),
    "classic, untouched": ("classic", lambda _: None, {}, VERIFIED),
    "untouched": ("real", lambda _: None, {}, VERIFIED),
}
CASES = STEP | STRUCTURE | ATTRIBUTES | BYTES


def source(base, folder, real_data):
    """Return the paths of a fresh copy of a dataset."""
    if base == "made":
        return make_dataset(folder, files=3)
    files = sorted((real_data / {"real": CAMS, "classic": EC_EARTH}[base]).glob("*.nc"))[:5]
    folder.mkdir(parents=True, exist_ok=True)
    copies = [folder / file.name for file in files]
    for file, copy in zip(files, copies, strict=True):
        shutil.copyfile(file, copy)
    return copies


def outcome(paths, folder, policy) -> str:
    """Take files through inventory, convert and verify; return `verified`, `refused` or the class of the failure."""
    list_files({ID: paths}, folder / "catalogue.json")
    steps = (
        lambda: run_inventory(ID, folder / "catalogue.json", folder / "results", **policy),
        lambda: run_convert(folder / "results", folder / "s.zarr"),
        lambda: run_verify(folder / "results"),
    )
    return next((receipts.read(folder / "results", "failed", ID)["class"] for step in steps if step()), VERIFIED)


def state(folder) -> dict:
    """Return what lies in a folder: kind, and bytes of files."""
    return {p: p.read_bytes() if p.is_file() else p.lstat().st_mode for p in sorted(folder.rglob("*"))}


def test_there_are_many_cases():
    """The table holds what it promises."""
    assert len(CASES) >= 72
    assert len(CASES) == len(STEP) + len(STRUCTURE) + len(ATTRIBUTES) + len(BYTES)


@pytest.mark.parametrize(("base", "spoil", "policy", "expected"), CASES.values(), ids=CASES)
def test_odd_source(tmp_path, real_data, base, spoil, policy, expected):
    """Each source ends as the table says, with a message that names a file, its bytes untouched, no wrong store."""
    paths = source(base, tmp_path / "nc", real_data)
    more_paths = spoil(paths)
    paths += more_paths if base == "made" and isinstance(more_paths, list) else []
    hdf5_layout.layouts.cache_clear()
    before = state(tmp_path / "nc")
    assert outcome(paths, tmp_path, policy) == expected
    assert state(tmp_path / "nc") == before
    assert {path.name for path in tmp_path.iterdir()} <= {"nc", "catalogue.json", "catalogue.csv", "results"} | {
        f"s.zarr{end}" for end in ("", ".provenance.json", ".ledger.jsonl")
    }
    if expected != VERIFIED:
        assert not zarr_store.is_sealed(tmp_path / "s.zarr")
        assert str(tmp_path / "nc") in receipts.read(tmp_path / "results", "failed", ID)["message"]
        return
    inventory = receipts.read(tmp_path / "results", "inventory", ID)
    with zarr_store.quiet():
        array = zarr_store.open_sealed(tmp_path / "s.zarr")[FIELDS[base]]
        for file in inventory["files"]:
            with netCDF4.Dataset(file["path"]) as nc:
                nc.set_auto_maskandscale(False)
                values = np.asarray(nc[FIELDS[base]][file["skip"] :])
            found = array[file["start"] : file["stop"]]
            assert found.tobytes() == values.astype(found.dtype).tobytes()


@pytest.mark.parametrize("hidden", ["file", "folder"])
def test_source_that_may_not_be_read(tmp_path, hidden):
    """A file or folder without the right to read it is a refusal that names the file and says why."""
    paths = make_dataset(tmp_path / "nc", files=2)
    list_files({ID: paths}, tmp_path / "catalogue.json")
    closed = paths[-1] if hidden == "file" else paths[-1].parent
    command = [sys.executable, ROOT / "scripts" / "inventory.py", ID, "--results", tmp_path / "results"]
    row = esm.read_catalogue(tmp_path / "catalogue.json").datasets[ID]
    hand_over(tmp_path / "results", [row])
    command += ["--digest", row.digest]
    if os.geteuid() == 0:  # root reads everything, unless it gives that up
        drop = "-dac_override,-dac_read_search"
        command[:0] = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"]
    closed.chmod(0)
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        closed.chmod(0o700)
    assert done.returncode == 3, done.stderr
    record = receipts.read(tmp_path / "results", "failed", ID)
    assert record["class"] == "refused"
    assert "Permission denied" in record["message"]
    assert str(paths[-1].parent) in record["message"]


def test_text_that_is_no_utf8_is_kept_byte_for_byte(tmp_path):
    """What netCDF4 would replace by question marks is read as Latin-1, in which each byte is a character."""
    paths = make_dataset(tmp_path / "nc", files=1)
    hdf5_attribute(np.bytes_(b"caf\xe9"))(paths)
    assert outcome(paths, tmp_path, {}) == VERIFIED
    assert zarr_store.open_sealed(tmp_path / "s.zarr").attrs["odd"] == "caf\xe9"
