"""Compare one store with its source files bit by bit, and seal it if they are the same."""

import sys

from cmip6zarr import chunks, cli, compare, receipts, stores
from cmip6zarr.reader import check_unchanged


def parse(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("--memory-mib", type=int, default=1024, help="most memory to use")
    return parser.parse_args(argv)


def verify(args) -> dict:
    """Prove the store, seal it, and return the facts of the receipt; a store that is not proven is not sealed."""
    inventory, converted = (receipts.read(args.results, rule, args.dataset) for rule in ("inventory", "convert"))
    path = converted["store"]
    for file in inventory["files"]:
        check_unchanged(file)
    stores.unseal(path)
    memory_bytes = max(args.memory_mib * chunks.MIB - chunks.BASE_BYTES, chunks.LEAST_SLAB_BYTES)
    with stores.quiet():
        proof = compare.prove(path, inventory, memory_bytes)
    for file in inventory["files"]:
        check_unchanged(file)
    stores.seal(path, converted["zarr_format"])
    return {"store": path, "mode": "full"} | proof | {"sealed": True}


def main(argv=None) -> int:
    args = parse(argv)
    return cli.attempt("verify", args, lambda: verify(args))


if __name__ == "__main__":
    sys.exit(main())
