"""Print how a campaign stands, from its results: counts, what is at work, what failed, what to run again."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from cmip6zarr.campaign import status
from cmip6zarr.job import cli


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default="results", help="folder of the receipts")
    parser.add_argument("--json", action="store_true", help="all of it, as one JSON object")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)
    if not args.results.is_dir():
        print(f"status: there is no folder {str(args.results)!r}: no run has begun, or it is another.", file=sys.stderr)
        return cli.FAILED
    found = status.look(args.results)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
        print(*status.lines(found, width), sep="\n")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
