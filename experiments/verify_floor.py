"""The floor of verifying: the netCDF library reads all of the field, zarr reads all of it, and nothing is compared.

Called with a folder of NetCDF files and a store.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import netCDF4
import zarr

STEPS = 4
array = zarr.open_group(sys.argv[2], mode="r")["ta"]
first = 0
with ThreadPoolExecutor(1) as store_reader:
    for path in sorted(Path(sys.argv[1]).glob("*.nc")):
        with netCDF4.Dataset(path) as file:
            file.set_auto_maskandscale(False)
            steps = file["ta"].shape[0]
            for start in range(0, steps, STEPS):
                reading = store_reader.submit(array.__getitem__, slice(first + start, first + start + STEPS))
                file["ta"][start : start + STEPS]
                reading.result()
        first += steps
