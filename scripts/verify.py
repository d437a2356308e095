"""Compare one store with its source files bit by bit, and seal it if they are the same.

With --audit STORE instead of a dataset: is a store, sealed once, still what its ledger says?
"""

import argparse
import json
import os
import sys
from dataclasses import replace

from cmip6zarr.catalogue import row_files
from cmip6zarr.catalogue.dataset import Dataset, handed_over
from cmip6zarr.core import chunks
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import cli, receipts, request
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.conversion import Conversion
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.proof import Proof
from cmip6zarr.store import audit, backend, ledger, zarr_store
from cmip6zarr.store.ledger_writer import LedgerWriter
from cmip6zarr.verify import proof, published, row
from cmip6zarr.verify.tally import Tally

BASE_BYTES = 220 * chunks.MIB
"""What Python, the libraries and xarray take before anything is compared."""

LEAST_BYTES = 16 * chunks.MIB


def parse(argv):
    parser = cli.parser(__doc__, "verify")
    parser.add_argument(
        "--audit", metavar="STORE", help="audit this sealed store, and no dataset; only --s3 may be given too"
    )
    return parser.parse_args(argv)


def verify(args, files: list[dict]) -> dict:
    """Prove the store, seal it, and return the facts of the receipt; a store that is not proven is not sealed.

    What there is of the source files before one is read is added to `files`.
    """
    listed = handed_over(args.results, args.dataset, args.digest)
    files += row_files.seen(listed.files)
    inventory = receipts.load(Inventory, args.results, args.dataset)
    converted = receipts.load(Conversion, args.results, args.dataset)
    home = backend.at(converted.store, args.s3, cli.draft_of(args))
    home.reach()
    for file in inventory.files:
        row.check_unchanged(file)
    with LedgerWriter(home) as book, zarr_store.quiet():
        zarr_store.unseal(home)
        left_out = row.check_files(listed, inventory)
        if args.mode == "checksums":
            proven = prove_by_checksums(args, home, inventory, listed, left_out, book)
        else:
            proven = prove(args, home, inventory, listed, left_out, book, converted.origin)
        for file in inventory.files:
            row.check_unchanged(file)
        zarr_store.seal(home, converted.zarr_format)
    return to_json(replace(proven, store=converted.store, sealed=True))


def prove_by_checksums(
    args, home, inventory: Inventory, listed: Dataset, left_out: list[str], book: LedgerWriter
) -> Proof:
    """Return the proof that a store has all chunks of its arrays, and each object is what the ledger says.

    Of the files nothing is compared but checksums that were published.
    """
    sums, tally = published.published(listed, inventory, left_out, json.loads(args.policy)), Tally()
    told = audit.check(home, "chunks", book, dataset=inventory.dataset)
    chunks_expected = proof.prove_objects(home, dict(zarr_store.open_unsealed(home).arrays()))
    for file in inventory.files:
        with published.as_published(file.path, sums, tally):
            pass
    return Proof(
        dataset=inventory.dataset,
        store=str(home),
        mode="checksums",
        values_compared=0,
        files_as_published=tally.files_as_published,
        mismatches=0,
        chunks_expected=chunks_expected,
        chunks_missing=0,
        store_digest=told["store_digest"],
        findings=(),
        sealed=False,
    )


def prove(
    args, home, inventory: Inventory, listed: Dataset, left_out: list[str], book: LedgerWriter, origin: bool
) -> Proof:
    """Return the proof of a store by its values or streams; a ledger that calls right what is proven wrong is given up.

    With `origin` it must say what it was made of.
    An object is read for its checksum and its values at once, again for each further file whose values it holds too,
    and again for its checksum alone if it is a shard that was only read in parts. What another policy than that of the
    inventory does not allow is a failure of kind `source`: the inventory is taken again.
    """
    threads = min(args.threads, len(os.sched_getaffinity(0)))
    memory_bytes = max(args.memory_mib * chunks.MIB - BASE_BYTES, LEAST_BYTES)
    policy = proof.DEFAULTS | json.loads(args.policy)
    sums = published.published(listed, inventory, left_out, policy)
    entries = ledger.read(home)
    checksums = {key: entry.xxh3 for key, entry in entries.items()}
    raw = {key: entry.raw_xxh3 for key, entry in entries.items()}
    chunks_of = {key for key in checksums if zarr_store.is_chunk(key)}
    audit.check(home, "chunks", book, unread=chunks_of, dataset=inventory.dataset)
    group = zarr_store.open_unsealed(home, checksums)
    try:
        store = proof.Unproven(home, group, raw, listed.project.identity, args.mode, sums, origin)
        proven = proof.prove(store, inventory, left_out, policy, memory_bytes, threads)
    except DatasetError as error:
        if error.kind in ("chunks", "mismatch"):
            audit.check(home, "chunks", book)  # names all objects that have changed, if it is that
        if error.kind == "mismatch" and proof.is_other_policy(inventory.policy, policy):
            message = f"{error.message} The inventory was taken with another policy."
            raise DatasetError("source", message, row.ANEW) from error
        if error.kind in ("chunks", "mismatch"):
            book.forget()
        raise
    told = audit.check(home, "chunks", book, unread=group.store.checked)
    return replace(proven, store_digest=told["store_digest"])


def audit_store(argv) -> int:
    """Audit one store, print what is wrong with it as a line of JSON each, and return the exit code."""
    parser = request.add_s3(argparse.ArgumentParser(description=audit.__doc__))
    parser.add_argument("--audit", metavar="STORE", required=True, help="folder of a store, or its s3://BUCKET/PREFIX")
    args = parser.parse_args(argv)
    store = args.audit
    try:
        home = backend.at(store, args.s3)
        home.reach()
        ledger.expect_store(home)
        found = audit.problems(home)
        first, entries = ledger.load(home)
    except DatasetError as error:
        print(f"audit: {error}", file=sys.stderr)
        return cli.FAILED
    for problem in found:
        print(json.dumps(problem))
    sound = f"every object is what the ledger says; digest of all {ledger.digest_of_all(entries)}"
    print(f"{store}: {audit.told(found) if found else sound}.", file=sys.stderr)
    if not first.get("provenance"):
        print(f"{store}: its provenance is not proven: the ledger has no checksum of it.", file=sys.stderr)
    return cli.FAILED if found else cli.OK


def main(argv=None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if any(word.startswith("--audit") for word in argv):
        return audit_store(argv)
    args = parse(argv)
    files: list[dict] = []
    context = {"row": args.digest, "policy": json.loads(args.policy), "files": files}
    return cli.attempt("verify", args, lambda: verify(args, files), **context)


if __name__ == "__main__":
    sys.exit(main())
