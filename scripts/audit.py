"""Is a sealed store still what its ledger says? Checksums tell, without the sources."""

import sys

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import cli, receipts
from cmip6zarr.model.proof import Proof
from cmip6zarr.store import audit, backend, ledger, zarr_store


def audited(args, read: dict) -> dict:
    """Compare all objects of the store with its ledger and return the facts of the receipt.

    A store that is not what its ledger says, or has no whole ledger, is taken from its readers at once; `read` gets the
    objects and bytes of it that were read. The digest of all objects is to be that of the proof too.
    """
    proven = receipts.load(Proof, args.results, args.dataset)
    path = proven.store
    home = backend.at(path, args.s3, cli.draft_of(args))
    home.reach()
    try:
        found = audit.check(home, "rot", dataset=args.dataset)
        if proven.store_digest not in (None, found["store_digest"]):
            digests = f"found {found['store_digest']}, expected {proven.store_digest} as when it was proven"
            message = f"{path}: its ledger is another one, and so is the digest of all objects: {digests}."
            raise DatasetError("rot", message, "Run again: what is not right is converted again.")
        return {"store": path, "verdict": "sound"} | found
    except DatasetError as error:
        if error.kind in ("rot", "ledger"):
            zarr_store.unseal(home)
        if error.kind == "rot":
            entries = ledger.read(home).values()
            read |= {"objects": len(entries), "stored_bytes": sum(entry.bytes for entry in entries)}
        raise


def main(argv=None) -> int:
    args = cli.parser(__doc__, "audit").parse_args(argv)
    read: dict = {}
    code = cli.attempt("audit", args, lambda: audited(args, read))
    if code != cli.OK:
        said = receipts.find(args.results, "failed", args.dataset)
        if said is None:  # nothing can be written
            return code
        facts = {"dataset": args.dataset, "verdict": said["class"], "message": said["message"]} | read
        receipts.write(receipts.path_of(args.results, "audit", args.dataset), facts)
    return code


if __name__ == "__main__":
    sys.exit(main())
