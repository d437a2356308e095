"""What the command line scripts share: from NetCDF files of a CMIP6 dataset to one verified Zarr store."""

RECIPE = 1
"""Raise it when stores written by older code must be written again; CHANGELOG.md says why."""
