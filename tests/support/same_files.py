"""Are two NetCDF files the same in all that the C libraries of netCDF and of HDF5 tell of them?"""

import h5py
import netCDF4
import numpy as np

from cmip6zarr.source import netcdf3_size

HIDDEN = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}
"""How netCDF says in HDF5 what a dimension is; its other attributes of the kind begin with `_N` and `_n`."""


def raw(values):
    """Return values with their bits, whatever they are equal to: what differs in any way is another."""
    if isinstance(values, np.ndarray | np.generic):
        array = np.asarray(values)
        return (array.dtype.str, array.shape, array.tolist() if array.dtype == object else array.tobytes())
    return type(values), values


def told(path):
    """Return all that the netCDF library tells of a file but its values, in the order in which it tells it."""
    with netCDF4.Dataset(path) as nc:
        yield "format", (nc.data_model, nc.disk_format)
        yield "dimensions", [(name, len(dim), dim.isunlimited()) for name, dim in nc.dimensions.items()]
        yield "attributes", [(name, raw(nc.getncattr(name))) for name in nc.ncattrs()]
        for name, variable in nc.variables.items():
            kind = variable.dtype if variable.dtype is str else variable.dtype.str
            yield name, (kind, variable.dimensions, variable.shape, variable.endian())
            yield f"storage of {name}", (variable.chunking(), variable.filters())
            yield f"attributes of {name}", [(key, raw(variable.getncattr(key))) for key in variable.ncattrs()]


def told_by_hdf5(path):
    """Return the types of a file's attributes, and how its variables are stored, as the HDF5 library tells it."""
    found = {}
    with h5py.File(path) as file:
        for name, holder in (("", file), *file.items()):
            types = {key: attribute_bits(holder, key) for key in holder.attrs}
            found[name] = {k: v for k, v in types.items() if k not in HIDDEN and not k.startswith(("_N", "_n"))}
            if name:
                plist, kind = holder.id.get_create_plist(), holder.id.get_type()
                filters = [plist.get_filter(n)[:3] for n in range(plist.get_nfilters())]
                found[f"storage of {name}"] = (plist.get_layout(), holder.chunks, filters, kind.dtype)
    return found


def attribute_bits(holder, name):
    """Return what HDF5 stores of an attribute: its type, its shape, and the bytes of what is no reference."""
    attribute = h5py.h5a.open(holder.id, name.encode())
    kind, shape = attribute.get_type(), attribute.shape
    if kind.get_class() != h5py.h5t.STRING or attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        return (str(kind.dtype), shape)
    if kind.is_variable_str():
        return ("texts", shape)
    data = np.empty(shape, f"S{kind.get_size()}")
    attribute.read(data, kind)
    return (kind.get_size(), shape, data.tobytes())


def assert_same(found, expected):
    """Assert that two files are the same: what is told of them, and every value of every variable as bits."""
    for (what, ours), (_, theirs) in zip(told(found), told(expected), strict=True):
        assert ours == theirs, what
    with netCDF4.Dataset(found) as a, netCDF4.Dataset(expected) as b:
        for nc in (a, b):
            nc.set_auto_maskandscale(False)
            nc.set_auto_chartostring(False)
        hdf5 = b.disk_format == "HDF5"
        for name in b.variables:
            assert raw(np.asarray(a[name][...])) == raw(np.asarray(b[name][...])), f"values of {name}"
    if hdf5:
        ours, theirs = told_by_hdf5(found), told_by_hdf5(expected)
        for what in theirs:
            assert ours[what] == theirs[what], what
    else:  # but for bytes between values, which any writer may fill as it likes
        header = netcdf3_size._Header(expected.read_bytes())
        netcdf3_size._end_of_values(header)
        assert found.stat().st_size == expected.stat().st_size
        assert found.read_bytes()[: header.at] == header.data[: header.at]
    assert found.stat().st_mtime_ns == expected.stat().st_mtime_ns
