"""Every difference between a store and its files is found where the store is wrong."""

import json
import re
import shutil

import numpy as np
import pytest
from builders import make_dataset
from chain import ID, accept, failed_verify, leave_receipts, proof, run_verify, take, writable, write
from spoil import last, put

from cmip6zarr.job import receipts
from cmip6zarr.store import backend, zarr_store
from cmip6zarr.verify import tally

BOTH = pytest.mark.parametrize("zarr_format", [2, 3])
NAN = np.array([0x7FC0BEEF, 0x7FC0DEAD], "u4").view("f4")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One dataset with a negative zero and a NaN with payload in it, and its unsealed store in both formats."""
    folder = tmp_path_factory.mktemp("made")
    paths = make_dataset(folder)
    last(put("tas", (0, 0, slice(0, 2)), [-0.0, NAN[0]]))(paths)
    facts = take(paths, folder)
    for zarr_format in (2, 3):
        write(facts, folder / str(zarr_format) / "s.zarr", zarr_format, {"time": 4})
    return facts, folder


@pytest.fixture
def store(made, tmp_path, zarr_format):
    """A copy of the store in its format, with receipts that say so."""
    facts, folder = made
    # A store has its name in its ledger, and its ledger and provenance beside it.
    path = tmp_path / "s.zarr"
    shutil.copytree(folder / str(zarr_format), tmp_path, dirs_exist_ok=True)
    leave_receipts(tmp_path, facts, path, zarr_format)
    return path


def metadata(name, change):
    """Return what changes the metadata of an array, or of the group (""), where they lie and in their one object."""

    def spoil(path, zarr_format):
        root = path / (zarr_store.ROOT_KEYS[zarr_format][-1 if zarr_format == 3 else 1] + zarr_store.UNSEALED)
        if zarr_format == 3:
            own = [path / name / "zarr.json"] if name else []
            documents = {file: json.loads(file.read_text()) for file in (root, *own)}
            node = documents[root]["consolidated_metadata"]["metadata"][name] if name else documents[root]
            for part in (node, *(documents[file] for file in own)):
                change(part["attributes"], part)
        else:
            zattrs = path / name / f".zattrs{'' if name else zarr_store.UNSEALED}"
            files = [root, zattrs, *([path / name / ".zarray"] if name else [])]
            documents = {file: json.loads(file.read_text()) for file in files}
            prefix, all_of_them = f"{name}/" if name else "", documents[root]["metadata"]
            change(documents[zattrs], documents[files[-1]])
            change(all_of_them[f"{prefix}.zattrs"], all_of_them.get(f"{prefix}.zarray"))
        for file, document in documents.items():
            file.write_text(json.dumps(document))

    return spoil


def values(name, index, value):
    """Return what writes values of an array anew, with a valid checksum."""

    def spoil(path, _):
        with zarr_store.quiet():
            writable(path)[name][index] = value

    return spoil


def chunk(path, zarr_format, index=0):
    """Return the object of a chunk of `tas`."""
    return path / {2: f"tas/{index}.0.0", 3: f"tas/c/{index}/0/0"}[zarr_format]


def flip(path, zarr_format):
    data = bytearray(chunk(path, zarr_format).read_bytes())
    data[len(data) // 2] ^= 1
    chunk(path, zarr_format).write_bytes(data)


def swap(path, zarr_format):
    one, other = (chunk(path, zarr_format, index) for index in (0, 1))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def other_fill(attributes, array):
    if "_FillValue" in attributes:
        attributes["_FillValue"] = "AAAAAAAA8D8="
    else:
        array["fill_value"] = 1.0


def other_dimensions(attributes, array):
    names = attributes if "_ARRAY_DIMENSIONS" in attributes else array
    key = "_ARRAY_DIMENSIONS" if names is attributes else "dimension_names"
    names[key] = ["time", "lon", "lat"]


def other_dtype(_, array):
    array.update({"data_type": "int32", "fill_value": 0} if "data_type" in array else {"dtype": "<i4", "fill_value": 0})


# id: (what is done to the store, class of the failure, what is said)
SPOILED_STORES = {
    "value": (
        values("tas", (1, 1, 1), 5.0),
        "mismatch",
        "'tas' at [1, 1, 1] of the store: found np.float32(5.0)",
    ),
    "sign-of-zero": (values("tas", (8, 0, 0), 0.0), "mismatch", "found np.float32(0.0), expected np.float32(-0.0)"),
    "nan-payload": (values("tas", (8, 0, 1), NAN[1]), "mismatch", "found np.float32(nan), expected np.float32(nan)"),
    "coordinate": (values("lat", 0, -59.0), "mismatch", "'lat' at [0] of the store: found"),
    "swapped-chunks": (swap, "mismatch", "values differ"),
    "missing-chunk": (lambda *s: backend.at(s[0]).delete([chunk(*s)]), "chunks", "found 1 of 9 chunks missing ['tas/"),
    "stray-object": (lambda path, _: (path / "tas" / "x").touch(), "chunks", "1 objects too many ['tas/x']"),
    "stray-chunk": (lambda *s: shutil.copy(chunk(*s), chunk(*s, 1).with_name("1")), "chunks", "1 objects too many"),
    "changed-attribute": (
        metadata("tas", lambda a, _: a.update(units="degC")),
        "mismatch",
        "'tas': attribute 'units': found 'degC', expected 'K'",
    ),
    "added-attribute": (
        metadata("tas", lambda a, _: a.update(extra=1)),
        "mismatch",
        "attributes: found ['cell_methods', 'extra'",
    ),
    "removed-attribute": (
        metadata("tas", lambda a, _: a.pop("cell_methods")),
        "mismatch",
        "expected ['cell_methods', 'missing",
    ),
    "changed-global-attribute": (
        metadata("", lambda a, _: a.update(title="x")),
        "mismatch",
        "global attribute 'title': found 'x', expected 'made up for a test'",
    ),
    "time-units": (
        metadata("time", lambda a, _: a.update(units="days since 1851-01-01")),
        "mismatch",
        "'time': attribute 'units': found 'days since 1851-01-01'",
    ),
    "removed-time-units": (
        metadata("time", lambda a, _: a.pop("units")),
        "mismatch",
        "'time': attributes: found ['axis'",
    ),
    "fill-value": (metadata("tas", other_fill), "mismatch", "'tas': attribute '_FillValue': found "),
    "dimensions": (metadata("tas", other_dimensions), "mismatch", "dimensions: found ['time', 'lon', 'lat']"),
    "dtype": (metadata("tas", other_dtype), "mismatch", "'tas': dtype: found 'int32', expected 'float32'"),
    "shape": (
        metadata("tas", lambda _, array: array.update(shape=[11, 3, 4])),
        "mismatch",
        "found [11, 3, 4], expected",
    ),
}


@BOTH
def test_equal_store_is_sealed(store, tmp_path):
    """A store that holds what its files hold is sealed, and the receipt says how much was compared."""
    assert run_verify(tmp_path) == 0
    receipt = receipts.read(tmp_path, "verify", ID)
    # Static variables are compared with those of every file.
    assert receipt["values_compared"] == 12 * (1 + 2 + 3 * 4) + 3 * (3 + 3 * 2 + 4 + 4 * 2)
    expected = {"mismatches": 0, "chunks_expected": 9, "chunks_missing": 0, "sealed": True, "mode": "full"}
    assert expected.items() <= receipt.items()
    assert zarr_store.is_sealed(store)


@BOTH
@pytest.mark.parametrize(("spoil", "kind", "said"), SPOILED_STORES.values(), ids=SPOILED_STORES)
def test_difference_in_the_store_is_found(store, tmp_path, zarr_format, spoil, kind, said):
    """Whatever is wrong in a store verify says so, and the store is not sealed."""
    spoil(store, zarr_format)
    accept(store)
    record = failed_verify(tmp_path)
    expected = kind[zarr_format] if isinstance(kind, dict) else kind
    assert (record["rule"], record["class"]) == ("verify", expected)
    assert said in record["message"]
    assert not zarr_store.is_sealed(store)
    assert not receipts.path_of(tmp_path, "convert", ID).exists()  # so that the next run converts again


@BOTH
def test_flipped_bit_takes_a_sealed_store_back(store, tmp_path, zarr_format):
    """One bit that has flipped in a sealed store is found, by the checksum in v3, and the store does not stay open."""
    assert run_verify(tmp_path) == 0
    flip(store, zarr_format)
    record = failed_verify(tmp_path)
    assert record["class"] == "chunks"
    assert re.search(r"'tas/(0\.0\.0|c/0/0/0)' is changed", record["message"])
    assert not zarr_store.is_sealed(store)


OWN = {2: "tas/.zattrs", 3: "tas/zarr.json"}
CONSOLIDATED = {2: ".zmetadata.unsealed", 3: "zarr.json.unsealed"}


@BOTH
@pytest.mark.parametrize("copy", [OWN, CONSOLIDATED], ids=["own", "consolidated"])
def test_both_copies_of_the_metadata_are_compared(store, tmp_path, zarr_format, copy):
    """Readers use an array's own metadata or the consolidated ones, so each must agree with the files."""
    file = store / copy[zarr_format]
    assert file.read_text().count('"K"') == 1
    file.write_text(file.read_text().replace('"K"', '"degC"'))
    accept(store)
    assert failed_verify(tmp_path)["class"] == "mismatch"


@BOTH
def test_memory_changes_nothing_that_is_compared(store, made):
    """In blocks of single chunks the same values are compared as at once."""
    figures = [proof(store, made[0], memory) for memory in (1, 2**30)]
    assert figures[0] == figures[1]


def test_every_mismatch_is_counted_and_the_first_are_named():
    """A tally counts all and spells out a few."""
    counted = tally.Tally()
    for index in range(15):
        counted.same(f"value {index}", index, -1)
    counted.same("equal", float("nan"), float("nan"))
    assert (counted.mismatches, len(counted.messages)) == (15, tally.MOST_NAMED)
    assert counted.messages[0] == "value 0: found 0, expected -1"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (float("nan"), float("nan"), True),
        (float("nan"), "nan", False),
        (1, 1.0, True),
        ([1, 2], [1], False),
        ([1], 1, False),
        ([1, float("nan")], [1, float("nan")], True),
        ([], [], True),
        ("", [], False),
    ],
)
def test_attributes_are_equal_by_value(a, b, expected):
    """NaN equals NaN, an integer the float of its value, a list one as long; a text is no number."""
    assert tally.equal(a, b) is expected
