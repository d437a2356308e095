"""Prove that a store holds what its source files hold, bit by bit.

Nothing of the reader or of the inventory's header facts is trusted: the netCDF C library reads the source again, zarr
reads the store, and the two are compared raw. Of the inventory only the order of the files is taken, and which of their
first steps are left out.
"""

import base64
import math
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import netCDF4
import numpy as np
import zarr

from . import stores
from .attributes import read_attribute, untyped
from .chunks import Array, regions, shard_shape
from .errors import LIBRARY_ERRORS, DatasetError
from .progress import Progress

# cftime has microseconds; a double of days since year 1 has a resolution of 10 of them.
SAME_MOMENT = timedelta(microseconds=20)
# Compared at once, if no shard is larger: enough that the cost of a call is nothing.
BLOCK_BYTES = 32 * 2**20
FETCH = "Fetch the file again, then run again."
CONVERT_AGAIN = "Run again: the dataset will be converted again."
MOST_NAMED = 10  # mismatches that are spelled out; all are counted

# Names that cftime does not know: CF says that no calendar is the standard one.
CALENDARS = {"": "standard", "none": "standard"}


@dataclass
class Tally:
    """What was compared, and what was found wrong: `messages` names the first few, `mismatches` counts all."""

    values_compared: int = 0
    covered: Counter = field(default_factory=Counter)
    mismatches: int = 0
    messages: list[str] = field(default_factory=list)

    def wrong(self, message: str, count: int = 1) -> None:
        self.mismatches += count
        if len(self.messages) < MOST_NAMED:
            self.messages.append(message)

    def same(self, what: str, found, expected) -> None:
        """Note a mismatch unless both are equal; NaN equals NaN."""
        if not equal(found, expected):
            self.wrong(f"{what}: found {found!r}, expected {expected!r}")


def equal(a, b) -> bool:
    """Tell whether two JSON-like values are equal; NaN equals NaN, 1 equals 1.0.

    >>> equal(float("nan"), float("nan")), equal([1, float("nan")], [1.0, float("nan")]), equal("1", 1)
    (True, True, False)
    """
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return a == b


def bits(values: np.ndarray) -> np.ndarray:
    """Return numbers or characters as unsigned integers of the same size, little-endian; texts as they are."""
    if values.dtype.kind in "OTU":
        return values.astype(object)
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return little.view(f"u{values.dtype.itemsize}").reshape(values.shape)


def opened(path) -> netCDF4.Dataset:
    """Open a netCDF file to read what it stores; raises DatasetError (`source`) if that cannot be."""
    try:
        nc = netCDF4.Dataset(path)
    except LIBRARY_ERRORS as error:
        raise DatasetError("source", f"{path}: the netCDF library cannot open it: {error}.", FETCH) from error
    nc.set_auto_maskandscale(False)
    nc.set_auto_chartostring(False)
    nc.set_always_mask(False)
    return nc


def compare_store(attributes: dict, arrays: dict, inventory: dict, memory_bytes: int) -> Tally:
    """Compare the attributes and arrays, {name: zarr.Array}, of a store with its source files and return the tally.

    `memory_bytes` bounds what is held of the store and of the source at once. Raises DatasetError (`source`, `chunks`)
    where either cannot be read.
    """
    tally = Tally()
    files = inventory["files"]
    time_dim = inventory["time"]["variable"] if inventory["time"] else None
    steps = sum(file["stop"] - file["start"] for file in files)
    with opened(files[0]["path"]) as first:
        compare_header(attributes, arrays, first, time_dim, steps, tally)
    drifting = [f for f in inventory["findings"] if f["kind"] == "coordinates" and "variable" in f]
    drifts = {(f["variable"], f["file"]) for f in drifting}
    ours = times({name: dict(array.attrs) for name, array in arrays.items()})
    total = sum(v["raw_bytes"] * (len(files) if v["static"] else 1) for v in inventory["variables"].values())
    with Progress("verify", total) as progress:
        for index, file in enumerate(files):
            with opened(file["path"]) as nc:
                check_tracking_id(nc, file, inventory)
                theirs = times({name: variable.__dict__ for name, variable in nc.variables.items()})
                for name in sorted(nc.variables.keys() & arrays.keys()):
                    static = time_dim not in nc[name].dimensions
                    if index and static and (name, file["path"]) in drifts:
                        continue
                    time = (ours[name], theirs[name]) if name in ours and name in theirs else None
                    count = compare_variable(
                        arrays[name], nc[name], file, time_dim, time, memory_bytes, tally, progress
                    )
                    tally.values_compared += count
                    tally.covered[name] += 0 if index and static else count
    for name, array in arrays.items():
        tally.same(f"{name}: values compared", tally.covered[name], array.size)
    return tally


def check_tracking_id(nc: netCDF4.Dataset, file: dict, inventory: dict) -> None:
    """Raise DatasetError (`source`) if a file has another tracking_id than when the inventory was taken."""
    expected = inventory["attributes"].get("tracking_id")
    for row in inventory["differing_attributes"]:
        if (row["variable"], row["attribute"]) == ("", "tracking_id"):
            expected = next(v["value"] for v in row["values"] if v["start"] <= file["start"] < v["stop"])
    expected = expected and untyped(expected)
    found = read_attribute(nc, "tracking_id") if "tracking_id" in nc.ncattrs() else None
    if not equal(json_value(found), json_value(expected)):
        message = f"{file['path']}: found tracking_id {found!r}, expected {expected!r} as in the inventory."
        raise DatasetError("source", message, "Run again: the dataset starts anew.")


def compare_header(attributes: dict, arrays: dict, nc: netCDF4.Dataset, time_dim, steps: int, tally: Tally) -> None:
    """Compare names, dimensions, dtypes, shapes, fill values and attributes of a store with those of its first file."""
    tally.same("variables", sorted(arrays), sorted(nc.variables))
    compare_attributes("global attribute", attributes, nc, tally)
    for name in sorted(nc.variables.keys() & arrays.keys()):
        array, variable = arrays[name], nc[name]
        shape = [steps if d == time_dim else n for d, n in zip(variable.dimensions, variable.shape, strict=True)]
        tally.same(f"{name}: shape", list(array.shape), shape)
        found = "text" if array.dtype.kind in "OTU" else array.dtype.newbyteorder("=").str
        expected = "text" if variable.dtype is str else np.dtype(variable.dtype).newbyteorder("=").str
        tally.same(f"{name}: dtype", found, expected)
        attributes = dict(array.attrs)
        if array.metadata.zarr_format == 2:
            dims = attributes.pop("_ARRAY_DIMENSIONS", None)
            if array.fill_value is not None:
                attributes["_FillValue"] = array.fill_value
        else:
            dims = list(array.metadata.dimension_names or [])
            attributes = decode_fill(attributes, array)
        tally.same(f"{name}: dimensions", dims, list(variable.dimensions))
        compare_attributes(f"{name}: attribute", attributes, variable, tally)


def decode_fill(attributes: dict, array: zarr.Array) -> dict:
    """Return attributes of a Zarr v3 array with `_FillValue` as the number that xarray makes of it.

    Characters have theirs in the array's fill value alone; without any, that is empty.
    """
    if array.dtype.kind == "S" and array.fill_value:
        return attributes | {"_FillValue": array.fill_value}
    if array.dtype.kind != "f" or "_FillValue" not in attributes:
        return attributes
    return attributes | {"_FillValue": struct.unpack("<d", base64.standard_b64decode(attributes["_FillValue"]))[0]}


def compare_attributes(what: str, found: dict, source, tally: Tally) -> None:
    """Compare attributes of a store with those of a netCDF variable or file, by value; numbers have lost their type."""
    tally.same(f"{what}s", sorted(found), sorted(source.ncattrs()))
    for name in sorted(found.keys() & set(source.ncattrs())):
        tally.same(f"{what} {name!r}", json_value(found[name]), json_value(read_attribute(source, name)))


def json_value(value):
    """Return an attribute's value in plain Python."""
    if isinstance(value, bytes):
        return value.decode("latin-1").rstrip("\0")
    if isinstance(value, str):
        return value.rstrip("\0")
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def compare_variable(
    array, variable, file: dict, time_dim, time, memory_bytes: int, tally: Tally, progress: Progress
) -> int:
    """Compare all values of one variable in one file with their place in the store and return how many there were.

    Skipped steps are left out. `time` is (units and calendar in the store, the same in the file) of what counts time.
    The store is read by another thread while the netCDF library reads the file.
    """
    dims = variable.dimensions
    axis = dims.index(time_dim) if time_dim in dims else None
    whole = [slice(0, size) for size in variable.shape]
    if axis is not None:
        whole[axis] = slice(file["start"], file["stop"])
    if len(whole) != array.ndim or any(w.stop > size for w, size in zip(whole, array.shape, strict=True)):
        return 0  # the difference in shape has been noted
    itemsize = 32 if variable.dtype is str else np.dtype(variable.dtype).itemsize
    shape = Array(array.name, array.shape, dims, itemsize, axis)
    block = shard_shape(shape, array.shards or array.chunks, min(memory_bytes // 8, BLOCK_BYTES))
    count = 0
    with ThreadPoolExecutor(1) as store_reader:
        for region in regions(tuple(whole), block):
            steps = list(region)
            if axis is not None:
                shift = file["skip"] - file["start"]
                steps[axis] = slice(region[axis].start + shift, region[axis].stop + shift)
            where = f"{array.name} from {[r.start for r in region]} of {file['path']}"
            reading = store_reader.submit(array.__getitem__, region or ...)
            try:
                expected = np.asarray(variable[tuple(steps) or ...])
            except LIBRARY_ERRORS as error:
                message = f"{where}: the netCDF library cannot read it: {error}."
                raise DatasetError("source", message, FETCH) from error
            try:
                found = np.asarray(reading.result())
            except (OSError, RuntimeError, ValueError) as error:
                message = f"{where}: zarr cannot read it from the store: {error}."
                raise DatasetError("chunks", message, CONVERT_AGAIN) from error
            count += expected.size
            progress.add(expected.size * itemsize)
            if time and time[0] != time[1]:
                compare_dates(where, found, expected, missing_numbers(variable), *time, tally)
            else:
                compare_bits(where, found, expected, tally)
    return count


def compare_bits(where: str, found: np.ndarray, expected: np.ndarray, tally: Tally) -> None:
    """Note a mismatch for each value whose bits differ; NaN payloads and the sign of zero count."""
    if found.shape != expected.shape:
        tally.wrong(f"{where}: found shape {found.shape}, expected {expected.shape}", expected.size)
        return
    different = bits(found) != bits(expected)
    count = int(np.count_nonzero(different))
    if count:
        index = tuple(int(i) for i in np.argwhere(different)[0])
        values = f"found {found[index]!r}, expected {expected[index]!r}"
        tally.wrong(f"{where}: {count} values differ, the first at +{list(index)}: {values}", count)


def times(attributes: dict[str, dict]) -> dict[str, tuple[str, str]]:
    """Return {variable: (units, calendar)} of what counts time since a date; bounds have their coordinate's."""
    found = {
        name: (a["units"], CALENDARS.get(calendar := str(a.get("calendar", "")).strip().lower(), calendar))
        for name, a in attributes.items()
        if isinstance(a.get("units"), str) and " since " in a["units"]
    }
    for name in list(found):
        for bounds in (attributes[name].get(key) for key in ("bounds", "climatology")):
            if isinstance(bounds, str) and bounds in attributes:
                found.setdefault(bounds, found[name])
    return found


def missing_numbers(variable: netCDF4.Variable) -> list:
    """Return the numbers that mark missing values of a netCDF variable, whatever attribute or list they are in."""
    found = (variable.getncattr(name) for name in ("_FillValue", "missing_value") if name in variable.ncattrs())
    return [value for values in found if not isinstance(values, str | list) for value in np.ravel(values)]


def compare_dates(where: str, found, expected, missing: list, ours, theirs, tally: Tally) -> None:
    """Note a mismatch for each time that is another date; `ours` and `theirs` are (units, calendar) of both.

    Values in `missing` are no dates and must have the same bits.
    """
    import cftime

    numbers = np.isfinite(found) & np.isfinite(expected) & ~np.isin(expected, missing)
    compare_bits(where, found[~numbers], expected[~numbers], tally)
    if numbers.any():
        dates = [cftime.num2date(v[numbers], *units) for v, units in ((found, ours), (expected, theirs))]
        for date, other in zip(*dates, strict=True):
            if abs(date - other) > SAME_MOMENT:
                tally.wrong(f"{where}: found {date} ({ours[0]}), expected {other} ({theirs[0]})")


def prove_objects(path, arrays: dict) -> dict:
    """Return how many chunks a store's arrays must have, and have; raises DatasetError (`chunks`) for any other."""
    expected = {key for array in arrays.values() for key in stores.expected_chunks(array)}
    listed = {key for key in stores.list_objects(path) if stores.is_chunk(key)}
    missing, stray = sorted(expected - listed), sorted(listed - expected)
    if missing or stray:
        message = (
            f"{path}: found {len(missing)} of {len(expected)} chunks missing {missing[:MOST_NAMED]} "
            f"and {len(stray)} objects too many {stray[:MOST_NAMED]}, expected none."
        )
        raise DatasetError("chunks", message, CONVERT_AGAIN)
    return {"chunks_expected": len(expected), "chunks_missing": 0}


def prove(path, group: zarr.Group, inventory: dict, memory_bytes: int) -> dict:
    """Return the figures of the proof of a store whose group is open, with each array's own metadata.

    Raises DatasetError (`chunks`, `mismatch`) that names the first differences.
    """
    arrays = dict(group.arrays())
    objects = prove_objects(path, arrays)
    tally = compare_store(dict(group.attrs), arrays, inventory, memory_bytes)
    consolidated = dict(stores.open_unsealed(path, consolidated=True).arrays())
    tally.same("consolidated arrays", sorted(consolidated), sorted(arrays))
    for name in arrays.keys() & consolidated.keys():
        ours, theirs = (each[name].metadata.to_dict() for each in (arrays, consolidated))
        tally.same(f"{name}: consolidated metadata", theirs, ours)
    if not tally.values_compared:
        tally.wrong("no value was compared")
    if tally.mismatches:
        message = f"{path}: {tally.mismatches} differences from its source: " + "; ".join(tally.messages) + "."
        raise DatasetError("mismatch", message, f"{CONVERT_AGAIN} If it stays, report it as a bug.")
    return {"values_compared": tally.values_compared, "mismatches": 0} | objects
