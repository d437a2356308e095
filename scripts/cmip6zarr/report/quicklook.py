"""A look at a store: three maps of its main variable and the course of its mean, from a handful of chunks.

A person sees at a glance whether a store holds climate or noise. It proves nothing; verify does.
"""

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
import zarr

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.source.attributes import missing_values, untyped
from cmip6zarr.verify.default_fill import undeclared_fill

MOST_CHUNKS = 5  # of the variable; of each coordinate one more
# Where a chunk is larger, size_report would need more than its memory.
MOST_CHUNK_BYTES = 128 * 2**20
MOST_POINTS = 96  # of the mean
ROWS, COLUMNS = 60, 120  # of a map
CELLS = 8  # of an irregular grid in a pixel: with fewer there would be holes
TEXTS = ("str", "S1")
ABOUT_ANOTHER = ("bounds", "climatology", "coordinates")
"""Attributes that name variables which are not what a dataset is about."""
DEGREES = {"lat": ("latitude", "degrees_north", "degree_north"), "lon": ("longitude", "degrees_east", "degree_east")}
"""Standard name and units of what says where a cell is."""


@dataclass(frozen=True)
class Look:
    """What was seen of a variable.

    `maps` {step: (rows, columns) float64}, north or up in the first row, NaN where there is no value; `means` for each
    run of steps that was read {step: mean of all cells, weighted by cos(latitude) if `weighted`}. `steps` are all that
    the variable has, 0 without time; `firsts` {dimension: its length} are those of which only the first is shown.
    """

    variable: str
    units: str
    steps: int
    maps: dict[int, np.ndarray]
    means: list[dict[int, float]]
    weighted: bool
    firsts: dict[str, int]
    chunks_read: int


@dataclass(frozen=True)
class Grid:
    """The axes of a variable that a map shows, from north to south and from west to east, and how it is drawn.

    Where cells lie anywhere, `pixels` has for each its place in a map of `shape`; else a map has the cells of `rows`
    and `columns`. `latitudes` (degrees) are those of the first axis, if it has some.
    """

    axes: tuple[int, ...]
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    pixels: np.ndarray | None = None
    shape: tuple[int, int] = (0, 0)
    latitudes: np.ndarray | None = None
    chunks_read: int = 0

    def draw(self, field: np.ndarray) -> np.ndarray | None:
        """Return the map of a field, None if it has none."""
        if self.pixels is not None:
            seen = np.isfinite(field.ravel()) & (self.pixels >= 0)
            where, size = self.pixels[seen], prod(self.shape)
            count = np.bincount(where, minlength=size)
            total = np.bincount(where, field.ravel()[seen], size)
            return np.divide(total, count, out=np.full(size, np.nan), where=count > 0).reshape(self.shape)
        return None if self.rows is None else field[np.ix_(self.rows, self.columns)]

    def mean(self, field: np.ndarray) -> float:
        """Return the mean of a field over its cells, NaN if none has a value."""
        weights = np.ones(field.shape)
        if self.latitudes is not None:
            weights *= np.cos(np.deg2rad(self.latitudes)).reshape(-1, *[1] * (field.ndim - 1))
        weights[~np.isfinite(field)] = 0
        total = weights.sum()
        return float(np.nansum(field * weights) / total) if total > 0 else np.nan


def take(group: zarr.Group, inventory: Inventory, main: str) -> Look | str:
    """Look at an open store of the inventory's dataset, or return in a sentence why there is nothing to see.

    Raises DatasetError (`chunks`) where a chunk is missing or cannot be read.
    """
    name = variable_of(inventory, main)
    if name is None:
        return "It has no field of numbers."
    array, variable, time = group[name], inventory.variables[name], inventory.time
    axis = variable.dims.index(time.variable) if time and not variable.static else None
    grid = grid_of(group, inventory, name, axis)
    per_step = prod(ceil(array.shape[n] / array.chunks[n]) for n in grid.axes)
    steps, length = (array.shape[axis], array.chunks[axis]) if axis is not None else (1, 1)
    reads = runs(steps, length, per_step)
    if not reads or per_step * prod(array.chunks) * array.dtype.itemsize > MOST_CHUNK_BYTES:
        return f"A step of {name!r} lies in {per_step} chunks of {array.chunks}: too much for a look."
    shown = [n for n in range(array.ndim) if n == axis or n in grid.axes]
    every, maps, means = ceil(sum(map(len, reads)) / MOST_POINTS), {}, []
    for read in reads:
        along = [
            slice(read.start, read.stop) if n == axis else slice(None) if n in shown else 0 for n in range(array.ndim)
        ]
        values = read_chunks(array, tuple(along))
        means.append({})
        drawn = {0, steps // 2, steps - 1}.intersection(read)
        for step in sorted(drawn.union(read[::every])):
            field = values if axis is None else values.take(step - read.start, shown.index(axis))
            field = decode(field.T if grid.axes != tuple(sorted(grid.axes)) else field, variable.attributes)
            if step in read[::every]:
                means[-1][step] = grid.mean(field)
            if step in drawn and (drawing := grid.draw(field)) is not None:
                maps[step] = drawing
    return Look(
        variable=name,
        units=str(untyped(variable.attributes.get("units", ["char", ""]))),
        steps=steps if axis is not None else 0,
        maps=maps,
        means=means,
        weighted=grid.latitudes is not None,
        firsts={d: array.shape[n] for n, d in enumerate(variable.dims) if n not in shown and array.shape[n] > 1},
        chunks_read=len(reads) * per_step + grid.chunks_read,
    )


def variable_of(inventory: Inventory, main: str) -> str | None:
    """Return the variable to look at: the main one, else the largest of numbers that says nothing of another."""
    variables = inventory.variables
    told = [untyped(v.attributes[key]) for v in variables.values() for key in ABOUT_ANOTHER if key in v.attributes]
    others = {word for text in told if isinstance(text, str) for word in text.split()}
    fit = [
        name
        for name, v in variables.items()
        if v.dtype not in TEXTS and prod(v.shape) and name not in others and v.dims != (name,)
    ]
    return main if main in fit else max(fit, key=lambda name: variables[name].raw_bytes, default=None)


def runs(steps: int, length: int, per_step: int) -> list[range]:
    """Return the steps to read: those of the chunks that hold the first, the last, the middle one, and two between.

    A chunk is `length` steps long, and `per_step` of them hold one. Fewer where they would be more than MOST_CHUNKS.

    >>> runs(1980, 100, 1)
    [range(0, 100), range(400, 500), range(900, 1000), range(1400, 1500), range(1900, 1980)]
    >>> runs(1980, 100, 2), runs(10, 100, 1), runs(10, 1, 6)
    ([range(0, 100), range(1900, 1980)], [range(0, 10)], [])
    """
    wanted = [0, steps - 1, steps // 2, steps // 4, 3 * steps // 4][: MOST_CHUNKS // per_step]
    starts = sorted({step // length * length for step in wanted})
    return [range(start, min(start + length, steps)) for start in starts]


def read_chunks(array: zarr.Array, index) -> np.ndarray:
    """Return values of an array as they are stored; raises DatasetError (`chunks`) where zarr cannot read them."""
    try:
        return np.asarray(array[index])
    except (OSError, RuntimeError, ValueError) as error:
        message = f"{array.store_path}: zarr cannot read it: {error}."
        raise DatasetError("chunks", message, "Run again: the dataset will be converted again.") from error


def decode(values: np.ndarray, attributes: dict) -> np.ndarray:
    """Return stored numbers as what they mean by their typed attributes: float64, NaN where there is no value.

    What is netCDF's default fill is no value either, whether an attribute says so or not.
    """
    declared = list(missing_values(attributes))
    fill = undeclared_fill(values.dtype, declared)
    if str(untyped(attributes.get("_Unsigned", ["char", ""]))).lower() == "true":
        values = values.view(f"u{values.dtype.itemsize}")
    decoded = np.array(values, "f8")
    with np.errstate(all="ignore"):
        for missing in (*declared, *([] if fill is None else [fill])):
            decoded[np.isin(values, missing.astype(values.dtype))] = np.nan
        decoded = np.asarray(decoded * number(attributes, "scale_factor", 1) + number(attributes, "add_offset", 0))
    decoded[~np.isfinite(decoded)] = np.nan
    return decoded


def number(attributes: dict, name: str, default: float) -> float:
    """Return an attribute that should be a number, and the default where it is not."""
    value = untyped(attributes.get(name, ["float64", default]))
    return default if isinstance(value, str | list) or np.size(value) != 1 else float(np.ravel(value)[0])


def grid_of(group: zarr.Group, inventory: Inventory, name: str, axis: int | None) -> Grid:
    """Return what a map of a variable shows; `axis` is that of time.

    Latitudes and longitudes of two axes, or of each cell; else the last two axes as they are, or none. They are read
    where they lie in one chunk.
    """
    dims, shape = inventory.variables[name].dims, inventory.variables[name].shape
    places = [d for n, d in enumerate(dims) if n != axis]
    lats, lons = (located(inventory, kind, places) for kind in DEGREES)
    for lat, lon in ((lat, lon) for lat in lats for lon in lons):
        along, across = (inventory.variables[c].dims for c in (lat, lon))
        if along != across and not len(along) == len(across) == 1:
            continue
        values = [coordinate(group, inventory, c) for c in (lat, lon)]
        if any(v is None for v in values):
            continue
        if along == across:
            pixels, pixel_shape = pixels_of(*values)
            return Grid(tuple(dims.index(d) for d in along), pixels=pixels, shape=pixel_shape, chunks_read=2)
        axes = (dims.index(along[0]), dims.index(across[0]))
        rows, columns = (thin(v.size, most) for v, most in zip(values, (ROWS, COLUMNS), strict=True))
        rows = rows[::-1] if rises(values[0]) else rows
        return Grid(axes, rows, columns, latitudes=values[0], chunks_read=2)
    axes = [n for n in range(len(dims)) if n != axis and shape[n] > 1][-2:]
    if len(axes) < 2:
        return Grid(tuple(axes))
    vertical = dims[axes[0]]
    values = coordinate(group, inventory, vertical) if vertical in inventory.variables else None
    attributes = inventory.variables[vertical].attributes if values is not None else {}
    down = attributes.get("positive") == ["char", "down"]
    rows, columns = thin(shape[axes[0]], ROWS), thin(shape[axes[1]], COLUMNS)
    upwards = (values is None or rises(values)) != down
    return Grid(tuple(axes), rows[::-1] if upwards else rows, columns, chunks_read=int(values is not None))


def located(inventory: Inventory, kind: str, places: list[str]) -> list[str]:
    """Return the latitudes (`lat`) or longitudes (`lon`) of some dimensions."""
    return [
        name
        for name, v in inventory.variables.items()
        if v.dtype not in TEXTS
        and v.dims
        and set(v.dims) <= set(places)
        and any(v.attributes.get(key) == ["char", word] for key in ("standard_name", "units") for word in DEGREES[kind])
    ]


def coordinate(group: zarr.Group, inventory: Inventory, name: str) -> np.ndarray | None:
    """Return a coordinate decoded, None where it is no number or lies in more than one chunk."""
    array, variable = group[name], inventory.variables[name]
    if variable.dtype in TEXTS or prod(ceil(n / c) for n, c in zip(array.shape, array.chunks, strict=True)) != 1:
        return None
    return decode(read_chunks(array, ...), variable.attributes)


def rises(values: np.ndarray) -> bool:
    """Tell whether a coordinate grows along its axis."""
    return bool(values.ravel()[0] <= values.ravel()[-1])


def thin(size: int, most: int) -> np.ndarray:
    """Return at most `most` indices of an axis, evenly spread."""
    return np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(int))


def pixels_of(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Return for each cell its pixel in a map of all of them, -1 for a cell that is nowhere, and the map's shape."""
    rows = int(np.clip(np.sqrt(lat.size / CELLS / 2), 1, ROWS))
    shape = (rows, 2 * rows)
    sound = (np.abs(lat) <= 90) & np.isfinite(lon)
    pixels = np.full(lat.size, -1)
    if sound.any():
        y, x = (share(v[sound]) for v in (-lat, lon % 360))
        pixels[sound.ravel()] = (y * (shape[0] - 1e-9)).astype(int) * shape[1] + (x * (shape[1] - 1e-9)).astype(int)
    return pixels, shape


def share(values: np.ndarray) -> np.ndarray:
    """Return numbers as shares of the way from the least to the greatest."""
    return (values - values.min()) / (np.ptp(values) or 1)
