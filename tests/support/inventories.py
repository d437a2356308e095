"""Inventories of files that are nowhere, and proofs: what a test does not name has a value that fits."""

from builders import dataset_id

from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.inventory import Inventory, SourceFile, TimeAxis, Variable
from cmip6zarr.model.proof import Proof


def make_file(path="/data/a.nc", steps=1, start=0, **fields):
    """Return a file whose steps follow `start` steps of others."""
    known = {"bytes": 1000, "mtime_ns": 0, "skip": 0, "moves": {}, "form": {}}
    return SourceFile(**known | {"path": path, "steps": steps, "start": start, "stop": start + steps} | fields)


def make_variable(dims=("x",), shape=(4,), dtype="float32", **fields):
    """Return a variable that has no attributes."""
    known = {"static": "time" not in dims, "raw_bytes": 0, "layouts": (), "attributes": {}}
    return Variable(**known | {"dtype": dtype, "dims": tuple(dims), "shape": tuple(shape)} | fields)


def make_time(variable="time", steps=1):
    """Return a time axis of so many days."""
    dates = {"start": "1850-01-01 00:00", "end": "1850-01-31 00:00"}
    return TimeAxis(variable=variable, steps=steps, calendar="360_day", units="days since 1850-01-01", **dates)


def make_inventory(**fields):
    """Return the inventory of one file without variables and time, unless `fields` say otherwise."""
    known = {"dataset": dataset_id(), "row": "0" * 16, "files": (make_file(),), "source_bytes": 1000, "raw_bytes": 0}
    known |= {"dims": {}, "unlimited": (), "variables": {}, "attributes": {}, "differing_attributes": (), "form": {}}
    known |= {"kept": (), "time": None, "verdict": "ok", "policy": {}, "findings": (), "left_out": ()}
    return Inventory(**known | fields)


def make_proof(**fields):
    """Return the proof of a sealed store without findings."""
    known = {"dataset": dataset_id(), "store": "s.zarr", "mode": "full", "values_compared": 1, "mismatches": 0}
    return Proof(**known | {"chunks_expected": 1, "chunks_missing": 0, "findings": (), "sealed": True} | fields)


def make_conversion(**fields):
    """Return how the one variable of a dataset was written."""
    known = {"dataset": dataset_id(), "store": "s.zarr", "zarr_format": 3, "codec": "balanced", "threads": 1}
    sizes = {"source_bytes": 9, "raw_bytes": 8, "stored_bytes": 7, "objects": 3, "planned_objects": 1}
    figures = {"planned_mib": 100, "read_amplification": 1.0, "trials": {}, "resumed_shards": 0}
    cuts = {what: {"tas": (1,)} for what in ("chunks", "shards", "slabs")}
    written = {"reader": {"tas": "direct"}, "codecs": {"tas": "blosc zstd-2"}}
    return Conversion(**known | sizes | figures | cuts | written | fields)
