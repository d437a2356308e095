"""Take the datasets of a bundle through all rules, each in a process of its own, forked when all is imported."""

import argparse
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from pathlib import Path

import netCDF4  # noqa: F401  what the rules would import one by one is imported once
import xarray  # noqa: F401

import convert
import inventory
import size_report
import verify
from cmip6zarr.campaign import bundles, lost, tables
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import cli, due, in_progress, receipts, request

DEATHS = {
    "SIGKILL": (
        "memory",
        ", which is what comes of too little memory",
        in_progress.REMEDY["memory"].format(rule="bundle"),
    )
}
BUG = ("bug", "", "See the logs, then run again; if it stays, report it as a bug.")
"""Signal -> class, what it means, remedy; any other is a bug, and most likely one of a library in C."""

SCRIPTS = {"inventory": inventory, "convert": convert, "verify": verify, "size_report": size_report}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="id of the bundle")
    parser.add_argument("--results", required=True, help="folder of the receipts")
    parser.add_argument("--config", required=True, type=json.loads, help="JSON: the configuration of the workflow")
    parser.add_argument("--attempt", type=int, default=1, help="which try this is")
    return parser.parse_args(argv)


def left(row: Dataset, args: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Return what is left to do for a dataset: rules with their command lines."""
    asked, untrue = request.asked(args.config, row), lost.untrue([row.id], args.config).get(row.id)
    first = due.first_rule(row.id, due.receipts_of(args.results, row.id), asked, untrue)
    todo = request.RULES[request.RULES.index(first) :] if first else ()
    more = ["--attempt", str(args.attempt), "--bundle", args.bundle]
    return [(rule, request.command(rule, args.config, row, args.results) + more) for rule in todo]


def take(row: Dataset, todo: list[tuple[str, list[str]]], results: str) -> None:
    """Take a dataset through rules; exits with the code of the first that fails."""
    for rule, argv in todo:
        log = Path(results, "logs", rule, f"{row.id}.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as said:  # what the libraries in C say too
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        if code := SCRIPTS[rule].main(argv):
            sys.exit(code)


def outcome(row: Dataset, args: argparse.Namespace) -> str:
    """Do what is left for a dataset in a process of its own, and return in a word what became of it.

    Raises SystemExit if the process was asked to end, as this one then is too: the note that it leaves tells the rest.
    """
    todo = left(row, args)
    if not todo:
        return "verified"
    process = multiprocessing.get_context("fork").Process(target=take, args=(row, todo, args.results))
    process.start()
    process.join()
    if process.exitcode >= 0:
        return {cli.OK: "verified", cli.REFUSED: "refused"}.get(process.exitcode, "failed")
    name = signal.Signals(-process.exitcode).name
    if name in ("SIGTERM", "SIGINT", "SIGHUP"):
        sys.exit(cli.FAILED)
    note = receipts.find(args.results, in_progress.FOLDER, row.id) or {"rule": "bundle"}
    kind, told, remedy = DEATHS.get(name, BUG)
    facts = {"dataset": row.id, "rule": note["rule"], "class": kind, "signal": name, "remedy": remedy}
    message = f"The process of {note['rule']} was ended by {name}{told}."
    receipts.write(receipts.path_of(args.results, "failed", row.id), facts | {"message": message})
    in_progress.end(args.results, row.id)
    return "failed"


def main(argv=None) -> int:
    args = parse(argv)
    start, config = time.perf_counter(), args.config
    try:
        chosen = {row.id: row for row in bundles.handed_over(args.results, args.bundle, config)}
    except DatasetError as error:
        print(error, file=sys.stderr)
        return cli.FAILED
    refused = set()
    if config["rerun"] != "refused":
        refused = tables.refused_before(chosen, args.results, config["policy"])
    if config["rerun"] not in ("failed", "refused"):
        chosen = {name: row for name, row in chosen.items() if tables.state(name, args.results) == config["rerun"]}
    outcomes = {}
    for name, row in chosen.items():
        outcomes[name] = "refused" if name in refused else outcome(row, args)
        print(f"{outcomes[name]}: {name}", flush=True)
    failed = [name for name, word in outcomes.items() if word == "failed"]
    if failed:
        print(f"{len(failed)} of {len(outcomes)} datasets failed; the others are done.", file=sys.stderr)
        return cli.FAILED
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    facts = {"bundle": args.bundle, "datasets": outcomes, "seconds": time.perf_counter() - start, "cpu_seconds": spent}
    try:
        receipts.write(receipts.path_of(args.results, "bundle", args.bundle), facts)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return cli.FAILED
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
