"""Read the source of a dataset as one array per variable: the only place where convert touches NetCDF files."""

from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from threading import Lock

import netCDF4
import numpy as np

from .errors import DatasetError
from .headers import open_raw, untyped
from .timeaxis import Move, move

OPEN_FILES = 2  # a slab that spans many files reads them in order


class NetCDFReader:
    """The files of an inventory receipt, opened when they are read; use as a context manager.

    The netCDF library is not thread-safe, so one lock holds every call to it.
    """

    name = "netcdf4"

    def __init__(self, inventory: dict):
        self.files, self.variables = inventory["files"], inventory["variables"]
        self.time_dim = inventory["time"]["variable"] if inventory["time"] else None
        self.opened: OrderedDict[str, netCDF4.Dataset] = OrderedDict()
        self.lock = Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self.opened:
            self.opened.popitem()[1].close()

    def ranges(self, name: str) -> list[tuple[int, int]]:
        """Return each file's [start, stop) along the time axis; a static variable is the first file's."""
        if self.variables[name]["static"]:
            return [(0, self.variables[name]["shape"][0] if self.variables[name]["shape"] else 1)]
        return [(file["start"], file["stop"]) for file in self.files]

    def read(self, name: str, file_index: int, region: tuple[slice, ...]) -> np.ndarray:
        """Return the raw values of a region (in indices of the whole dataset) that lies in one file.

        Times come in the first file's units. Raises DatasetError (`source`) if the file cannot be read.
        """
        file, variable = self.files[file_index], self.variables[name]
        if not variable["static"]:
            axis = variable["dims"].index(self.time_dim)
            shift = file["skip"] - file["start"]
            steps = slice(region[axis].start + shift, region[axis].stop + shift)
            region = (*region[:axis], steps, *region[axis + 1 :])
        try:
            with self.lock:
                values = np.asarray(self.open(file)[name][region or ...])
        except (OSError, RuntimeError, IndexError) as error:
            message = f"{file['path']}: {name!r} cannot be read at {region}: {error}."
            raise DatasetError("source", message, "Fetch the file again.") from error
        if values.dtype.kind in "iuf":
            values = values.astype(values.dtype.newbyteorder("<"), copy=False)
        if name in file["moves"]:
            scale, offset = map(Fraction, file["moves"][name])
            fills = [variable["attributes"].get(key) for key in ("_FillValue", "missing_value")]
            values = move(values, Move(scale, offset), tuple(untyped(fill) for fill in fills if fill))[0]
        return values

    def open(self, file: dict) -> netCDF4.Dataset:
        """Return the open file; closes the one opened first if too many are."""
        path = file["path"]
        if path not in self.opened:
            check_unchanged(file)
            self.opened[path] = open_raw(path)
            if len(self.opened) > OPEN_FILES:
                self.opened.popitem(last=False)[1].close()
        return self.opened[path]


def check_unchanged(file: dict) -> None:
    """Raise DatasetError (`source`) unless a file still has the size and modification time of the inventory."""
    try:
        stat = Path(file["path"]).stat()
    except OSError as error:
        raise DatasetError(
            "source", f"{file['path']}: {error.strerror}.", "Bring the file back and run again."
        ) from error
    found, expected = (stat.st_size, stat.st_mtime_ns), (file["bytes"], file["mtime_ns"])
    if found != expected:
        message = (
            f"{file['path']}: has changed since the inventory: found (bytes, mtime in ns) {found}, expected {expected}."
        )
        remedy = "Delete its inventory receipt and run again: the dataset starts anew."
        raise DatasetError("source", message, remedy)
