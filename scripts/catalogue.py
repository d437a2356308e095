"""Build an intake-esm catalogue of trees of NetCDF files, or show what a catalogue holds."""

import argparse
import sys

from cmip6zarr.catalogue.build import build, write
from cmip6zarr.catalogue.esm import CatalogueError, read_catalogue
from cmip6zarr.core.errors import DatasetError

FEW = 5


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 1 with one message on stderr."""
    args = _parse(argv)
    try:
        args.command(args)
    except (CatalogueError, DatasetError, OSError) as error:
        print(f"catalogue: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    built = commands.add_parser("build", help="write X.json and X.csv, a row per NetCDF file in a DRS folder")
    built.add_argument("roots", nargs="+", metavar="DRS_ROOT", help="a folder with CMIP6/... or cmip5/... below it")
    built.add_argument("--out", required=True, metavar="X.json", help="the catalogue to write")
    built.set_defaults(command=_build)
    shown = commands.add_parser("show", help="count rows and datasets, name the first")
    shown.add_argument("catalogue", metavar="CATALOGUE", help="an intake-esm .json, or its .csv, .csv.gz or .parquet")
    shown.add_argument("--select", nargs="+", type=_facet, default=[], metavar="facet=value[,value]")
    shown.set_defaults(command=_show)
    return parser.parse_args(argv)


def _facet(text: str) -> tuple[str, list[str]]:
    facet, equals, values = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not facet=value[,value]")
    return facet, values.split(",")


def _build(args: argparse.Namespace) -> None:
    rows, left_aside = build(args.roots)
    write(rows, args.out)
    _count(rows.height, left_aside)
    print(f"wrote       {args.out}")


def _show(args: argparse.Namespace) -> None:
    catalogue = read_catalogue(args.catalogue, dict(args.select))
    _count(catalogue.rows, catalogue.left_aside)
    print(f"datasets    {len(catalogue.datasets)}")
    for name in list(catalogue.datasets)[:FEW]:
        print(f"  {name}")
    if len(catalogue.datasets) > FEW:
        print("  ...")


def _count(rows: int, left_aside: dict[str, int]) -> None:
    print(f"rows        {rows}")
    for reason, number in left_aside.items():
        print(f"left aside  {number} ({reason})")


if __name__ == "__main__":
    sys.exit(main())
