"""Write the report, the tables and the catalogue of stores, and print what became of every dataset."""

import argparse
import json
import shutil
import sys
from pathlib import Path

import polars as pl

from cmip6zarr.campaign import finished, listed, stac_items, tables, withdrawn
from cmip6zarr.campaign import stores as catalogue
from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import cli, in_progress, receipts, request
from cmip6zarr.report import report
from cmip6zarr.store import backend


def parse(argv):
    parser = request.add_s3(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--results", required=True, help="folder of the receipts, and of what the last run listed")
    for root, what in (("--store-root", "the stores"), ("--publish-root", "the published stores")):
        parser.add_argument(root, default="", help=f"where {what} lie: their catalogue is put there too")
    parser.add_argument("--public-url", default="", help="under which what is published is served, else the stores")
    told = "JSON: the configuration's projects, files of those that are not built in"
    parser.add_argument("--projects", type=json.loads, default=[], help=told)
    parser.add_argument("--stac", action="store_true", help="write a STAC item of each store too")
    told = "take away the seals of stores that the run has found to be retracted or replaced by a newer version"
    parser.add_argument("--unseal", action="store_true", help=told)
    return parser.parse_args(argv)


def stores(sized: pl.DataFrame, results: Path, args) -> dict[tuple[str, str], pl.DataFrame]:
    """Return {(name, root): table} of the stores of a catalogue: those that were sealed, those published, if any.

    `sized` and the tables are as `finished.REPORTED`, with the columns of `withdrawn.marked`.
    """
    there = tables.names_in(results / "publish").intersection(sized["dataset"])
    published = {name: facts["store"] for name in there if (facts := receipts.find(results, "publish", name))}
    places = pl.DataFrame(list(published.items()), {"dataset": pl.String, "store": pl.String}, orient="row")
    elsewhere = sized.drop("store").join(places, on="dataset", maintain_order="left")
    rows_of = {("stores", args.store_root): sized, ("published", args.publish_root): elsewhere}
    return {key: table for key, table in rows_of.items() if table.height or table is sized}


def put(some: pl.DataFrame, root: str, public_url: str, own: list[Project], args) -> None:
    """Put a catalogue of stores below their root, where it goes with them.

    `some` is a table of them as `stores` returns it.
    """
    home = backend.at(f"{root.rstrip('/')}/catalogue", args.s3)
    catalogue.put(catalogue.table(some, own, root, public_url), home)
    if args.stac:
        places = (catalogue.place(store, root, public_url) for store in some["store"])
        hrefs = pl.Series("store", [each if "://" in each else f"../{each}" for each in places], pl.String)
        home.put(f"stores{stac_items.END}", list(stac_items.pieces(some.with_columns(hrefs), own)))


def write(args) -> list[str]:
    """Write and print all; return which stores could not be unsealed.

    Raises DatasetError where no run has begun, or something cannot be written.
    """
    results = Path(args.results)
    names, left_aside = listed.read(results)
    in_progress.settle(results, names)
    found = withdrawn.kept(results)
    failures = withdrawn.unseal(results, found, args.s3) if args.unseal else []
    table, holds = finished.table(results)
    if not holds:
        finished.keep(results, table)  # so that the next run finds it up to date
    states, sized = tables.standings(names, table, results)
    sizes = sized.select(*finished.COLUMNS)
    files.write_text(results / "sizes.tsv", sizes.write_csv(separator="\t"))
    failed = tables.failed_table(states, results)
    files.write_text(results / "failed.tsv", failed.write_csv(separator="\t"))
    withdrawn.write(results, found, table.select("dataset", "store"))
    rows_of = stores(withdrawn.marked(sized, found), results, args)
    own = [projects.load(path) for path in args.projects]
    for (name, _), some in rows_of.items():
        catalogue.put(catalogue.table(some, own), backend.at(results / "catalogue"), name)
        if args.stac:
            files.write_pieces(results / "catalogue" / f"{name}{stac_items.END}", stac_items.pieces(some, own))
    audited = tables.audit_table(names, results)
    if audited.height:
        files.write_text(results / "audit.tsv", audited.write_csv(separator="\t"))
    told = report.write(states, sized, in_progress.at_work(results, names), results, own)
    print(tables.printed(sizes, shutil.get_terminal_size((160, 24)).columns, own))
    print(tables.total(sizes))
    for line in (*tables.bigger(sizes), *tables.with_findings(sized)):
        print(line)
    print(tables.counted(states))
    for line in tables.failed(failed):
        print(line)
    for reason, number in left_aside.items():
        print(f"  rows of the catalogue left aside: {number}: {reason}")
    for line in filter(None, (listed.told(listed.withdrawn(results), results), *failures)):
        print(f"  {line}")
    print(f"Report: {told}   Table: {results / 'sizes.tsv'}   Stores: {results / 'catalogue' / 'stores.json'}")
    # What the public reads are the published stores, where there are some.
    public = args.publish_root or args.store_root
    for (_, root), some in rows_of.items():
        if root and (some.height or args.unseal):
            put(some, root, args.public_url if root == public else "", own, args)
    return failures


def main(argv=None) -> int:
    args = parse(argv)
    try:
        failures = write(args)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return cli.FAILED
    return cli.FAILED if failures else cli.OK


if __name__ == "__main__":
    sys.exit(main())
