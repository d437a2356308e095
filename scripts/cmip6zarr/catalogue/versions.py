"""Versions of datasets: which ids name the same data but for the version, and which of these is the newest.

Expressions of polars over ids, which end in their version as those of all built-in projects do.
"""

import polars as pl

NEWEST = 2**62
"""The number of what is called `latest`, as links to the newest version are."""


def family(ids: pl.Expr) -> pl.Expr:
    """Return ids without their last word, the version."""
    return ids.str.replace(r"\.[^.]*$", "")


def number(ids: pl.Expr) -> pl.Expr:
    """Return versions as numbers: of `v20190406` 20190406; of `latest` NEWEST, of any other word null."""
    digits = ids.str.extract(r"\.v([0-9]{1,18})$").cast(pl.Int64)
    return pl.when(ids.str.ends_with(".latest")).then(pl.lit(NEWEST)).otherwise(digits)


def newest(table: pl.DataFrame) -> pl.DataFrame:
    """Return `family` and `newer`, the id of the newest version, of a table of `id` and perhaps `latest` (Boolean).

    What the list calls the latest is it, whatever its number: the date in a version of CMIP7 may be any date.

    >>> newest(pl.DataFrame({"id": ["a.b.v2", "a.b.v10", "a.c.v1"]}))["newer"].to_list()
    ['a.b.v10', 'a.c.v1']
    """
    said = pl.col("latest").fill_null(value=False) if "latest" in table.columns else pl.lit(value=False)
    rows = table.select("id", family=family(pl.col("id")), said=said, number=number(pl.col("id")))
    rows = rows.sort("family", "said", "number", "id", nulls_last=False)
    return rows.group_by("family", maintain_order=True).agg(newer=pl.col("id").last())
