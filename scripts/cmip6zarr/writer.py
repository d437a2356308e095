"""Write the variables of a dataset into an unsealed store, slab by slab."""

from functools import partial
from pathlib import Path

import dask.local
import dask.threaded
import numpy as np
import zarr

from . import RECIPE, chunks, encoding, receipts, stores
from .headers import untyped
from .reader import NetCDFReader, check_unchanged
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
        )
        for name, v in variables.items()
    ]


def scheduler(name: str, threads: int):
    """Return dask's `get` that runs a graph `synchronous` in this thread, or in a pool of `threads`."""
    return dask.local.get_sync if name == "synchronous" else partial(dask.threaded.get, num_workers=threads)


def write_store(inventory: dict, path, plan: chunks.Plan, zarr_format: int, codec: str, get) -> None:
    """Write all variables of a source to a new, unsealed store at `path`, replacing one of ours that is there.

    `get` is the dask scheduler that does the work of a slab, from `scheduler`.

    Raises DatasetError if the source has changed since its inventory, before or while it was read.
    """
    for file in inventory["files"]:
        check_unchanged(file)
    stores.clear(path)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    receipts.write(stores.marker(path), provenance(inventory))
    root = stores.UnsealedStore(stores.open_store(path, read_only=False))
    with stores.quiet(), NetCDFReader(inventory) as reader:
        group = zarr.create_group(
            root,
            zarr_format=zarr_format,
            attributes={name: encoding.plain(value) for name, value in inventory["attributes"].items()},
        )
        for cut in plan.cuts:
            name = cut.array.name
            array = encoding.create_array(group, name, inventory["variables"][name], cut.chunks, codec)
            for slab in cut.slabs():
                write_slab(reader, cut, slab, array, get)
        zarr.consolidate_metadata(root)
    for file in inventory["files"]:
        check_unchanged(file)


def provenance(inventory: dict) -> dict:
    """Return what is kept beside a store: its files with their index ranges, and what its attributes do not say."""
    kept = ("files", "dims", "unlimited", "variables", "attributes", "differing_attributes", "findings")
    return {"dataset": inventory["dataset"], "recipe": RECIPE} | {key: inventory[key] for key in kept}


def write_slab(reader: NetCDFReader, cut: chunks.Cut, slab: tuple[slice, ...], array: zarr.Array, get) -> None:
    """Read one slab and write its chunks, as a dask graph in which each chunk waits for just its own pieces."""
    origin = [axis.start for axis in slab]
    values = np.empty([axis.stop - axis.start for axis in slab], object if array.dtype.kind in "OTU" else array.dtype)

    def local(region):
        return tuple(slice(r.start - o, r.stop - o) for r, o in zip(region, origin, strict=True)) or ...

    def read(file_index, region):
        values[local(region)] = reader.read(cut.array.name, file_index, region)

    def write(region, _pieces):
        array[region or ...] = values[local(region)]

    graph = {}
    for i, (file_index, region) in enumerate(pieces_of(reader, cut, slab)):
        graph["piece", i] = (read, file_index, region)
    for i, region in enumerate(cut.chunks_of(slab)):
        needed = [key for key, task in graph.items() if key[0] == "piece" and overlap(task[2], region)]
        graph["chunk", i] = (write, region, needed)
    wanted = [key for key in graph if key[0] == "chunk"]
    get(graph, wanted)


def pieces_of(reader: NetCDFReader, cut: chunks.Cut, slab: tuple[slice, ...]):
    """Yield (file index, region) of the pieces of a slab: whole native chunks where these are small."""
    array = cut.array
    if not slab:
        yield 0, slab
        return
    axis = array.axis or 0
    step_bytes = max(1, cut_bytes(slab, axis) * array.itemsize)
    native = max((chunk[axis] for chunk in array.native if chunk), default=1)
    steps = max(native, chunks.PIECE_BYTES // step_bytes // native * native)
    for file_index, start, stop in chunks.pieces(reader.ranges(array.name), slab[axis].start, slab[axis].stop, steps):
        yield file_index, (*slab[:axis], slice(start, stop), *slab[axis + 1 :])


def cut_bytes(slab: tuple[slice, ...], axis: int) -> int:
    """Return how many values one step along `axis` of a slab has."""
    count = 1
    for i, part in enumerate(slab):
        count *= 1 if i == axis else part.stop - part.start
    return count


def overlap(a: tuple[slice, ...], b: tuple[slice, ...]) -> bool:
    """Tell whether two regions share a value."""
    return all(x.start < y.stop and y.start < x.stop for x, y in zip(a, b, strict=True))
