"""What has changed between two catalogues, dataset by dataset, and what to do about each store.

`CHANGES` are, the gravest first: a dataset that the new list calls retracted; one of which the new list has a newer
version, or says that it is not the latest; one that is no longer listed; one whose files, or what the list says of
their bytes, are others; a new one.
"""

from collections.abc import Sequence

import polars as pl

from cmip6zarr.catalogue import versions
from cmip6zarr.catalogue.projects import Project

CHANGES = {
    "retracted": "Do not use its store, and tell its readers: the archive has taken the data back.",
    "superseded": "Run again for the newer version; its own store stays until somebody removes it.",
    "gone": "Ask the archive why; its store stays until somebody removes it.",
    "changed": "Run again: where the list of files is another, the store is written anew.",
    "new": "Run again: it is converted.",
}
"""What happened to a dataset -> what to do."""

COLUMNS = ("change", "dataset", "newer", "files_new", "files_gone", "files_changed", "store", "what_to_do")


def compare(old: pl.DataFrame, new: pl.DataFrame, own: Sequence[Project] = ()) -> pl.DataFrame:
    """Return a row of COLUMNS for each dataset that is not as it was, the gravest change first; `store` is null.

    `old` and `new` have a row per file, as `esm.read_rows` returns them: id, file, size, checksum, retracted, latest.
    `own` are the projects that are not built in.
    """
    now = new.group_by("id").agg(pl.col("retracted", "latest").max())
    every = standing(old.select("id").unique(), now, own)
    every = every.join(changed_files(old, new), on="id", how="left")
    change = pl.coalesce(
        "change",
        pl.when(~pl.col("was")).then(pl.lit("new")),
        pl.when(pl.sum_horizontal("files_new", "files_gone", "files_changed") > 0).then(pl.lit("changed")),
    )
    found = every.with_columns(change=change).filter(pl.col("change").is_not_null())
    found = found.with_columns(pl.col("^files_.*$").fill_null(0), store=pl.lit(None, pl.String))
    return in_order(found)


def standing(was: pl.DataFrame, now: pl.DataFrame, own: Sequence[Project] = ()) -> pl.DataFrame:
    """Return a row for each dataset that was, or that a list has now, with what the list makes of it.

    `was` has `id`, `now` is as `esm.read_listed` returns it. Columns are `id`, `was` (Boolean), `change` (retracted,
    superseded, gone or null) and `newer`, the version that takes its place. A version that is retracted takes no
    other's.
    """
    every = was.with_columns(was=True).join(now.with_columns(listed=True), on="id", how="full", coalesce=True)
    every = every.with_columns(pl.col("was", "listed", "retracted").fill_null(value=False))
    newest = versions.newest(every.filter(pl.col("listed") & ~pl.col("retracted")), own)
    every = every.with_columns(family=versions.family(pl.col("id"), own)).join(newest, on="family", how="left")
    every = every.with_columns(newer=pl.when(pl.col("newer") != pl.col("id")).then("newer"))
    change = (
        pl.when("retracted")
        .then(pl.lit("retracted"))
        .when(pl.col("newer").is_not_null() | ~pl.col("latest"))
        .then(pl.lit("superseded"))
        .when(~pl.col("listed"))
        .then(pl.lit("gone"))
    )
    return every.select("id", "was", "newer", change=change)


def in_order(found: pl.DataFrame) -> pl.DataFrame:
    """Return changes of datasets, `id` and `change`, as rows of those of COLUMNS that there are, the gravest first."""
    what = pl.col("change").replace(CHANGES)
    found = found.with_columns(what_to_do=what, change=pl.col("change").cast(pl.Enum(list(CHANGES))))
    found = found.rename({"id": "dataset"})
    return found.select(name for name in COLUMNS if name in found.columns).sort("change", "dataset")


def changed_files(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Return how many files of each dataset in both lists are new, gone, or have another size or checksum.

    A size or checksum that one of the lists does not tell is not compared.
    """
    keys = ["id", "file"]
    both = [rows.unique(keys, keep="last").select(*keys, "size", "checksum", there=True) for rows in (old, new)]
    pair = both[0].join(both[1], on=keys, how="full", coalesce=True, suffix="_now")
    pair = pair.with_columns(pl.col("there", "there_now").fill_null(value=False))
    other = (pl.col("size") != pl.col("size_now")) | (pl.col("checksum") != pl.col("checksum_now"))
    flags = {
        "files_new": ~pl.col("there"),
        "files_gone": ~pl.col("there_now"),
        "files_changed": other.fill_null(value=False),
    }
    counts = pair.group_by("id").agg(*(flag.sum().cast(pl.Int64).alias(name) for name, flag in flags.items()))
    return counts.filter(pl.col("files_new") + pl.col("files_gone") + pl.col("files_changed") > 0)


def with_stores(found: pl.DataFrame, stores: pl.DataFrame) -> pl.DataFrame:
    """Return changes with where the sealed stores lie, of a table of `dataset` and `store`."""
    return found.drop("store").join(stores, on="dataset", how="left", maintain_order="left").select(COLUMNS)


def counts(found: pl.DataFrame) -> dict[str, int]:
    """Return how many datasets have each change."""
    told = dict(found.group_by("change").len().iter_rows())
    return {change: told.get(change, 0) for change in CHANGES}
