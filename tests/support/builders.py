"""Tiny made-up CMIP6 datasets in DRS folders, and catalogues of them, for tests to convert or to spoil."""

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cftime
import netCDF4
import numpy as np

from cmip6zarr.catalogue import build

FACETS = {
    "mip_era": "CMIP6",
    "activity_id": "CMIP",
    "institution_id": "ZZZ",
    "source_id": "MODEL-A",
    "experiment_id": "historical",
    "member_id": "r1i1p1f1",
    "table_id": "Amon",
    "variable_id": "tas",
    "grid_label": "gn",
    "version": "v20200101",
}
FIRST_YEAR = 1850
UNITS = f"days since {FIRST_YEAR}-01-01"
DEFLATED = {"zlib": True, "complevel": 1, "shuffle": True}
"""CMOR's own filters, as most models used them."""


def dataset_id(**facets: str) -> str:
    """Return the id of the dataset that differs from the default one in these facets."""
    return ".".join((FACETS | facets).values())


def make_dataset(
    root: str | os.PathLike,
    *,
    files: int = 3,
    steps: int = 4,
    start: int = 0,
    frequency: str = "mon",
    calendar: str = "360_day",
    units: str | Sequence[str] = UNITS,
    time_dtype: str = "f8",
    dtype: str = "f4",
    lat: int = 3,
    lon: int = 4,
    chunks: Sequence[int] | None = None,
    filters: Mapping = DEFLATED,
    attributes: Mapping | None = None,
    field_attributes: Mapping | None = None,
    format: str = "NETCDF4",
    **facets: str,
) -> list[Path]:
    """Write the files of one dataset below `root` and return their paths in time order.

    `files` of `steps` each follow one another from step `start` (`frequency` mon or day) after 1850-01-01, so that a
    later call with another start adds files to the dataset; a step has the same values whatever file holds it, some of
    them fill. `units` of time: one for all files or one per file. `chunks` and `filters` are the field's as stored,
    `attributes` and `field_attributes` added to the global ones and the field's; `facets` are those that differ from
    FACETS.
    """
    facets = FACETS | facets
    folder = Path(root, *facets.values())
    folder.mkdir(parents=True, exist_ok=True)
    variable, paths = facets["variable_id"], []
    for index in range(files):
        first = start + index * steps
        edges = [_date(step, frequency, calendar) for step in range(first, first + steps + 1)]
        letters = "%Y%m" if frequency == "mon" else "%Y%m%d"
        dates = "-".join(date.strftime(letters) for date in (edges[0], edges[-2] if steps else edges[0]))
        words = (variable, *(facets[f] for f in ("table_id", "source_id", "experiment_id", "member_id", "grid_label")))
        path = folder / ("_".join((*words, dates)) + ".nc")
        with netCDF4.Dataset(path, "w", format=format) as nc:
            told = {"frequency": frequency, "tracking_id": f"hdl:21.14100/{path.stem}", "title": "made up for a test"}
            nc.setncatts(facets | told | dict(attributes or {}))
            for name, size in (("time", None), ("lat", lat), ("lon", lon), ("bnds", 2)):
                nc.createDimension(name, size)
            _add_times(nc, edges, units if isinstance(units, str) else units[index], calendar, time_dtype)
            _add_axis(nc, "lat", np.linspace(-90, 90, lat + 1), "degrees_north")
            _add_axis(nc, "lon", np.linspace(0, 360, lon + 1), "degrees_east")
            field = np.array([_values(facets, step, (lat, lon), dtype) for step in range(first, first + steps)], dtype)
            told = {"units": "K", "cell_methods": "area: time: mean", "missing_value": fill_of(dtype)}
            stored = {} if format.startswith("NETCDF3") else {"chunksizes": chunks, **filters}
            _add(
                nc,
                variable,
                ("time", "lat", "lon"),
                field.reshape(steps, lat, lon),
                told | dict(field_attributes or {}),
                fill_value=fill_of(dtype),
                **stored,
            )
        paths.append(path)
    return paths


def make_catalogue(root: str | os.PathLike, path: str | os.PathLike | None = None) -> Path:
    """Write the catalogue of the datasets below `root` to `path` (`catalogue.json` there) and return its path."""
    path = Path(path or Path(root, "catalogue.json"))
    rows, _ = build.build([root])
    build.write(rows, path)
    return path


def fill_of(dtype: str) -> np.generic:
    """Return the fill value of a field: CMIP6's 1e20, or what netCDF has for integers."""
    kind = np.dtype(dtype)
    return kind.type(1e20 if kind.kind == "f" else netCDF4.default_fillvals[kind.str[1:]])


def _date(step: int, frequency: str, calendar: str) -> cftime.datetime:
    """Return when a step begins."""
    if frequency == "mon":
        return cftime.datetime(FIRST_YEAR + step // 12, step % 12 + 1, 1, calendar=calendar)
    return cftime.num2date(step, UNITS, calendar)


def _values(facets: dict[str, str], step: int, shape: tuple[int, int], dtype: str) -> np.ndarray:
    """Return the field of one step, as stored: one value in eight is fill, and no other dataset has the same."""
    random = np.random.default_rng([step % 2**32, zlib.crc32(dataset_id(**facets).encode())])
    values = random.normal(280, 10, shape).astype(dtype)
    return np.where(random.random(shape) < 1 / 8, fill_of(dtype), values)


def _add_times(nc: netCDF4.Dataset, edges: list, units: str, calendar: str, dtype: str) -> None:
    """Add `time`, in the middle of its bounds, and the bounds."""
    days = np.asarray(cftime.date2num(edges, units, calendar), "f8")
    bounds = np.stack([days[:-1], days[1:]], -1)
    told = {"units": units, "calendar": calendar, "bounds": "time_bnds", "axis": "T", "standard_name": "time"}
    _add(nc, "time", ("time",), bounds.mean(-1).astype(dtype), told)
    _add(nc, "time_bnds", ("time", "bnds"), bounds.astype(dtype), {})


def _add_axis(nc: netCDF4.Dataset, name: str, edges: np.ndarray, units: str) -> None:
    """Add a horizontal coordinate and its bounds."""
    bounds = np.stack([edges[:-1], edges[1:]], -1)
    _add(nc, name, (name,), bounds.mean(-1), {"units": units, "bounds": f"{name}_bnds"})
    _add(nc, f"{name}_bnds", (name, "bnds"), bounds, {})


def _add(nc: netCDF4.Dataset, name: str, dims: tuple, values: np.ndarray, attributes: Mapping, **settings) -> None:
    """Add a variable whose stored numbers are `values`, whatever its attributes say of packing."""
    variable = nc.createVariable(name, values.dtype, dims, **settings)
    variable.set_auto_maskandscale(False)
    variable.setncatts(attributes)
    variable[:] = values
