"""The source as one array per variable."""

import os

import netCDF4
import numpy as np
import pytest
from builders import UNITS, make_dataset
from chain import take
from spoil import add_reference_time, damage, each, last, put

from cmip6zarr.errors import DatasetError
from cmip6zarr.reader import NetCDFReader

HOURS = UNITS.replace("days", "hours")


def raw(path, name):
    """Return what a file stores of a variable."""
    with netCDF4.Dataset(path) as nc:
        nc.set_auto_maskandscale(False)
        return np.asarray(nc[name][...])


def steps(start, stop):
    return slice(start, stop), slice(0, 3), slice(0, 4)


def test_region_is_read_from_its_file(tmp_path):
    """A region in indices of the whole dataset has the bits that lie in its file."""
    paths = make_dataset(tmp_path)
    with NetCDFReader(take(paths, tmp_path)) as reader:
        assert reader.ranges("tas") == [(0, 4), (4, 8), (8, 12)]
        for index, path in enumerate(paths):
            values = reader.read("tas", index, steps(4 * index + 1, 4 * index + 3))
            assert values.tobytes() == raw(path, "tas")[1:3].tobytes()


def test_trimmed_steps_are_skipped(tmp_path):
    """Where a file's first steps are left out its range begins after them."""
    paths = make_dataset(tmp_path, files=1) + make_dataset(tmp_path, files=1, start=1)
    with NetCDFReader(take(paths, tmp_path, overlap="trim")) as reader:
        assert reader.ranges("tas") == [(0, 4), (4, 5)]
        assert reader.read("tas", 1, steps(4, 5)).tobytes() == raw(paths[1], "tas")[3:].tobytes()


def test_static_variable_is_the_first_files(tmp_path):
    """What does not depend on time is read from the first file, be it an array or a scalar."""
    paths = make_dataset(tmp_path, files=2)
    each(lambda nc, i: add_reference_time(nc, UNITS, i))(paths)
    with NetCDFReader(take(paths, tmp_path, coordinates="first")) as reader:
        assert (reader.ranges("lat"), reader.ranges("reftime")) == ([(0, 3)], [(0, 1)])
        assert reader.read("lat", 0, (slice(1, 3),)).tolist() == [0.0, 60.0]
        scalar = reader.read("reftime", 0, ())
        assert (scalar.shape, scalar[()]) == ((), 0.0)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_times_come_in_the_first_files_units(tmp_path, dtype):
    """Times and bounds of another unit are moved, those that are fill are not, and the dtype stays."""
    paths = make_dataset(tmp_path, files=2, units=[UNITS, HOURS], time_dtype=dtype)
    fill = np.dtype(dtype).type(-999)
    each(lambda nc, _: nc["time_bnds"].setncattr("missing_value", fill))(paths)
    last(put("time_bnds", (1, 0), fill))(paths)
    with NetCDFReader(take(paths, tmp_path)) as reader:
        times = reader.read("time", 1, (slice(4, 8),))
        assert (times.tolist(), times.dtype) == ([135, 165, 195, 225], np.dtype(dtype))
        assert reader.read("time_bnds", 1, (slice(4, 6), slice(0, 2))).tolist() == [[120, 150], [-999, 180]]


def test_big_endian_values_come_little_endian(tmp_path):
    """Byte order is the store's own; the numbers are the same."""
    paths = make_dataset(tmp_path, files=1)
    each(lambda nc, _: nc.createVariable("v", ">f4", ("lat",), endian="big").__setitem__(slice(None), [1, 2, 3]))(paths)
    assert raw(paths[0], "v").dtype == np.dtype(">f4")
    with NetCDFReader(take(paths, tmp_path)) as reader:
        values = reader.read("v", 0, (slice(0, 3),))
    assert (values.dtype, values.tolist()) == (np.dtype("<f4"), [1, 2, 3])


def test_few_files_are_open_at_once(tmp_path):
    """A dataset of many files opens two at a time, and none stays open."""
    paths = make_dataset(tmp_path, files=5, steps=1)
    with NetCDFReader(take(paths, tmp_path)) as reader:
        for index in range(5):
            reader.read("tas", index, steps(index, index + 1))
        opened = list(reader.opened.values())
        assert list(reader.opened) == [str(path) for path in paths[-2:]]
    assert not any(nc.isopen() for nc in opened)
    assert not reader.opened


def touch(path):
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda path: path.unlink(), "No such file", id="gone"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes() + b"x"), "has changed since the inventory", id="size"
        ),
        pytest.param(touch, "has changed since the inventory", id="time"),
    ],
)
def test_changed_file_is_not_read(tmp_path, spoil, said):
    """A file that is not what the inventory saw is an error that names it, before a value of it is used."""
    paths = make_dataset(tmp_path)
    with NetCDFReader(take(paths, tmp_path)) as reader:
        spoil(paths[1])
        with pytest.raises(DatasetError) as error:
            reader.read("tas", 1, steps(4, 8))
    assert error.value.kind == "source"
    assert error.value.message.startswith(f"{paths[1]}: ")
    assert said in error.value.message


def test_damaged_values_are_an_error(tmp_path):
    """Values that HDF5 cannot decode are an error with file, variable and region."""
    paths = make_dataset(tmp_path)
    facts = take(paths, tmp_path)
    broken_path = paths[1]
    status = broken_path.stat()
    damage(broken_path, "tas")
    os.utime(broken_path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with NetCDFReader(facts) as reader, pytest.raises(DatasetError, match="'tas' cannot be read at") as error:
        reader.read("tas", 1, steps(4, 8))
    assert (error.value.kind, error.value.message.split(":")[0]) == ("source", str(broken_path))
