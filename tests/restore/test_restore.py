"""A file restored from a store is the file that went into it."""

import json
import os

import h5py
import netCDF4
import numpy as np
import pytest
from builders import UNITS, make_dataset
from chain import run_convert, take, write
from kinds import VARIABLES, source
from real_datasets import DATASETS
from same_files import assert_same
from spoil import each, last, put

import restore
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.as_json import to_json
from cmip6zarr.restore import source_files as back
from cmip6zarr.source import file_form, netcdf_c
from cmip6zarr.store import backend, zarr_store
from cmip6zarr.store import provenance as provenances

BOTH = pytest.mark.parametrize("zarr_format", [2, 3])
FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4_CLASSIC", "NETCDF4")
MOST_RESTORED = 4  # files of a real dataset, if it has many


def convert(paths, folder, zarr_format=3, rule=None, **policy):
    """Write the sealed store `s.zarr` of some files and return it with the JSON of its provenance."""
    write(take(paths, folder, **policy), folder / "s.zarr", zarr_format, rule)
    zarr_store.seal(folder / "s.zarr", zarr_format)
    return folder / "s.zarr", to_json(provenances.read(folder / "s.zarr"))


def restored(store, provenance, number, folder):
    """Restore one of the files of a store by the JSON of a provenance, and return its path."""
    known = parsed(provenance)
    return back.restore(back.open_arrays(store, known), known, number, folder)


def parsed(provenance):
    return provenances.from_text(json.dumps(provenance).encode(), "s.zarr.provenance.json")


def assert_restored(paths, folder, zarr_format=3, rule=None, **policy):
    """Assert that each file comes back as it was, and return the provenance."""
    store, provenance = convert(paths, folder, zarr_format, rule, **policy)
    by_path = {str(path): path for path in paths}
    for number, file in enumerate(provenance["files"]):
        assert_same(restored(store, provenance, number, folder / "back"), by_path[file["path"]])
    assert sorted(path.name for path in (folder / "back").iterdir()) == sorted(path.name for path in paths)
    return provenance


def change(paths, *changes):
    """Make the changes to each file that has one; a change gets the file open."""
    for path, made in zip(paths, changes, strict=True):
        if made:
            last(made)([path])


def attribute(name, kind, data, variable=None):
    """Return the change that writes an attribute of a variable, or of the file, byte for byte."""
    return lambda nc: netcdf_c.write_attribute(
        nc._grpid, nc[variable]._varid if variable else netcdf_c.GLOBAL, name, kind, data
    )


@BOTH
def test_every_kind_of_variable_comes_back(tmp_path, zarr_format):
    """Each kind has its bits, dtype, byte order, fill value and dimensions again, in both formats."""
    assert_restored(source(tmp_path, VARIABLES), tmp_path, zarr_format, {"time": 2})


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_comes_back(tmp_path, format):
    """A file has the format again that it had; one that has no storage settings needs none."""
    filters = {} if format.startswith("NETCDF3") else {"zlib": True}
    assert_restored(make_dataset(tmp_path, format=format, filters=filters), tmp_path)


@pytest.mark.parametrize("dtype", ["i1", "u1", "u2", "u4", "i8", "u8"])
def test_every_number_of_the_newest_classic_format_comes_back(tmp_path, dtype):
    """64-bit data have the types that NetCDF-4 has."""
    assert_restored(make_dataset(tmp_path, format="NETCDF3_64BIT_DATA", dtype=dtype), tmp_path)


@pytest.mark.parametrize("block", [1, 2**25], ids=["little at once", "much at once"])
@pytest.mark.parametrize("options", [["--shard-mib", 0.05], ["--zarr-format", 2]], ids=["sharded", "v2"])
def test_files_that_lie_across_shards_come_back(tmp_path, monkeypatch, options, block):
    """A file whose first and last steps are in shards of others comes back, however little is in memory at once."""
    monkeypatch.setattr(back, "BLOCK_BYTES", block)
    paths = make_dataset(tmp_path, steps=7, lat=30, lon=40, chunks=(3, 11, 40))
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 2, "lat": 20}', *options) == 0
    zarr_store.seal(tmp_path / "s.zarr", 2 if 2 in options else 3)
    provenance = to_json(provenances.read(tmp_path / "s.zarr"))
    for number, path in enumerate(paths):
        assert_same(restored(tmp_path / "s.zarr", provenance, number, tmp_path / "back"), path)


MOVED = ["days since 1850-01-01", "hours since 1700-1-1 06:00", "days since 1849-12-01"]


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
@pytest.mark.parametrize("calendar", ["360_day", "standard", "noleap"])
def test_moved_times_come_back(tmp_path, calendar, dtype):
    """Each file counts from its own date again, and nothing of it had to be kept."""
    # Integers cannot hold half a day: the inventory would refuse to move them to another unit.
    units = [unit.replace("hours", "days").replace("06", "00") for unit in MOVED] if dtype == "i4" else MOVED
    options = {"calendar": calendar, "time_dtype": dtype, "units": units, "frequency": "day"}
    provenance = assert_restored(make_dataset(tmp_path, **options), tmp_path)
    assert [bool(file["moves"]) for file in provenance["files"]] == [False, True, True]
    assert provenance["kept"] == []


def test_moved_times_that_do_not_move_back_are_kept(tmp_path):
    """A zero with a sign, and a time that is moved to where fill lies, come back though arithmetic does not tell."""
    paths = make_dataset(tmp_path, files=2, units=["days since 1850-01-01", "days since 1850-05-01"])
    each(lambda nc, _: setattr(nc["time_bnds"], "missing_value", 150.0))(paths)
    change(paths, None, put("time_bnds", (0, 0), -0.0))
    provenance = assert_restored(paths, tmp_path)
    assert [(row["variable"], row["files"]) for row in provenance["kept"]] == [("time_bnds", [1])]


def test_static_time_of_another_date_comes_back(tmp_path):
    """A reference time without steps, the same moment in all files, counts from each file's own date again."""
    paths = make_dataset(tmp_path, files=2)

    def add(nc, index):
        nc.createVariable("reftime", "f8", ())[...] = 10 - 3 * index
        nc["reftime"].units = f"days since 1850-01-0{1 + 3 * index}"

    each(add)(paths)
    assert assert_restored(paths, tmp_path)["files"][1]["moves"] == {"reftime": ["1", "3"]}


DRIFTS = {
    "noise": ({}, put("lat", 1, 1e-14)),
    "scalar": ({}, put("height", ..., 2 + 1e-14)),
    "sign-of-zero": ({}, put("lat", 1, -0.0)),
    "another-grid": ({"coordinates": "first"}, lambda nc: nc["lat_bnds"].__setitem__(..., 7)),
    "texts": ({"coordinates": "first"}, lambda nc: nc["region"].__setitem__(..., np.array(["å", "", "c"], object))),
    "characters": ({"coordinates": "first"}, put("letters", 1, b"\0")),
    "integers": ({"coordinates": "first"}, put("numbers", 1, -1)),
}


@pytest.mark.parametrize(("policy", "drift"), DRIFTS.values(), ids=DRIFTS)
def test_coordinates_that_differ_come_back(tmp_path, policy, drift):
    """What is static has the values of each file again, where they are not those of the first; alike ones share."""
    paths = make_dataset(tmp_path)

    def add(nc, _):
        for name, dtype, values in (("region", str, list("abc")), ("letters", "S1", list("abc")), ("numbers", "i2", 5)):
            variable = nc.createVariable(name, dtype, ("lat",))
            variable.set_auto_chartostring(False)
            variable[...] = np.array(values, object if dtype is str else dtype)
        nc.createVariable("height", "f8", ())[...] = 2

    each(add)(paths)
    change(paths, None, drift, drift)
    (row,) = assert_restored(paths, tmp_path, **policy)["kept"]
    assert row["files"] == [1, 2]


@pytest.mark.parametrize("units", [UNITS, [UNITS, "days since 1800-01-01"]], ids=["same units", "moved"])
def test_steps_that_were_trimmed_come_back(tmp_path, units):
    """Steps that two files share are in the store once and in both files again."""
    one, other = ([UNITS] * 2, [UNITS] * 2) if units == UNITS else (units[:1] * 2, units[1:] * 2)
    paths = make_dataset(tmp_path, files=2, units=one)
    paths += make_dataset(tmp_path, files=2, start=6, units=other)
    provenance = assert_restored(paths, tmp_path, overlap="trim")
    assert [file["skip"] for file in provenance["files"]] == [0, 0, 2, 0]


TRICKY = {
    "single-text": ("string", [b"K"]),
    "texts": ("string", ["å".encode(), b"", b"c"]),
    "no-texts": ("string", []),
    "texts-not-utf8": ("string", [b"\xff"]),
    "characters": ("char", "Åé".encode()),
    "no-characters": ("char", b""),
    "padded": ("char", b"K".ljust(40, b"\0")),
    "zero-inside": ("char", b"a\0b"),
    "not-utf8": ("char", b"\xff\xfe"),
    "payload": ("float32", np.array([0x7FC0BEEF], "u4").tobytes()),
    "minus-zero": ("float64", np.array([1, -0.0]).tobytes()),
    "no-numbers": ("int32", b""),
    "largest": ("uint64", b"\xff" * 8),
    "byte": ("int8", b"\xff"),
}


@pytest.mark.parametrize("variable", [None, "tas"], ids=["global", "variable"])
@pytest.mark.parametrize("where", [0, 1, slice(None)], ids=["first", "second", "all"])
def test_attributes_of_all_types_come_back(tmp_path, variable, where):
    """Attributes have their types and bytes again, be they in one file, in all, or in one with another value."""
    paths = make_dataset(tmp_path, files=2)
    for path in paths[where] if isinstance(where, slice) else [paths[where]]:
        for name, (kind, data) in TRICKY.items():
            last(attribute(name, kind, data, variable))([path])
    assert_restored(paths, tmp_path)


def test_attributes_that_only_differ_in_what_json_does_not_tell_come_back(tmp_path):
    """A zero with a sign in one file, padding and a type of text: typed attributes are equal, files are not."""
    paths = make_dataset(tmp_path, files=4)
    zero = np.float64(0).tobytes()
    for path, signed, text in zip(paths, (zero, b"\0" * 7 + b"\x80", zero, zero), "abcd", strict=True):
        last(attribute("zero", "float64", signed))([path])
        kind, data = {"a": ("char", b"K"), "b": ("char", b"K\0"), "c": ("string", [b"K"]), "d": ("char", b"K")}[text]
        last(attribute("text", kind, data, "lat"))([path])
    provenance = assert_restored(paths, tmp_path)
    assert {row["attribute"] for row in provenance["differing_attributes"]} == {"tracking_id"}


def test_order_of_attributes_and_variables_comes_back(tmp_path):
    """Variables, attributes and dimensions are in the order of each file; a fill value may be the last attribute."""
    paths = []
    for index, order in enumerate(("ab", "ba")):
        paths.append(tmp_path / f"{index}.nc")
        with netCDF4.Dataset(paths[-1], "w") as nc:
            nc.setncatts({name: name for name in order})
            nc.createDimension("time", None)
            for name in order:
                nc.createDimension(name, 2)
            for name in order:
                nc.createVariable(name, "f4", ("time", "a", "b"))
                nc[name].setncatts({f"of_{other}": 1 for other in order})
                netcdf_c.write_attribute(nc._grpid, nc[name]._varid, "_FillValue", "float32", b"\0" * 4)
            for name in order:
                nc[name][:2] = index
            nc.createVariable("time", "f8", ("time",)).units = UNITS
            nc["time"][:] = [2 * index, 2 * index + 1]
    assert_restored(paths, tmp_path)


SETTINGS = {
    "none": {},
    "deflated": {"zlib": True, "complevel": 9, "shuffle": False, "chunksizes": (2, 3, 1)},
    "checked": {"zlib": True, "shuffle": True, "fletcher32": True},
    "only-checked": {"fletcher32": True},
    "big-endian": {"endian": "big", "zlib": True},
    "zstandard": {"compression": "zstd", "complevel": 3},
    "bzip2": {"compression": "bzip2"},
    "no-fill": {"fill_value": False},
}


def test_storage_settings_of_each_file_come_back(tmp_path):
    """Chunks, filters and byte order are those that each file had, whatever the first file's were."""
    paths = []
    for index, settings in enumerate(SETTINGS.values()):
        paths += make_dataset(tmp_path, files=1, start=4 * index)
        with netCDF4.Dataset(paths[-1], "a") as nc:
            nc.createVariable("more", ">f4" if "endian" in settings else "f4", ("time", "lat", "lon"), **settings)[
                :
            ] = index
    assert_restored(paths, tmp_path)


def test_contiguous_compact_and_shuffled_variables_come_back(tmp_path):
    """Layouts that netCDF4-python does not name, or cannot ask for, come back."""
    (path,) = make_dataset(tmp_path, files=1)
    with h5py.File(path, "a") as file:
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3,))
        h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32BE, space, compact)
        file.create_dataset("shuffled", data=np.arange(30.0), chunks=(7,), shuffle=True)
        file.create_dataset("contiguous", data=np.arange(30.0))
    assert_restored([path], tmp_path)


@pytest.mark.parametrize("unlimited", [(), ("time",), ("time", "lat"), ("lat",)], ids="+".join)
def test_unlimited_dimensions_come_back(tmp_path, unlimited):
    """The dimensions that were unlimited are, and no others."""
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (("lat", 3), ("time", 5), ("bnds", 2)):
            nc.createDimension(name, None if name in unlimited else size)
        nc.createVariable("time", "f8", ("time",)).units = UNITS
        nc["time"][:] = np.arange(5)
        nc.createVariable("tas", "f4", ("time", "lat"))[:] = np.ones((5, 3), "f4")
    assert_restored([path], tmp_path)


def test_a_dimension_that_nothing_uses_comes_back(tmp_path):
    """A dimension that one file has and no variable is there again, and in no other file."""
    paths = make_dataset(tmp_path)
    change(paths, None, lambda nc: nc.createDimension("forgotten", 7), None)
    assert_restored(paths, tmp_path)


def test_file_without_time_comes_back(tmp_path):
    """A file that has no time axis is restored whole."""
    path = tmp_path / "areacella.nc"
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("x", 3)
        nc.createVariable("areacella", "f4", ("x",))[:] = [1, 2, 3]
    assert_restored([path], tmp_path)


def test_files_that_are_written_alike_take_no_room(tmp_path):
    """What is kept of a file beyond the first is what is unlike it: here nothing, and there one attribute's length."""
    paths = make_dataset(tmp_path, files=40, steps=1)
    assert [file["form"] for file in convert(paths, tmp_path)[1]["files"]] == [{}] * 40
    change(paths[1:2], attribute("title", "char", b"made up for a test\0"))
    found = [file["form"] for file in convert(paths, tmp_path)[1]["files"]]
    assert found == [{}, {"exact": {"title": ["char", 19]}}, *[{}] * 38]


SPOILED = {
    "bit": (put("tas", (0, 0, 0), 1.0), "values of tas"),
    "minus-zero": (put("lat", 1, -0.0), "values of lat"),
    "attribute": (lambda nc: setattr(nc, "title", "b"), "attributes"),
    "order": (lambda nc: (nc.delncattr("frequency"), setattr(nc, "frequency", "mon")), "attributes"),
    "type": (attribute("units", "string", [b"K"], "tas"), "tas"),
    "padding": (attribute("units", "char", b"K\0", "tas"), "tas"),
    "dimension": (lambda nc: nc.createDimension("z", 3), "dimensions"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILED.values(), ids=SPOILED)
def test_other_files_are_not_called_the_same(tmp_path, spoil, said):
    """The comparison that all these tests rest upon sees what it must see."""
    (one,), (other,) = (make_dataset(tmp_path / name, files=1) for name in "ab")
    change([other], spoil)
    os.utime(other, ns=(one.stat().st_mtime_ns,) * 2)
    with pytest.raises(AssertionError, match=said):
        assert_same(other, one)


def refusal(store, folder, name=None, provenance=None):
    """Return the error of restoring a file (the second), which must leave nothing behind."""
    provenance = provenance or to_json(provenances.read(store))
    with pytest.raises(DatasetError) as caught:
        number = provenances.number_of(parsed(provenance), name) if name else min(1, len(provenance["files"]) - 1)
        restored(store, provenance, number, folder)
    assert not folder.exists() or not [path for path in folder.iterdir() if "part" in path.name]
    return caught.value


def test_what_is_there_is_not_replaced(tmp_path):
    """A file, or a link to nowhere, at the place of a restored file is an error and stays."""
    paths = make_dataset(tmp_path)
    store, _ = convert(paths, tmp_path)
    error = refusal(store, paths[1].parent)
    assert (error.kind, str(paths[1]) in error.message, "exists" in error.message) == ("restore", True, True)
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / paths[1].name).symlink_to(tmp_path / "nowhere")
    assert "exists" in refusal(store, tmp_path / "back").message
    assert not (tmp_path / "nowhere").exists()


def test_store_that_is_not_sealed_is_not_restored(tmp_path):
    """What is not proven proves nothing; and where there is no store there is nothing to restore."""
    store, provenance = convert(make_dataset(tmp_path), tmp_path)
    zarr_store.unseal(store)
    error = refusal(store, tmp_path / "back", provenance=provenance)
    assert (error.kind, "found no sealed store" in error.message) == ("store", True)
    error = refusal(tmp_path / "none.zarr", tmp_path / "back", provenance=provenance)
    assert (error.kind, "none.zarr.ledger.jsonl: cannot be read" in error.message) == ("ledger", True)


def test_missing_chunk_is_not_restored_as_fill(tmp_path):
    """A chunk that is lost is an error; files that lie elsewhere in the store come back."""
    paths = make_dataset(tmp_path)
    store, provenance = convert(paths, tmp_path, rule={"time": 4})
    (store / "tas" / "c/1/0/0").unlink()
    error = refusal(store, tmp_path / "back")
    assert (error.kind, "'tas/c/1/0/0' is missing" in error.message) == ("chunks", True)
    assert_same(restored(store, provenance, 2, tmp_path / "back"), paths[2])


@BOTH
@pytest.mark.parametrize("spoil", ["bit", "swap"])
def test_rotten_chunk_is_not_restored(tmp_path, zarr_format, spoil):
    """A chunk with a flipped bit, or another chunk in its place, is an error; no file is left."""
    paths = make_dataset(tmp_path)
    store, _ = convert(paths, tmp_path, zarr_format, rule={"time": 4})
    chunk, other = (store / "tas" / {2: f"{n}.0.0", 3: f"c/{n}/0/0"}[zarr_format] for n in (1, 0))
    data = bytearray((chunk if spoil == "bit" else other).read_bytes())
    data[-1] ^= 1 if spoil == "bit" else 0
    chunk.write_bytes(data)
    error = refusal(store, tmp_path / "back")
    assert (error.kind, f"'{chunk.relative_to(store)}' has changed" in error.message) == ("chunks", True)
    assert not list((tmp_path / "back").iterdir())


def test_rotten_chunk_within_a_shard_is_not_restored(tmp_path):
    """What is read in parts has checksums of its own: the error names file and variable."""
    paths = make_dataset(tmp_path, steps=7, lat=30, lon=40)
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 2}', "--shard-mib", 0.05) == 0
    zarr_store.seal(tmp_path / "s.zarr", 3)
    for shard in (tmp_path / "s.zarr" / "tas").glob("c/*/*/*"):
        data = bytearray(shard.read_bytes())
        data[len(data) // 3] ^= 1
        shard.write_bytes(data)
    error = refusal(tmp_path / "s.zarr", tmp_path / "back")
    assert (error.kind, f"{paths[1]}: 'tas' cannot be read" in error.message) == ("chunks", True)


@pytest.mark.parametrize("name", ["none.nc", "../none.nc", "/etc/passwd", "", "a\0b"])
def test_name_that_is_none_of_the_files_is_refused(tmp_path, name):
    """Only the name of a source file can be asked for."""
    provenance = convert(make_dataset(tmp_path), tmp_path)[1]
    with pytest.raises(DatasetError, match="found none of this name, expected one of 3 files") as error:
        provenances.number_of(parsed(provenance), name)
    assert error.value.kind == "restore"


@pytest.mark.parametrize("path", ["/data/..", "..", ".", "/data/x.nc/", "", "a\0b"])
def test_provenance_cannot_name_a_place_outside_the_folder(tmp_path, path):
    """What is no name of a file is refused, whoever wrote it there."""
    store, provenance = convert(make_dataset(tmp_path), tmp_path)
    provenance["files"][1]["path"] = path
    error = refusal(store, tmp_path / "back", provenance=provenance)
    assert (error.kind, "expected a path that ends in the name of a file" in error.message) == ("provenance", True)
    backend.at(store).beside(zarr_store.PROVENANCE).write_text(json.dumps(provenance))
    assert restore.main([str(store), "--all", "--to", str(tmp_path / "back")]) == 1
    assert not (tmp_path / "back").exists()


def test_provenance_cannot_lead_out_of_the_folder(tmp_path):
    """Of a path only the last name counts."""
    store, provenance = convert(make_dataset(tmp_path), tmp_path)
    provenance["files"][1]["path"] = "x/../../../out.nc"
    assert restored(store, provenance, 1, tmp_path / "back") == tmp_path / "back" / "out.nc"


def test_two_files_of_one_name_are_ambiguous(tmp_path):
    """Files of two folders that share a name are not restored under it."""
    paths = make_dataset(tmp_path, files=2)
    (tmp_path / "other").mkdir()
    paths[1] = paths[1].rename(tmp_path / "other" / paths[0].name)
    store, _ = convert(paths, tmp_path)
    error = refusal(store, tmp_path / "back", paths[0].name)
    assert (error.kind, "found files" in error.message, str(paths[1]) in error.message) == ("restore", True, True)


def test_file_that_was_left_out_is_not_there(tmp_path):
    """A file that the policy left out is named as such."""
    paths = make_dataset(tmp_path)
    paths[2].write_bytes(b"")
    store, _ = convert(paths, tmp_path, unreadable="leave_out")
    error = refusal(store, tmp_path / "back", paths[2].name)
    assert "is not in the store, the policy left it out" in error.message


def test_file_within_another_is_not_there(tmp_path):
    """A file that was left out since another has all of its steps is named as such."""
    paths = make_dataset(tmp_path, files=1)
    paths.append(paths[0].with_name("zz.nc"))
    paths[1].write_bytes(paths[0].read_bytes())
    store, _ = convert(paths, tmp_path, overlap="trim")
    assert "is not in the store, the policy left it out" in refusal(store, tmp_path / "back", "zz.nc").message


def test_coordinates_that_are_too_many_to_keep_are_not_restored(tmp_path, monkeypatch):
    """A file whose coordinates differ in more than is kept is refused, and the others come back."""
    paths = make_dataset(tmp_path)
    change(paths, None, DRIFTS["noise"][1], None)
    for limit in ("MOST_RAW_BYTES", "MOST_KEPT_BYTES", "MOST_SHARED_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(file_form, limit, 8)  # bytes, less than one latitude takes in any form
            store, provenance = convert(paths, tmp_path)
            error = refusal(store, tmp_path / "back")
        assert f"{paths[1]}: 'lat' differs from the first file's; its values were found too many" in error.message
    assert_same(restored(store, provenance, 2, tmp_path / "back"), paths[2])


def add_type(nc):
    """Add a user-defined type to an open file."""
    nc.createVLType(np.int32, "ragged")


def test_user_defined_types_are_refused(tmp_path):
    """A file that declares types of its own is converted, but cannot be written as it was."""
    (path,) = make_dataset(tmp_path, files=1)
    change([path], add_type)
    error = refusal(convert([path], tmp_path)[0], tmp_path / "back")
    assert f"{path}: holds what its store does not, ['ragged'], expected nothing of the kind" in error.message
    with netCDF4.Dataset(path, "a") as nc, pytest.raises(RuntimeError, match="its type is user-defined"):
        netcdf_c.write_attribute(nc._grpid, netcdf_c.GLOBAL, "a", netcdf_c.USER_DEFINED, b"")


def test_what_the_library_cannot_write_is_refused(tmp_path):
    """A variable that is contiguous and 0 long can be read but not written; it does not get another layout."""
    (path,) = make_dataset(tmp_path, files=1)
    with h5py.File(path, "a") as file:
        file.create_dataset("nothing", (0,), "f4")
    error = refusal(convert([path], tmp_path)[0], tmp_path / "back")
    assert (error.kind, f"{path}: 'nothing' cannot be written as it was: nc_def_var" in error.message) == (
        "restore",
        True,
    )


WRITTEN_OTHERWISE = {
    "storage": (
        "define",
        lambda define: (
            lambda ncid, name, kind, dims, stored: define(ncid, name, kind, dims, stored | {"no_fill": True})
        ),
        "storage of 'time' cannot be written as it was: found",
    ),
    "dtype": (
        "define",
        lambda define: lambda ncid, name, kind, *rest: define(ncid, name, kind.replace("float64", "float32"), *rest),
        "'time' cannot be written as it was: found ('float32'",
    ),
    "dimension": (
        "define_dimension",
        lambda define: lambda ncid, name, size: define(ncid, name, size or 1024),
        "dims cannot be written as it was: found [['time', 1024]",
    ),
    "bytes": (
        "write_attribute",
        lambda put: lambda *where: put(*where[:-1], where[-1].replace(b"360_day", b"noleap\0")),
        "attributes of 'time' cannot be written as it was: found",
    ),
}


@pytest.mark.parametrize(("function", "other", "said"), WRITTEN_OTHERWISE.values(), ids=WRITTEN_OTHERWISE)
def test_file_that_came_out_otherwise_is_not_kept(tmp_path, monkeypatch, function, other, said):
    """What the library writes without a word in another way than it was asked to is found, and the file removed."""
    (path,) = make_dataset(tmp_path, files=1, filters={})
    store, _ = convert([path], tmp_path)
    monkeypatch.setattr(netcdf_c, function, other(getattr(netcdf_c, function)))
    error = refusal(store, tmp_path / "back")
    assert (error.kind, f"{path}: {said}" in error.message, list((tmp_path / "back").iterdir())) == (
        "restore",
        True,
        [],
    )


def test_fill_value_of_another_type_is_not_written_into_a_classic_file(tmp_path):
    """The library would only fail when it closes the file, and crash; so nothing is written at all."""
    with netCDF4.Dataset(tmp_path / "x.nc", "w", format="NETCDF3_CLASSIC") as nc:
        nc._redef()
        varid = netcdf_c.define(nc._grpid, "z", "int16", [], None)
        with pytest.raises(RuntimeError, match="no fill value of another type"):
            netcdf_c.write_attribute(nc._grpid, varid, "_FillValue", "float32", np.float32([1]).tobytes())
    with netCDF4.Dataset(tmp_path / "x.nc") as nc:
        assert nc["z"].ncattrs() == []


SPOILED_PROVENANCES = {
    "steps": (lambda p: p["files"][1].update(steps=5), "provenance", "found 5 steps from 4, expected 4"),
    "start": (lambda p: p["files"][0].update(skip=1, steps=5), "provenance", "found 5 steps from -1"),
    "stop": (lambda p: p["variables"]["tas"].update(shape=[13, 3, 4]), "store", "'tas': found ([12, 3, 4], 'float32')"),
    "dtype": (lambda p: p["variables"]["tas"].update(dtype="int32"), "store", "expected ([12, 3, 4], 'int32')"),
    "variable": (lambda p: p["variables"].update(pr=p["variables"]["tas"]), "store", "'pr': found None"),
    "dimension": (lambda p: p["form"]["dims"].__setitem__(1, ["lat", 2]), "provenance", "'lat' of shape (2,)"),
    "beyond": (
        lambda p: p["files"][1].update(start=9, stop=13),
        "provenance",
        "up to step 13: found an array of (12,)",
    ),
}


@pytest.mark.parametrize(("spoil", "kind", "said"), SPOILED_PROVENANCES.values(), ids=SPOILED_PROVENANCES)
def test_provenance_of_another_store_is_refused(tmp_path, spoil, kind, said):
    """A provenance that does not fit its store is an error, before anything is written."""
    store, provenance = convert(make_dataset(tmp_path), tmp_path)
    spoil(provenance)
    with pytest.raises(DatasetError) as error:
        restored(store, provenance, 0 if "-1" in said else 1, tmp_path / "back")
    assert (error.value.kind, said in error.value.message) == (kind, True)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"files": []}', None])
def test_provenance_that_is_not_whole_is_an_error(tmp_path, text, capsys):
    """Without provenance, or with that of an earlier release, nothing is restored."""
    (tmp_path / "s.zarr").mkdir()
    (tmp_path / "s.zarr" / "zarr.json").touch()
    if text is not None:
        backend.at(tmp_path / "s.zarr").beside(zarr_store.PROVENANCE).write_text(text)
    assert restore.main([str(tmp_path / "s.zarr"), "--all", "--to", str(tmp_path / "back")]) == 1
    assert "s.zarr.provenance.json) -> " in capsys.readouterr().err


def test_command_restores_one_file_or_all(tmp_path, capsys):
    """One file by its name, then all the others; what is there already is an error that does not stop the rest."""
    paths = make_dataset(tmp_path)
    store, folder = str(convert(paths, tmp_path)[0]), tmp_path / "back"
    assert restore.main([store, "--file", paths[1].name, "--to", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / paths[1].name}\n"
    assert restore.main([store, "--all", "--to", str(folder)]) == 1
    said = capsys.readouterr()
    assert said.out.split() == [str(folder / path.name) for path in (paths[0], paths[2])]
    assert f"exists, expected nothing there ({folder / paths[1].name})" in said.err
    for path in paths:
        assert_same(folder / path.name, path)
    assert restore.main([store, "--file", "none.nc", "--to", str(folder)]) == 1


@pytest.mark.parametrize("args", [[], ["s.zarr"], ["s.zarr", "--all"], ["s", "--all", "--file", "x", "--to", "y"]])
def test_command_that_is_not_complete_is_an_error(args):
    """Wrong usage is exit code 2."""
    with pytest.raises(SystemExit) as error:
        restore.main(args)
    assert error.value.code == 2


@pytest.mark.parametrize("real", DATASETS, ids=lambda real: real.id)
def test_real_files_come_back(real, real_data, tmp_path):
    """Files of every real dataset that converts come back as they were, of one with many files a few."""
    if real.refused and not real.policy:
        pytest.skip(f"is refused: {real.said}")
    number = DATASETS.index(real)
    paths = sorted((real_data / real.folder).glob(real.files))
    store, provenance = convert(paths, tmp_path, 2 + number % 2, **real.policy)
    files = provenance["files"]
    numbers = range(len(files))
    if len(numbers) > 3 * MOST_RESTORED:
        numbers = {*numbers[:: len(numbers) // MOST_RESTORED], numbers[-1]}
    by_path = {str(path): path for path in paths}
    for n in sorted(numbers):
        assert_same(restored(store, provenance, n, tmp_path / "back"), by_path[files[n]["path"]])
