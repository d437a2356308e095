"""Rows that are selected by their facets, checked: what could not be part of a file name or a command is refused."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from cmip6zarr.catalogue import checksums, drs, naming, templates
from cmip6zarr.catalogue.naming import Table
from cmip6zarr.core.files import JSON

PARTS = {"stem": pl.col("path").str.head(-32), "end": pl.col("path").str.tail(32)}
"""What a path is cut into: dates of files, and words of many ids, lie in the end."""


class SelectError(ValueError):
    """Nothing is selected; the message says by which facet, and what there is."""


Selection = Mapping[str, Any]
"""Facet to a value or a list of values."""

Reasons = dict[str, int]
"""Why rows are not used: {reason: number of rows}."""


def select(
    rows: pl.LazyFrame, wanted: Selection, of: Table, unwanted: Sequence[Selection] = ()
) -> tuple[pl.DataFrame, Reasons, Reasons]:
    """Return id, path and size of the rows whose facets are among the wanted values, checked, dataset by dataset.

    Rows that have all facets of one of the `unwanted` selections are not among them.

    A path is cut into PARTS. They and the ids are categories, and rows are in the order of their numbers: a path that
    is listed again follows itself. `is_pattern` tells whether it may be a glob pattern. Where the table has checksums
    there is `sum` too, as `checksums.sums` makes it.

    The second value says which rows are left aside, those that have a `reason`, and the third which were refused. A
    dataset that has a refused row, or may have by its file's folder and name, is left out whole: the others of its rows
    would be a part of it.
    """
    lists = _lists("select", wanted, of)
    matches = {facet: pl.col(facet).is_in(values) for facet, values in lists.items()}
    is_aside = pl.col("reason").is_not_null()
    selected = rows.filter(is_aside | pl.all_horizontal(pl.lit(True), *matches.values()))
    for each in unwanted:
        is_in = [pl.col(facet).is_in(values).fill_null(False) for facet, values in _lists("exclude", each, of).items()]
        selected = selected.filter(is_aside | ~pl.all_horizontal(is_in))
    size = pl.col("size").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    size = pl.when(size >= 0).then(size)
    # Ids as numbers: as text they are a third of the memory, and to sort by two texts takes twice as much again.
    number = pl.col("id").cast(pl.Categorical)
    # And so paths: files of a dataset have one stem, and their ends are those of other datasets too.
    parts = {name: part.cast(pl.Categorical) for name, part in PARTS.items()}
    told = {"id": number, "size": size, "is_sound": _is_sound(of)} | parts
    told["is_pattern"] = pl.col("path").str.contains("[*?]")
    told["reason"] = pl.col("reason").cast(pl.Categorical)
    # Sums first, and once: a reason to refuse a row is that there is none, and polars would make them twice.
    sums = checksums.sums(of)
    chosen = selected.with_columns(**sums).select("row", *sums, **told).collect(engine="streaming")
    aside = chosen.filter(is_aside).group_by(pl.col("reason").cast(pl.String)).len().sort("reason")
    left_aside = dict(aside.iter_rows())
    chosen = chosen.filter(~is_aside).drop("reason")
    rows = rows.filter(~is_aside)
    if chosen.is_empty():
        if rows.select("row").head(1).collect().is_empty():
            raise SelectError(f"none of its rows is a NetCDF file on this file system: {left_aside}")
        for facet, match in matches.items():
            if rows.filter(match).select("row").collect().is_empty():
                some = rows.select(pl.col(facet).unique().sort().head(5)).collect()[facet].to_list()
                raise SelectError(f"select: no {facet} is {lists[facet]}; some that are there: {some}")
        if unwanted:
            raise SelectError("exclude: nothing is left of what select finds")
        raise SelectError(f"select: each facet has matches, but no dataset has all of {lists}")
    bad = chosen.filter(~pl.col("is_sound"))
    refused = {}
    if not bad.is_empty():
        wrong = rows.filter(pl.col("row").is_in(bad["row"].implode())).collect(engine="streaming")
        refused = _refused(wrong, of)
        chosen = chosen.join(bad.select("id"), on="id", how="anti", nulls_equal=True)
        beside = pl.col("id").cast(pl.String).is_in(list(_beside(rows, wrong, of)))
        if (near := chosen.filter(beside)).height:
            refused[f"other rows of {near['id'][0]}, which may lack the file of such a row"] = near.height
            chosen = chosen.filter(~beside)
    numbers = [pl.col(name).to_physical() for name in ("id", *PARTS)]
    return chosen.drop("row", "is_sound").sort(*numbers, maintain_order=True), left_aside, refused


def _lists(key: str, selection: Selection, of: Table) -> dict[str, list[str]]:
    """Return the values of each facet of a selection; raises SelectError for what is no facet."""
    if unknown := [facet for facet in selection if facet not in of.facets]:
        limit = " and limit" if key == "select" else ""
        raise SelectError(f"{key} knows no facet {unknown[0]!r}; it knows {', '.join(of.facets)}{limit}")
    return {
        facet: [str(value) for value in (values if isinstance(values, list | tuple) else [values])]
        for facet, values in selection.items()
    }


def _is_sound(of: Table) -> pl.Expr:
    """Return whether a row can be used.

    Its id is one of its project and fits into a file name, its path into a line, and its checksum can be compared.
    """
    is_id = [((p.id_pattern,), p, pl.col("id").str.contains(f"^(?:{p.id_pattern})$")) for p in of.complete]
    is_short = pl.col("id").str.len_bytes() <= drs.MOST_ID_BYTES
    is_id_sound = (naming.choose(is_id, True) & is_short).fill_null(False)
    return is_id_sound & ~pl.col("path").str.contains(r"\p{Cc}") & ~checksums.unsound(of)


def _beside(rows: pl.LazyFrame, wrong: pl.DataFrame, of: Table) -> set[str]:
    """Return the ids of which rows without a sound id may be: they have files in their folders, and names that fit.

    A file that another row has too is missed by none.
    """
    known = {project.name: project for project in of.complete}
    is_known = [
        bool(re.fullmatch(known[p].id_pattern, name or "")) for name, p in wrong.select("id", "project").iter_rows()
    ]
    wrong = wrong.filter(~pl.Series(is_known, dtype=pl.Boolean))
    names: dict[str, set[str]] = {}
    again = rows.join(wrong.lazy().select("path"), on="path", how="semi").join(wrong.lazy(), on="row", how="anti")
    for path in set(wrong["path"]).difference(again.select("path").collect(engine="streaming")["path"]):
        folder, _, name = path.rpartition("/")
        names.setdefault(folder, set()).add(name)
    there = rows.select("id", "project", folder=pl.col("path").str.extract("^(.*)/")).drop_nulls()
    there = there.join(pl.LazyFrame({"folder": list(names)}, {"folder": pl.String}), on="folder", how="semi").unique()
    return {
        name
        for name, project, folder in there.collect(engine="streaming").iter_rows()
        if re.fullmatch(known[project].id_pattern, name)
        and any(known[project].is_of(file, known[project].words(name)) for file in names[folder])
    }


def _refused(rows: pl.DataFrame, of: Table) -> dict[str, int]:
    """Return why rows cannot be used, by the first of each reason."""
    numbers: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for row in rows.iter_rows(named=True):
        facets = next(project for project in of.complete if project.name == row["project"]).facets
        wrong = (name for name, facet in facets.items() if not re.fullmatch(facet.pattern, row[name] or ""))
        column = next(wrong, None) or _column_of(row)
        pattern = facets[column].pattern if column in facets else ""
        numbers[column, pattern] += 1
        if (column, pattern) not in first:
            first[column, pattern] = _why(row, column, pattern)
    return {first[key]: number for key, number in numbers.items()}


def _column_of(row: JSON) -> str:
    """Return which column of a row that cannot be used is to blame, where each facet is sound."""
    if len(row["id"]) > drs.MOST_ID_BYTES:
        return "id"
    return "path" if any(unicodedata.category(letter) == "Cc" for letter in row["path"]) else "checksum"


def _why(row: JSON, column: str, pattern: str) -> str:
    """Return what is wrong with a column of a row, and what to do about it."""
    if column == "checksum":
        wrong = checksums.problem(row["path"], row["checksum"], row.get("checksum_type"))
        return f"row {row['row']}: {wrong}; correct it, or leave it empty"
    if column == "id":
        found, expected = f"has {len(row['id'])} characters", f"at most {drs.MOST_ID_BYTES}, to fit into a file name"
    else:
        words = "letters, digits, - and _ only" if pattern == templates.WORD else f"the pattern {pattern}"
        found = f"is {row[column]!r:.300}"
        expected = "no control characters" if column == "path" else words
    return f"row {row['row']}: {column} {found}, expected {expected}; correct it, or leave it out by exclude"
