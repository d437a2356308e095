"""The scripts in this process, one after another: a catalogue of any files, the inventory, a store."""

import json

import polars as pl
from builders import dataset_id

import convert
import inventory
import verify
from cmip6zarr import catalogue, chunks, drs, receipts, source, writer

ID = dataset_id()
MEMORY = 2**30


def list_files(datasets, path):
    """Write the catalogue of some datasets, {id: paths}, wherever their files lie."""
    rows = [(*dataset.split("."), str(file)) for dataset, paths in datasets.items() for file in paths]
    catalogue.write(pl.DataFrame(rows, [*drs.FACETS, "path"], orient="row"), path)


def run_inventory(dataset, listed, results, **policy):
    """Run inventory.py for a dataset of a catalogue and return its exit code."""
    facets = dict(zip(drs.FACETS, dataset.split("."), strict=True))
    digest = catalogue.read_catalogue(listed, facets).datasets[dataset].digest
    options = ["--catalogue", str(listed), "--digest", digest, "--policy", json.dumps(policy)]
    return inventory.main([dataset, "--results", str(results), *options])


def run_convert(results, store, *options, dataset=ID):
    """Run convert.py and return its exit code."""
    return convert.main([dataset, "--results", str(results), "--store", str(store), *map(str, options)])


def run_verify(results, dataset=ID):
    """Run verify.py and return its exit code."""
    return verify.main([dataset, "--results", str(results)])


def take(paths, results, **policy):
    """Take the inventory of some files, leave it as the receipt of the default dataset, and return it."""
    facts = {"dataset": ID} | source.take_inventory([str(path) for path in paths], policy)
    receipts.write(receipts.path_of(results, "inventory", ID), facts)
    return facts


def write(facts, store, zarr_format=3, rule=None, chunk_bytes=2**20, scheduler="synchronous", memory=MEMORY):
    """Write the unsealed store of an inventory and return the plan of it."""
    plan = chunks.plan(writer.arrays_of(facts), rule, chunk_bytes, memory, 1)
    writer.write_store(facts, store, plan, zarr_format, "balanced", writer.scheduler(scheduler, 2))
    return plan
