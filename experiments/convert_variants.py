"""convert.py with one part of it replaced, to see what the part is worth.

Called with `pool` (a plain thread pool instead of dask), `slabs` (values unshuffled into slabs instead of native chunks
handed over as they lie), `zarr` or `zarrs` (slabs written by zarr-python, with its own codec pipeline or with that of
zarrs, instead of here), and the arguments of convert.py.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import convert
from cmip6zarr.convert import codecs, shards, writer
from cmip6zarr.plan import planning


def task_of(work):
    """Return what makes a task of `work`, as `dask.delayed` does."""
    return lambda *arguments, **_: partial(work, *arguments)


def pool(threads):
    """Return what runs the shards of a stream as dask does, in a plain pool."""
    workers = ThreadPoolExecutor(threads)

    def run(shard):
        for piece in shard.args[1:]:
            piece()
        shard()

    return lambda shards: list(workers.map(run, shards))


def put(target, region, encode_chunk):
    """Let zarr compress and write a shard."""
    shape = tuple(r.stop - r.start for r in region)
    target.array[region or ...] = target.form.encode(shape, lambda part: encode_chunk(part, None))


what = sys.argv.pop(1)
if what == "pool":
    writer.scheduler, shards.delayed, shards.all_of = pool, task_of, list
else:
    planning.streams = lambda *_: False
if what in ("zarr", "zarrs"):
    import zarr

    shards.Target.put, codecs.Form.encode_values = put, lambda _form, values, _raw: values
    if what == "zarrs":
        zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": 2})
sys.exit(convert.main())
