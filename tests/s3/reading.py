"""Readers of a bucket that share nothing with the project: xarray over s3fs, the netCDF C library, botocore."""

import cftime
import netCDF4
import numpy as np
import xarray as xr


def compare(url, paths, steps_dim="time"):
    """Assert that plain xarray reads over s3fs, raw, what the netCDF C library reads from the files, bit for bit.

    Times of a file that counts from another date than the store must be the same dates.
    """
    with xr.open_zarr(url, decode_cf=False, chunks=None) as store:
        start = 0
        for path in paths:
            with netCDF4.Dataset(path) as nc:
                nc.set_auto_maskandscale(False)
                steps = nc.dimensions[steps_dim].size
                assert set(store.variables) == set(nc.variables)
                for name, variable in nc.variables.items():
                    expected = np.asarray(variable[...])
                    found = store[name]
                    if steps_dim in variable.dimensions:
                        found = found.isel({steps_dim: slice(start, start + steps)})
                    found = found.to_numpy()
                    assert found.shape == expected.shape, name
                    base, ours = nc[steps_dim] if steps_dim in nc.variables else None, store[steps_dim].attrs
                    if name in (steps_dim, ours.get("bounds")) and base.units != ours["units"]:
                        dates = [cftime.num2date(found, ours["units"], ours["calendar"])]
                        dates += [cftime.num2date(expected, base.units, base.calendar)]
                        assert (dates[0] == dates[1]).all(), name
                        continue
                    assert found.astype(expected.dtype).tobytes() == expected.tobytes(), name
                start += steps
        assert store.sizes[steps_dim] == start


def keys(server, bucket):
    """Return {key: bytes} of all objects of a bucket, as botocore lists them."""
    pages = server.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}
