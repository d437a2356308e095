"""Copy a verified store to where it is published, prove it there by its ledger, and seal it."""

import sys
from pathlib import Path

from cmip6zarr.core import chunks
from cmip6zarr.job import cli, receipts
from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.proof import Proof
from cmip6zarr.store import backend, publish
from cmip6zarr.store.ledger_writer import Owner


def published(args) -> dict:
    """Copy the store and return the facts of the receipt."""
    verified = receipts.load(Proof, args.results, args.dataset)
    converted = receipts.load(Conversion, args.results, args.dataset)
    source = backend.at(verified.store, args.s3, cli.draft_of(args))
    target = backend.at(args.to, args.s3, Path(args.results, "ledger", f"{args.dataset}.published.jsonl"))
    target.reach()
    memory_bytes = args.memory_mib * chunks.MIB // 2
    owner = Owner(args.results, args.take_over)
    done = publish.copy(source, target, args.dataset, converted.zarr_format, memory_bytes, owner)
    return {"store": args.to, "source": verified.store} | done


def parse(argv):
    parser = cli.parser(__doc__, "publish")
    parser.add_argument("--to", required=True, help="folder of the published store, or its s3://BUCKET/PREFIX")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)
    return cli.attempt("publish", args, lambda: published(args))


if __name__ == "__main__":
    sys.exit(main())
