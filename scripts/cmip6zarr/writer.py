"""Write the variables of a dataset into an unsealed store, slab by slab."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path

import dask.local
import dask.threaded
import numpy as np
import zarr

from . import RECIPE, chunks, encoding, planes, receipts, stores, trial
from .attributes import untyped
from .codecs import PRESETS, Blosc, Form
from .hdf5 import Region
from .reader import Reader, check_unchanged
from .source import STRING_BYTES

TEXTS = ("str", "S1")
TASKS = 4096  # shards of one graph: dask holds all of a graph in memory


def arrays_of(inventory: dict, preset: str) -> list[chunks.Array]:
    """Return the arrays of an inventory as the plan sees them, to be compressed by the codecs of a preset.

    A field is what the chunk rule is for: it depends on time, has more dimensions than that, and bounds no coordinate.
    """
    blosc = all(isinstance(codec, Blosc) for codec in PRESETS[preset])
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
            shuffled=blosc
            and v["dtype"] not in TEXTS
            and all("shuffle" in layout["filters"] for layout in v["layouts"]),
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
            if cut.streamed:
                stream(reader, cut, path, array, codec, get)
            else:
                write_slabs(reader, cut, dtype, path, array, codec, get)
        zarr.consolidate_metadata(root)
    for file in inventory["files"]:
        check_unchanged(file)
    readers = {name: "+".join(sorted(ways)) for name, ways in reader.used.items()}
    return {"reader": readers, "codecs": codecs, "trials": {name: sizes for name, sizes in trials.items() if sizes}}


def provenance(inventory: dict) -> dict:
    """Return what is kept beside a store: its files with their index ranges, and what its attributes do not say."""
    kept = ("files", "dims", "unlimited", "variables", "attributes", "differing_attributes", "findings")
    return {"dataset": inventory["dataset"], "recipe": RECIPE} | {key: inventory[key] for key in kept}


def stream(reader: Reader, cut: chunks.Cut, path, array: zarr.Array, codec: Blosc, get: Callable) -> None:
    """Write the shards of an array whose native chunks are handed over as they lie, each shard by one task."""
    form = encoding.form_of(array, codec)
    itemsize, count = array.dtype.itemsize, prod(cut.chunks) // prod(cut.array.native[0])
    beyond = np.asarray(form.beyond, array.dtype).tobytes()

    def write(shard):
        def encode_chunk(part):
            region = tuple(slice(r.start + p.start, r.start + p.stop) for r, p in zip(shard, part, strict=True))
            native = reader.native_chunks(cut.array, region)
            if not native:  # the file is laid out in another way than netCDF told
                values = np.empty([r.stop - r.start for r in region], array.dtype)
                for _, fill in reader.jobs(cut.array, region, values):
                    fill()
                return form.encode_values(values)
            blocks = planes.blocks(native, count, chunks.BLOCK_BYTES, beyond)
            return form.checked(codec.encode_shuffled(blocks, prod(cut.chunks) * itemsize, itemsize))

        put_shard(path, array, form, shard, encode_chunk)

    shards = iter(cut.slabs())
    while some := list(islice(shards, TASKS)):
        get({("shard", i): (write, shard) for i, shard in enumerate(some)}, [("shard", i) for i in range(len(some))])


def put_shard(path, array: zarr.Array, form: Form, region: Region, encode_chunk: Callable) -> None:
    """Compress the shard at a region of an array, chunk by chunk, and write it."""
    index = tuple(r.start // shard for r, shard in zip(region, form.shards, strict=True))
    shape = tuple(r.stop - r.start for r in region)
    stores.put(path, stores.chunk_key(array, index), form.encode(shape, encode_chunk))


def write_slabs(reader: Reader, cut: chunks.Cut, dtype, path, array: zarr.Array, codec, get: Callable) -> None:
    """Write an array slab by slab."""
    # One buffer for all slabs: new memory would cost as much as compressing into it.
    buffer = np.empty([min(n, size) for n, size in zip(cut.slab, cut.array.shape, strict=True)], dtype)
    for slab in cut.slabs():
        values = buffer[(..., *(slice(0, axis.stop - axis.start) for axis in slab))]
        write_slab(reader, cut, slab, values, path, array, codec, get)


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
        else:
            put_shard(path, array, form, region, lambda part: form.encode_values(block[part]))

    jobs = list(reader.jobs(cut.array, slab, values))
    graph = {("piece", i): (fill,) for i, (_, fill) in enumerate(jobs)}
    for i, region in enumerate(cut.shards_of(slab)):
        needed = [("piece", j) for j, (part, _) in enumerate(jobs) if overlap(part, region)]
        graph["shard", i] = (write, region, needed)
    get(graph, [key for key in graph if key[0] == "shard"])


def overlap(a: Region, b: Region) -> bool:
    """Tell whether two regions share a value."""
    return all(x.start < y.stop and y.start < x.stop for x, y in zip(a, b, strict=True))
