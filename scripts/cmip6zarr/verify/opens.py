"""Does a store open as a user opens it, with plain xarray?"""

import warnings
from collections.abc import Callable
from typing import Any

from cmip6zarr.store import zarr_store
from cmip6zarr.store.interface import Home
from cmip6zarr.verify.tally import Tally

# xarray makes an object of each time of most calendars, when it opens a store: 200 bytes each.
MOST_INDEXED_STEPS = 100_000
LIBRARY_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError)


def check_opens(home: Home, source_path: str, longest: int, tally: Tally) -> None:
    """Note a mismatch unless xarray opens the store that is not sealed yet; `longest` is its longest dimension.

    Where xarray raises an error of the same type at the first source file, there is a finding: the store is as good.
    """
    # 0.5 s of CPU, which only a full proof needs.
    import xarray as xr

    root = zarr_store.UnsealedStore(zarr_store.open_store(home))
    indexes = longest <= MOST_INDEXED_STEPS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Without `chunks` dask is not imported, which costs as much again.
        problem = error_of(lambda: xr.open_zarr(root, chunks=None, create_default_indexes=indexes))
        same = problem and error_of(
            lambda: xr.open_dataset(source_path, engine="netcdf4", create_default_indexes=indexes)
        )
    if problem and type(same) is type(problem):
        tally.note("xarray", "accept", f"{source_path}: xarray opens neither it nor its store: {problem}")
    elif problem:
        tally.wrong(f"{home}: xarray cannot open it: {type(problem).__name__}: {problem}")


def error_of(opening: Callable[[], Any]) -> Exception | None:
    """Return what xarray raises when it opens a dataset, None if it opens it."""
    try:
        opening().close()
    except LIBRARY_ERRORS as error:
        return error
    return None
