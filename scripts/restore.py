"""Write the NetCDF files of a sealed store again: values, attributes, types and storage as they were."""

import argparse
import sys

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import cli, request
from cmip6zarr.restore import source_files as back
from cmip6zarr.store import backend, ledger, provenance


def parse(argv):
    parser = request.add_s3(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("store", help="folder or s3://BUCKET/PREFIX of the store, with its .provenance.json beside")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--file", metavar="NAME", help="name of one of its source files, without a folder")
    which.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--to", metavar="FOLDER", required=True, help="where to write; nothing there is replaced")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args, code = parse(argv), cli.OK
    try:
        home = backend.at(args.store, args.s3)
        home.reach()
        ledger.expect_store(home)
        known = provenance.read(home)
        if not provenance.is_proven(home):
            print(f"restore: {home}: its provenance is not proven: the ledger has no checksum of it.", file=sys.stderr)
        arrays = back.open_arrays(home, known)
        names = [provenance.name_of(file) for file in known.files] if args.all else [args.file]
    except DatasetError as error:
        print(f"restore: {error}", file=sys.stderr)
        return cli.FAILED
    for name in dict.fromkeys(names):
        try:
            print(back.restore(arrays, known, provenance.number_of(known, name), args.to), flush=True)
        except DatasetError as error:
            print(f"restore: {error}", file=sys.stderr)
            code = cli.FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
