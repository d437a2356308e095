"""The script of June 2020 as it stood, for the packages of that day (envs/requirements-2020.txt; Python 3.7).

Called with a folder of NetCDF files and a store.
"""

import sys
import warnings
from pathlib import Path

import xarray as xr

warnings.filterwarnings("ignore")
dataset = xr.open_mfdataset(sorted(Path(sys.argv[1]).glob("*.nc")), chunks={"time": 4}, combine="by_coords")
dataset["ta"].unify_chunks()
dataset.to_zarr(sys.argv[2])
