"""Does a store open as a user opens it, with plain xarray?"""

import warnings

from .. import stores
from .tally import Tally

# xarray makes an object of each time of most calendars, when it opens a store: 200 bytes each.
MOST_INDEXED_STEPS = 100_000
LIBRARY_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError)


def check_opens(path, source_path: str, longest: int, tally: Tally) -> None:
    """Note a mismatch unless xarray opens the store that is not sealed yet; `longest` is its longest dimension.

    Times that xarray cannot decode in the first source file either stay numbers, with a finding.
    """
    # 0.5 s of CPU, which only a full proof needs.
    import xarray as xr

    root = stores.UnsealedStore(stores.open_store(path))
    # Without dask, whose import costs as much again and which opens nothing.
    indexed = {"create_default_indexes": longest <= MOST_INDEXED_STEPS, "chunks": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            xr.open_zarr(root, **indexed).close()
            return
        except LIBRARY_ERRORS as error:
            problem = f"{type(error).__name__}: {error}"
        try:
            xr.open_zarr(root, decode_times=False, **indexed).close()
            xr.open_dataset(source_path, engine="netcdf4", **indexed).close()
        except LIBRARY_ERRORS as error:
            if "decod" in str(error):
                tally.note("time_units", "accept", f"{source_path}: xarray cannot decode its times: {error}")
                return
    tally.wrong(f"{path}: xarray cannot open it: {problem}")
