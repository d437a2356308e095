"""How big a dataset became, and why."""

from dataclasses import replace

import netCDF4
import pytest
from builders import make_dataset
from chain import ID, run_convert, run_verify, take
from inventories import make_file, make_inventory, make_variable
from spoil import each

import size_report
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import from_json, to_json
from cmip6zarr.model.inventory import Inventory, Layout
from cmip6zarr.model.size_report import ArraySize, SizeReport
from cmip6zarr.report import sizes
from cmip6zarr.store import zarr_store


@pytest.fixture
def report(tmp_path, request):
    """The inventory and the size report of a dataset with the options that the test gives."""
    paths = make_dataset(tmp_path, **getattr(request, "param", {}))
    facts = take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 5}') == 0
    assert run_verify(tmp_path) == 0
    assert size_report.main([ID, "--results", str(tmp_path)]) == 0
    return facts, receipts.read(tmp_path, "size_report", ID)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_600, "1000 kB"),
        (1_234_567, "1.23 MB"),
        (-1500, "-1.5 kB"),
        (3.5e15, "3500 TB"),
    ],
)
def test_bytes_have_a_unit_and_three_digits(count, text):
    """Bytes are told in powers of 1000, never in exponents."""
    assert sizes.human(count) == text


@pytest.mark.parametrize(
    "report",
    [{}, {"format": "NETCDF3_CLASSIC"}, {"filters": {}}, {"files": 1, "lat": 60, "lon": 50}],
    ids=["deflated", "classic", "not-compressed", "one-file"],
    indirect=True,
)
def test_report_adds_up(report):
    """Arrays and metadata make up the store, and the causes make up the change of size."""
    facts, told = report
    objects = zarr_store.list_objects(told["store"])
    assert (told["zarr_bytes"], told["objects"]) == (sum(objects.values()), len(objects))
    assert told["netcdf_bytes"] == facts["source_bytes"]
    assert told["ratio"] == round(told["zarr_bytes"] / told["netcdf_bytes"], 4)
    assert sum(told["causes"].values()) == told["zarr_bytes"] - told["netcdf_bytes"]
    chunks = sum(size for key, size in objects.items() if zarr_store.is_chunk(key))
    assert sum(array["stored_bytes"] for array in told["arrays"].values()) == chunks
    assert sum(array["objects"] for array in told["arrays"].values()) == sum(map(zarr_store.is_chunk, objects))
    assert {name: array["raw_bytes"] for name, array in told["arrays"].items()} == {
        name: variable["raw_bytes"] for name, variable in facts["variables"].items()
    }


def test_report_describes_the_dataset(report):
    """The report says where, how cut and how proven a dataset is."""
    facts, told = report
    expected = {
        "files": 3,
        "time_range": "1850-01-16 00:00/1850-12-16 00:00",
        "shape": "12 x 3 x 4",
        "chunks": "5 x 3 x 4",
        "codec": "balanced",
        "zarr_format": 3,
        "verified": "full",
    }
    assert expected.items() <= told.items()
    assert facts["files"][0]["path"].startswith(told["nc_path"] + "/tas_Amon")
    # Chunks of five steps for twelve: the last one holds three that are none.
    assert told["arrays"]["tas"]["padding_bytes"] == 3 * 3 * 4 * 4


def test_storage_is_what_hdf5_has(tmp_path):
    """A variable's share of its files is what its chunks take there, in every file."""
    paths = make_dataset(tmp_path, files=2, filters={}, chunks=(4, 3, 4))
    stored = sizes.source_storage(from_json(Inventory, take(paths, tmp_path)))
    assert (stored["tas"], stored["lat"]) == (2 * 4 * 3 * 4 * 4, 2 * 3 * 8)


def test_storage_of_classic_files_is_counted(tmp_path):
    """Classic files store values as they are, static ones in every file."""
    facts = take(make_dataset(tmp_path, format="NETCDF3_CLASSIC"), tmp_path)
    stored = sizes.source_storage(from_json(Inventory, facts))
    assert (stored["tas"], stored["lat"]) == (12 * 3 * 4 * 4, 3 * 3 * 8)


def test_storage_of_a_variable_named_like_a_dimension(tmp_path):
    """A variable that has a dimension's name without being its coordinate has its own storage."""
    (path,) = make_dataset(tmp_path, files=1)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createDimension("type", 3)
        nc.createVariable("type", "f4", ("lat", "type"))[:] = 1
    assert sizes.source_storage(from_json(Inventory, take([path], tmp_path)))["type"] == 3 * 3 * 4


SIZE = ArraySize(objects=1, stored_bytes=0, raw_bytes=100, padding_bytes=0, source_bytes=0)
ARRAYS = {"tas": SIZE}
PADDED = {"tas": replace(SIZE, padding_bytes=3000)}


def described(files=3, filters=("shuffle", "zlib")):
    layouts = (Layout(chunks=None, filters=filters),)
    found = tuple(make_file(start=n) for n in range(files))
    return make_inventory(files=found, source_bytes=10_000, variables={"tas": make_variable(layouts=layouts)})


@pytest.mark.parametrize(
    ("causes", "arrays", "inventory", "expected"),
    [
        pytest.param(
            {"codec": -500, "static": -4000, "metadata": 900},
            ARRAYS,
            described(),
            "static variables (once for 3 files) -4 kB, headers and chunk indexes +900 B, "
            "codec (balanced for shuffle+zlib) -500 B",
            id="largest-first",
        ),
        pytest.param(
            {"codec": 199, "static": -200, "metadata": 0}, ARRAYS, described(), "as large as the source", id="small"
        ),
        pytest.param(
            {"codec": 5000, "static": 0, "metadata": 0},
            PADDED,
            described(filters=()),
            "codec (balanced for no compression, 3 kB of padding) +5 kB",
            id="padding",
        ),
        pytest.param(
            {"codec": 0, "static": -900, "metadata": 0},
            ARRAYS,
            described(files=1),
            "static variables (balanced codec) -900 B",
            id="one-file",
        ),
    ],
)
def test_reason_names_what_matters(causes, arrays, inventory, expected):
    """Causes are told the largest first; what is less than two percent of the source is not."""
    assert sizes.reason(causes, arrays, inventory, "tas", "balanced") == expected


def test_a_store_bigger_than_its_files_is_a_finding():
    """The finding says how big both are, and why; a store as large as its files is none."""
    (finding,) = sizes.findings(1000, 1500, "codec +500 B")
    assert to_json(finding) == {
        "kind": "bigger",
        "message": "The store takes 1.5 kB, its NetCDF files 1 kB: codec +500 B.",
    }
    assert sizes.findings(1000, 1000, "") == ()


def test_report_of_a_bigger_store_has_the_finding(tmp_path, report):
    """A store that takes more than its files did is a finding of the receipt, with the receipt's reason."""
    facts, told = report
    assert told["findings"] == []
    receipts.write(receipts.path_of(tmp_path, "inventory", ID), facts | {"source_bytes": 100})
    assert size_report.main([ID, "--results", str(tmp_path)]) == 0
    again = receipts.read(tmp_path, "size_report", ID)
    assert [finding["kind"] for finding in again["findings"]] == ["bigger"]
    assert again["reason"] in again["findings"][0]["message"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"zarr_bytes": 1}, "causes: found .* in sum, expected"),
        ({"objects": 1}, "arrays: found 9 objects, expected at most 1"),
    ],
    ids=["causes", "objects"],
)
def test_report_that_does_not_add_up_is_none(report, change, said):
    """A receipt comes back with the same text, and not with figures that contradict one another."""
    _, told = report
    known = from_json(SizeReport, told)
    assert to_json(known).items() <= told.items()
    with pytest.raises(ValueError, match=said):
        replace(known, **change)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [(ID, "tas"), (ID.replace("tas", "pr"), "areacello")],
    ids=["named", "not-there"],
)
def test_main_variable_is_the_one_of_the_id(dataset, expected):
    """A dataset is about the variable in its id, or the largest where that has another name."""
    variables = {"tas": make_variable(raw_bytes=1), "areacello": make_variable(raw_bytes=2)}
    assert sizes.main_variable(make_inventory(variables=variables), Dataset(dataset, ())) == expected


def test_object_that_is_no_chunk_of_an_array_is_told(tmp_path, report):
    """A file that came into a sealed store counts as what it is, and is not laid to an array."""
    facts, told = report
    path = tmp_path / "s.zarr"
    (path / ".DS_Store").write_bytes(b"12345")
    assert size_report.main([ID, "--results", str(tmp_path)]) == 0
    again = receipts.read(tmp_path, "size_report", ID)
    assert (again["zarr_bytes"], again["arrays"]) == (told["zarr_bytes"] + 5, told["arrays"])
    assert facts["source_bytes"] == again["netcdf_bytes"]


def test_each_array_says_whether_it_was_copied(tmp_path):
    """With preset native the report says of each variable whether its chunks are the files', or why they are not."""
    paths = make_dataset(tmp_path, lat=60, lon=90)
    each(lambda nc, _: nc.createVariable("mask", "f4", ("lat", "lon"), zlib=True).__setitem__(..., 1.5))(paths)
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--codec", "native") == 0
    assert run_verify(tmp_path, "--mode", "streams") == 0
    assert size_report.main([ID, "--results", str(tmp_path)]) == 0
    told = receipts.read(tmp_path, "size_report", ID)
    arrays = from_json(SizeReport, told).arrays
    assert (told["verified"], arrays["tas"].copied, arrays["mask"].copied) == ("streams", True, True)
    assert (arrays["tas"].not_copied, arrays["lat"].copied) == (None, False)
    assert arrays["lat"].not_copied == "its values are not in chunks"


def test_reason_says_why_a_field_was_not_copied(tmp_path):
    """The words for a store that is bigger or smaller name why its main variable was compressed anew."""
    take(make_dataset(tmp_path, lat=60, lon=90, filters={}, chunks=(3, 60, 90)), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--codec", "native") == 0
    assert run_verify(tmp_path) == 0
    assert size_report.main([ID, "--results", str(tmp_path)]) == 0
    told = receipts.read(tmp_path, "size_report", ID)
    assert "codec (native, compressed anew since its filters are none, for no compression)" in told["reason"]
