"""Read a field of a store with one of the readers of Zarr, and write its values to stdout: float32, in C order.

Each runs in a process of its own, since wheels bring their own HDF5 and Blosc.
"""

import sys
from pathlib import Path

import numpy as np


def zarr_python(store: str, name: str) -> np.ndarray:
    import zarr

    return zarr.open_group(store, mode="r")[name][...]


def zarrs(store: str, name: str) -> np.ndarray:
    import zarr

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    return zarr.open_group(store, mode="r")[name][...]


def tensorstore(store: str, name: str) -> np.ndarray:
    import tensorstore

    driver = "zarr3" if Path(store, "zarr.json").exists() else "zarr"
    place = {"driver": "file", "path": str(Path(store, name))}
    return tensorstore.open({"driver": driver, "kvstore": place}, read=True).result().read().result()


def netcdf_c(store: str, name: str) -> np.ndarray:
    import netCDF4

    with netCDF4.Dataset(f"file://{Path(store).resolve()}#mode=zarr,file") as nc:
        nc.set_auto_maskandscale(False)
        return nc[name][...]


def gdal(store: str, name: str) -> np.ndarray:
    import rasterio

    # To GDAL each step of a field is a raster, and GDAL does not say how many there are.
    steps = len(zarr_python(store, "time"))
    return np.stack([rasterio.open(f'ZARR:"{store}":/{name}:{step}').read(1) for step in range(steps)])


READERS = {reader.__name__: reader for reader in (zarr_python, zarrs, tensorstore, netcdf_c, gdal)}

if __name__ == "__main__":
    reader, store, name = sys.argv[1:]
    sys.stdout.buffer.write(np.ascontiguousarray(READERS[reader](store, name), "<f4").tobytes())
