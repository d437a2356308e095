"""Compare one store with its source files bit by bit, and seal it if they are the same.

With --audit STORE instead of a dataset: is a store, sealed once, still what its ledger says?
"""

import argparse
import json
import sys

from cmip6zarr import audit, chunks, cli, compare, ledger, objects, planning, receipts, stores
from cmip6zarr.errors import DatasetError
from cmip6zarr.ledger import Ledger
from cmip6zarr.reader import check_unchanged


def parse(argv):
    parser = cli.add_s3(cli.parser(__doc__))
    parser.add_argument(
        "--mode", choices=("full", "checksums"), default="full", help="checksums: compare with the ledger alone"
    )
    parser.add_argument("--memory-mib", type=int, default=1024, help="most memory to use")
    return parser.parse_args(argv)


def verify(args) -> dict:
    """Prove the store, seal it, and return the facts of the receipt; a store that is not proven is not sealed."""
    inventory, converted = (receipts.read(args.results, rule, args.dataset) for rule in ("inventory", "convert"))
    home = cli.home(args, converted["store"])
    home.reach()
    for file in inventory["files"]:
        check_unchanged(file)
    memory_bytes = max(args.memory_mib * chunks.MIB - planning.BASE_BYTES, planning.LEAST_SLAB_BYTES)
    with Ledger(home) as book, stores.quiet():
        stores.unseal(home)
        if args.mode == "full":
            proof = prove(home, inventory, memory_bytes, book)
        else:
            audit.check(home, "chunks", book)
            arrays = dict(stores.open_unsealed(home).arrays())
            proof = compare.prove_objects(home, arrays) | {"values_compared": 0, "mismatches": 0}
        for file in inventory["files"]:
            check_unchanged(file)
        stores.seal(home, converted["zarr_format"])
    return {"store": converted["store"], "mode": args.mode} | proof | {"sealed": True}


def prove(home, inventory: dict, memory_bytes: int, book: Ledger) -> dict:
    """Return the figures of the proof; a ledger that calls right what is proven wrong is given up.

    An object is read for its checksum and its values at once, again for each further file whose values it holds too,
    and again for its checksum alone if it is a shard that was only read in parts.
    """
    checksums = {key: entry.xxh3 for key, entry in ledger.read(home).items()}
    audit.check(home, "chunks", book, unread={key for key in checksums if stores.is_chunk(key)})
    group = stores.open_unsealed(home, checksums)
    try:
        proof = compare.prove(home, group, inventory, memory_bytes)
    except DatasetError as error:
        if error.kind in ("chunks", "mismatch"):
            audit.check(home, "chunks", book)  # names all objects that have changed, if it is that
            book.forget()
        raise
    audit.check(home, "chunks", book, unread=group.store.checked)
    return proof


def audit_store(argv) -> int:
    """Audit one store, print what is wrong with it as a line of JSON each, and return the exit code."""
    parser = cli.add_s3(argparse.ArgumentParser(description=audit.__doc__))
    parser.add_argument("--audit", metavar="STORE", required=True, help="folder of a store, or its s3://BUCKET/PREFIX")
    args = parser.parse_args(argv)
    store = args.audit
    try:
        home = objects.at(store, args.s3)
        home.reach()
        found = audit.problems(home)
        proven = ledger.load(home)[0].get("provenance")
    except DatasetError as error:
        print(f"audit: {error}", file=sys.stderr)
        return cli.FAILED
    for problem in found:
        print(json.dumps(problem))
    print(f"{store}: {audit.told(found) if found else 'every object is what the ledger says'}.", file=sys.stderr)
    if not proven:
        print(f"{store}: its provenance is not proven: the ledger has no checksum of it.", file=sys.stderr)
    return cli.FAILED if found else cli.OK


def main(argv=None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if any(word.startswith("--audit") for word in argv):
        return audit_store(argv)
    args = parse(argv)
    return cli.attempt("verify", args, lambda: verify(args))


if __name__ == "__main__":
    sys.exit(main())
