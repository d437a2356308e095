"""Read the headers and coordinates of one dataset's files, and say whether they are fit to become one store."""

import json
import sys

from cmip6zarr.catalogue import row_files
from cmip6zarr.catalogue.esm import CatalogueError, Dataset, read_dataset
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import cli
from cmip6zarr.model.as_json import to_json
from cmip6zarr.source.inventory import take_inventory


def parse(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("--catalogue", required=True, help="intake-esm catalogue that lists its files")
    parser.add_argument("--digest", required=True, help="of its row, as the catalogue was when the job was made")
    parser.add_argument("--policy", default="{}", help="JSON: kind of refusal -> what to do about it")
    return parser.parse_args(argv)


def listed(args) -> Dataset:
    """Return the dataset's row of the catalogue; raises DatasetError (`catalogue`) if its digest is another."""
    try:
        row = read_dataset(args.catalogue, args.dataset)
    except CatalogueError as error:
        raise DatasetError("catalogue", f"{error}.", "Correct the catalogue, then run again.") from error
    if row.digest != args.digest:
        message = (
            f"{args.catalogue}: found another list of files ({row.digest}), expected that of digest {args.digest}."
        )
        raise DatasetError("catalogue", message, "The catalogue changed after the start: run again.")
    return row


def inventory(args, row: Dataset | None, files: list[dict]) -> dict:
    """Look at the files of a row, the catalogue's if none is given, and return the facts of the receipt.

    What there is of them before one is opened is added to `files`, which are those of a record of failure.
    """
    row = row or listed(args)
    files += row_files.seen(row.files)
    return to_json(take_inventory(row, json.loads(args.policy)))


def main(argv=None, row: Dataset | None = None) -> int:
    args = parse(argv)
    files: list[dict] = []
    context = {"row": args.digest, "policy": json.loads(args.policy), "files": files}
    return cli.attempt("inventory", args, lambda: inventory(args, row, files), **context)


if __name__ == "__main__":
    sys.exit(main())
