"""The source as one array per variable."""

import os
import shutil

import netCDF4
import numpy as np
import pytest
from builders import UNITS, make_dataset
from chain import take
from spoil import add_reference_time, damage, each, last, put

from cmip6zarr.convert import encoding, hdf5_layout, writer
from cmip6zarr.convert.reader import OPEN_FILES, Reader, check_unchanged
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.as_json import from_json
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.store import ledger

HOURS = UNITS.replace("days", "hours")


def raw(path, name):
    """Return what a file stores of a variable."""
    with netCDF4.Dataset(path) as nc:
        nc.set_auto_maskandscale(False)
        return np.asarray(nc[name][...])


def read(facts, name, region, ways=None):
    """Return a region of a variable, read by all its jobs; `ways` collects how it was read."""
    inventory = from_json(Inventory, facts)
    (array,) = (a for a in writer.arrays_of(inventory, "balanced") if a.name == name)
    values = np.empty([axis.stop - axis.start for axis in region], encoding.dtype_of(inventory.variables[name].dtype))
    with Reader(inventory) as reader:
        for _, fill in reader.jobs(array, region, values):
            fill()
    if ways is not None:
        ways |= reader.used[name]
    return values


def steps(start, stop):
    return slice(start, stop), slice(0, 3), slice(0, 4)


def test_region_is_read_from_its_file(tmp_path):
    """A region in indices of the whole dataset has the bits that lie in its file."""
    paths = make_dataset(tmp_path)
    facts = take(paths, tmp_path)
    for index, path in enumerate(paths):
        values = read(facts, "tas", steps(4 * index + 1, 4 * index + 3))
        assert values.tobytes() == raw(path, "tas")[1:3].tobytes()


def test_region_of_many_files_is_joined(tmp_path):
    """A region that crosses files has the end of one, all of the next, and the beginning of the last."""
    paths = make_dataset(tmp_path)
    values = read(take(paths, tmp_path), "tas", steps(3, 9))
    joined = np.concatenate([raw(path, "tas") for path in paths])
    assert values.tobytes() == joined[3:9].tobytes()


def test_trimmed_steps_are_skipped(tmp_path):
    """Where a file's first steps are left out its range begins after them."""
    paths = make_dataset(tmp_path, files=1) + make_dataset(tmp_path, files=1, start=1)
    values = read(take(paths, tmp_path, overlap="trim"), "tas", steps(4, 5))
    assert values.tobytes() == raw(paths[1], "tas")[3:].tobytes()


def test_static_variable_is_the_first_files(tmp_path):
    """What does not depend on time is read from the first file, be it an array or a scalar."""
    paths = make_dataset(tmp_path, files=2)
    each(lambda nc, i: add_reference_time(nc, UNITS, i))(paths)
    facts = take(paths, tmp_path, coordinates="first")
    assert read(facts, "lat", (slice(1, 3),)).tolist() == [0.0, 60.0]
    scalar = read(facts, "reftime", ())
    assert (scalar.shape, scalar[()]) == ((), 0.0)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_times_come_in_the_first_files_units(tmp_path, dtype):
    """Times and bounds of another unit are moved, those that are fill are not, and the dtype stays."""
    paths = make_dataset(tmp_path, files=2, units=[UNITS, HOURS], time_dtype=dtype)
    fill = np.dtype(dtype).type(-999)
    each(lambda nc, _: nc["time_bnds"].setncattr("missing_value", fill))(paths)
    last(put("time_bnds", (1, 0), fill))(paths)
    facts, ways = take(paths, tmp_path), set()
    times = read(facts, "time", (slice(4, 8),), ways)
    assert (times.tolist(), times.dtype) == ([135, 165, 195, 225], np.dtype(dtype))
    assert ways == {"netcdf4"}
    assert read(facts, "time_bnds", (slice(4, 6), slice(0, 2))).tolist() == [[120, 150], [-999, 180]]


def test_big_endian_values_come_little_endian(tmp_path):
    """Byte order is the store's own; the numbers are the same."""
    paths = make_dataset(tmp_path, files=1)
    each(lambda nc, _: nc.createVariable("v", ">f4", ("lat",), endian="big").__setitem__(slice(None), [1, 2, 3]))(paths)
    assert raw(paths[0], "v").dtype == np.dtype(">f4")
    values = read(take(paths, tmp_path), "v", (slice(0, 3),))
    assert (values.dtype, values.tolist()) == (np.dtype("<f4"), [1, 2, 3])


@pytest.mark.parametrize(("form", "way"), [("NETCDF4", "direct"), ("NETCDF3_CLASSIC", "netcdf4")])
def test_receipt_tells_which_way_it_was_read(tmp_path, form, way):
    """Numbers in NetCDF-4 files are read past the library, classic files through it; values are the same."""
    paths, ways = make_dataset(tmp_path, files=1, format=form), set()
    values = read(take(paths, tmp_path), "tas", steps(0, 4), ways)
    assert ways == {way}
    assert values.tobytes() == raw(paths[0], "tas").astype("<f4").tobytes()


def test_few_files_are_open_at_once(tmp_path):
    """Of a dataset of many files the netCDF library holds a few open, and none in the end."""
    paths = make_dataset(tmp_path, files=6, steps=1, format="NETCDF3_CLASSIC")
    facts = take(paths, tmp_path)
    inventory = from_json(Inventory, facts)
    (array,) = (a for a in writer.arrays_of(inventory, "balanced") if a.name == "tas")
    with Reader(inventory) as reader:
        for _, fill in reader.jobs(array, steps(0, 6), np.empty((6, 3, 4), "f4")):
            fill()
        opened = list(reader._opened.values())
        assert list(reader._opened) == [str(path) for path in paths[-OPEN_FILES:]]
    assert not any(nc.isopen() for nc in opened)


def touch(path):
    os.utime(path, ns=(1, 1))


def rewrite(path):
    """Change a bit in place, and give the file back its time."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    """Put another file of the same size and time into the place of one."""
    other = path.with_name("other")
    shutil.copy2(path, other)
    rewrite(other)
    other.replace(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(rewrite, "has changed since the inventory: found ctime_ns ", id="rewritten in secret"),
        pytest.param(replace, "has changed since the inventory: found inode ", id="replaced in secret"),
        pytest.param(lambda path: path.unlink(), "No such file", id="gone"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes() + b"x"), "has changed since the inventory", id="size"
        ),
        pytest.param(touch, "has changed since the inventory", id="time"),
    ],
)
def test_changed_file_is_an_error(tmp_path, spoil, said):
    """A file that is not what the inventory saw is an error that names it."""
    paths = make_dataset(tmp_path)
    facts = take(paths, tmp_path)
    spoil(paths[1])
    with pytest.raises(DatasetError) as error:
        check_unchanged(from_json(Inventory, facts).files[1])
    assert error.value.kind == "source"
    assert error.value.message.startswith(f"{paths[1]}: ")
    assert said in error.value.message


def test_receipt_of_before_and_files_that_moved(tmp_path):
    """A receipt without inode is still one; files that moved as they are keep their ledger and provenance."""
    (path,) = make_dataset(tmp_path, files=1)
    facts = take([path], tmp_path)
    inventory = from_json(Inventory, facts)
    before = ledger.head(inventory, {}), writer.provenance(inventory)
    for name in ("inode", "ctime_ns"):
        del facts["files"][0][name]
    (file,) = from_json(Inventory, facts).files
    check_unchanged(file)
    shutil.copy2(path, tmp_path / "x")
    (tmp_path / "x").replace(path)
    check_unchanged(file)
    again = from_json(Inventory, take([path], tmp_path))
    assert before == (ledger.head(again, {}), writer.provenance(again))


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_file_that_is_gone_while_it_is_read_is_an_error(tmp_path, form):
    """A file that vanishes after the inventory is an error with file and variable, whichever way it is read."""
    paths = make_dataset(tmp_path, format=form)
    facts = take(paths, tmp_path)
    paths[1].unlink()
    hdf5_layout.layouts.cache_clear()
    with pytest.raises(DatasetError, match="source: 'tas' cannot be read") as error:
        read(facts, "tas", steps(4, 8))
    assert error.value.kind == "source"


def test_damaged_values_are_an_error(tmp_path):
    """Values that cannot be decoded are an error with file, variable and region."""
    paths = make_dataset(tmp_path)
    facts = take(paths, tmp_path)
    damage(paths[1], "tas")
    with pytest.raises(DatasetError, match="'tas' cannot be read at") as error:
        read(facts, "tas", steps(4, 8))
    assert (error.value.kind, error.value.message.split(":")[0]) == ("source", str(paths[1]))
