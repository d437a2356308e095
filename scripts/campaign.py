"""Write the report, the tables and the catalogue of stores, and print what became of every dataset."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from cmip6zarr import campaign, catalogue, cli, receipts, remaining, report, running


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogue", required=True, help="intake-esm catalogue of the sources")
    parser.add_argument("--select", default="{}", help="JSON: facet -> value or values, and limit")
    parser.add_argument("--results", required=True, help="folder of the receipts")
    return parser.parse_args(argv)


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
    catalogue.write(campaign.store_table(verified, results), results / "catalogue" / "stores.json", **campaign.STORES)
    published = [name for name in verified if receipts.path_of(results, "publish", name).is_file()]
    if published:
        table = campaign.store_table(published, results, "publish")
        catalogue.write(table, results / "catalogue" / "published.json", **campaign.STORES)
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
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
