"""Write the variables of a dataset into an unsealed store, as planned; what an earlier run has written is kept."""

from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

import dask.local
import dask.threaded
import numpy as np
import zarr
from dask.base import compute as compute_graph

from cmip6zarr import RECIPE
from cmip6zarr.convert import codec_trial, encoding, shards, storage
from cmip6zarr.convert.codecs import PRESETS, Blosc, Pcodec
from cmip6zarr.convert.reader import Reader, check_unchanged
from cmip6zarr.convert.shards import Compute
from cmip6zarr.core import chunks, files
from cmip6zarr.core.chunks import STRING_BYTES
from cmip6zarr.core.files import JSON
from cmip6zarr.core.progress import Progress
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.conversion import Written
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.provenance import Provenance
from cmip6zarr.plan import planning
from cmip6zarr.source.attributes import bounds_of
from cmip6zarr.store import backend, disk_space, zarr_store
from cmip6zarr.store.backend import Place
from cmip6zarr.store.ledger import head as ledger_head
from cmip6zarr.store.ledger import lasting
from cmip6zarr.store.ledger_writer import LedgerWriter, Owner

TEXTS = ("str", "S1")


def arrays_of(inventory: Inventory, preset: str) -> list[chunks.Array]:
    """Return the arrays of an inventory as the plan sees them, to be compressed by the codecs of a preset.

    A field is what the chunk rule is for: it depends on time, has more dimensions than that, and bounds no coordinate.
    """
    blosc = all(isinstance(codec, Blosc) for codec in PRESETS[preset].codecs)
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
            big=preset == "native" and storage.is_big(inventory, name),
            **({"not_copied": storage.obstacle(inventory, name)} if preset == "native" else {}),
        )
        for name, v in inventory.variables.items()
    ]


def scheduler(threads: int) -> Compute:
    """Return what computes a dask graph: in this thread, or in a pool of so many."""
    # Not by their names: dask then imports distributed first, where it is installed, for 0.2 s of CPU.
    get = dask.threaded.get if threads > 1 else dask.local.get_sync
    # There is nothing in our graphs to leave out or to fuse, and to look for it takes 0.25 ms of CPU a shard.
    return partial(compute_graph, scheduler=get, num_workers=threads, optimize_graph=False)


@dataclass(frozen=True)
class StoreFormat:
    """What a store is written as: the version of Zarr, the preset of codecs, and attributes beside the source's."""

    zarr_format: Literal[2, 3]
    preset: str
    more: JSON = field(default_factory=dict)

    def made_of(self, cuts: list[list[Any]]) -> JSON:
        """Return what decides, beside the sources, which objects a store has."""
        # What was begun with other keys is written anew.
        keys = {"separator": encoding.SEPARATOR} if self.zarr_format == 3 else {}
        return {"zarr_format": self.zarr_format, "cuts": cuts} | keys

    def folders(self, plan: planning.Plan) -> int:
        """Return how many folders the chunks of a plan take in a file system."""
        return plan.folders if self.zarr_format == 3 else 0


def write_store(
    inventory: Inventory,
    path: Place,
    plan: planning.Plan,
    store_format: StoreFormat,
    compute: Compute,
    owner: Owner | None = None,
) -> Written:
    """Write all variables of a source to an unsealed store at `path`, replacing one of ours that is there.

    What an earlier run of the same sources, plan and codecs has written is kept, as far as the ledger and checksums
    confirm it. `compute` does the work, from `scheduler`. Raises DatasetError if the source has changed since its
    inventory, before or while it was read (`source`), if another process has the store (`busy`), if it is not ours
    (`store`), if there is no room for it (`space`), and if it was written for another owner (`owner`).
    """
    for file in inventory.files:
        check_unchanged(file)
    home = backend.at(path)
    zarr_store.check_ours(home)
    with LedgerWriter(home, owner) as ledger, zarr_store.quiet(), Reader(inventory) as reader:
        chosen = {cut.array.name: codec_of(store_format.preset, reader, cut) for cut in plan.cuts}
        cuts = [[cut.array.name, cut.chunks, cut.shards, chosen[cut.array.name][0].name] for cut in plan.cuts]
        kept = ledger.begin(ledger_head(inventory, store_format.made_of(cuts)))
        zarr_store.sweep(home, kept)
        disk_space.check(home, inventory, plan.objects + store_format.folders(plan), kept)
        home.write_beside(zarr_store.PROVENANCE, files.text_of(provenance(inventory)))
        root = zarr_store.UnsealedStore(zarr_store.open_store(home, read_only=False), home.fence)
        group = encoding.create_group(root, inventory.attributes, store_format.zarr_format, store_format.more)
        whole = sum(cut.array.bytes for cut in plan.cuts)
        with Progress("convert", whole) as progress, home.writing(plan.uploads) as put:
            objects = shards.Objects(put, ledger, frozenset(kept), progress)
            for cut in plan.cuts:
                write_array(reader, cut, group, chosen[cut.array.name][0], objects, compute)
        zarr.consolidate_metadata(root)
        for file in inventory.files:
            check_unchanged(file)
        ledger.complete()
    reasons = {cut.array.name: cut.array.not_copied for cut in plan.cuts}
    return Written(
        reader={name: "+".join(sorted(ways)) for name, ways in reader.used.items()},
        codecs={name: codec.name for name, (codec, _) in chosen.items()},
        trials={name: figures for name, (_, figures) in chosen.items() if figures},
        resumed_shards=len(kept),
        not_copied={name: reason for name, reason in reasons.items() if reason and reason != chunks.ANEW},
    )


def codec_of(preset: str, reader: Reader, cut: planning.Cut) -> tuple[Blosc | Pcodec, JSON]:
    """Return the codec of an array, and the figures of its trial, as `codec_trial.choose` does."""
    return codec_trial.choose(preset, reader, cut, encoding.dtype_of(reader.variables[cut.array.name].dtype))


def write_array(
    reader: Reader,
    cut: planning.Cut,
    group: zarr.Group,
    codec: Blosc | Pcodec,
    objects: shards.Objects,
    compute: Compute,
) -> None:
    """Create an array in the group of a store, and write those of its shards that are not there."""
    name, variable = cut.array.name, reader.variables[cut.array.name]
    array = encoding.create_array(group, name, variable, cut.chunks, cut.shards, codec)
    if variable.dtype == "str":
        shards.write_texts(reader, cut, array)
        return
    target = shards.Target(objects, array, encoding.form_of(array, codec))
    write = shards.write_independent if cut.independent else shards.write_slabs
    write(reader, cut, target, compute)


def provenance(inventory: Inventory) -> JSON:
    """Return the provenance of a store as JSON."""
    shared = {each.name: getattr(inventory, each.name) for each in fields(Provenance) if each.name != "recipe"}
    told: JSON = to_json(Provenance(**shared | {"recipe": RECIPE, "files": lasting(inventory.files)}))
    return told
