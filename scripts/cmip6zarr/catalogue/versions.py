"""Versions of datasets: which ids name the same data but for the version, and which of these is the newest.

Expressions of polars over ids. The version is the last word of an id, but where a project of one's own says otherwise.
"""

from collections.abc import Sequence

import polars as pl

from cmip6zarr.catalogue.naming import VERSION
from cmip6zarr.catalogue.projects import Project

NEWEST = 2**62
"""The number of what is called `latest`, as links to the newest version are."""


def family(ids: pl.Expr, own: Sequence[Project] = ()) -> pl.Expr:
    """Return ids without their version; whole where their project has none.

    `own` are the projects that are not built in.
    """
    found = ids.str.replace(r"\.[^.]*$", "")
    for project in own:
        bare = ids.str.replace(_word(project), "${before}${after}").str.strip_suffix(".")
        found = pl.when(_is_of(ids, project)).then(bare if VERSION in project.facets else ids).otherwise(found)
    return found


def number(ids: pl.Expr, own: Sequence[Project] = ()) -> pl.Expr:
    """Return versions as numbers: of `v20190406` 20190406; of `latest` NEWEST, of any other word null."""
    word = ids.str.extract(r"\.([^.]*)$")
    for project in own:
        word = pl.when(_is_of(ids, project)).then(ids.str.extract(_word(project), 2)).otherwise(word)
    digits = word.str.extract("^v?([0-9]{1,18})$").cast(pl.Int64)
    return pl.when(word == "latest").then(pl.lit(NEWEST)).otherwise(digits)


def _is_of(ids: pl.Expr, project: Project) -> pl.Expr:
    return ids.str.extract(r"^([^.]*)").str.to_lowercase() == project.first_word


def _word(project: Project) -> str:
    """Return the pattern of the version in an id, between what stands `before` and `after` it; of none in one."""
    facets = list(project.facets)
    place = facets.index(VERSION) if VERSION in facets else len(facets)
    return rf"^(?<before>(?:[^.]*\.){{{place}}})([^.]*)\.?(?<after>.*)$"


def newest(table: pl.DataFrame, own: Sequence[Project] = ()) -> pl.DataFrame:
    """Return `family` and `newer`, the id of the newest version, of a table of `id` and perhaps `latest` (Boolean).

    What the list calls the latest is it, whatever its number: the date in a version of CMIP7 may be any date. `own` are
    the projects that are not built in.

    >>> newest(pl.DataFrame({"id": ["a.b.v2", "a.b.v10", "a.c.v1"]}))["newer"].to_list()
    ['a.b.v10', 'a.c.v1']
    """
    said = pl.col("latest").fill_null(value=False) if "latest" in table.columns else pl.lit(value=False)
    ids = pl.col("id")
    rows = table.select("id", family=family(ids, own), said=said, number=number(ids, own))
    rows = rows.sort("family", "said", "number", "id", nulls_last=False)
    return rows.group_by("family", maintain_order=True).agg(newer=pl.col("id").last())
