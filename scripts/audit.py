"""Is a sealed store still what its ledger says? Checksums tell, without the sources."""

import sys

from cmip6zarr import audit, cli, receipts


def audited(args) -> dict:
    """Compare all objects of the store with its ledger and return the facts of the receipt."""
    path = receipts.read(args.results, "verify", args.dataset)["store"]
    home = cli.home(args, path)
    home.reach()
    return {"store": path} | audit.check(home, "rot", dataset=args.dataset)


def main(argv=None) -> int:
    args = cli.add_s3(cli.parser(__doc__)).parse_args(argv)
    return cli.attempt("audit", args, lambda: audited(args))


if __name__ == "__main__":
    sys.exit(main())
