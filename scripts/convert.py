"""Write the NetCDF files of one dataset as one Zarr store, raw bits in and raw bits out."""

import json
import math
import os
import sys
from datetime import UTC, datetime

from cmip6zarr.campaign import last_run
from cmip6zarr.convert import origin_attribute, writer
from cmip6zarr.core import chunks
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import cli, receipts
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.plan import planning
from cmip6zarr.plan.budget import Budget, ChunkRule
from cmip6zarr.store import backend
from cmip6zarr.store.ledger_writer import Owner


def parse(argv):
    parser = cli.parser(__doc__, "convert")
    args = parser.parse_args(argv)
    if not 0 < args.chunk_mib < math.inf or not 0 <= args.shard_mib < math.inf:
        parser.error(
            f"--chunk-mib {args.chunk_mib}, --shard-mib {args.shard_mib}: expected numbers above 0, and from 0 on"
        )
    if args.shard_mib and args.zarr_format == 2:
        parser.error("--shard-mib needs --zarr-format 3: Zarr v2 has no shards")
    return args


def convert(args) -> dict:
    """Plan, write, and return the facts of the receipt."""
    home = backend.at(args.store, args.s3, cli.draft_of(args))
    home.reach()
    inventory = receipts.load(Inventory, args.results, args.dataset)
    lengths = None if args.chunks == "auto" else json.loads(args.chunks)
    threads = min(args.threads, len(os.sched_getaffinity(0)))
    rule = ChunkRule(lengths, int(args.chunk_mib * chunks.MIB), int(args.shard_mib * chunks.MIB))
    budget = Budget(int(args.memory_mib * chunks.MIB), threads, home.uploads)
    try:
        plan = planning.plan(writer.arrays_of(inventory, args.codec), rule, budget)
    except planning.PlanError as error:
        raise DatasetError(error.kind, str(error), "Then run again.") from error
    print(
        f"planned: {plan.objects} objects, at most {plan.planned_bytes // chunks.MIB} MiB of memory, "
        f"{plan.read_amplification:.2f} bytes read for each that is needed",
        flush=True,
    )
    compute = writer.scheduler(threads)
    version = last_run.read(args.results).get("version", "unknown")
    more = origin_attribute.made(inventory, version, datetime.now(UTC)) if args.origin else {}
    store_format = writer.StoreFormat(args.zarr_format, args.codec, more)
    owner = Owner(args.results, args.take_over)
    written = writer.write_store(inventory, home, plan, store_format, compute, owner)
    objects = home.list()
    conversion = Conversion(
        dataset=args.dataset,
        store=args.store,
        zarr_format=args.zarr_format,
        source_bytes=inventory.source_bytes,
        raw_bytes=inventory.raw_bytes,
        stored_bytes=sum(objects.values()),
        objects=len(objects),
        planned_objects=plan.objects,
        planned_mib=plan.planned_bytes // chunks.MIB,
        read_amplification=round(plan.read_amplification, 3),
        codec=args.codec,
        origin=args.origin,
        chunks={cut.array.name: cut.chunks for cut in plan.cuts},
        shards={cut.array.name: cut.shards for cut in plan.cuts},
        slabs={cut.array.name: cut.slab for cut in plan.cuts},
        threads=threads,
        **vars(written),
    )
    return to_json(conversion)


def main(argv=None) -> int:
    args = parse(argv)
    return cli.attempt("convert", args, lambda: convert(args))


if __name__ == "__main__":
    sys.exit(main())
