"""Write the variables of a dataset into an unsealed store, as planned; what an earlier run has written is kept."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial

import dask
import numpy as np
import zarr

from cmip6zarr import RECIPE
from cmip6zarr.convert import codec_trial, encoding, shards
from cmip6zarr.convert.codecs import PRESETS, Blosc
from cmip6zarr.convert.reader import Reader, check_unchanged
from cmip6zarr.core import chunks, files
from cmip6zarr.core.chunks import STRING_BYTES
from cmip6zarr.core.progress import Progress
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.provenance import Provenance
from cmip6zarr.plan import planning
from cmip6zarr.source.attributes import bounds_of
from cmip6zarr.store import backend, disk_space, zarr_store
from cmip6zarr.store.ledger import head as ledger_head
from cmip6zarr.store.ledger import lasting
from cmip6zarr.store.ledger_writer import LedgerWriter

TEXTS = ("str", "S1")


def arrays_of(inventory: Inventory, preset: str) -> list[chunks.Array]:
    """Return the arrays of an inventory as the plan sees them, to be compressed by the codecs of a preset.

    A field is what the chunk rule is for: it depends on time, has more dimensions than that, and bounds no coordinate.
    """
    blosc = all(isinstance(codec, Blosc) for codec in PRESETS[preset])
    time_dim = inventory.time.variable if inventory.time else None
    bounds = {name for v in inventory.variables.values() for name in bounds_of(v.attributes)}
    return [
        chunks.Array(
            name=name,
            shape=v.shape,
            dims=v.dims,
            itemsize=STRING_BYTES if v.dtype == "str" else np.dtype(v.dtype).itemsize,
            axis=None if v.static else v.dims.index(time_dim),
            field=not v.static and len(v.dims) > 1 and name not in bounds,
            native=tuple(layout.chunks or None for layout in v.layouts),
            shuffled=blosc and v.dtype not in TEXTS and all("shuffle" in layout.filters for layout in v.layouts),
            files=tuple((file.start, file.stop) for file in inventory.files),
        )
        for name, v in inventory.variables.items()
    ]


def scheduler(threads: int) -> Callable:
    """Return what computes a dask graph: in this thread, or in a pool of so many."""
    name = "threads" if threads > 1 else "synchronous"
    # There is nothing in our graphs to leave out or to fuse, and to look for it takes 0.25 ms of CPU a shard.
    return partial(dask.compute, scheduler=name, num_workers=threads, optimize_graph=False)


def write_store(
    inventory: Inventory,
    path,
    plan: planning.Plan,
    zarr_format: int,
    preset: str,
    compute: Callable,
    results=None,
    take_over: str = "",
) -> dict:
    """Write all variables of a source to an unsealed store at `path`, replacing one of ours that is there.

    What an earlier run of the same sources, plan and codecs has written is kept, as far as the ledger and checksums
    confirm it. `compute` does the work, from `scheduler`. Returns how each variable was read and
    compressed, the figures of the codec trials, and how many shards were kept. Raises DatasetError if the source has
    changed since its inventory, before or while it was read (`source`), if another process has the store (`busy`), if
    there is something that is not ours (`store`), and if there is no room for it (`space`). `results` and `take_over`
    are as in `LedgerWriter`: nor is one replaced that was written for other results (`owner`).
    """
    for file in inventory.files:
        check_unchanged(file)
    home = backend.at(path)
    zarr_store.check_ours(home)
    with LedgerWriter(home, results, take_over) as ledger, zarr_store.quiet(), Reader(inventory) as reader:
        dtypes = {cut.array.name: encoding.dtype_of(inventory.variables[cut.array.name].dtype) for cut in plan.cuts}
        chosen = {cut.array.name: codec_trial.choose(preset, reader, cut, dtypes[cut.array.name]) for cut in plan.cuts}
        cuts = [[cut.array.name, cut.chunks, cut.shards, chosen[cut.array.name][0].name] for cut in plan.cuts]
        kept = ledger.begin(ledger_head(inventory, {"zarr_format": zarr_format, "cuts": cuts}))
        zarr_store.sweep(home, kept)
        disk_space.check(home, inventory, plan.objects, kept)
        home.write_beside(zarr_store.PROVENANCE, files.text_of(provenance(inventory)))
        root = zarr_store.UnsealedStore(zarr_store.open_store(home, read_only=False), home.fence)
        attributes = {name: encoding.plain(value) for name, value in inventory.attributes.items()}
        group = zarr.create_group(root, zarr_format=zarr_format, attributes=attributes)
        whole = sum(cut.array.bytes for cut in plan.cuts)
        with Progress("convert", whole) as progress, home.writing(plan.uploads) as put:
            for cut in plan.cuts:
                name, codec = cut.array.name, chosen[cut.array.name][0]
                array = encoding.create_array(group, name, inventory.variables[name], cut.chunks, cut.shards, codec)
                if dtypes[name] == encoding.TEXT:
                    shards.write_texts(reader, cut, array)
                    continue
                form = encoding.form_of(array, codec)
                target = shards.Target(put, array, form, ledger, frozenset(kept), progress)
                write = shards.write_independent if cut.independent else shards.write_slabs
                write(reader, cut, target, compute)
        zarr.consolidate_metadata(root)
        for file in inventory.files:
            check_unchanged(file)
        ledger.complete()
    return {
        "reader": {name: "+".join(sorted(ways)) for name, ways in reader.used.items()},
        "codecs": {name: codec.name for name, (codec, _) in chosen.items()},
        "trials": {name: figures for name, (_, figures) in chosen.items() if figures},
        "resumed_shards": len(kept),
    }


def provenance(inventory: Inventory) -> dict:
    """Return the provenance of a store as JSON."""
    shared = {each.name: getattr(inventory, each.name) for each in fields(Provenance) if each.name != "recipe"}
    return to_json(Provenance(**shared | {"recipe": RECIPE, "files": lasting(inventory.files)}))
