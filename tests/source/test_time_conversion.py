"""Times of many spellings: a store's dates as a user reads them, and the files that come back from it."""

import cftime
import netCDF4
import numpy as np
import pytest
import xarray as xr
from chain import leave_receipts, run_verify, take, write
from same_files import assert_same

from cmip6zarr.core.errors import Refused
from cmip6zarr.restore import source_files
from cmip6zarr.store import provenance as provenances

DAYS = "days since 1850-01-01"
MONTHS = np.array([0, 31, 59, 90])
NOON = np.arange(4) + 0.5
HOURS = (np.arange(24) + 0.5) / 24


def clocked(path, numbers, units, calendar="noleap", *, dtype="f8", frequency="day", edges=None, bounds=(), **told):
    """Write a file of `v(time)` with `numbers` as its raw time; `told` are further attributes of time.

    Raw bounds are made of `edges`, one more than there are steps; `bounds` are their dtype and attributes.
    """
    with netCDF4.Dataset(path, "w") as nc:
        nc.set_auto_maskandscale(False)
        nc.frequency = frequency
        nc.createDimension("time", None)
        nc.createDimension("bnds", 2)
        add(nc, "time", ("time",), np.asarray(numbers).astype(dtype), {"units": units, "calendar": calendar} | told)
        if edges is not None:
            kind, own = bounds or ("f8", {})
            nc["time"].bounds = "time_bnds"
            add(nc, "time_bnds", ("time", "bnds"), np.stack([edges[:-1], edges[1:]], -1).astype(kind), own)
        add(nc, "v", ("time",), np.arange(len(numbers), dtype="f4"), {})


def add(nc, name, dims, values, attributes):
    """Add a variable whose stored numbers are `values`, whatever its attributes say of packing."""
    variable = nc.createVariable(name, values.dtype, dims)
    variable.set_auto_maskandscale(False)
    variable.setncatts(attributes)
    variable[:] = values


def file(*args, **options):
    """Return what `clocked` is given but the path."""
    return args, options


def month(n, units, shift, bounds, scale=1):
    """Return three months' file after `n` others, of which the raw numbers are `shift` days less."""
    edges = MONTHS + 90 * n - shift
    middle = (edges[:-1] + edges[1:]) / 2
    return file(middle, units, frequency="mon", edges=edges * scale, bounds=bounds)


# id: (files, kinds of findings)
SOUND = {
    "packed": (
        [
            file([0, 2, 4, 6], f"days since 1850-01-{1 + 20 * n}", frequency="5day", dtype="i4", scale_factor=2.5)
            for n in range(2)
        ],
        [],
    ),
    "packed-with-offset": (
        [
            file(numbers, units, scale_factor=24.0, add_offset=48.0, dtype="i2")
            for numbers, units in (
                ([-2, -1, 0, 1], "hours since 1850-01-01"),
                ([-2, -1, 0, 1], "hours since 1850-01-05"),
            )
        ],
        [],
    ),
    "packed-and-rounded": (
        [file([0, 10, 20, 30], f"days since 1850-01-0{1 + 4 * n}", dtype="f8", scale_factor=0.1) for n in range(2)],
        ["time_units"],
    ),
    "packed-bounds": (
        [month(n, f"days since {1850 + n}-01-01", 365 * n, ("i4", {"scale_factor": 0.5}), 2) for n in range(2)],
        [],
    ),
    "bounds-with-units-without-calendar": (
        [
            month(n, f"days since {year}-01-01", 3650 * n, ("f8", {"units": f"days since {year}-01-01"}))
            for n, year in enumerate((1850, 1860))
        ],
        [],
    ),
    "bounds-with-calendar-without-units": (
        [month(n, f"days since {1850 + n}-01-01", 365 * n, ("f8", {"calendar": "noleap"})) for n in range(2)],
        [],
    ),
    "bounds-in-other-units": (
        [
            file([15.5], DAYS, frequency="mon", edges=MONTHS[:2], bounds=("f8", {"units": DAYS})),
            file(
                [45], DAYS, frequency="mon", edges=MONTHS[1:3] * 24, bounds=("f8", {"units": "hours since 1850-01-01"})
            ),
        ],
        [],
    ),
    "hourly-from-each-day": (
        [file(HOURS, f"days since 1850-01-0{1 + n}", frequency="1hr", edges=np.arange(25) / 24) for n in range(2)],
        ["time_units", "time_units"],
    ),
    "int64-then-float64": (
        [
            file([15, 45, 75], DAYS, "360_day", frequency="mon", dtype="i8"),
            file([105.5, 135.5], DAYS, "360_day", frequency="mon"),
        ],
        ["structure"],
    ),
    "float64-then-int32-in-hours": (
        [file([0.25, 1.25], DAYS), file([54, 78], "hours since 1850-01-01", dtype="i4")],
        ["structure"],
    ),
    "int16-then-float32": ([file([0, 1], DAYS, dtype="i2"), file([2, 3], DAYS, dtype="f4")], ["structure"]),
    "bounds-float32-then-float64": (
        [file(NOON + 4 * n, DAYS, edges=np.arange(5) + 4 * n, bounds=(f"f{4 + 4 * n}", {})) for n in range(2)],
        ["structure"],
    ),
    "proleptic-then-standard": (
        [
            file(NOON + 60000 + 4 * n, DAYS, calendar, edges=np.arange(5) + 60000 + 4 * n)
            for n, calendar in enumerate(("proleptic_gregorian", "standard"))
        ],
        ["calendar"],
    ),
    "standard-then-proleptic-since-year-1": (
        [
            file(NOON + 700000, "days since 0001-01-01", "gregorian"),
            file(NOON + 700002, "days since 0001-01-01", "proleptic_gregorian"),
        ],
        ["calendar"],
    ),
    "milliseconds": (
        [
            file(
                np.arange(6) * 3600000, "milliseconds since 1970-01-01", "proleptic_gregorian", dtype="i8", frequency=""
            )
        ],
        [],
    ),
    "milliseconds-then-hours": (
        [
            file(np.arange(6) * 3600000, "msecs since 1970-01-01", dtype="i8", frequency="1hr"),
            file(np.arange(6), "hours since 1970-01-01 06:00", dtype="i8", frequency="1hr"),
        ],
        [],
    ),
    "months": ([file(np.arange(12) + 0.5, "months since 1960-01-01", "360_day", dtype="f4", frequency="mon")], []),
    "months-from-each-year": (
        [file(np.arange(12) + 0.5, f"months since {y}-01-01", "360_day", frequency="mon") for y in (1960, 1961)],
        [],
    ),
    "common-years": ([file(np.arange(3), "common_years since 1960-01-01", frequency="yr")], []),
    "nanoseconds": (
        [
            file(np.arange(3) * 36 * 10**11, f"nanoseconds since 1970-01-01 0{3 * n}:00", "standard", dtype="i8")
            for n in range(2)
        ],
        [],
    ),
    "no-month": (
        [
            file(15 + 30 * (np.arange(2) + 2 * n) - (0, 31, 0)[n], units, "standard", frequency="mon")
            for n, units in enumerate(("days since 2008", "days since 2008-02", "days since 2008-1-1"))
        ],
        [],
    ),
    "diurnal-climatology": (
        [
            file(np.concatenate([m + 90 * n + 15 + HOURS for m in MONTHS[:3]]), DAYS, frequency="1hrCM")
            for n in range(2)
        ],
        [],
    ),
    "climatology-by-its-attribute": (
        [file([15, 45, 75.5, 400], DAYS, frequency="mon", climatology="climatology_bnds")],
        [],
    ),
    "evenly-spaced-months": ([file(np.arange(24) * 365 / 12, DAYS, frequency="mon")], []),
    "rounded-ends-of-months": (
        [
            file(
                (np.cumsum([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] * 10) + 730000) * 86400.0,
                "seconds since 0001-01-01",
                frequency="mon",
                dtype="f4",
            )
        ],
        [],
    ),
}
# What cftime does not know, and xarray does.
XARRAY_ALONE = {"no-month", "nanoseconds"}


def made(folder, files):
    """Write some files and return their paths."""
    paths = [folder / f"{n}.nc" for n in range(len(files))]
    for path, (args, options) in zip(paths, files, strict=True):
        clocked(path, *args, **options)
    return paths


def microseconds(dates):
    """Return dates of xarray or cftime as their fields, which all calendars have, and the microseconds of the day."""
    if dates.dtype.kind == "M":
        dates = dates.astype("datetime64[us]").astype(object)
    return [
        (d.year, d.month, d.day, ((d.hour * 60 + d.minute) * 60 + d.second) * 10**6 + d.microsecond)
        for d in dates.reshape(-1)
    ]


def assert_same_dates(found, expected):
    """Assert that dates are the same to the microsecond; at midnight none of these is rounded."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[:3] == theirs[:3]
        assert abs(ours[3] - theirs[3]) <= 1


def dates_by_netcdf(path, name):
    """Return the dates of a variable as the C library and cftime read them."""
    with netCDF4.Dataset(path) as nc:
        time, variable = nc["time"], nc[name]
        units, calendar = (getattr(variable, key, getattr(time, key)) for key in ("units", "calendar"))
        return np.asarray(cftime.num2date(variable[:], units, calendar))


def dates_by_xarray(dataset, name):
    with dataset:
        return microseconds(dataset[name].values)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("case", SOUND)
@pytest.mark.filterwarnings("ignore::xarray.SerializationWarning")
def test_dates_of_the_store_are_those_of_the_files(tmp_path, case, zarr_format):
    """The store is verified, plain xarray reads the files' dates from it, and each file comes back as it was."""
    files, kinds = SOUND[case]
    paths = made(tmp_path, files)
    facts = take(paths, tmp_path)
    assert [(finding["kind"], finding["policy"]) for finding in facts["findings"]] == [(k, "accept") for k in kinds]
    store = tmp_path / "s.zarr"
    write(facts, store, zarr_format)
    leave_receipts(tmp_path, facts, store, zarr_format)
    assert run_verify(tmp_path) == 0
    names = ["time", "time_bnds"] if "edges" in files[0][1] else ["time"]
    for name in names:
        found = dates_by_xarray(xr.open_zarr(store), name)
        assert_same_dates(found, [d for path in paths for d in dates_by_xarray(xr.open_dataset(path), name)])
        if case not in XARRAY_ALONE:
            assert_same_dates(found, [d for path in paths for d in microseconds(dates_by_netcdf(path, name))])
    provenance = provenances.read(store)
    for number, path in enumerate(paths):
        assert_same(
            source_files.restore(source_files.open_arrays(store, provenance), provenance, number, tmp_path / "back"),
            path,
        )


# id: (files, kind, what is said, the policy that the remedy names)
REFUSED = {
    "noon-then-midnight": (
        [file(NOON, DAYS), file(np.arange(4) + 4.0, DAYS)],
        "irregular",
        "between 1850-01-04 12:00 and 1850-01-05 00:00: found 0.5 of a step, expected steps of frequency 'day'",
        "allow",
    ),
    "midnight-then-noon": (
        [file(np.arange(4), DAYS), file(NOON + 4, DAYS)],
        "irregular",
        "between 1850-01-04 00:00 and 1850-01-05 12:00: found 1.5 of a step",
        "allow",
    ),
    "no-month-in-360-day": (
        [
            file([15, 45], "days since 2008-1-1", "360_day", frequency="mon"),
            file([75, 105], "days since 2008", "360_day"),
        ],
        "time_units",
        "the reference date '2008' has no month and no day",
        "leave_out",
    ),
    "months-of-any-length": (
        [file([0, 31], "days since 2008-1-1", frequency="mon"), file([2, 3], "months since 2008-1-1")],
        "time_units",
        "time units 'months since 2008-1-1' are none of common_years, ",
        "leave_out",
    ),
    "packed-and-between-two-numbers": (
        [
            file([0, 2], f"days since 1850-01-{1 + 11 * n}", dtype="i4", scale_factor=2.5, frequency="")
            for n in range(2)
        ],
        "time_units",
        "found a rounding error of 8.64e+04 s, expected at most one microsecond",
        "leave_out",
    ),
    "scale-that-is-a-text": (
        [file([0, 1], DAYS), file([2, 3], DAYS, scale_factor="2")],
        "time_units",
        "time:scale_factor is '2' (char), expected a number",
        "leave_out",
    ),
    "unsigned": (
        [file([0, 1], f"days since 1850-01-0{1 + 2 * n}", dtype="i2", _Unsigned="true") for n in range(2)],
        "time_units",
        "has the attribute _Unsigned and other units than in",
        "leave_out",
    ),
    "calendars-before-1582": (
        [
            file([0, 1], "days since 1582-10-02", "standard"),
            file([2, 3], "days since 1582-10-12", "proleptic_gregorian"),
        ],
        "calendar",
        "found a date before 1582-10-15",
        "leave_out",
    ),
    "bounds-before-1582": (
        [
            file([16, 17], "days since 1582-10-01", "standard", edges=np.arange(3) + 16),
            file([18, 19], "days since 1582-10-11", "proleptic_gregorian", edges=np.array([3, 18, 20])),
        ],
        "calendar",
        "calendar of 'time_bnds' is 'proleptic_gregorian', and another in",
        "leave_out",
    ),
    "integers-that-no-float-holds": (
        [
            file([0, 864 * 10**8], "microseconds since 1850-01-01"),
            file([2**53 + 1], "microseconds since 1850-01-01", dtype="i8"),
        ],
        "structure",
        "'time' is int64, and has numbers that float64 of another file cannot hold exactly",
        "leave_out",
    ),
}


@pytest.mark.parametrize(("files", "kind", "said", "choice"), REFUSED.values(), ids=REFUSED)
def test_unfit_times_are_refused_with_a_remedy_that_works(tmp_path, files, kind, said, choice):
    """What cannot be joined is refused with what was found; the policy that the remedy names converts the rest."""
    paths = made(tmp_path, files)
    with pytest.raises(Refused) as refusal:
        take(paths, tmp_path)
    assert refusal.value.kind == kind
    assert said in refusal.value.message
    assert f"policy.{kind} to {choice}." in refusal.value.remedy
    facts = take(paths, tmp_path, **{kind: choice})
    assert facts["findings"][0] == {"kind": kind, "policy": choice, "message": refusal.value.message} | {
        "file": str(paths[choice == "leave_out"])
    }
    assert [row["path"] for row in facts["left_out"]] == ([str(paths[1])] if choice == "leave_out" else [])
    write(facts, tmp_path / "s.zarr")
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0
    with xr.open_zarr(tmp_path / "s.zarr", decode_times=False) as found:
        assert found.sizes["time"] == len(files[0][0][0]) + (0 if choice == "leave_out" else len(files[1][0][0]))


def test_float32_is_not_rounded_by_seconds(tmp_path):
    """A float32 of days cannot hold hours that a file of hours has: refused, since its dates would be others."""
    paths = made(tmp_path, [file([0, 1], DAYS, dtype="f4"), file([49, 73], DAYS.replace("days", "hours"), dtype="f4")])
    with pytest.raises(Refused, match="cannot be converted as float32 to 'days since 1850-01-01'"):
        take(paths, tmp_path)


# id: (dimension, variable that may be meant for a time axis, its units, what is said)
NO_AXIS = {
    "another-dimension": ("t", "time", DAYS, "found 'time' of dimensions ['t'] in units 'days since 1850-01-01'"),
    "dates-as-numbers": ("time", "time", "day as %Y%m%d.%f", "in units 'day as %Y%m%d.%f'"),
    "wrf": (
        "Time",
        "XTIME",
        "minutes since 1850-01-01",
        "found 'XTIME' of dimensions ['Time'] in units 'minutes since",
    ),
    "nothing": ("x", "y", "m", "found none among ['y']"),
}


@pytest.mark.parametrize(("dim", "name", "units", "said"), NO_AXIS.values(), ids=NO_AXIS)
def test_files_without_a_time_axis_are_told_what_was_found(tmp_path, dim, name, units, said):
    """Files that nothing joins are refused with what may have been meant; each by itself is a dataset."""
    paths = [tmp_path / f"{n}.nc" for n in range(2)]
    for path in paths:
        with netCDF4.Dataset(path, "w") as nc:
            nc.createDimension(dim, None)
            add(nc, name, (dim,), np.arange(3.0), {"units": units})
    with pytest.raises(Refused) as refusal:
        take(paths, tmp_path)
    assert refusal.value.kind == "structure"
    assert refusal.value.message.startswith(f"{paths[1]}: no time axis joins it to {paths[0]}: ")
    assert said in refusal.value.message
    assert "make a dataset of each" in refusal.value.remedy
    assert take(paths[:1], tmp_path)["time"] is None


def test_file_within_another_is_left_out_of_a_verified_store(tmp_path):
    """A file of which another has all steps, in other units, is left out by policy, and verify finds that right."""
    rows = [file(NOON, DAYS), file(NOON[1:3] * 24, "hours since 1850-01-01"), file(NOON + 4, DAYS)]
    paths = made(tmp_path, rows)
    with netCDF4.Dataset(paths[1], "a") as nc:
        nc["v"][:] = [1, 2]
    facts = take(paths, tmp_path, overlap="trim")
    assert [row["path"] for row in facts["left_out"]] == [str(paths[1])]
    write(facts, tmp_path / "s.zarr")
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0
