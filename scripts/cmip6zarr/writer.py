"""Write the variables of a dataset into an unsealed store, slab by slab."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import dask.local
import dask.threaded
import numpy as np
import zarr

from . import RECIPE, chunks, encoding, receipts, stores, trial
from .attributes import untyped
from .hdf5 import Region
from .reader import Reader, check_unchanged
from .source import STRING_BYTES


def arrays_of(inventory: dict) -> list[chunks.Array]:
    """Return the arrays of an inventory as the plan sees them.

    A field is what the chunk rule is for: it depends on time, has more dimensions than that, and bounds no coordinate.
    """
    variables, time = inventory["variables"], inventory["time"]
    time_dim = time["variable"] if time else None
    bounds = {
        untyped(v["attributes"][key])
        for v in variables.values()
        for key in ("bounds", "climatology")
        if key in v["attributes"]
    }
    return [
        chunks.Array(
            name=name,
            shape=tuple(v["shape"]),
            dims=tuple(v["dims"]),
            itemsize=STRING_BYTES if v["dtype"] == "str" else np.dtype(v["dtype"]).itemsize,
            axis=None if v["static"] else v["dims"].index(time_dim),
            field=not v["static"] and len(v["dims"]) > 1 and name not in bounds,
            native=tuple(tuple(layout["chunks"]) if layout["chunks"] else None for layout in v["layouts"]),
            files=tuple((file["start"], file["stop"]) for file in inventory["files"]),
        )
        for name, v in variables.items()
    ]


def scheduler(name: str, threads: int) -> Callable:
    """Return dask's `get` that runs a graph `synchronous` in this thread, or in a pool of `threads`."""
    return dask.local.get_sync if name == "synchronous" else partial(dask.threaded.get, num_workers=threads)


def write_store(inventory: dict, path, plan: chunks.Plan, zarr_format: int, preset: str, get: Callable) -> dict:
    """Write all variables of a source to a new, unsealed store at `path`, replacing one of ours that is there.

    `get` is the dask scheduler that does the work of a slab, from `scheduler`. Returns how each variable was read and
    compressed, and the figures of the codec trials. Raises DatasetError if the source has changed since its inventory,
    before or while it was read.
    """
    for file in inventory["files"]:
        check_unchanged(file)
    stores.clear(path)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    receipts.write(stores.marker(path), provenance(inventory))
    root = stores.UnsealedStore(stores.open_store(path, read_only=False))
    codecs, trials = {}, {}
    with stores.quiet(), Reader(inventory) as reader:
        group = zarr.create_group(
            root,
            zarr_format=zarr_format,
            attributes={name: encoding.plain(value) for name, value in inventory["attributes"].items()},
        )
        for cut in plan.cuts:
            name, variable = cut.array.name, inventory["variables"][cut.array.name]
            dtype = encoding.dtype_of(variable)
            codec, trials[name] = trial.choose(preset, reader, cut, dtype)
            codecs[name] = codec.name
            array = encoding.create_array(group, name, variable, cut.chunks, cut.shards, codec)
            # One buffer for all slabs: new memory would cost as much as compressing into it.
            buffer = np.empty([min(n, size) for n, size in zip(cut.slab, cut.array.shape, strict=True)], dtype)
            for slab in cut.slabs():
                values = buffer[(..., *(slice(0, axis.stop - axis.start) for axis in slab))]
                write_slab(reader, cut, slab, values, path, array, codec, get)
        zarr.consolidate_metadata(root)
    for file in inventory["files"]:
        check_unchanged(file)
    readers = {name: "+".join(sorted(ways)) for name, ways in reader.used.items()}
    return {"reader": readers, "codecs": codecs, "trials": {name: sizes for name, sizes in trials.items() if sizes}}


def provenance(inventory: dict) -> dict:
    """Return what is kept beside a store: its files with their index ranges, and what its attributes do not say."""
    kept = ("files", "dims", "unlimited", "variables", "attributes", "differing_attributes", "findings")
    return {"dataset": inventory["dataset"], "recipe": RECIPE} | {key: inventory[key] for key in kept}


def write_slab(reader: Reader, cut: chunks.Cut, slab: Region, values: np.ndarray, path, array, codec, get) -> None:
    """Read one slab into `values` and write its shards: a dask graph in which each shard waits for its own pieces only.

    Shards are compressed and written here: through zarr it takes a tenth more CPU, and an event loop between threads.
    """
    origin = [axis.start for axis in slab]
    text = values.dtype.kind == "O"
    form = None if text else encoding.form_of(array, codec)

    def write(region, _pieces):
        block = values[(..., *(slice(r.start - o, r.stop - o) for r, o in zip(region, origin, strict=True)))]
        if text:
            array[region or ...] = block
            return
        index = tuple(r.start // shard for r, shard in zip(region, form.shards, strict=True))
        stores.put(path, stores.chunk_key(array, index), form.encode(block))

    jobs = list(reader.jobs(cut.array, slab, values))
    graph = {("piece", i): (fill,) for i, (_, fill) in enumerate(jobs)}
    for i, region in enumerate(cut.shards_of(slab)):
        needed = [("piece", j) for j, (part, _) in enumerate(jobs) if overlap(part, region)]
        graph["shard", i] = (write, region, needed)
    get(graph, [key for key in graph if key[0] == "shard"])


def overlap(a: Region, b: Region) -> bool:
    """Tell whether two regions share a value."""
    return all(x.start < y.stop and y.start < x.stop for x, y in zip(a, b, strict=True))
