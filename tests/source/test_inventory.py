"""Which files are fit to become one store, and what is said of those that are not."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from builders import UNITS, make_dataset
from chain import ID
from spoil import add_reference_time, again, broken, each, last, put

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import Refused
from cmip6zarr.model.as_json import to_json
from cmip6zarr.source import inventory as inventories
from cmip6zarr.source import time_axis
from cmip6zarr.source.inventory import take_inventory

HOURS = UNITS.replace("days", "hours")


def inventory(paths, **policy):
    return to_json(take_inventory(Dataset(ID, tuple(str(path) for path in paths)), policy))


def cut(paths):
    paths[-1].write_bytes(paths[-1].read_bytes()[:-20])


def folder(paths):
    paths[-1].unlink()
    paths[-1].mkdir()


def scaled(scale):
    return {"dtype": "i2", "field_attributes": {"scale_factor": scale}}


# id: (kind, options of the dataset, what is done to it, what is said)
REFUSED = {
    "missing": ("unreadable", {}, lambda paths: paths[-1].unlink(), "No such file"),
    "empty-file": ("unreadable", {}, lambda paths: paths[-1].write_bytes(b""), "cannot read it"),
    "text-file": ("unreadable", {}, lambda paths: paths[-1].write_text("<html>404</html>"), "cannot read it"),
    "cut-off-hdf5": ("unreadable", {}, cut, "cannot read it"),
    "cut-off-classic": ("unreadable", {"format": "NETCDF3_CLASSIC"}, cut, "is cut off: found"),
    "folder": ("unreadable", {}, folder, "cannot read it"),
    "broken-values": ("unreadable", {}, broken("area"), "cannot read it"),
    "no-step": ("empty", {}, again(steps=0), "'time' has 0 steps, expected at least 1"),
    "group": ("structure", {}, last(lambda nc: nc.createGroup("g")), "has groups ['g']"),
    "user-type": (
        "unseen",
        {},
        last(lambda nc: nc.createVariable("v", nc.createVLType("f4", "l"), ("lat",))),
        "variable 'v' (sequences)",
    ),
    "no-time": ("structure", {}, last(lambda nc: nc.renameVariable("time", "t")), "'time': found none"),
    "time-of-another-dimension": (
        "structure",
        {"format": "NETCDF3_CLASSIC"},
        last(lambda nc: nc.renameDimension("time", "t")),
        "dimensions of 'time': found ['t'], expected ['time']",
    ),
    "variable": (
        "structure",
        {},
        last(lambda nc: nc.renameVariable("tas", "pr")),
        "'tas': found none, expected float32",
    ),
    "dtype": ("structure", {}, again(dtype="f8"), "dtype of 'tas': found float64, expected float32"),
    "two-grids": ("structure", {}, again(lat=5), "length of dimension 'lat': found 5, expected 3"),
    "dimensions": (
        "structure",
        {},
        each(lambda nc, i: nc.createVariable("area", "f4", ("lon", "lat") if i == 2 else ("lat", "lon"))),
        "dimensions of 'area': found ('lon', 'lat'), expected ('lat', 'lon')",
    ),
    "scale": (
        "encoding",
        scaled(0.01),
        again(**scaled(0.02)),
        "tas:scale_factor is ['float64', 0.02], expected ['float64', 0.01]",
    ),
    "fill": (
        "encoding",
        {},
        each(lambda nc, i: nc.createVariable("v", "f4", ("time",), fill_value=float(i == 2))),
        "v:_FillValue is ['float32', 1.0], expected ['float32', 0.0]",
    ),
    "units": (
        "encoding",
        {},
        last(lambda nc: nc["tas"].setncattr("units", "degC")),
        "tas:units is ['char', 'degC'], expected ['char', 'K']",
    ),
    "calendar": ("calendar", {}, again(calendar="noleap"), "'noleap', expected '360_day'"),
    "no-units": ("time_units", {}, last(lambda nc: nc["time"].setncattr("units", "years since 1850-01-01")), "years"),
    "inexact-integer": (
        "time_units",
        {"time_dtype": "i4", "units": [UNITS, UNITS, HOURS]},
        last(put("time", 0, 5773)),
        "'time' in 'hours since 1850-01-01' cannot be converted as int32 to 'days since 1850-01-01' of",
    ),
    "inexact-float": (
        "time_units",
        {"time_dtype": "f4", "units": [UNITS, UNITS, HOURS]},
        last(put("time", 0, 5773)),
        "found a rounding error of",
    ),
    "static-months": (
        "time_units",
        {},
        each(lambda nc, i: add_reference_time(nc, f"months since 200{i // 2}-01-01", 0)),
        "'reftime' is in 'months since",
    ),
    "no-date": ("time_order", {}, last(put("time", slice(None), [1e30, 2e30, 3e30, 4e30])), "days since 1850-01-01"),
    "nan": ("time_order", {}, last(put("time", 1, np.nan)), "time[1] is nan after 255.0"),
    "first-is-nan": ("time_order", {}, last(put("time", 0, np.nan)), "time[0] is nan after nan"),
    "time-is-fill": (
        "time_order",
        {},
        each(lambda nc, i: (nc["time"].setncattr("missing_value", 1e20), i == 2 and put("time", 3, 1e20)(nc))),
        "time[3] is 1e+20 after 315.0",
    ),
    "decreasing": ("time_order", {}, last(put("time", 2, 240.0)), "time[2] is 240.0 after 285.0"),
    "repeated-time": ("time_order", {}, last(put("time", 2, 285.0)), "time[2] is 285.0 after 285.0"),
    "other-grid": ("coordinates", {}, last(put("lat", 0, -59.0)), "'lat' differs from"),
    "other-moment": (
        "coordinates",
        {},
        each(lambda nc, i: add_reference_time(nc, (UNITS, UNITS, HOURS)[i], (1, 1, 48)[i])),
        "'reftime' is 2.0 in 'days since 1850-01-01', expected 1.0 as in",
    ),
    "other-moment-other-spelling": (
        "coordinates",
        {},
        each(lambda nc, i: add_reference_time(nc, ("days since 1850-1-1", UNITS, UNITS)[i], (1, 1, 2)[i])),
        "'reftime' differs from",
    ),
}


@pytest.mark.parametrize(("kind", "options", "spoil", "said"), REFUSED.values(), ids=REFUSED)
def test_unfit_file_is_refused_and_may_be_left_out(tmp_path, kind, options, spoil, said):
    """A file that does not fit is refused by name with the reason; left out by policy, the other files convert."""
    paths = make_dataset(tmp_path, **options)
    spoil(paths)
    with pytest.raises(Refused) as refusal:
        inventory(paths)
    assert refusal.value.kind == kind
    assert refusal.value.message.startswith(f"{paths[-1]}: ")
    assert said in refusal.value.message
    assert refusal.value.remedy
    facts = inventory(paths, **{kind: "leave_out"})
    assert [file["path"] for file in facts["files"]] == [str(path) for path in paths[:-1]]
    left_out = {"kind": kind, "message": refusal.value.message}
    assert facts["findings"] == [left_out | {"policy": "leave_out", "file": str(paths[-1])}]
    assert facts["left_out"] == [left_out | {"path": str(paths[-1])}]
    assert "leave_out" in refusal.value.remedy


def test_noise_in_a_coordinate_is_accepted_and_reported(tmp_path):
    """A latitude that differs by 1e-14, as of another compiler, is a finding and no refusal."""
    paths = make_dataset(tmp_path, files=2)
    last(put("lat", 0, -60 + 2**-46))(paths)
    (finding,) = inventory(paths)["findings"]
    assert (finding["kind"], finding["policy"], finding["variable"]) == ("coordinates", "accept", "lat")
    assert (finding["file"], finding["max_difference"]) == (str(paths[1]), 2**-46)


def test_first_coordinates_are_kept_by_policy(tmp_path):
    """Policy `first` accepts any difference of coordinates and reports it."""
    paths = make_dataset(tmp_path, files=2)
    last(put("lat", 0, -50.0))(paths)
    (finding,) = inventory(paths, coordinates="first")["findings"]
    assert (finding["variable"], finding["max_difference"]) == ("lat", 10.0)


def test_values_that_nobody_wrote_are_inflation(tmp_path):
    """A store far larger than deflate could make of its files is refused, or made by policy."""
    paths = make_dataset(tmp_path, files=1)
    each(lambda nc, _: (nc.createDimension("x", 2**28), nc.createVariable("v", "f8", ("x",), zlib=True)))(paths)
    with pytest.raises(Refused, match="nearly all of it was never written and is fill") as refusal:
        inventory(paths)
    assert refusal.value.kind == "inflation"
    assert refusal.value.message.startswith(f"{paths[0]}: the store would hold 2 GB from ")
    assert "policy.inflation to convert" in refusal.value.remedy
    assert inventory(paths, inflation="convert")["findings"][0]["policy"] == "convert"


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        pytest.param(lambda paths: [path.unlink() for path in paths], "unreadable", id="unreadable"),
        pytest.param(
            each(lambda nc, _: nc["time"].setncattr("units", "days since 1850-02-31")), "time_units", id="units"
        ),
    ],
)
@pytest.mark.parametrize("files", [1, 2])
def test_dataset_of_which_nothing_is_left_is_refused(tmp_path, files, spoil, kind):
    """Where every file is left out there is no dataset: refused with the first reason, and without that remedy."""
    paths = make_dataset(tmp_path, files=files, calendar="noleap")
    spoil(paths)
    with pytest.raises(Refused) as first:
        inventory(paths)
    assert ("leave_out" in first.value.remedy) == (files > 1)
    with pytest.raises(Refused) as refusal:
        inventory(paths, **{kind: "leave_out"})
    assert refusal.value.kind == kind
    assert refusal.value.message == first.value.message + (" None of 2 files would be left." if files > 1 else "")
    assert "leave_out" not in refusal.value.remedy


def test_leave_out_is_not_offered_for_an_only_file(tmp_path):
    """A remedy that leaves nothing to convert is not offered, whatever is wrong with the file."""
    for number, (kind, options, spoil, _) in enumerate(REFUSED.values()):
        paths = make_dataset(tmp_path / str(number), **options)
        spoil(paths)
        try:
            inventory(paths[-1:])
        except Refused as refusal:
            assert "leave_out" not in refusal.remedy, kind


def test_pattern_without_a_file_is_refused(tmp_path):
    """A glob pattern that matches nothing is refused, and one that matches gives its files in order of time."""
    with pytest.raises(Refused, match=r"no file matches.*\*\.nc"):
        inventory([tmp_path / "*.nc"])
    paths = make_dataset(tmp_path)
    paths[0].rename(paths[0].with_name("zz.nc"))
    files = inventory([paths[0].with_name("*.nc")])["files"]
    assert [Path(file["path"]).name for file in files] == ["zz.nc", paths[1].name, paths[2].name]


def test_time_axis_is_the_one_named_time(tmp_path):
    """Of two axes that count time the one named `time` is taken; where none is, nothing is guessed."""
    paths = make_dataset(tmp_path, files=1, format="NETCDF3_CLASSIC")

    def add_axis(nc):
        nc.createDimension("reftime", 2)
        nc.createVariable("reftime", "f8", ("reftime",)).units = UNITS

    last(add_axis)(paths)
    assert inventory(paths)["time"]["variable"] == "time"
    last(lambda nc: (nc.renameVariable("time", "t"), nc.renameDimension("time", "t")))(paths)
    with pytest.raises(Refused, match=r"\['t', 'reftime'\] all look like the time axis") as refusal:
        inventory(paths)
    assert (refusal.value.kind, refusal.value.remedy) == ("structure", "Name one of them 'time'.")


def test_fixed_fields_are_one_file(tmp_path):
    """A dataset without time is one file; two of them are refused."""
    paths = make_dataset(tmp_path, files=2)
    each(lambda nc, _: nc.renameVariable("time", "t"))(paths)
    assert inventory(paths[:1])["time"] is None
    with pytest.raises(Refused, match="no time axis joins it") as refusal:
        inventory(paths)
    assert (refusal.value.kind, refusal.value.message.split(":")[0]) == ("structure", str(paths[1]))


def test_receipt_tells_where_each_step_lies(tmp_path):
    """Files are in order of time whatever the order of the row, with sizes, ranges and what differs between them."""
    paths = make_dataset(tmp_path)
    facts = inventory(reversed(paths))
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert [(f["path"], f["bytes"], f["mtime_ns"], f["start"], f["stop"]) for f in facts["files"]] == [
        (str(path), path.stat().st_size, path.stat().st_mtime_ns, 4 * i, 4 * i + 4) for i, path in enumerate(paths)
    ]
    assert facts["source_bytes"] == sum(path.stat().st_size for path in paths)
    assert (facts["dims"], facts["unlimited"]) == ({"time": 12, "lat": 3, "lon": 4, "bnds": 2}, ["time"])
    assert facts["raw_bytes"] == 12 * (8 + 16 + 3 * 4 * 4) + (3 + 4) * (8 + 16)
    assert [row["attribute"] for row in facts["differing_attributes"]] == ["tracking_id"]
    tas = facts["variables"]["tas"]
    assert (tas["shape"], tas["static"], tas["layouts"][0]["filters"]) == ([12, 3, 4], False, ["shuffle", "zlib"])
    assert facts["variables"]["lat_bnds"]["static"]
    assert facts["time"] == {
        "variable": "time",
        "steps": 12,
        "start": "1850-01-16 00:00",
        "end": "1850-12-16 00:00",
        "calendar": "360_day",
        "units": UNITS,
    }


def sparse_time(path, steps):
    """Write a file whose time axis has so many steps, none of them ever written."""
    with h5py.File(path, "w") as file:
        time = file.create_dataset("time", (steps,), "f8", maxshape=(None,), chunks=(2**20,))
        time.make_scale("time")
        time.attrs["units"] = np.bytes_("days since 1850-01-01")
    return path


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param(2**29, "nearly all of it was never written", id="beyond-deflate"),
        pytest.param(inventories.MOST_STEPS + 1, f"expected at most {inventories.MOST_STEPS}", id="too-many-steps"),
    ],
)
def test_inflation_is_refused_before_any_value_is_read(tmp_path, monkeypatch, steps, said):
    """A time axis that memory has no room for is refused by its header."""
    monkeypatch.setattr(time_axis, "read_whole", None)
    with pytest.raises(Refused, match="time") as refusal:
        inventory([sparse_time(tmp_path / "time.nc", steps)])
    assert refusal.value.kind == "inflation"
    assert said in refusal.value.message
