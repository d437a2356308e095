"""The reference: the script of June 2020 as its author cured it (chunks at open), on today's xarray and zarr.

Called with a folder of NetCDF files and a store. The codec and format are those of that day: Zarr v2, Blosc lz4.
"""

import sys
from pathlib import Path

import numcodecs
import xarray as xr

sources = sorted(Path(sys.argv[1]).glob("*.nc"))
dataset = xr.open_mfdataset(sources, chunks={"time": 4})
dataset["ta"].unify_chunks()  # the result was thrown away then, too
dataset.to_zarr(sys.argv[2], mode="w", zarr_format=2, encoding={"ta": {"compressors": (numcodecs.Blosc("lz4", 5, 1),)}})
