"""Write the report, the tables and the catalogue of stores, and print what became of every dataset."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from cmip6zarr import campaign, catalogue, cli, objects, receipts, remaining, report, running
from cmip6zarr.errors import DatasetError


def parse(argv):
    parser = cli.add_s3(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--catalogue", required=True, help="intake-esm catalogue of the sources")
    parser.add_argument("--select", default="{}", help="JSON: facet -> value or values, and limit")
    parser.add_argument("--results", required=True, help="folder of the receipts")
    for root, what in (("--store-root", "the stores"), ("--publish-root", "the published stores")):
        parser.add_argument(root, default="", help=f"where {what} lie: in a bucket it gets their catalogue too")
    return parser.parse_args(argv)


def put(rows, root: str, settings) -> None:
    """Put a catalogue of stores below their root in a bucket, where it opens without the folder of results."""
    home = objects.at(f"{root.rstrip('/')}/catalogue", settings)
    # By its URL: beside its JSON intake-esm finds a table on a file system alone.
    described, listed = catalogue.texts(rows, "stores", f"{home}/stores.csv", **campaign.STORES)
    home.put("stores.csv", [listed.encode()])
    home.put("stores.json", [described.encode()])


def main(argv=None) -> int:
    args = parse(argv)
    try:
        names = catalogue.read_catalogue(args.catalogue, json.loads(args.select)).datasets
    except catalogue.CatalogueError as error:
        print(error, file=sys.stderr)
        return cli.FAILED
    results = Path(args.results)
    running.settle(results, names)
    remaining.finished(results)  # so that the next run finds it up to date
    states = {name: campaign.state(name, results) for name in names}
    verified = [name for name, word in states.items() if word == "verified"]
    sizes = campaign.size_table(verified, results)
    receipts.write_text(results / "sizes.tsv", sizes.write_csv(separator="\t"))
    tables = {("stores", args.store_root): campaign.store_table(verified, results)}
    published = [name for name in verified if receipts.path_of(results, "publish", name).is_file()]
    if published:
        tables["published", args.publish_root] = campaign.store_table(published, results, "publish")
    for (name, _), table in tables.items():
        catalogue.write(table, results / "catalogue" / f"{name}.json", **campaign.STORES)
    audited = campaign.audit_table(names, results)
    if audited.height:
        receipts.write_text(results / "audit.tsv", audited.write_csv(separator="\t"))
    told = report.write(states, running.at_work(results, names), results)
    print(campaign.printed(sizes, shutil.get_terminal_size((160, 24)).columns))
    print(campaign.total(sizes))
    for line in campaign.bigger(sizes):
        print(line)
    print(campaign.counted(states))
    for name, word in states.items():
        if word not in ("verified", "waiting"):
            print(f"  {word}: {name}: see {receipts.path_of(results, 'failed', name)}")
    print(f"Report: {told}   Table: {results / 'sizes.tsv'}   Stores: {results / 'catalogue' / 'stores.json'}")
    try:
        for (_, root), table in tables.items():
            if root.startswith(objects.SCHEME) and table.height:
                put(table, root, args.s3)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return cli.FAILED
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
