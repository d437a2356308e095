"""Read the headers and coordinates of one dataset's files, and say whether they are fit to become one store."""

import json
import sys

from cmip6zarr.catalogue import row_files
from cmip6zarr.catalogue.dataset import handed_over
from cmip6zarr.job import cli
from cmip6zarr.model.as_json import to_json
from cmip6zarr.source.inventory import take_inventory


def parse(argv):
    return cli.parser(__doc__, "inventory").parse_args(argv)


def inventory(args, files: list[dict]) -> dict:
    """Look at the files of a dataset, and return the facts of the receipt.

    What there is of them before one is opened is added to `files`, which are those of a record of failure.
    """
    row = handed_over(args.results, args.dataset, args.digest)
    files += row_files.seen(row.files)
    return to_json(take_inventory(row, json.loads(args.policy)))


def main(argv=None) -> int:
    args = parse(argv)
    files: list[dict] = []
    context = {"row": args.digest, "policy": json.loads(args.policy), "files": files}
    return cli.attempt("inventory", args, lambda: inventory(args, files), **context)


if __name__ == "__main__":
    sys.exit(main())
