"""Verify finds every difference between a store and its files, and seals what has none."""

import json
import os
import shutil

import netCDF4
import numpy as np
import pytest
from builders import UNITS, make_dataset
from chain import ID, run_verify, take, write
from spoil import damage, each, last, put

from cmip6zarr import compare, receipts, stores

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
        write(facts, folder / f"{zarr_format}.zarr", zarr_format, {"time": 4})
    return facts, folder


@pytest.fixture
def store(made, tmp_path, zarr_format):
    """A copy of the store in its format, with receipts that say so."""
    facts, folder = made
    path = tmp_path / "s.zarr"
    shutil.copytree(folder / f"{zarr_format}.zarr", path)
    leave_receipts(tmp_path, facts, path, zarr_format)
    return path


def leave_receipts(results, facts, path, zarr_format):
    receipts.write(receipts.path_of(results, "inventory", ID), facts)
    receipts.write(receipts.path_of(results, "convert", ID), {"store": str(path), "zarr_format": zarr_format})


def failure(results):
    """Run verify, which must fail and leave no receipt, and return the record of its failure."""
    assert run_verify(results) == 1
    assert not receipts.path_of(results, "verify", ID).exists()
    return receipts.read(results, "failed", ID)


def metadata(name, change):
    """Return what changes the metadata of an array, or of the group (""), where they lie and in their one object."""

    def spoil(path, zarr_format):
        root = path / (stores.ROOT_KEYS[zarr_format][-1 if zarr_format == 3 else 1] + stores.UNSEALED)
        if zarr_format == 3:
            own = [path / name / "zarr.json"] if name else []
            documents = {file: json.loads(file.read_text()) for file in (root, *own)}
            node = documents[root]["consolidated_metadata"]["metadata"][name] if name else documents[root]
            for part in (node, *(documents[file] for file in own)):
                change(part["attributes"], part)
        else:
            zattrs = path / name / f".zattrs{'' if name else stores.UNSEALED}"
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
        with stores.quiet():
            stores.open_unsealed(path, read_only=False)[name][index] = value

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
    "flipped-bit": (flip, "mismatch", "s.zarr"),
    "value": (
        values("tas", (1, 1, 1), 5.0),
        "mismatch",
        "1 values differ, the first at +[1, 1, 1]: found np.float32(5.0)",
    ),
    "sign-of-zero": (values("tas", (8, 0, 0), 0.0), "mismatch", "found np.float32(0.0), expected np.float32(-0.0)"),
    "nan-payload": (values("tas", (8, 0, 1), NAN[1]), "mismatch", "found np.float32(nan), expected np.float32(nan)"),
    "coordinate": (values("lat", 0, -59.0), "mismatch", "/lat from [0] of"),
    "swapped-chunks": (swap, "mismatch", "values differ"),
    "missing-chunk": (lambda *s: chunk(*s).unlink(), "chunks", "found 1 of 9 chunks missing ['tas/"),
    "stray-object": (lambda path, _: (path / "tas" / "x").touch(), "chunks", "1 objects too many ['tas/x']"),
    "stray-chunk": (lambda *s: shutil.copy(chunk(*s), chunk(*s, 1).with_name("1")), "chunks", "1 objects too many"),
    "changed-attribute": (
        metadata("tas", lambda a, _: a.update(units="degC")),
        "mismatch",
        "tas: attribute 'units': found 'degC', expected 'K'",
    ),
    "added-attribute": (metadata("tas", lambda a, _: a.update(extra=1)), "mismatch", "tas: attributes: found ['_Fill"),
    "removed-attribute": (
        metadata("tas", lambda a, _: a.pop("cell_methods")),
        "mismatch",
        "expected ['_FillValue', 'cell",
    ),
    "changed-global-attribute": (
        metadata("", lambda a, _: a.update(title="x")),
        "mismatch",
        "global attribute 'title': found 'x', expected 'made up for a test'",
    ),
    "time-units": (
        metadata("time", lambda a, _: a.update(units="days since 1851-01-01")),
        "mismatch",
        "time: attribute 'units': found 'days since 1851-01-01'",
    ),
    "fill-value": (metadata("tas", other_fill), "mismatch", "tas: attribute '_FillValue': found 1.0, expected 1.00"),
    "dimensions": (metadata("tas", other_dimensions), "mismatch", "dimensions: found ['time', 'lon', 'lat']"),
    "dtype": (metadata("tas", other_dtype), "mismatch", "tas: dtype: found '<i4', expected '<f4'"),
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
    assert stores.is_sealed(store)


@BOTH
@pytest.mark.parametrize(("spoil", "kind", "said"), SPOILED_STORES.values(), ids=SPOILED_STORES)
def test_difference_in_the_store_is_found(store, tmp_path, zarr_format, spoil, kind, said):
    """Whatever is wrong in a store verify says so, and the store is not sealed."""
    spoil(store, zarr_format)
    record = failure(tmp_path)
    assert (record["rule"], record["class"]) == ("verify", kind)
    assert said in record["message"]
    assert not stores.is_sealed(store)


@BOTH
def test_failed_verify_takes_a_sealed_store_back(store, tmp_path, zarr_format):
    """A store that was sealed and is no longer as its files are does not stay open."""
    assert run_verify(tmp_path) == 0
    flip(store, zarr_format)
    assert failure(tmp_path)["class"] == "mismatch"
    assert not stores.is_sealed(store)


OWN = {2: "tas/.zattrs", 3: "tas/zarr.json"}
CONSOLIDATED = {2: ".zmetadata.unsealed", 3: "zarr.json.unsealed"}


@BOTH
@pytest.mark.parametrize("copy", [OWN, CONSOLIDATED], ids=["own", "consolidated"])
def test_both_copies_of_the_metadata_are_compared(store, tmp_path, zarr_format, copy):
    """Readers use an array's own metadata or the consolidated ones, so each must agree with the files."""
    file = store / copy[zarr_format]
    assert file.read_text().count('"K"') == 1
    file.write_text(file.read_text().replace('"K"', '"degC"'))
    assert failure(tmp_path)["class"] == "mismatch"


def private(tmp_path, **options):
    """Return paths, inventory and unsealed store of a dataset that a test may spoil, with receipts."""
    paths = make_dataset(tmp_path, **options)
    facts = take(paths, tmp_path)
    write(facts, tmp_path / "s.zarr", rule={"time": 4})
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    return paths, facts, tmp_path / "s.zarr"


def secretly(spoil):
    """Return what spoils the last file and gives it back its time, as a bad disk does."""

    def hidden(paths):
        before = paths[-1].stat()
        spoil(paths)
        assert paths[-1].stat().st_size == before.st_size
        os.utime(paths[-1], ns=(before.st_atime_ns, before.st_mtime_ns))

    return hidden


SPOILED_SOURCES = {
    "value": (secretly(last(put("tas", (3, 2, 3), 7.0))), "mismatch", "1 values differ"),
    "coordinate": (secretly(last(put("lat", 0, -59.0))), "mismatch", "/lat from [0] of"),
    "damaged": (secretly(lambda paths: damage(paths[-1], "tas")), "mismatch", "cannot be compared with its source"),
    "cut-off": (lambda paths: os.truncate(paths[-1], 3000), "source", "has changed since the inventory"),
    "gone": (lambda paths: paths[-1].unlink(), "source", "No such file"),
}


@pytest.mark.parametrize(("spoil", "kind", "said"), SPOILED_SOURCES.values(), ids=SPOILED_SOURCES)
def test_difference_in_the_source_is_found(tmp_path, spoil, kind, said):
    """Files that are no longer what was converted are found, even where size and time say that nothing changed."""
    paths, _, store = private(tmp_path, filters={"zlib": True} if said.startswith("cannot") else {})
    spoil(paths)
    record = failure(tmp_path)
    assert record["class"] == kind
    assert said in record["message"]
    assert str(paths[-1]) in record["message"]
    assert not stores.is_sealed(store)


def test_source_that_changes_during_verify_is_found(tmp_path, monkeypatch):
    """A file that changes after it was compared is an error, and the store is not sealed."""
    paths, _, store = private(tmp_path)
    prove = compare.prove
    monkeypatch.setattr(compare, "prove", lambda *args: (prove(*args), paths[0].touch())[0])
    assert failure(tmp_path)["class"] == "source"
    assert not stores.is_sealed(store)


def test_nothing_compared_is_an_error(tmp_path):
    """A dataset without a value proves nothing."""
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as nc:
        nc.title = "empty"
    facts = take([tmp_path / "x.nc"], tmp_path)
    write(facts, tmp_path / "s.zarr")
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert "no value was compared" in failure(tmp_path)["message"]


def test_static_difference_that_the_inventory_did_not_report_is_found(tmp_path):
    """A coordinate of a later file may differ only where the inventory said so."""
    paths = make_dataset(tmp_path)
    last(put("lat", 0, -59.0))(paths)
    facts = take(paths, tmp_path, coordinates="first")
    write(facts, tmp_path / "s.zarr")
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0
    leave_receipts(tmp_path, facts | {"findings": []}, tmp_path / "s.zarr", 3)
    assert "/lat from [0]" in failure(tmp_path)["message"]


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_moved_times_are_compared_as_dates(tmp_path, dtype):
    """Times of other units are equal as dates, fill among them as it is; another date is found."""
    units = [UNITS, UNITS.replace("days", "hours"), "minutes since 1840-01-01"]
    paths = make_dataset(tmp_path, units=units, time_dtype=dtype)
    fill = np.dtype(dtype).type(-9999)
    each(lambda nc, _: nc["time_bnds"].setncattr("missing_value", fill))(paths)
    last(put("time_bnds", (1, 0), fill))(paths)
    facts = take(paths, tmp_path)
    write(facts, tmp_path / "s.zarr")
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0
    stores.unseal(tmp_path / "s.zarr")
    values("time", 5, 166)(tmp_path / "s.zarr", 3)
    assert "found 1850-06-17 00:00:00 (days since 1850-01-01), expected 1850-06-16" in failure(tmp_path)["message"]


def test_rounded_times_are_the_same_moment(tmp_path):
    """Times that policy let round to the nearest number are verified to that number's precision."""
    paths = make_dataset(tmp_path, files=2, units=[UNITS, UNITS.replace("days", "hours")], time_dtype="f4")
    last(put("time", 0, 2917))(paths)
    facts = take(paths, tmp_path, time_units="nearest")
    write(facts, tmp_path / "s.zarr")
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0


def test_trimmed_steps_are_not_compared(tmp_path):
    """Steps that were left out of a later file are in the store once."""
    paths = make_dataset(tmp_path, files=1) + make_dataset(tmp_path, files=1, start=2)
    facts = take(paths, tmp_path, overlap="trim")
    write(facts, tmp_path / "s.zarr")
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0
    assert receipts.read(tmp_path, "verify", ID)["values_compared"] == 6 * 15 + 2 * 21


@BOTH
def test_memory_changes_nothing_that_is_compared(store, made):
    """In blocks of single chunks the same values are compared as at once."""
    figures = [compare.prove(store, stores.open_unsealed(store), made[0], memory) for memory in (1, 2**30)]
    assert figures[0] == figures[1]


def test_every_mismatch_is_counted_and_the_first_are_named():
    """A tally counts all and spells out a few."""
    tally = compare.Tally()
    for index in range(15):
        tally.same(f"value {index}", index, -1)
    tally.same("equal", float("nan"), float("nan"))
    assert (tally.mismatches, len(tally.messages)) == (15, compare.MOST_NAMED)
    assert tally.messages[0] == "value 0: found 0, expected -1"
