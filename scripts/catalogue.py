"""Build an intake-esm catalogue of trees and lists of NetCDF files, show what one holds, or compare two."""

import argparse
import json
import sys
from pathlib import Path

import polars as pl

from cmip6zarr.campaign import changes, finished
from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.build import build, write
from cmip6zarr.catalogue.esm import CatalogueError, read_catalogue, read_rows
from cmip6zarr.catalogue.listing import Reading
from cmip6zarr.core import files
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
    built = commands.add_parser("build", help="write X.json and its table, a row per NetCDF file of trees and lists")
    built.add_argument("roots", nargs="*", metavar="DRS_ROOT", help="a folder with CMIP6/..., MIP-DRS7/... below it")
    told = "mapfiles of ESGF (.map), or folders of them"
    built.add_argument("--mapfiles", nargs="+", default=[], metavar="MAP", help=told)
    told = "STAC items or ItemCollections (.json), or folders of them"
    built.add_argument("--stac", nargs="+", default=[], metavar="JSON", help=told)
    told = "listed paths or URLs that begin with FROM are at TO"
    built.add_argument("--moved", nargs="+", type=_moved, default=[], metavar="FROM=TO", help=told)
    told = "only the newest version of each dataset, by its number"
    built.add_argument("--latest", action="store_true", help=told)
    built.add_argument("--out", required=True, metavar="X.json", help="the catalogue to write")
    built.add_argument("--table", choices=["csv", "parquet"], default="csv", help="what the table is written as")
    _add_projects(built)
    built.set_defaults(command=_build)
    shown = commands.add_parser("show", help="count rows and datasets, name the first")
    shown.add_argument("catalogue", metavar="CATALOGUE", help="an intake-esm .json, or its .csv, .csv.gz or .parquet")
    _add_projects(shown)
    told = "the project of rows that name none"
    shown.add_argument("--project", default="", help=told)
    shown.add_argument("--select", nargs="+", type=_facet, default=[], metavar="facet=value[,value]")
    shown.set_defaults(command=_show)
    compared = commands.add_parser("changes", help="say what has changed between two catalogues, and what to do")
    for name, which in (("old", "as it was"), ("new", "as it is")):
        compared.add_argument(name, metavar=name.upper(), help=f"the catalogue {which}")
    compared.add_argument(
        "--results", metavar="FOLDER", help="results of a campaign: tells which datasets have a store"
    )
    compared.add_argument("--table", metavar="X.tsv", help="write a row per dataset that is not as it was")
    compared.add_argument("--json", action="store_true", help="print counts and rows as JSON")
    _add_projects(compared)
    compared.add_argument("--project", default="", help=told)
    compared.set_defaults(command=_changes)
    return parser.parse_args(argv)


def _facet(text: str) -> tuple[str, list[str]]:
    facet, equals, values = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not facet=value[,value]")
    return facet, values.split(",")


def _add_projects(parser: argparse.ArgumentParser) -> None:
    told = "files of projects that are not built in"
    parser.add_argument("--projects", nargs="+", default=[], metavar="X.yaml", help=told)


def _moved(text: str) -> tuple[str, str]:
    begin, equals, at = text.rpartition("=")
    if not begin or not equals or not at:
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM=TO")
    return begin, at


def _build(args: argparse.Namespace) -> None:
    if not (args.roots or args.mapfiles or args.stac):
        raise CatalogueError("nothing to read: name a DRS_ROOT, --mapfiles or --stac")
    moved = {begin: str(Path(at).absolute()) for begin, at in args.moved}
    reading = Reading(projects=projects.known(args.projects), moved=moved)
    rows, left_aside = build(args.roots, args.mapfiles, args.stac, reading, args.latest)
    write(rows, args.out, kind=args.table)
    _count(rows.height, left_aside)
    print(f"wrote       {args.out}")


def _show(args: argparse.Namespace) -> None:
    catalogue = read_catalogue(args.catalogue, dict(args.select), args.projects, args.project)
    _count(catalogue.rows, catalogue.left_aside)
    print(f"datasets    {len(catalogue.datasets)}")
    for name in list(catalogue.datasets)[:FEW]:
        print(f"  {name}")
    if len(catalogue.datasets) > FEW:
        print("  ...")


def _changes(args: argparse.Namespace) -> None:
    old, new = (read_rows(path, args.projects, args.project) for path in (args.old, args.new))
    found = changes.compare(old, new, [projects.load(path) for path in args.projects])
    if args.results:
        found = changes.with_stores(found, finished.table(args.results, ("dataset", "store"))[0])
    if args.table:
        files.write_text(args.table, found.write_csv(separator="\t"))
    if args.json:
        print(json.dumps({"counts": changes.counts(found), "datasets": found.to_dicts()}, indent=1))
        return
    for change, number in changes.counts(found).items():
        some = found.filter(pl.col("change") == change)
        stores = f", {some['store'].count()} with a store" if args.results else ""
        print(f"{change:<11} {number}{stores}{f'. {changes.CHANGES[change]}' if number else ''}")
        for row in some.head(FEW).iter_rows(named=True):
            print(f"  {row['dataset']}" + (f", now {row['newer']}" if row["newer"] else ""))
        if number > FEW:
            print("  ...")


def _count(rows: int, left_aside: dict[str, int]) -> None:
    print(f"rows        {rows}")
    for reason, number in left_aside.items():
        print(f"left aside  {number} ({reason})")


if __name__ == "__main__":
    sys.exit(main())
