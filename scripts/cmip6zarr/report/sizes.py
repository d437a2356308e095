"""How big a dataset became, and why: bytes of its store against bytes of its files, array by array."""

from collections import Counter
from math import ceil, prod

import zarr

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.text import human
from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.size_report import ArraySize, Remark
from cmip6zarr.store import zarr_store

SMALL_SHARE = 0.02  # of the NetCDF bytes: a cause below it is not named


def source_storage(inventory: Inventory) -> dict[str, int]:
    """Return {variable: bytes that its values take in all files}, compressed as they are there.

    HDF5 tells for NetCDF-4. NetCDF-3 stores values as they are, so its share is counted from the shapes.
    """
    import h5py

    from cmip6zarr.convert.hdf5_layout import hdf5_name

    stored: Counter[str] = Counter()
    for file in inventory.files:
        if h5py.is_hdf5(file.path):
            with h5py.File(file.path) as opened:
                for name in inventory.variables:
                    stored[name] += opened[hdf5_name(opened, name)].id.get_storage_size()
        else:
            for name, variable in inventory.variables.items():
                share = 1 if variable.static or inventory.time is None else file.steps / inventory.time.steps
                stored[name] += round(variable.raw_bytes * share)
    return dict(stored)


def array_sizes(
    objects: dict[str, int], group: zarr.Group, source: dict[str, int], converted: Conversion
) -> dict[str, ArraySize]:
    """Return for each array of a store what its chunks take and what its values take in the files, `source`.

    `objects` are those of the store, {key: bytes}.
    """
    count: Counter[str] = Counter()
    stored: Counter[str] = Counter()
    for key, size in objects.items():
        if zarr_store.is_chunk(key):
            name = zarr_store.array_of(key)
            count[name] += 1
            stored[name] += size
    sizes = {}
    for name, array in group.arrays():
        padded = prod(ceil(size / chunk) * chunk for size, chunk in zip(array.shape, array.chunks, strict=True))
        sizes[name] = ArraySize(
            objects=count[name],
            stored_bytes=stored[name],
            raw_bytes=array.size * array.dtype.itemsize,
            padding_bytes=(padded - array.size) * array.dtype.itemsize,
            source_bytes=source[name],
            copied="copied" in converted.reader[name].split("+"),
            not_copied=converted.not_copied.get(name),
        )
    return sizes


def causes(arrays: dict[str, ArraySize], inventory: Inventory, zarr_bytes: int) -> dict[str, int]:
    """Return {cause: bytes} of what made the store bigger (positive) or smaller than its files; they add up to it.

    `codec`: values that depend on time. `static`: bounds, vertices and the like, in every file but once in the store.
    `metadata`: all that is no value, in the store and in the files.
    """
    change = {name: array.stored_bytes - array.source_bytes for name, array in arrays.items()}
    static = {name for name, variable in inventory.variables.items() if variable.static}
    metadata = zarr_bytes - sum(array.stored_bytes for array in arrays.values())
    other = inventory.source_bytes - sum(array.source_bytes for array in arrays.values())
    return {
        "codec": sum(bytes_ for name, bytes_ in change.items() if name not in static),
        "static": sum(bytes_ for name, bytes_ in change.items() if name in static),
        "metadata": metadata - other,
    }


def main_variable(inventory: Inventory, row: Dataset) -> str:
    """Return the variable that the dataset is about: the one its id names, else the largest."""
    variables = inventory.variables
    named = row.facets[row.project.variable]
    return named if named in variables else max(variables, key=lambda name: variables[name].raw_bytes)


def reason(causes: dict[str, int], arrays: dict[str, ArraySize], inventory: Inventory, main: str, codec: str) -> str:
    """Return in words which causes changed the size, the largest first."""
    files = len(inventory.files)
    filters = "+".join(inventory.variables[main].layouts[0].filters) or "no compression"
    padding_bytes, why = arrays[main].padding_bytes, arrays[main].not_copied
    codec = f"{codec}, compressed anew since {why}," if why else codec
    padding = f", {human(padding_bytes)} of padding" if padding_bytes > arrays[main].raw_bytes else ""
    words = {
        "codec": f"codec ({codec} for {filters}{padding})",
        "static": f"static variables (once for {files} files)" if files > 1 else f"static variables ({codec} codec)",
        "metadata": "headers and chunk indexes",
    }
    named = [cause for cause in causes if abs(causes[cause]) > SMALL_SHARE * inventory.source_bytes]
    named.sort(key=lambda cause: -abs(causes[cause]))
    changes = [f"{words[cause]} {'+' if causes[cause] > 0 else ''}{human(causes[cause])}" for cause in named]
    return ", ".join(changes) or "as large as the source"


def findings(netcdf_bytes: int, zarr_bytes: int, reason: str) -> tuple[Remark, ...]:
    """Return what a person should look at: a store that is bigger than its files."""
    if zarr_bytes <= netcdf_bytes:
        return ()
    message = f"The store takes {human(zarr_bytes)}, its NetCDF files {human(netcdf_bytes)}: {reason}."
    return (Remark(kind="bigger", message=message),)
