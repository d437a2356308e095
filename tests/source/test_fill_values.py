"""`_FillValue` of another type than its variable: settled by the inventory, kept for restore, right in the store."""

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from builders import make_dataset
from chain import ID, leave_receipts, list_files, run_convert, run_inventory, run_verify, take, write
from same_files import assert_same

from cmip6zarr.core.errors import Refused
from cmip6zarr.job import receipts
from cmip6zarr.restore import source_files
from cmip6zarr.source import fill_values, netcdf_c
from cmip6zarr.source.attributes import typed
from cmip6zarr.store import provenance, zarr_store

BOTH = pytest.mark.parametrize("zarr_format", [3, 2])
LETTERS = np.array([[b"M", b"2"], [b"K", b"1"], [b"", b""]], "S1")
# What a variable holds, the `_FillValue` that HDF5 lets one write, and what it is in the variable's type.
ACCEPTED = {
    "double-of-float": (np.array([1, 1e20, 3], "f4"), np.float64(1e20), np.float32(1e20)),
    "float-of-double": (np.array([1, -999, 3], "f8"), np.float32(-999), np.float64(-999)),
    "integer-of-float": (np.array([1, -999, 3], "f4"), np.int32(-999), np.float32(-999)),
    "double-of-integer": (np.array([1, -999, 3], "i2"), np.float64(-999), np.int16(-999)),
    "wide-integer": (np.array([1, -999, 3], "i2"), np.int64(-999), np.int16(-999)),
    "signed-of-unsigned": (np.array([1, 127, 3], "u1"), np.int8(127), np.uint8(127)),
    "nan-of-double": (np.array([1, np.nan, 3], "f8"), np.float32("nan"), np.float64("nan")),
    "infinity": (np.array([1, np.inf, 3], "f4"), np.float64("inf"), np.float32("inf")),
}
REFUSED = {
    "nan-of-integer": (
        np.array([1, 2, 3], "i2"),
        np.float32("nan"),
        "['float32', 'nan'], expected a value of its type int16",
    ),
    "infinity-of-integer": (np.array([1, 2, 3], "i4"), np.float64("inf"), "expected a value of its type int32"),
    "fraction": (np.array([1, 2, 3], "i4"), np.float64(0.5), "['float64', 0.5], expected a value of its type int32"),
    "minus-one-of-unsigned": (
        np.array([1, 255, 3], "u1"),
        np.int8(-1),
        "['int8', -1], expected a value of its type uint8",
    ),
    "too-large": (np.array([1, 2, 3], "i2"), np.int32(40000), "expected a value of its type int16"),
    "overflow": (np.array([1, 2, 3], "f4"), np.float64(1e300), "expected a value of its type float32"),
    "underflow": (np.array([1, 2, 3], "f4"), np.float64(1e-300), "expected a value of its type float32"),
    "text-of-float": (
        np.array([1, 2, 3], "f4"),
        np.bytes_(b"MM"),
        "['char', 'MM'], expected a value of its type float32",
    ),
    "digits-of-float": (np.array([1, 2, 3], "f4"), np.bytes_(b"9"), "expected a value of its type float32"),
    "two-numbers": (np.array([1, 2, 3], "f4"), np.array([1, 2], "f4"), "['float32', [1.0, 2.0]], expected"),
    "number-of-letters": (LETTERS, np.int32(-1), "['int32', -1], expected a value of its type S1"),
    "two-letters": (LETTERS, np.bytes_(b"ab"), "['char', 'ab'], expected a value of its type S1"),
}


def add(path, values, fill):
    """Add a variable `z` along `lat` with a `_FillValue` that the netCDF library would not write."""
    with netCDF4.Dataset(path, "a") as nc:
        dims = ("lat",)
        if values.ndim > 1:
            nc.createDimension("strlen", values.shape[1])
            dims = ("lat", "strlen")
        variable = nc.createVariable("z", values.dtype, dims)
        variable.set_auto_maskandscale(False)
        variable.set_auto_chartostring(False)
        variable[...] = values
    with h5py.File(path, "a") as file:
        file["z"].attrs.create("_FillValue", fill if np.ndim(fill) or isinstance(fill, bytes) else np.array([fill]))


def made(folder, values, fill):
    """Return the paths of a dataset of two files with such a variable."""
    paths = make_dataset(folder, files=2)
    for path in paths:
        add(path, values, fill)
    return paths


def convert(paths, folder, zarr_format, **policy):
    """Write the sealed store of some files; return the facts of the inventory, and `z` as xarray reads it."""
    facts, store = take(paths, folder, **policy), folder / "s.zarr"
    write(facts, store, zarr_format)
    leave_receipts(folder, facts, store, zarr_format)
    assert run_verify(folder) == 0
    assert receipts.read(folder, "verify", ID)["sealed"]
    raw = {"mask_and_scale": False, "concat_characters": False}
    with zarr_store.quiet(), xr.open_zarr(store, **raw) as opened, netCDF4.Dataset(paths[0]) as nc:
        nc.set_auto_maskandscale(False)
        nc.set_auto_chartostring(False)
        np.testing.assert_array_equal(opened["z"].values, nc["z"][:])
    with zarr_store.quiet(), xr.open_zarr(store) as opened:
        return facts, opened["z"].load()


def assert_restored(paths, folder):
    """Assert that each file comes back from the store as it was, byte for byte in its attributes."""
    store, told = folder / "s.zarr", provenance.read(folder / "s.zarr")
    for number, path in enumerate(paths):
        assert_same(source_files.restore(source_files.open_arrays(store, told), told, number, folder / "back"), path)


@BOTH
@pytest.mark.parametrize(("values", "fill", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_same_number_of_another_type_is_accepted(tmp_path, values, fill, expected, zarr_format):
    """The store has it in the variable's type and xarray masks it, a finding says so, and the files come back."""
    paths = made(tmp_path, values, fill)
    facts, opened = convert(paths, tmp_path, zarr_format)
    (finding,) = facts["findings"]
    assert (finding["kind"], finding["policy"], finding["variable"]) == ("fill_value", "accept", "z")
    assert (
        f"{paths[0]}: z:_FillValue is {typed(fill)}, expected a value of its type {values.dtype}" in finding["message"]
    )
    found = opened.encoding["_FillValue"]
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(opened.values).tolist() == [False, True, False]
    assert_restored(paths, tmp_path)


@pytest.mark.parametrize(("values", "fill", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_value_of_the_type_is_refused_until_it_is_dropped(tmp_path, values, fill, said):
    """The refusal names both types; by policy the store has no fill value, all values, and the files come back."""
    paths = made(tmp_path, values, fill)
    with pytest.raises(Refused) as refusal:
        take(paths, tmp_path)
    assert refusal.value.kind == "fill_value"
    assert refusal.value.message.startswith(f"{paths[0]}: z:_FillValue is ")
    assert said in refusal.value.message
    assert refusal.value.remedy.endswith("set policy.fill_value to drop (a store without it).")
    for zarr_format in (3, 2):
        folder = tmp_path / str(zarr_format)
        folder.mkdir()
        facts, opened = convert(paths, folder, zarr_format, fill_value="drop")
        assert [(f["kind"], f["policy"]) for f in facts["findings"]] == [("fill_value", "drop")]
        assert "_FillValue" not in opened.attrs | opened.encoding
        expected = np.array(["M2", "K1", ""], "S2") if values.ndim > 1 else values
        np.testing.assert_array_equal(opened.values, expected)
        assert opened.dtype.kind == values.dtype.kind
        assert_restored(paths, folder)


def test_files_that_have_it_in_two_types_are_refused(tmp_path):
    """A fill value that only one file has, or another one, is another meaning, whatever can be dropped."""
    paths = make_dataset(tmp_path, files=2)
    add(paths[0], np.array([1, 2, 3], "i2"), np.int16(-1))
    add(paths[1], np.array([1, 2, 3], "i2"), np.float32("nan"))
    with pytest.raises(Refused, match=r"z:_FillValue is .*'nan'.*, expected .*int16.*-1") as refusal:
        take(paths, tmp_path, fill_value="drop", encoding="first")
    assert refusal.value.kind == "encoding"


@BOTH
@pytest.mark.parametrize("fill", ["\0", "x"], ids=["zero", "letter"])
def test_fill_of_characters_is_no_obstacle(tmp_path, fill, zarr_format):
    """A character that is fill, as netCDF's own zero byte, is one of the type: xarray opens the store."""
    paths = make_dataset(tmp_path, files=2)
    for path in paths:
        with netCDF4.Dataset(path, "a") as nc:
            nc.createDimension("strlen", 2)
            letters = nc.createVariable("z", "S1", ("lat", "strlen"))
            netcdf_c.write_attribute(nc._grpid, letters._varid, "_FillValue", "char", fill.encode())
            letters.set_auto_maskandscale(False)
            letters.set_auto_chartostring(False)
            letters[...] = LETTERS
    facts, opened = convert(paths, tmp_path, zarr_format)
    assert facts["findings"] == []
    assert opened.values[:2].tolist() == [b"M2", b"K1"]
    assert_restored(paths, tmp_path)


@BOTH
def test_fill_of_texts_is_no_obstacle(tmp_path, zarr_format):
    """A text that is fill is kept, and xarray opens the store; in Zarr v2 it masks such texts, as in the file."""
    (path,) = make_dataset(tmp_path, files=1)
    with netCDF4.Dataset(path, "a") as nc:
        texts = nc.createVariable("z", str, ("lat",))
        netcdf_c.write_attribute(nc._grpid, texts._varid, "_FillValue", "string", [b"N/A"])
        texts[:] = np.array(["a", "N/A", ""], object)
    _, opened = convert([path], tmp_path, zarr_format)
    with xr.open_dataset(path) as source:
        expected = source["z"].values.tolist() if zarr_format == 2 else ["a", "N/A", ""]
    assert [None if v != v else v for v in opened.values] == [None if v != v else v for v in expected]
    assert_restored([path], tmp_path)


@pytest.mark.filterwarnings("ignore:variable .* has multiple fill values")
@pytest.mark.parametrize(
    "attributes",
    [
        {"valid_min": np.float64(-5)},
        {"valid_range": np.array([-5, 5], "f8")},
        {"missing_value": np.float64(-999)},
        {"missing_value": "none"},
        {"missing_value": np.array([-999, -1], "i4")},
    ],
    ids=str,
)
@BOTH
def test_other_attributes_may_be_of_any_type(tmp_path, attributes, zarr_format):
    """No array depends on them: the store has what the file says, and xarray reads both alike."""
    (path,) = make_dataset(tmp_path, files=1)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createVariable("z", "i2", ("lat",))[:] = [1, -999, 3]
        nc["z"].setncatts(attributes)
    facts, opened = convert([path], tmp_path, zarr_format)
    assert facts["findings"] == []
    with xr.open_dataset(path) as source:
        np.testing.assert_array_equal(opened.values, source["z"].values)
    assert_restored([path], tmp_path)


def test_remedy_works_from_the_command_line(tmp_path):
    """The scripts refuse with the remedy, and with the policy that it names they go on."""
    paths = made(tmp_path / "nc", np.array([1, 2, 3], "i2"), np.float32("nan"))
    list_files({ID: paths}, tmp_path / "catalogue.json")
    assert run_inventory(ID, tmp_path / "catalogue.json", tmp_path) == 3
    assert "policy.fill_value to drop" in receipts.read(tmp_path, "failed", ID)["remedy"]
    assert run_inventory(ID, tmp_path / "catalogue.json", tmp_path, fill_value="drop") == 0
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0


@pytest.mark.parametrize(
    ("attribute", "dtype", "expected"),
    [
        (["uint64", 2**64 - 1], "uint64", np.uint64(2**64 - 1)),
        (["float64", float(2**64)], "uint64", None),
        (["int64", 2**53 + 1], "float64", np.float64(2**53)),  # rounded, as the values are
        (["float64", "-inf"], "float32", np.float32("-inf")),
        (["float64", -0.0], "float32", np.float32(-0.0)),
        (["string", ["a", "b"]], "str", None),
        (["char", "none"], "str", "none"),
        (["float64", 1.0], "str", None),
        (["char", ""], "S1", np.bytes_(b"")),
        (["char", "é"], "S1", np.bytes_(b"\xe9")),
        (["float32", []], "float32", None),
    ],
    ids=str,
)
def test_fill_value_in_the_type_of_its_variable(attribute, dtype, expected):
    """What can be a value of the type is, to the last digit; all else is none."""
    found = fill_values.fill_of(attribute, dtype)
    assert (found, type(found)) == (expected, type(expected))
