"""Files that do not mean the same: refused, and by each policy one right store from which the files come back."""

import netCDF4
import numpy as np
import pytest
import xarray as xr
from builders import make_dataset
from chain import ID, leave_receipts, list_files, run_convert, run_inventory, run_verify, take, write
from same_files import assert_same
from spoil import each, last

from cmip6zarr.core.errors import Refused
from cmip6zarr.job import receipts
from cmip6zarr.restore import source_files
from cmip6zarr.store import provenance, zarr_store

FORMATS = (3, 2)


def differs(variable, attribute, values):
    """Return the change that gives each file its own value of an attribute (None: absent); "" is the file itself."""

    def change(nc, index):
        value = values[index]
        if value is not None:
            (nc[variable] if variable else nc).setncattr(attribute, value)

    return each(change)


def mask(nc, index):
    """Add a variable of flags whose meanings are swapped in the second file, and a level that counts the other way."""
    variable = nc.createVariable("mask", "i1", ("time", "lat"))
    variable.setncatts({"flag_values": np.int8([0, 1]), "flag_meanings": ("land sea", "sea land")[index]})
    variable[:] = 1
    nc.createVariable("lev", "f8", ("lat",)).positive = ("up", "down")[index]
    nc["lev"][:] = 1


def other_grid(nc, index):
    """Add two-dimensional coordinates with an undeclared 1e30, shifted by 7.5 degrees in the second file."""
    for name, units in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
        values = np.arange(12).reshape(3, 4) * 5.0 + 7.5 * index
        values[0, 0] = 1e30
        nc.createVariable(name, "f8", ("lat", "lon")).units = units
        nc[name][:] = values


def other_width(nc, index):
    """Add coordinates of double precision in the first file and of single precision in the second."""
    for name in ("lat2", "lon2"):
        nc.createVariable(name, ("f8", "f4")[index], ("lon",))[:] = np.arange(4) * 1.4


MEAN, MAXIMUM = "tavg-h2m-hxy-u", "tmax-h2m-hxy-u"
# (kind of refusal, what is done to two files, policy that joins them, what the message says)
CASES = {
    "branding": (
        "identity",
        differs("", "branding_suffix", (MEAN, MAXIMUM)),
        "allow",
        f"is '{MAXIMUM}', expected '{MEAN}'",
    ),
    "frequency": ("identity", differs("", "frequency", ("mon", "monPt")), "allow", "is 'monPt', expected 'mon'"),
    "flags": ("encoding", each(mask), "first", "mask:flag_meanings is ['char', 'sea land']"),
    "absent": ("encoding", differs("lat", "axis", ("Y", None)), "first", "lat:axis is None, expected ['char', 'Y']"),
    "added": ("encoding", differs("tas", "grid_mapping", (None, "crs")), "first", "expected None"),
    "cell-methods": (
        "encoding",
        differs("tas", "cell_methods", ("time: mean", "time: maximum")),
        "first",
        "time: maximum",
    ),
    "units": ("encoding", differs("tas", "units", ("K", "degC")), "first", "tas:units is ['char', 'degC']"),
    "grid": ("coordinates", each(other_grid), "first", "by up to 7.5: found 12.5 for 5.0 at [0, 1]"),
    "width": ("coordinates", each(other_width), "first", "'lat2' is float32, expected float64"),
}
ACCEPTED = {
    "degrees": differs("lat", "units", ("degrees_north", "degree_north")),
    "blank": differs("tas", "units", ("K", "K ")),
    "type-of-flags": differs("tas", "flag_values", (np.int8([0, 1]), np.int16([0, 1]))),
}


def joined(paths, folder, zarr_format, **policy):
    """Write the sealed store of some files and see that each comes back; return the facts and what xarray reads."""
    facts, store = take(paths, folder, **policy), folder / f"{zarr_format}.zarr"
    write(facts, store, zarr_format)
    leave_receipts(folder, facts, store, zarr_format)
    assert run_verify(folder) == 0
    assert receipts.read(folder, "verify", ID)["sealed"]
    told = provenance.read(store)
    for number, path in enumerate(paths):
        target = folder / f"back{zarr_format}"
        assert_same(source_files.restore(source_files.open_arrays(store, told), told, number, target), path)
    with zarr_store.quiet(), xr.open_zarr(store, decode_times=False) as opened:
        return facts, opened.load()


def assert_first(opened, path):
    """Assert that what is static, and each variable's attributes, are those of the first file."""
    with xr.open_dataset(path, decode_times=False) as first:
        for name, variable in first.variables.items():
            np.testing.assert_equal(dict(opened[name].attrs), variable.attrs)
            if "time" not in variable.dims:
                assert opened[name].dtype == variable.dtype
                np.testing.assert_array_equal(opened[name].values, variable.values)


@pytest.mark.parametrize(("kind", "spoil", "choice", "said"), CASES.values(), ids=CASES)
def test_other_meaning_is_refused_until_the_policy_settles_it(tmp_path, kind, spoil, choice, said):
    """The refusal has both values; each choice of its remedy works: one store, or one file left out."""
    paths = make_dataset(tmp_path, files=2)
    spoil(paths)
    with pytest.raises(Refused) as refusal:
        take(paths, tmp_path)
    assert refusal.value.kind == kind
    assert refusal.value.message.startswith(f"{paths[1]}: ")
    assert str(paths[0]) in refusal.value.message
    assert said in refusal.value.message
    assert f"policy.{kind} to {choice}" in refusal.value.remedy
    assert refusal.value.remedy.endswith("or leave_out.")
    for zarr_format in FORMATS:
        facts, opened = joined(paths, tmp_path, zarr_format, **{kind: choice})
        assert {(f["kind"], f["policy"], f["file"]) for f in facts["findings"]} == {(kind, choice, str(paths[1]))}
        assert opened.sizes["time"] == 8
        assert_first(opened, paths[0])
    facts = take(paths, tmp_path, **{kind: "leave_out"})
    assert [file["path"] for file in facts["left_out"]] == [str(paths[1])]


@pytest.mark.parametrize("spoil", ACCEPTED.values(), ids=ACCEPTED)
def test_other_spelling_of_a_meaning_is_accepted(tmp_path, spoil):
    """It is a finding, the store has the first file's spelling, and each file gets its own again."""
    paths = make_dataset(tmp_path, files=2)
    spoil(paths)
    for zarr_format in FORMATS:
        facts, opened = joined(paths, tmp_path, zarr_format)
        assert [(f["kind"], f["policy"]) for f in facts["findings"]] == [("encoding", "accept")]
        assert_first(opened, paths[0])


def test_mean_and_maximum_of_a_day_are_two_datasets(tmp_path):
    """A CMIP7 table without the column that tells them apart has both in one row: refused with both names."""
    names = [{"branding_suffix": suffix, "variable_id": "tas"} for suffix in (MEAN, MAXIMUM)]
    paths = make_dataset(tmp_path / "a", files=1, frequency="day", attributes=names[0])
    paths += make_dataset(tmp_path / "b", files=1, frequency="day", start=4, attributes=names[1])
    list_files({ID: paths}, tmp_path / "catalogue.json")
    assert run_inventory(ID, tmp_path / "catalogue.json", tmp_path) == 3
    record = receipts.read(tmp_path, "failed", ID)
    assert f"branding_suffix is '{MAXIMUM}', expected '{MEAN}' as in {paths[0]}" in record["message"]
    assert "[identity]" not in record["message"]
    assert run_inventory(ID, tmp_path / "catalogue.json", tmp_path, identity="leave_out") == 0
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_inventory(ID, tmp_path / "catalogue.json", tmp_path, identity="allow") == 0


def test_edition_of_a_cmip5_table_is_no_name(tmp_path):
    """CMIP5's table_id tells when the table was edited; only another table is another dataset."""
    paths = make_dataset(tmp_path, files=2)
    editions = ("Table Amon (12 November 2010) 6e53", "Table Amon (26 July 2011) 976b")
    differs("", "table_id", editions)(paths)
    assert take(paths, tmp_path)["findings"] == []
    last(lambda nc: nc.setncattr("table_id", "Table day (26 July 2011) 976b"))(paths)
    with pytest.raises(Refused, match="table_id is 'Table day"):
        take(paths, tmp_path)


def test_no_policy_joins_numbers_that_are_packed_in_two_ways(tmp_path):
    """Where numbers would be decoded wrongly, `first` is no way, and the remedy does not name it."""
    paths = make_dataset(tmp_path, files=2)
    differs("tas", "scale_factor", (0.5, 0.25))(paths)
    with pytest.raises(Refused, match="tas:scale_factor") as refusal:
        take(paths, tmp_path, encoding="first")
    assert refusal.value.remedy.endswith("set policy.encoding to leave_out.")
    assert len(take(paths, tmp_path, encoding="leave_out")["files"]) == 1


def test_classic_files_are_judged_alike(tmp_path):
    """Meaning and names are those of the header, whatever the format of the file."""
    paths = make_dataset(tmp_path, files=2, format="NETCDF3_CLASSIC", filters={})
    differs("lat", "units", ("degrees_north", "degrees_east"))(paths)
    with netCDF4.Dataset(paths[1]) as nc:
        assert nc["lat"].units == "degrees_east"
    with pytest.raises(Refused, match=r"lat:units is .*degrees_east"):
        take(paths, tmp_path)
