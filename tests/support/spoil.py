"""What goes wrong with the files of a dataset: each function returns what does it to a list of their paths."""

import h5py
import netCDF4
from builders import make_dataset


def each(change):
    """Make a change to every file; `change` gets the open file and its index."""

    def spoil(paths):
        for index, path in enumerate(paths):
            with netCDF4.Dataset(path, "a") as nc:
                nc.set_auto_maskandscale(False)
                change(nc, index)

    return spoil


def last(change):
    """Make a change to the last file; `change` gets it open."""
    return lambda paths: each(lambda nc, _: change(nc))(paths[-1:])


def put(name, index, value):
    """Return the change that puts values into a variable."""
    return lambda nc: nc[name].__setitem__(index, value)


def again(**options):
    """Write the last file once more, with other options of `make_dataset`."""

    def spoil(paths):
        steps = 4 * (len(paths) - 1)
        (path,) = make_dataset(paths[0].parents[10], **{"files": 1, "start": steps} | options)
        path.replace(paths[-1])

    return spoil


def broken(name):
    """Add a checked variable to all files and damage its values in the last, as a bad disk does."""

    def spoil(paths):
        each(lambda nc, _: nc.createVariable(name, "f8", ("lat",), fletcher32=True).__setitem__(slice(None), 1.0))(
            paths
        )
        damage(paths[-1], name)

    return spoil


def renamed_in_header(name):
    """Add a variable to all classic files, then give it a name in their headers that netCDF would not.

    `name` are three bytes, so that nothing else moves.
    """

    def spoil(paths):
        each(lambda nc, _: nc.createVariable("qqq", "f4", ("lat",)).__setitem__(..., 1))(paths)
        for path in paths:
            data = path.read_bytes()
            if data.count(b"qqq\0") != 1:
                raise ValueError(f"{path}: found {data.count(b'qqq')} names, expected one")
            path.write_bytes(data.replace(b"qqq\0", name + b"\0"))

    return spoil


def damage(path, name):
    """Overwrite the first stored bytes of a variable, of which HDF5 keeps a checksum or a compressed form."""
    with h5py.File(path) as file:
        chunk = file[name].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * 8)


def add_reference_time(nc, units, value):
    """Add a static time to an open file."""
    variable = nc.createVariable("reftime", "f8", ())
    variable.units = units
    variable[...] = value
