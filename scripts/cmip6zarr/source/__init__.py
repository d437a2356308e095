"""What the NetCDF files of a dataset hold, and whether they are fit to become one store."""
