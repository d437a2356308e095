"""Does the provenance say how a source file is stored: format, unlimited dimensions, chunks, filters, byte order?"""

from typing import Any

import netCDF4

from cmip6zarr.model.provenance import Provenance
from cmip6zarr.verify.header import USER_DEFINED, Header
from cmip6zarr.verify.tally import Tally

# Number of an HDF5 filter -> its word in netCDF4-python.
FILTERS = {1: "zlib", 2: "shuffle", 3: "fletcher32", 4: "szip", 307: "bzip2", 32015: "zstd"}


def compare_stored(told: Provenance, number: int, header: Header, tally: Tally) -> None:
    """Note a mismatch where the provenance, `told`, does not say of one file what netCDF4-python says."""
    form, own = told.form, told.files[number].form
    words = f"provenance of {header.path}"
    with netCDF4.Dataset(header.path) as nc:
        tally.same(f"{words}: format", own.get("format", form["format"]), nc.data_model)
        unlimited = [name for name, dimension in nc.dimensions.items() if dimension.isunlimited()]
        tally.same(f"{words}: unlimited dimensions", own.get("unlimited", form["unlimited"]), unlimited)
        for name, variable in header.variables.items():
            if variable.kind == USER_DEFINED:
                continue
            facts = form["variables"][name] | own.get("variables", {}).get(name, {})
            found = None if facts["storage"] is None else as_told(facts["storage"], variable.kind)
            expected = None if nc.data_model.startswith("NETCDF3") else as_stored(nc[name])
            tally.same(f"{words}: storage of {name!r}", found, expected)


def as_told(storage: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return what the provenance says of the storage of a variable of a kind, in the words of `as_stored`."""
    filters = dict(storage["filters"])
    return {
        "chunks": storage["chunks"] or "contiguous",
        "filters": sorted(FILTERS[number] for number in filters.keys() & FILTERS.keys()),
        "level": filters.get(1, [0])[0],
        "byte order": storage["endian"],
        "filled": kind == "string" or not storage["no_fill"],
    }


def as_stored(variable: "netCDF4.Variable[Any]") -> dict[str, Any]:
    """Return how a variable is stored: chunks, filters by name, level of deflate, byte order, whether it is filled."""
    filters = variable.filters()
    return {
        "chunks": variable.chunking(),
        "filters": sorted(word for word in FILTERS.values() if filters.get(word)),
        "level": filters["complevel"] if filters["zlib"] else 0,
        "byte order": variable.endian(),
        "filled": variable.dtype is str or variable.get_fill_value() is not None,
    }
