"""What the command line scripts share: from NetCDF files of a CMIP6 dataset to one verified Zarr store."""

import os

RECIPE = 1
"""Raise it when stores written by older code must be written again; CHANGELOG.md says why."""

# Threads are dask's, as many as a job is given: the pools of numerical libraries would only come on top of them. Read
# by those libraries when they are loaded, so set before anything here imports numpy.
for _pool in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "BLOSC"):
    os.environ.setdefault(f"{_pool}_NUM_THREADS", "1")
os.environ.setdefault("VECLIB_MAXIMUM_THREADS", "1")
