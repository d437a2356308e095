"""Verify proves a store against the files as they are now, and seals what is proven."""

import os

import netCDF4
import numpy as np
import pytest
from builders import UNITS, make_dataset
from chain import ID, MEMORY, accept, failed_verify, leave_receipts, proof, run_verify, take, writable, write
from kinds import VARIABLES, source
from spoil import damage, each, last, put

from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store
from cmip6zarr.verify import proof as proofs


def convert(paths, folder, **policy):
    """Write the unsealed store `s.zarr` of some files, leave its receipts, and return the inventory."""
    facts = take(paths, folder, **policy)
    write(facts, folder / "s.zarr", rule={"time": 4})
    leave_receipts(folder, facts, folder / "s.zarr", 3)
    return facts


def secretly(spoil):
    """Return what spoils the last file and gives it back its time, as a bad disk does."""

    def hidden(paths):
        before = paths[-1].stat()
        spoil(paths)
        assert paths[-1].stat().st_size == before.st_size
        os.utime(paths[-1], ns=(before.st_atime_ns, before.st_mtime_ns))

    return hidden


SPOILED_SOURCES = {
    "value": (secretly(last(put("tas", (3, 2, 3), 7.0))), "mismatch", "'tas' at [11, 2, 3] of the store"),
    "tracking id": (
        secretly(last(lambda nc: nc.setncattr("tracking_id", nc.tracking_id.replace("21", "42")))),
        "source",
        "found tracking_id 'hdl:42.14100/",
    ),
    "coordinate": (secretly(last(put("lat", 0, -59.0))), "mismatch", "'lat'"),
    "damaged": (secretly(lambda paths: damage(paths[-1], "tas")), "source", "the netCDF library cannot read it"),
    "cut-off": (lambda paths: os.truncate(paths[-1], 3000), "source", "has changed since the inventory"),
    "gone": (lambda paths: paths[-1].unlink(), "source", "No such file"),
}


@pytest.mark.parametrize(("spoil", "kind", "said"), SPOILED_SOURCES.values(), ids=SPOILED_SOURCES)
def test_difference_in_the_source_is_found(tmp_path, spoil, kind, said):
    """Files that are no longer what was converted are found, even where size and time say that nothing changed."""
    # What deflate or a checksum protects cannot be read when it is damaged; what nothing protects is another value.
    paths = make_dataset(tmp_path, filters={"zlib": True} if said.startswith("the netCDF") else {})
    facts = convert(paths, tmp_path)
    for file in facts["files"]:  # a bad disk leaves these as they were, and nobody can set them
        del file["inode"], file["ctime_ns"]
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    spoil(paths)
    record = failed_verify(tmp_path)
    assert record["class"] == kind
    assert said in record["message"]
    assert str(paths[-1]) in record["message"]
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")


def test_source_that_changes_during_verify_is_found(tmp_path, monkeypatch):
    """A file that changes after it was compared is an error, and the store is not sealed."""
    paths = make_dataset(tmp_path)
    convert(paths, tmp_path)
    prove = proofs.prove
    monkeypatch.setattr(proofs, "prove", lambda *args: (prove(*args), paths[0].touch())[0])
    assert failed_verify(tmp_path)["class"] == "source"
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")


def test_nothing_compared_is_an_error(tmp_path):
    """A dataset without a value proves nothing."""
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as nc:
        nc.title = "empty"
    convert([tmp_path / "x.nc"], tmp_path)
    assert "no value was compared" in failed_verify(tmp_path)["message"]


def test_static_difference_that_the_inventory_did_not_report_is_found(tmp_path):
    """A coordinate of a later file may differ only where the inventory said so."""
    paths = make_dataset(tmp_path)
    last(put("lat", 0, -59.0))(paths)
    facts = convert(paths, tmp_path, coordinates="first")
    assert run_verify(tmp_path) == 0
    (finding,) = receipts.read(tmp_path, "verify", ID)["findings"]
    assert (finding["kind"], finding["policy"], finding["variable"]) == ("coordinates", "first", "lat")
    # Neither what the receipt finds nor the policy that it names lets verify leave out a value.
    leave_receipts(tmp_path, facts | {"policy": facts["policy"] | {"coordinates": "refuse"}}, tmp_path / "s.zarr", 3)
    assert f"{paths[-1]}: 'lat' at [0] of the store: found" in failed_verify(tmp_path)["message"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_kind_of_variable_is_compared(tmp_path, zarr_format):
    """Numbers of all types, characters, texts, scalars and what has no length are compared, one value at a time too."""
    facts = take(source(tmp_path, VARIABLES), tmp_path)
    write(facts, tmp_path / "s.zarr", zarr_format, {"time": 2})
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", zarr_format)
    proofs = [proof(tmp_path / "s.zarr", facts, memory_bytes) for memory_bytes in (1, MEMORY)]
    assert proofs[0] == proofs[1]
    assert run_verify(tmp_path) == 0


@pytest.mark.parametrize(
    ("name", "index", "value", "times"),
    [
        ("characters", (4, 0), b"x", 1),
        ("static-characters", (0, 3), b" ", 2),
        ("texts", 1, "other", 1),
        ("scalar-text", ..., "x", 2),
        ("scalar", ..., 2.0, 2),
        ("time-last", (2, 4), -1, 1),
        ("u8", (0, 0), 2, 1),
    ],
)
def test_other_value_of_any_kind_is_found(tmp_path, name, index, value, times):
    """One value that differs is found in a variable of any kind; a static one in each of the two files."""
    convert(source(tmp_path, [name]), tmp_path)
    writable(tmp_path / "s.zarr")[name][index] = value
    accept(tmp_path / "s.zarr")
    message = failed_verify(tmp_path)["message"]
    assert f"{times} differences from its source: " in message
    assert f"0.nc: {name!r} at [" in message or f"1.nc: {name!r} at [" in message


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_converted_times_are_compared_as_dates(tmp_path, dtype):
    """Times of other units are equal as dates, fill among them as it is; another date is found."""
    units = [UNITS, UNITS.replace("days", "hours"), "minutes since 1840-01-01"]
    paths = make_dataset(tmp_path, units=units, time_dtype=dtype)
    fill = np.dtype(dtype).type(-9999)
    each(lambda nc, _: nc["time_bnds"].setncattr("missing_value", fill))(paths)
    last(put("time_bnds", (1, 0), fill))(paths)
    convert(paths, tmp_path)
    assert run_verify(tmp_path) == 0
    zarr_store.unseal(tmp_path / "s.zarr")
    writable(tmp_path / "s.zarr")["time"][5] = 166
    writable(tmp_path / "s.zarr")["time_bnds"][9, 0] = 5  # where the file has fill
    accept(tmp_path / "s.zarr")
    message = failed_verify(tmp_path)["message"]
    assert "2 differences from its source" in message
    assert "found 1850-06-17 00:00:00 (166" in message


def test_trimmed_steps_are_not_compared(tmp_path):
    """Steps that were left out of a later file are in the store once."""
    paths = make_dataset(tmp_path, files=1) + make_dataset(tmp_path, files=1, start=2)
    facts = convert(paths, tmp_path, overlap="trim")
    assert proof(tmp_path / "s.zarr", facts, 1).mismatches == 0
    assert run_verify(tmp_path) == 0
    assert receipts.read(tmp_path, "verify", ID)["values_compared"] == 6 * 15 + 2 * 21
