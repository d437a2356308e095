"""Names for the rows of a table: of which project each is, its facets in that project's words, its id.

Everything here is an expression of polars: a table is never held whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from cmip6zarr.catalogue.projects import DEFAULT, Facet, Project, built_in
from cmip6zarr.core.files import JSON

KNOWN_BY = {
    "activity_id": "activity_id",
    "project_id": "project_id",
    "project": "project_id",
    "mip_era": "mip_era",
    "drs_specs": "drs_specs",
}
"""Columns whose values can name a project -> the key of `known_by` for them; the first that names one decides."""

COMMON = {
    "init_year": ("dcpp_init_year", "dcpp_start_year"),
    "format": ("format", "data_format"),
    "path": ("path", "nc_path", "location"),
    "size": ("size", "file:size"),
}
"""What catalogues call what is no word of an id, the first name found being used."""

SUMS = {"checksum": ("checksum", "file:checksum"), "checksum_type": ("checksum_type",)}
"""The same of what an archive has published of a file's bytes; most catalogues have no such columns."""

EMPTY = ("", "nan", "NaN", "NA", "<NA>", "None")
REMOTE = r"^[A-Za-z][A-Za-z0-9+.:-]*://"
VERSION = "version"

SAID = ("retracted", "latest")
"""Columns by which a list may say what became of a dataset."""


class NoColumn(ValueError):
    """A table lacks a column; the message says which, and what columns there are."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The columns of a table, what its JSON says of the assets, and the projects that its rows may be of.

    `unnamed` is the project of rows that name none; empty where that is told by other columns, and by paths.
    """

    columns: Sequence[str]
    assets: JSON
    projects: Sequence[Project]
    unnamed: str = ""

    def column(self, facet: Facet) -> str | None:
        """Return the column that has a facet."""
        return next((name for name in facet.columns if name in self.columns), None)

    def lacking(self, project: Project) -> list[Facet]:
        """Return the facets of a project for which there is no column."""
        return [
            facet
            for facet in project.facets.values()
            if not (facet.value or facet.default or facet.name == VERSION or self.column(facet))
        ]

    @cached_property
    def sums(self) -> dict[str, str]:
        """The columns of SUMS that there are; none where there is no checksum."""
        found = {word: next((name for name in names if name in self.columns), "") for word, names in SUMS.items()}
        return {word: name for word, name in found.items() if name} if found["checksum"] else {}

    @cached_property
    def said(self) -> list[str]:
        """The columns of SAID that there are."""
        return [name for name in SAID if name in self.columns]

    @cached_property
    def complete(self) -> list[Project]:
        """The projects whose facets all have columns."""
        return [project for project in self.projects if not self.lacking(project)]

    @cached_property
    def facets(self) -> list[str]:
        """The facets of all these projects."""
        return list(dict.fromkeys(name for project in self.complete for name in project.facets))


def texts(table: pl.LazyFrame, of: Table) -> pl.LazyFrame:
    """Return every row's number and what is needed of it, as text; null where the catalogue says nothing.

    Columns of COMMON and SUMS have our names, those of SAID theirs behind `said:`, others theirs behind `in:`. Raises
    NoColumn where there is no path.
    """
    known: dict[str, Sequence[str]] = dict(COMMON)
    if "column_name" in of.assets:
        known["path"] = (str(of.assets["column_name"]),)
    implied = {}
    if of.assets.get("format"):
        known["format"], implied["format"] = (), str(of.assets["format"])
    elif of.assets.get("format_column_name"):
        known["format"] = (str(of.assets["format_column_name"]),)
    names = {word: next((name for name in known[word] if name in of.columns), None) for word in COMMON}
    wanted = ["path", *(["format"] if "format_column_name" in of.assets and not implied else [])]
    if missing := [word for word in wanted if not names[word]]:
        raise NoColumn(no_column([known[word] for word in missing], of.columns))
    values = {word: pl.col(name) if name else pl.lit(implied.get(word)) for word, name in names.items()}
    kinds = table.collect_schema()
    values |= {w: pl.col(n).list.join(" ") if kinds[n] == pl.List else pl.col(n) for w, n in of.sums.items()}
    asked = {name for p in of.projects for facet in p.facets.values() for name in facet.columns} | KNOWN_BY.keys()
    values |= {f"in:{name}": pl.col(name) for name in of.columns if name in asked}
    values |= {f"said:{name}": pl.col(name) for name in of.said}
    rows = table.select(**values).cast(pl.String).with_row_index("row", offset=1)
    return rows.with_columns(pl.when(~_is_one_of(word, EMPTY)).then(word).alias(word) for word in values)


def no_column(columns: Sequence[Sequence[str]], there: Sequence[str]) -> str:
    """Return that a table has none of some columns, each with its other names."""
    return f"it has no column {', no '.join(' or '.join(names) for names in columns)}; its columns are {list(there)}"


def with_projects(rows: pl.LazyFrame, of: Table) -> pl.LazyFrame:
    """Add `project`, the name of the project of each row, and `era`, of rows that say it in their path alone."""
    named = [_by_value(column, of.projects) for column in KNOWN_BY if column in of.columns]
    named += [pl.lit(of.unnamed)] if of.unnamed else [_by_columns(project, of.columns) for project in of.projects]
    era = pl.col("path").str.extract(r"(?i)/(cmip[0-9])/").str.to_uppercase()
    rows = rows.with_columns(project=pl.coalesce(*named, pl.lit(None, pl.String)))
    rows = rows.with_columns(era=pl.when(pl.col("project").is_null()).then(era))
    by_era = _mapped(pl.col("era"), _values("mip_era", of.projects))
    return rows.with_columns(project=pl.coalesce("project", by_era, pl.lit(built_in(DEFAULT).name)))


# `is_in` and `replace` would leave polars' streaming engine: it holds all rows for them.


def _is_one_of(column: str, values: Iterable[str]) -> pl.Expr:
    """Return whether a column has one of a few values; null where it is null."""
    return pl.any_horizontal(pl.lit(False), *(pl.col(column) == value for value in values))


def _mapped(column: pl.Expr, values: Mapping[str, str]) -> pl.Expr:
    """Return what a few values of a column stand for; null for all others."""
    return pl.coalesce(pl.lit(None, pl.String), *(pl.when(column == key).then(pl.lit(v)) for key, v in values.items()))


def _values(key: str, projects: Sequence[Project]) -> dict[str, str]:
    """Return {value: project} of a key of `known_by`, in upper case."""
    return {value.upper(): p.name for p in projects for value in p.said["known_by"].get(key, ())}


def _by_value(column: str, projects: Sequence[Project]) -> pl.Expr:
    return _mapped(pl.col(f"in:{column}").str.to_uppercase(), _values(KNOWN_BY[column], projects))


def _by_columns(project: Project, columns: Sequence[str]) -> pl.Expr:
    """Return the name of a project where a row has the columns by which it is told, else null."""
    told = project.said.get("told_by")
    if not told or any(name not in columns for name in told["has"]) or any(c in columns for c in told.get("lacks", ())):
        return pl.lit(None, pl.String)
    return pl.when(*(pl.col(f"in:{name}").is_not_null() for name in told["has"])).then(pl.lit(project.name))


def named(rows: pl.LazyFrame, of: Table) -> pl.LazyFrame:
    """Return rows with `id`, the facets of all projects, absolute paths, and the `reason` why one is left aside."""
    path = pl.col("path")
    rows = rows.with_columns(path=path.str.strip_prefix("file://"))
    relative = pl.lit(f"{Path.cwd()}/") + path.str.strip_prefix("./")
    rows = rows.with_columns(reason=_reason(of), path=pl.when(path.str.starts_with("/")).then(path).otherwise(relative))
    facets = {name: _facet(name, of) for name in of.facets}
    said = [f"said:{name}" for name in of.said]
    rows = rows.select("row", "path", "size", *of.sums, *said, "project", "reason", **facets)
    ids = {project.name: pl.concat_str(list(project.facets), separator=".") for project in of.complete}
    return rows.with_columns(id=choose([(tuple(p.facets), p, ids[p.name]) for p in of.complete], True))


def _reason(of: Table) -> pl.Expr:
    """Return why a row is left aside, null of one that is not."""
    path, kind = pl.col("path"), pl.col("format").fill_null("netcdf")
    lacking = {p.name: " or ".join(of.lacking(p)[0].columns) for p in of.projects if p not in of.complete}
    return (
        pl.when(path.is_null())
        .then(pl.lit("no path"))
        .when(~kind.str.contains(r"(?i)^(netcdf[0-9]?|nc)$"))
        .then(pl.format("format {}", kind.str.replace_all("[^A-Za-z0-9_.-]", "?")))
        .when(path.str.contains(REMOTE))
        .then(pl.lit("remote file"))
        .when(_is_one_of("project", lacking))
        .then(pl.format("{} without a column {}", "project", _mapped(pl.col("project"), lacking)))
    )


def _facet(name: str, of: Table) -> pl.Expr:
    """Return a facet of each row in the words of its project, null where that has none of the name."""
    cases = []
    for project in of.complete:
        if name in project.facets:
            facet = project.facets[name]
            start = project.said.get("start", {})
            is_member = bool(start.get("prefix")) and start["facet"] == name
            key = (of.column(facet), facet.value, facet.default, is_member)
            cases.append((key, project, _value(facet, of.column(facet), is_member)))
    return choose(cases, len(cases) == len(of.complete))


def choose(cases: Sequence[tuple[tuple[object, ...], Project, pl.Expr]], are_all: bool) -> pl.Expr:
    """Return for each row the expression of its project; `cases` are (what tells expressions apart, project, it).

    `are_all` says that there is one for each project of the table: a row of another one is left aside anyway.
    """
    groups: dict[tuple[object, ...], tuple[list[str], pl.Expr]] = {}
    for key, project, value in cases:
        groups.setdefault(key, ([], value))[0].append(project.name)
    if are_all and len(groups) == 1:
        return cases[0][2]
    return pl.coalesce(*(pl.when(_is_one_of("project", names)).then(value) for names, value in groups.values()))


def _value(facet: Facet, column: str | None, is_member: bool) -> pl.Expr:
    """Return a facet of rows of a project that has it in a column, if in any."""
    if facet.value:
        return pl.lit(facet.value)
    said = pl.col(f"in:{column}") if column else pl.lit(None, pl.String)
    if facet.name == VERSION:
        in_path = pl.col("path").str.extract(r"/(v[0-9]+|latest)/[^/]+/?[^/]*$")
        return pl.coalesce(said.str.replace(r"^([0-9]+)([.]0)?$", "v${1}"), in_path, pl.lit("latest"))
    if facet.default:
        return pl.coalesce(said, *(["era"] if facet.name == "mip_era" else []), pl.lit(facet.default))
    if not is_member:
        return said
    # Where the column has another name the path still says it; without it all start years would be one dataset.
    year = pl.coalesce(
        pl.col("init_year").str.replace(r"^s?([0-9]+)([.]0)?$", "${1}"),
        pl.col("path").str.extract(r"[/_]s([0-9]{4})-r[0-9]+i"),
    )
    short = year.is_not_null() & ~said.str.contains("^s[0-9]+-")
    return pl.when(short).then(pl.format("s{}-{}", year, said)).otherwise(said)
