"""The scripts in this process, one after another: a catalogue of any files, the inventory, a store."""

import json

import polars as pl
import yaml
import zarr
from builders import FACETS, dataset_id
from inventories import make_conversion
from repository import REPOSITORY

import campaign
import convert
import inventory
import verify
from cmip6zarr.campaign import listed
from cmip6zarr.catalogue import build, esm, projects
from cmip6zarr.catalogue.dataset import Dataset, hand_over
from cmip6zarr.convert import writer
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import from_json, to_json
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.plan import planning
from cmip6zarr.plan.budget import Budget, ChunkRule
from cmip6zarr.source.inventory import take_inventory
from cmip6zarr.store import backend, ledger, zarr_store
from cmip6zarr.store.ledger_writer import LedgerWriter
from cmip6zarr.verify import proof as proofs

ID = dataset_id()
MEMORY = 2**30
# What was listed, by folder of results and dataset: the catalogue of those that have none.
ROWS = {}


def configuration(**change):
    """Return the workflow's configuration, as the schema fills it in, with some changes."""
    keys = yaml.safe_load((REPOSITORY / "config" / "config.schema.yaml").read_text())["properties"]
    return {key: said.get("default") for key, said in keys.items()} | change


def list_files(datasets, path):
    """Write the catalogue of some datasets, {id: paths}, wherever their files lie."""
    rows = [(*dataset.split("."), str(file)) for dataset, paths in datasets.items() for file in paths]
    build.write(pl.DataFrame(rows, [*FACETS, "path"], orient="row"), path)


def run_inventory(dataset, listed, results, **policy):
    """Run inventory.py for a dataset of a catalogue and return its exit code."""
    facets = projects.of(dataset).words(dataset)
    row = ROWS[str(results), dataset] = esm.read_catalogue(listed, facets).datasets[dataset]
    hand_over(results, [row])
    return inventory.main([dataset, "--results", str(results), "--digest", row.digest, "--policy", json.dumps(policy)])


def run_convert(results, store, *options, dataset=ID):
    """Run convert.py and return its exit code."""
    return convert.main([dataset, "--results", str(results), "--store", str(store), *map(str, options)])


def run_verify(results, *more, dataset=ID, policy=None):
    """Run verify.py with the policy of the inventory, if none is given, and return its exit code."""
    if policy is None:
        policy = (receipts.find(results, "inventory", dataset) or {}).get("policy", {})
    row = ROWS.get((str(results), dataset)) or Dataset(dataset, ("none.nc",))
    hand_over(results, [row])
    options = ["--digest", row.digest, "--policy", json.dumps(policy)]
    return verify.main([dataset, "--results", str(results), *options, *map(str, more)])


def run_campaign(catalogue, results, *options, **select):
    """Run campaign.py as at the end of a run of a catalogue; return its exit code, 1 if it cannot be read."""
    try:
        found = esm.read_catalogue(catalogue, select)
    except esm.CatalogueError:
        return 1
    listed.keep(results, found.datasets, found.left_aside)
    return campaign.main(["--results", str(results), *options])


def take(paths, results, **policy):
    """Take the inventory of some files, leave it as the receipt of the default dataset, and return it as its JSON."""
    row = ROWS[str(results), ID] = Dataset(ID, tuple(str(path) for path in paths))
    facts = to_json(take_inventory(row, policy))
    receipts.write(receipts.path_of(results, "inventory", ID), facts)
    return facts


def write(facts, store, zarr_format=3, rule=None, chunk_bytes=2**20, threads=1, memory=MEMORY):
    """Write the unsealed store of an inventory, given as its JSON, and return the plan of it."""
    inventory = from_json(Inventory, facts)
    plan = planning.plan(writer.arrays_of(inventory, "balanced"), ChunkRule(rule, chunk_bytes), Budget(memory))
    writer.write_store(inventory, store, plan, writer.StoreFormat(zarr_format, "balanced"), writer.scheduler(threads))
    return plan


def leave_receipts(results, facts, store, zarr_format):
    """Leave the receipts that verify reads, of the default dataset and a store that was written without the script."""
    if (str(results), ID) not in ROWS:
        ROWS[str(results), ID] = Dataset(ID, tuple(file["path"] for file in facts["files"]))
    receipts.write(receipts.path_of(results, "inventory", ID), facts | {"row": ROWS[str(results), ID].digest})
    converted = to_json(make_conversion(store=str(store), zarr_format=zarr_format))
    receipts.write(receipts.path_of(results, "convert", ID), converted)


def failed_verify(results, policy=None):
    """Run verify.py, which must fail and leave no receipt, and return the record of its failure."""
    assert run_verify(results, policy=policy) == 1
    assert not receipts.path_of(results, "verify", ID).exists()
    return receipts.read(results, "failed", ID)


def proof(store, facts, memory_bytes):
    """Return the figures of the proof of an unsealed store."""
    raw = {key: entry.raw_xxh3 for key, entry in ledger.read(store).items()}
    unproven = proofs.Unproven(
        backend.at(store), zarr_store.open_unsealed(store), raw, Dataset(ID, ()).project.identity
    )
    return proofs.prove(unproven, from_json(Inventory, facts), [], facts["policy"], memory_bytes)


def accept(store):
    """Make the ledger of a store say of what is there that convert has written it so."""
    first = json.loads(ledger.path_of(store).read_text().splitlines()[0])
    with LedgerWriter(store) as book:
        book.forget()
        book.begin(first)
        book.complete()


def writable(store):
    """Open the group of an unsealed store to write into it."""
    with zarr_store.quiet():
        root = zarr_store.UnsealedStore(zarr_store.open_store(store, read_only=False))
        return zarr.open_group(root, mode="r+", use_consolidated=False)
