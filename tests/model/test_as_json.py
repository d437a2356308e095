"""A receipt becomes its type and the same JSON again; what is no receipt says where, what was found and expected."""

import json

import pytest
from builders import make_dataset
from chain import ID, take
from inventories import make_conversion, make_file, make_inventory, make_proof, make_time, make_variable

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import from_json, to_json
from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.inventory import Finding, Inventory, SourceFile
from cmip6zarr.model.proof import Proof


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        pytest.param({}, {}, id="plain"),
        pytest.param({"units": ["days since 1850-01-01", "hours since 1850-01-01"], "files": 2}, {}, id="units"),
        pytest.param({"format": "NETCDF3_CLASSIC"}, {"coordinates": "first"}, id="classic"),
    ],
)
def test_receipt_comes_back_with_the_same_text(tmp_path, options, policy):
    """What is read of a receipt is written again key by key in its order."""
    facts = take(make_dataset(tmp_path, **options), tmp_path, **policy)
    told = receipts.read(tmp_path, "inventory", ID)
    assert json.dumps(to_json(receipts.load(Inventory, tmp_path, ID))) == json.dumps(told) == json.dumps(facts)


def test_older_receipt_lacks_what_has_a_default():
    """A receipt of before is read without what it did not say, and says no more than it did when written again."""
    told = to_json(make_inventory())
    del told["left_out"]
    older = from_json(Inventory, told)
    assert (older.left_out, older.files[0].inode, older.files[0].ctime_ns) == (None, None, None)
    assert to_json(older) == told
    assert "left_out" in to_json(make_inventory(left_out=()))


def spoilt(**change):
    return to_json(make_inventory(variables={"tas": make_variable()}, files=(make_file(), make_file(start=1)))) | change


FILE = to_json(make_file())
NO_RECEIPTS = {
    "no-key": ({key: value for key, value in spoilt().items() if key != "files"}, "files: found none, expected"),
    "number": (spoilt(row=5), "row: found 5, expected str"),
    "text": (spoilt(raw_bytes="5"), "raw_bytes: found '5', expected int"),
    "bool": (spoilt(raw_bytes=True), "raw_bytes: found True, expected int"),
    "dict-for-list": (spoilt(files={}), "files: found {}, expected"),
    "nested": (spoilt(files=[FILE | {"path": None}]), r"files\[0\].path: found None, expected str"),
    "dict": (spoilt(variables={"tas": {}}), r"variables\['tas'\].dtype: found none, expected str"),
    "pair": (
        spoilt(files=[FILE | {"moves": {"time": ["1"]}}]),
        r"files\[0\].moves\['time'\]: found 1 values, expected 2",
    ),
    "union": (spoilt(time=5), "time: found 5, expected .*TimeAxis"),
    "no-file": (spoilt(files=[]), "files: found none, expected at least one"),
    "range": (spoilt(files=[FILE | {"stop": 9}]), r"files\[0\]: /data/a.nc: found 1 steps from 0, expected 9"),
    "gap": (spoilt(files=[FILE, FILE]), "/data/a.nc: begins at step 0, expected 1"),
    "late": (spoilt(files=[FILE | {"start": 1, "stop": 2}]), "/data/a.nc: begins at step 1, expected 0"),
    "steps": (spoilt(time=to_json(make_time(steps=5))), "time: found 5 steps, expected 2"),
    "shape": (
        spoilt(variables={"tas": to_json(make_variable()) | {"shape": []}}),
        r"variables\['tas'\]: found the shape",
    ),
}


@pytest.mark.parametrize(("told", "said"), NO_RECEIPTS.values(), ids=NO_RECEIPTS)
def test_what_is_no_receipt_is_told(tmp_path, told, said):
    """The failure names the file, the place in it, what was found and expected, and what to do."""
    path = receipts.path_of(tmp_path, "inventory", ID)
    receipts.write(path, told)
    with pytest.raises(DatasetError, match=said) as caught:
        receipts.load(Inventory, tmp_path, ID)
    assert caught.value.kind == "receipt"
    assert caught.value.message.startswith(f"{path}: not a receipt of inventory: ")
    assert caught.value.remedy == "Delete it; the next run makes it."
    assert receipts.load_if_any(Inventory, tmp_path, ID) is None


@pytest.mark.parametrize(
    "change", [{"mismatches": 1}, {"chunks_missing": 1}, {"values_compared": 0}], ids=lambda change: next(iter(change))
)
def test_proof_of_what_differs_is_none(change):
    """There is no proof of a store that differs from its source, lacks chunks or was not compared at all."""
    assert from_json(Proof, to_json(make_proof())) == make_proof()
    with pytest.raises(ValueError, match="expected"):
        make_proof(**change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"zarr_format": 4}, "zarr_format: found 4, expected 2 or 3"),
        ({"objects": 0}, "objects: found 0, expected at least 1"),
        ({"slabs": {}}, r"slabs: found variables \[\], expected \['tas'\]"),
        ({"codecs": {"pr": "zlib"}}, r"codecs: found variables \['pr'\], expected \['tas'\]"),
    ],
)
def test_conversion_that_contradicts_itself_is_none(change, said):
    """What was written is of a known format, has the objects that were planned, and tells the same of each variable."""
    assert from_json(Conversion, to_json(make_conversion())) == make_conversion()
    with pytest.raises(ValueError, match=said):
        make_conversion(**change)


def test_types_are_closed():
    """Fields are given by name and do not change."""
    with pytest.raises(TypeError):
        Finding("gap", "allow", "two steps")
    with pytest.raises(AttributeError):
        make_file().start = 3
    with pytest.raises(ValueError, match="found 2 steps from 0, expected 3"):
        SourceFile(**FILE | {"steps": 2, "stop": 3})
