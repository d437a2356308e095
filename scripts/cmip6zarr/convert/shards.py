"""Write the shards of one array: read, compress, put, and note in the ledger; one writer each, each once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np
import zarr
from dask.delayed import Delayed, delayed

from cmip6zarr.convert import encoding, native_frames, shuffled_chunks
from cmip6zarr.convert.codecs import Blosc, Form
from cmip6zarr.convert.hdf5_chunks import view_of
from cmip6zarr.convert.hdf5_layout import Region
from cmip6zarr.convert.reader import Reader, shifted
from cmip6zarr.core import chunks
from cmip6zarr.core.buffers import Bytes, Parts, scratch
from cmip6zarr.core.progress import Progress
from cmip6zarr.plan.planning import Cut
from cmip6zarr.store import zarr_store
from cmip6zarr.store.interface import Put, Written
from cmip6zarr.store.ledger import Entry
from cmip6zarr.store.ledger_writer import LedgerWriter
from cmip6zarr.store.raw_sum import RawSum

Compute = Callable[[Delayed], object]
"""Computes a graph of dask."""

TASKS = 4096  # shards of one graph: dask holds all of a graph in memory


@dataclass(frozen=True)
class Objects:
    """The objects of a store that is being written: its home's `put`, its ledger, and how far it is.

    `kept` are the keys of those that an earlier run has left.
    """

    put: Put
    ledger: LedgerWriter
    kept: frozenset[str]
    progress: Progress


@dataclass(frozen=True)
class Target:
    """The array that is being written, and what its objects are like."""

    objects: Objects
    array: zarr.Array[Any]
    form: Form

    def key(self, region: Region) -> str:
        """Return the key of the object of the shard at a region."""
        index = tuple(r.start // shard for r, shard in zip(region, self.form.shards, strict=True))
        return zarr_store.chunk_key(self.array, index)

    def missing(self, regions: Iterator[Region]) -> Iterator[Region]:
        """Yield those of the regions whose shards are not there."""
        for region in regions:
            if self.key(region) in self.objects.kept:
                self.objects.progress.keep(self.bytes_of(region))
            else:
                yield region

    def bytes_of(self, region: Region) -> int:
        """Return the bytes of the values at a region."""
        size: int = prod(r.stop - r.start for r in region) * self.array.dtype.itemsize
        return size

    def put(self, region: Region, encode_chunk: Callable[[Region, RawSum], Parts]) -> None:
        """Write the shard at a region; `encode_chunk` returns a chunk at a region of the shard, and sums its values."""
        raw = RawSum(self.array.dtype.itemsize)
        shape = tuple(r.stop - r.start for r in region)
        parts = self.form.encode(shape, lambda part: encode_chunk(part, raw))
        key = self.key(region)

        def note(made: Written) -> None:
            # What is there already when it is written down, and no sooner.
            self.objects.ledger.add(Entry(key, self.array.path, made.bytes, made.xxh3, made.md5, raw.hexdigest()))
            self.objects.progress.add(self.bytes_of(region))

        self.objects.put(key, parts, note)


def write_independent(reader: Reader, cut: Cut, target: Target, compute: Compute) -> None:
    """Write the shards of an array, each by one task.

    Native chunks that lie as Blosc shuffles are handed over as they are. Everything else is read into a buffer of the
    thread first, a shard at a time.
    """
    form, dtype = target.form, target.array.dtype.newbyteorder("<")

    def write(shard: Region) -> None:
        origin = [r.start for r in shard]
        slab: list[np.ndarray] = []  # the values of the shard, once they are needed

        def encode_chunk(part: Region, raw: RawSum) -> Parts:
            stream = stream_of(reader, cut, shifted(part, origin), raw, form) if cut.streamed else None
            if stream is not None:
                return form.checked(stream)
            if not slab:
                shape = [r.stop - r.start for r in shard]
                slab.append(scratch.get("slab", prod(shape) * dtype.itemsize).view(dtype).reshape(shape))
                for _, fill in reader.jobs(cut.array, shard, slab[0]):
                    fill()
            return form.encode_values(slab[0][part], raw)

        target.put(shard, encode_chunk)

    shards = target.missing(cut.slabs())
    while some := list(islice(shards, TASKS)):
        compute(one_task_each(write, some))


def one_task_each(write: Callable[[Region], None], shards: list[Region]) -> Delayed:
    """Return the dask graph that writes each shard by a task of its own."""
    # By number: dask takes the slices of a region apart, for 0.04 ms of CPU a shard.
    task = delayed(lambda number: write(shards[number]))
    return all_of(task(i, dask_key_name=f"shard-{i}") for i in range(len(shards)))


def all_of(tasks: Iterable[Delayed]) -> Delayed:
    """Return one graph of tasks, whose results are dropped."""
    # As one: put together by `dask.compute` itself they cost twice as much CPU.
    whole: Delayed = delayed(lambda *_: None)(*tasks)
    return whole


def stream_of(reader: Reader, cut: Cut, region: Region, raw: RawSum, form: Form) -> memoryview | None:
    """Return a chunk compressed, or copied, block by block.

    None if a file is laid out in another way than the plan was told.
    """
    native = reader.native_chunks(cut.array, region)
    if not native or not isinstance(form.codec, Blosc):
        return None
    beyond = np.asarray(form.beyond, native[0].layout.dtype).tobytes()
    count = prod(cut.chunks) // prod(native[0].layout.chunks)
    if cut.array.not_copied is None:
        raw.copied()
        return native_frames.frame(native, count, beyond)
    blocks = shuffled_chunks.blocks(native, count, chunks.BLOCK_BYTES, beyond)
    itemsize = cut.array.itemsize
    return form.codec.encode_shuffled(summed(blocks, raw), prod(cut.chunks) * itemsize, itemsize)


def summed(blocks: Iterator[Bytes], raw: RawSum) -> Iterator[Bytes]:
    """Yield shuffled blocks once they are in the sum."""
    for block in blocks:
        raw.update_shuffled(block)
        yield block


def write_slabs(reader: Reader, cut: Cut, target: Target, compute: Compute) -> None:
    """Write the shards of an array slab by slab."""
    # One buffer for all slabs: new memory would cost as much as compressing into it.
    buffer = np.empty(
        [min(n, size) for n, size in zip(cut.slab, cut.array.shape, strict=True)], target.array.dtype.newbyteorder("<")
    )
    for slab in cut.slabs():
        shards = list(target.missing(cut.shards_of(slab)))
        if shards:
            values = view_of(buffer, slab, [axis.start for axis in slab])
            compute(slab_graph(reader, cut, slab, shards, values, target))


def slab_graph(
    reader: Reader, cut: Cut, slab: Region, shards: list[Region], values: np.ndarray, target: Target
) -> Delayed:
    """Return the dask graph that reads one slab into `values` and writes shards of it.

    Each shard waits for its own pieces only. Shards are compressed and written here: through zarr it takes a tenth more
    CPU, and an event loop between threads.
    """
    origin = [axis.start for axis in slab]
    jobs = list(reader.jobs(cut.array, slab, values))

    def read(number: int) -> None:
        _, fill = jobs[number]
        fill()

    def write(number: int, *_pieces: None) -> None:
        region = shards[number]
        block = view_of(values, region, origin)
        target.put(region, lambda part, raw: target.form.encode_values(block[part], raw))

    piece, shard = delayed(read), delayed(write)
    pieces = [piece(j, dask_key_name=f"piece-{j}") for j in range(len(jobs))]
    needed = ([pieces[j] for j, (part, _) in enumerate(jobs) if overlap(part, region)] for region in shards)
    return all_of(shard(i, *some, dask_key_name=f"shard-{i}") for i, some in enumerate(needed))


def overlap(a: Region, b: Region) -> bool:
    """Tell whether two regions share a value."""
    return all(x.start < y.stop and y.start < x.stop for x, y in zip(a, b, strict=True))


def write_texts(reader: Reader, cut: Cut, array: zarr.Array[Any]) -> None:
    """Write an array of texts through zarr; they are few and have no dtype of bytes."""
    for region in cut.slabs():
        values = np.empty([r.stop - r.start for r in region], encoding.TEXT)
        for _, fill in reader.jobs(cut.array, region, values):
            fill()
        array[region or ...] = values
