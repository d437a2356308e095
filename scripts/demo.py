"""Make what `make demo` converts: a catalogue of real CMIP6 files, and one made-up dataset of a size that matters."""

import argparse
import importlib.util
import sys
from pathlib import Path

import netCDF4
import numpy as np

from cmip6zarr.catalogue.build import build, write
from cmip6zarr.job import cli

FOLDER = "CMIP6/CMIP/cmip6-zarr/SYNTHETIC/control-1950/r1i1p1f1/day/ta/gn/v20200601"
FILES, STEPS, LEVELS, LATITUDES, LONGITUDES = 3, 60, 8, 192, 256
BITS = 9  # that a value keeps after the point
FILL = np.float32(1e20)
PRESSURES_PA = np.array([100000, 85000, 70000, 50000, 25000, 10000, 5000, 1000], "f8")
# CMOR's own settings, as most models used them.
DEFLATED = {"zlib": True, "complevel": 1, "shuffle": True}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the catalogue and the made-up dataset go")
    return parser.parse_args(argv)


def sample_data() -> Path:
    """Return the folder of the installed package's NetCDF files, without importing the package and what it needs."""
    spec = importlib.util.find_spec("esmvaltool_sample_data")
    if spec is None:
        raise SystemExit("The package ESMValTool_sample_data is not installed: see envs/requirements-demo.txt.")
    return Path(spec.submodule_search_locations[0], "data", "timeseries")


def rough_field(random: np.random.Generator, slope: float) -> np.ndarray:
    """Return a random field (latitudes, longitudes) of unit variance whose power falls with wavenumber to `slope`."""
    ky = np.fft.fftfreq(LATITUDES)[:, None] * LATITUDES
    kx = np.fft.rfftfreq(LONGITUDES)[None, :] * LONGITUDES
    amplitude = np.maximum(np.hypot(ky, kx), 1) ** (slope / 2)
    phases = random.normal(size=(*amplitude.shape, 2)) @ (1, 1j)
    field = np.fft.irfft2(amplitude * phases, (LATITUDES, LONGITUDES))
    return field / field.std()


def temperatures(random: np.random.Generator, mountains: np.ndarray, steps: int) -> np.ndarray:
    """Return air temperature in K (steps, levels, latitudes, longitudes) float32, masked below the ground.

    Weather keeps 0.8 of itself from day to day, and values keep BITS: so that shuffle + deflate leave 0.375 of the
    bytes, as in the 320 GB of `ta` from HadGEM3-GC31-HH that this workflow was first thought of for.
    """
    levels = np.arange(LEVELS)[:, None, None]
    latitudes = np.linspace(-90, 90, LATITUDES)[None, :, None]
    climate = 300 - 9 * levels - 40 * np.sin(np.radians(latitudes)) ** 2
    weather = np.stack([rough_field(random, -3) for _ in range(LEVELS)])
    field = np.empty((steps, LEVELS, LATITUDES, LONGITUDES), "f4")
    for step in range(steps):
        weather = 0.8 * weather + 0.6 * np.stack([rough_field(random, -3) for _ in range(LEVELS)])
        field[step] = climate + 6 * weather
    field = np.round(field * 2**BITS) / np.float32(2**BITS)
    below = mountains[None] > 0.7 + 0.9 * levels
    return np.where(below, FILL, field).astype("f4")


def write_file(path: Path, first_day: int, field: np.ndarray) -> None:
    """Write one NetCDF file of the made-up dataset, laid out as CMOR does: one step is one chunk."""
    part = path.with_suffix(".part")
    with netCDF4.Dataset(part, "w") as nc:
        nc.setncatts(
            {
                "title": "SYNTHETIC: random fields for a demonstration, not the output of any model",
                "mip_era": "CMIP6",
                "frequency": "day",
                "source_id": "SYNTHETIC",
                "variable_id": "ta",
            }
        )
        for name, size in (("time", None), ("plev", LEVELS), ("lat", LATITUDES), ("lon", LONGITUDES), ("bnds", 2)):
            nc.createDimension(name, size)
        days = first_day + np.arange(len(field)) + 0.5
        lat = -90 + (np.arange(LATITUDES) + 0.5) * 180 / LATITUDES
        lon = (np.arange(LONGITUDES) + 0.5) * 360 / LONGITUDES
        time = {"units": "days since 1950-01-01", "calendar": "360_day", "bounds": "time_bnds", "axis": "T"}
        add(nc, "time", ("time",), days, time | {"standard_name": "time"})
        add(nc, "time_bnds", ("time", "bnds"), np.stack([days - 0.5, days + 0.5], -1), {})
        add(nc, "plev", ("plev",), PRESSURES_PA, {"units": "Pa", "standard_name": "air_pressure", "positive": "down"})
        for name, values, units in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
            half = (values[1] - values[0]) / 2
            add(nc, name, (name,), values, {"units": units, "bounds": f"{name}_bnds"})
            add(nc, f"{name}_bnds", (name, "bnds"), np.stack([values - half, values + half], -1), {})
        attributes = {"standard_name": "air_temperature", "units": "K", "missing_value": FILL}
        chunks = (1, LEVELS, LATITUDES, LONGITUDES)
        add(nc, "ta", ("time", "plev", "lat", "lon"), field, attributes, fill_value=FILL, chunksizes=chunks, **DEFLATED)
    part.replace(path)


def add(nc: netCDF4.Dataset, name: str, dims, values: np.ndarray, attributes: dict, **settings) -> None:
    """Add a variable with its values and attributes to an open file."""
    variable = nc.createVariable(name, values.dtype, dims, **settings)
    variable.setncatts(attributes)
    variable[:] = values


def make_files(folder: Path, files: int, steps: int) -> None:
    """Write the made-up dataset: files of so many steps each, one after another from 1950 on."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20200601)
    mountains = np.maximum(rough_field(random, -4), 0)
    for index in range(files):
        first, last = (1950 * 360 + day for day in (index * steps, (index + 1) * steps - 1))
        period = "-".join(f"{d // 360:04d}{d // 30 % 12 + 1:02d}{d % 30 + 1:02d}" for d in (first, last))
        path = folder / f"ta_day_SYNTHETIC_control-1950_r1i1p1f1_gn_{period}.nc"
        write_file(path, index * steps, temperatures(random, mountains, steps))


def main(argv=None) -> int:
    args = parse(argv)
    make_files(args.folder / "synthetic" / FOLDER, FILES, STEPS)
    rows, _ = build([sample_data(), args.folder / "synthetic"])
    write(rows, args.folder / "catalogue.json")
    print(f"{args.folder / 'catalogue.json'}: {rows.height} files")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
