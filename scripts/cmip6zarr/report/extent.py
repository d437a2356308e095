"""Where on the Earth the cells of a dataset lie, as STAC and GeoJSON have it."""

from itertools import product

import numpy as np
import zarr

from cmip6zarr.model.inventory import Inventory
from cmip6zarr.report.grid import coordinate, located

ROUND_DEGREES = 20
"""Cells that leave no gap of longitudes as wide as this go around the Earth: coarse grids have 6 degrees."""

Extent = tuple[float, float, float, float]
"""West, south, east and north in degrees; west is greater than east where 180 E lies between."""


def extent(group: zarr.Group, inventory: Inventory, main: str) -> Extent | None:
    """Return the extent of the centres of a variable's cells; None where the store has none that one chunk holds.

    `group` is the open store of the inventory's dataset.
    """
    dims = list(inventory.variables[main].dims)
    lats, lons = (located(inventory, kind, dims) for kind in ("lat", "lon"))
    for lat, lon in product(lats, lons):
        norths, easts = (coordinate(group, inventory, name) for name in (lat, lon))
        if norths is not None and easts is not None and (found := around(norths, easts)):
            return found
    return None


def around(latitudes: np.ndarray, longitudes: np.ndarray) -> Extent | None:
    """Return the extent of cells whose centres are given in degrees, NaN where there is none; None of no cells.

    >>> around(np.array([-88.0, 88.0]), np.arange(0, 360, 2.5))
    (-180.0, -88.0, 180.0, 88.0)
    >>> around(np.array([50.0]), np.array([350.0, 0.0, 10.0])), around(np.array([0.0]), np.array([170.0, 190.0]))
    ((-10.0, 50.0, 10.0, 50.0), (170.0, 0.0, -170.0, 0.0))
    """
    norths, easts = latitudes[np.abs(latitudes) <= 90], longitudes[np.abs(longitudes) <= 720]
    if not norths.size or not easts.size:
        return None
    south, north = round(float(norths.min()), 6), round(float(norths.max()), 6)
    easts = np.sort(easts.ravel() % 360)
    gaps = np.diff(easts, append=easts[0] + 360)
    widest = int(gaps.argmax())
    if gaps[widest] < ROUND_DEGREES:
        return (-180.0, south, 180.0, north)
    west, east = (round((float(e) + 180) % 360 - 180, 6) for e in (easts[(widest + 1) % easts.size], easts[widest]))
    return (west, south, east, north)
