"""Stores whose datasets are withdrawn: the catalogue calls them retracted, has a newer version, or has them no longer.

When a run begins it asks the whole catalogue, whatever is selected of it. When it ends it marks such stores in the
catalogue of stores, and names them in a table, the report and the summary. Where the configuration says so, it also
takes the seals of those away that are retracted, or of which a newer version is sealed. No object is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cmip6zarr.campaign import changes, listed, tables
from cmip6zarr.catalogue import esm, naming, projects
from cmip6zarr.catalogue.datasets import Datasets
from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.settings import Config
from cmip6zarr.store import backend, ledger, zarr_store
from cmip6zarr.store.interface import Home
from cmip6zarr.store.ledger_writer import LedgerWriter
from cmip6zarr.store.s3_client import Settings

NAME = "withdrawn"
"""Of the file in the results that has what the last run found when it began, written as receipts are."""

FOUND = {"dataset": pl.String, "change": pl.String, "newer": pl.String, "unseal": pl.Boolean}
"""The table of datasets of the campaign that are withdrawn, and whether their stores are to be unsealed."""

NONE = pl.DataFrame(schema=FOUND)

OF_STORES = dict.fromkeys(("change", "dataset", "newer", "store", "what_to_do"), pl.String) | {"sealed": pl.Boolean}
"""The table of stores: `store` says where it is, `sealed` whether it opens."""

UNSEALED = "It does not open. To have it back set withdrawn: mark and run again, while it is listed."
"""What to do about a store whose seal was taken away."""


@dataclass(frozen=True)
class Listing:
    """What a catalogue lists for a campaign: datasets, rows left aside by reason, and the table FOUND."""

    datasets: Datasets
    left_aside: Mapping[str, int]
    withdrawn: pl.DataFrame


def listing(config: Config) -> Listing:
    """Return what the catalogue of a configuration lists; raises CatalogueError.

    Where `withdrawn` is `unseal`, the datasets that are to be unsealed are none of the campaign, and left aside.
    """
    catalogue, own, unnamed = (config[key] for key in ("catalogue", "projects", "project"))
    now = None
    # Before all else is read: then the memory that it takes is used again.
    if config["select"] or config["exclude"] or esm.says(catalogue):
        now = esm.read_listed(catalogue, own, unnamed)
    read = esm.read_catalogue(catalogue, config["select"], own, unnamed, config["exclude"])
    stores, sealed = (tables.names_in(Path(config["results"], rule)) for rule in ("size_report", "verify"))
    names = set(read.datasets)
    if now is None and stores <= names:
        unsaid = {name: pl.lit(None, pl.Boolean) for name in naming.SAID}
        now = pl.DataFrame({"id": list(names)}).with_columns(**unsaid)
    elif now is None:
        now = esm.read_listed(catalogue, own, unnamed)
    every = changes.standing(pl.DataFrame({"id": sorted(stores | names)}), now, [projects.load(path) for path in own])
    is_followed = pl.col("newer").is_in(list(stores & sealed)) | ~pl.col("id").is_in(list(stores))
    unseal = (pl.col("change") == "retracted") | (pl.col("newer").is_not_null() & is_followed)
    found = every.filter(pl.col("was") & pl.col("change").is_not_null()).sort("id")
    found = found.select(dataset="id", change="change", newer="newer", unseal=unseal)
    if config["withdrawn"] != "unseal":
        return Listing(read.datasets, read.left_aside, found.with_columns(unseal=pl.lit(value=False)))
    out = found.filter(pl.col("unseal") & pl.col("dataset").is_in(list(names)))
    counts = out.group_by("change").len().sort("change").iter_rows()
    reasons = {f"{change} dataset, and withdrawn is unseal": number for change, number in counts}
    return Listing(read.datasets.without(out["dataset"]), {**read.left_aside, **reasons}, found)


def keep(results: Results, found: pl.DataFrame) -> None:
    """Keep the table FOUND for the end of the run; raises DatasetError as `files.writing` does."""
    receipts.write(receipts.path_of(results, "", NAME), {"datasets": found.rows()})


def kept(results: Results) -> pl.DataFrame:
    """Return the table FOUND of the last run, empty where it has kept none; raises DatasetError (`receipt`)."""
    if not receipts.path_of(results, "", NAME).is_file():
        return NONE
    return pl.DataFrame(receipts.read(results, "", NAME)["datasets"], FOUND, orient="row")


def marked(stores: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Return a table of stores, by `dataset`, with `latest` and `retracted`, by the table FOUND."""
    changed = found.select("dataset", "change")
    change = pl.col("change").fill_null("")
    rows = stores.join(changed, on="dataset", how="left", maintain_order="left")
    return rows.with_columns(latest=change == "", retracted=change == "retracted").drop("change")


def write(results: Results, found: pl.DataFrame, stores: pl.DataFrame) -> None:
    """Write the table OF_STORES, the gravest change first, of FOUND and a table of `dataset` and `store`.

    Raises DatasetError as `files.writing` does.
    """
    rows = found.join(stores, on="dataset").rename({"dataset": "id"})
    is_sealed = pl.col("dataset").is_in(list(tables.names_in(Path(results, "verify"))))
    told = changes.in_order(rows).with_columns(sealed=is_sealed)
    told = told.with_columns(what_to_do=pl.when("sealed").then("what_to_do").otherwise(pl.lit(UNSEALED)))
    files.write_text(Path(results, listed.WITHDRAWN), told.select(*OF_STORES).write_csv(separator="\t"))


def read(results: Results) -> pl.DataFrame:
    """Return the table OF_STORES as the last run wrote it, empty where there is none."""
    try:
        return pl.read_csv(Path(results, listed.WITHDRAWN), separator="\t", schema=OF_STORES, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema=OF_STORES)


def unseal(results: Results, found: pl.DataFrame, settings: Settings) -> list[str]:
    """Take the seals of stores away, and of their published copies, as the table FOUND says; return what failed.

    `settings` say how stores in buckets are asked. The receipts that say that they are proven, or published, are void.
    """
    failed = []
    for name in found.filter("unseal")["dataset"]:
        for rule, void, draft in (("verify", ("verify", "audit"), ""), ("publish", ("publish",), ".published")):
            if not (receipt := receipts.find(results, rule, name)):
                continue
            try:
                home = backend.at(receipt["store"], settings, Path(results, "ledger", f"{name}{draft}.jsonl"))
                open_no_more(results, home)
            except DatasetError as error:
                failed.append(f"{name} is not unsealed: {error}")
                continue
            for each in void:
                receipts.path_of(results, each, name).unlink(missing_ok=True)
    return failed


def open_no_more(results: Results, home: Home) -> None:
    """Take the seal of a store away, if it has one.

    Raises DatasetError where it cannot be asked, another process is at work on it (`busy`), or it is of other results
    (`owner`).
    """
    if not zarr_store.is_sealed(home):
        return
    owner, ours = ledger.load(home)[0].get("owner"), str(Path(results).resolve())
    if owner and owner["place"] == ledger.place(home) and owner["results"] != ours:
        message = f"{home}: was written for the results in {owner['results']}, expected those in {ours}."
        raise DatasetError("owner", message, "Leave it to them.")
    with LedgerWriter(home):
        zarr_store.unseal(home)
        home.release()
