"""What a map of a variable shows: its axes from north to south and from west to east, or the pixels of its cells."""

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
import zarr

from cmip6zarr.model.inventory import Inventory
from cmip6zarr.report.decoded import array_in, decode, read_chunks

ROWS, COLUMNS = 60, 120  # of a map
CELLS = 8  # of an irregular grid in a pixel: with fewer there would be holes
TEXTS = ("str", "S1")
DEGREES = {"lat": ("latitude", "degrees_north", "degree_north"), "lon": ("longitude", "degrees_east", "degree_east")}
"""Standard name and units of what says where a cell is."""


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
            drawn: np.ndarray = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
            return drawn.reshape(self.shape)
        if self.rows is None or self.columns is None:
            return None
        return np.asarray(field[np.ix_(self.rows, self.columns)])

    def mean(self, field: np.ndarray) -> float:
        """Return the mean of a field over its cells, NaN if none has a value."""
        weights = np.ones(field.shape)
        if self.latitudes is not None:
            weights *= np.cos(np.deg2rad(self.latitudes)).reshape(-1, *[1] * (field.ndim - 1))
        weights[~np.isfinite(field)] = 0
        total = weights.sum()
        return float(np.nansum(field * weights) / total) if total > 0 else np.nan


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
        norths, easts = (coordinate(group, inventory, c) for c in (lat, lon))
        if norths is None or easts is None:
            continue
        if along == across:
            pixels, pixel_shape = pixels_of(norths, easts)
            return Grid(tuple(dims.index(d) for d in along), pixels=pixels, shape=pixel_shape, chunks_read=2)
        rows, columns = thin(norths.size, ROWS), thin(easts.size, COLUMNS)
        rows = rows[::-1] if rises(norths) else rows
        two = (dims.index(along[0]), dims.index(across[0]))
        return Grid(two, rows, columns, latitudes=norths, chunks_read=2)
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
    array, variable = array_in(group, name), inventory.variables[name]
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
    return np.asarray((values - values.min()) / (np.ptp(values) or 1))
