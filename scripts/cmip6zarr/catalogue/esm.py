"""An intake-esm catalogue in, datasets out."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cmip6zarr.catalogue import drs, lines
from cmip6zarr.catalogue.datasets import Datasets
from cmip6zarr.catalogue.drs import FACETS
from cmip6zarr.core.files import JSON
from cmip6zarr.core.text import printable

if TYPE_CHECKING:
    from intake_esm.cat import ESMCatalogModel

# What catalogues call what is read here, the first name found being used; the later ones of facets are CMIP5's.
COLUMNS = {facet: (facet,) for facet in FACETS} | {
    "activity_id": ("activity_id", "product", "product_id"),
    "institution_id": ("institution_id", "institute"),
    "source_id": ("source_id", "model"),
    "experiment_id": ("experiment_id", "experiment"),
    "member_id": ("member_id", "ensemble_member", "ensemble"),
    "table_id": ("table_id", "mip_table", "cmor_table"),
    "variable_id": ("variable_id", "variable"),
    "init_year": ("dcpp_init_year", "dcpp_start_year"),
    "format": ("format", "data_format"),
    "path": ("path", "nc_path", "location"),
    "size": ("size",),
}
OPTIONAL = ("mip_era", "version", "init_year", "format", "size")
EMPTY = ("", "nan", "NaN", "NA", "<NA>", "None")
REMOTE = r"^[A-Za-z][A-Za-z0-9+.:-]*://"
MOST_JSON_BYTES = 256 * 2**20
"""Read at once: more rows belong into a table."""


class CatalogueError(ValueError):
    """A catalogue cannot be used; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Catalogue:
    """What a catalogue holds: datasets by id, in order; rows left aside or refused, by reason; rows in all."""

    datasets: Datasets
    left_aside: dict[str, int]
    rows: int


def read_catalogue(path: str | Path, select: Mapping[str, Any] | None = None) -> Catalogue:
    """Read the NetCDF datasets which a catalogue lists, without looking at any of their files.

    `path` is an intake-esm JSON, or the table (csv, csv.gz, parquet) of one. `select` narrows: facet to value or
    values, and `limit` for the first so many datasets. Raises CatalogueError.
    """
    select = dict(select or {})
    limit = select.pop("limit", None)
    try:
        listed = _name(_texts(*_open(Path(path))))
        counts = dict(listed.group_by("reason").len().sort("reason").collect(engine="streaming").iter_rows())
        left_aside = {reason: number for reason, number in counts.items() if reason is not None}
        if not counts:
            raise CatalogueError("it has no rows")
        if None not in counts:
            raise CatalogueError(f"none of its rows is a NetCDF file on this file system: {left_aside}")
        chosen, refused = _select(listed.filter(pl.col("reason").is_null()), select)
        datasets, mixed = _datasets(chosen, limit)
        if not datasets:
            raise CatalogueError("; ".join(refused | mixed))
        return Catalogue(datasets, left_aside | refused | mixed, sum(counts.values()))
    except CatalogueError as error:
        raise CatalogueError(f"{path}: {error}") from None
    except (OSError, EOFError, UnicodeError, pl.exceptions.PolarsError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        # It may quote whatever bytes the file holds, and goes to a terminal.
        raise CatalogueError(f"{path}: cannot be read: {printable(first_line)}") from error


def _open(path: Path) -> tuple[pl.LazyFrame, JSON]:
    """Return the table of a catalogue, not yet read, and what its JSON says of the assets."""
    if path.suffix != ".json":
        return _scan(path), {}
    if path.stat().st_size > MOST_JSON_BYTES:
        raise CatalogueError(
            f"its JSON has {path.stat().st_size} bytes, expected at most {MOST_JSON_BYTES}: put the rows into a table"
        )
    described = _described(path)
    assets = described.assets.model_dump(mode="json", exclude_none=True)
    if records := described.catalog_dict:
        names = dict.fromkeys(name for record in records for name in record)
        return pl.LazyFrame({name: [str(record.get(name)) for record in records] for name in names}), assets
    if described.catalog_file is None:
        raise CatalogueError('it has no "catalog_file", and no rows in "catalog_dict": say where the files are listed')
    file = described.catalog_file.removeprefix("file://")
    if re.match(REMOTE, file):
        raise CatalogueError(f'its table is on the network: download {file!r} and name the copy in "catalog_file"')
    return _scan(path.parent / file), assets


def _described(path: Path) -> "ESMCatalogModel":
    """Return what an intake-esm JSON says, as intake-esm validates it; raises CatalogueError if it is not valid."""
    # Imported here, as it takes 1.4 s of CPU: who reads a table without a JSON, or no catalogue, does not wait for it.
    from intake_esm.cat import ESMCatalogModel
    from pydantic import ValidationError

    try:
        # Not `load`: it reads the table too, before we know that its rows have a sound length.
        return ESMCatalogModel.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        found = printable(f"{where}: {first['msg']}" if where else first["msg"])
        raise CatalogueError(
            f"intake-esm does not accept it: {found:.300}; correct it, or name its table as the catalogue"
        ) from None


def _scan(file: Path) -> pl.LazyFrame:
    if not file.is_file():
        raise CatalogueError(f"there is no file {str(file)!r}: correct the path, or download the table")
    if file.name.endswith((".csv", ".csv.gz")):
        if line := lines.overlong(file):
            raise CatalogueError(
                f"{file.name}: the row that begins in line {line} has more than {lines.MOST_ROW_BYTES} bytes;"
                f" close the quote that is open there, or correct the row"
            )
        return pl.scan_csv(file, infer_schema=False, glob=False)
    if file.suffix == ".parquet":
        return pl.scan_parquet(file, glob=False)
    raise CatalogueError(f"{file.name!r} is of an unknown kind: expected .json, .csv, .csv.gz or .parquet")


def _texts(table: pl.LazyFrame, assets: JSON) -> pl.LazyFrame:
    """Return every row's number and its COLUMNS under our names, as text; null where the catalogue says nothing."""
    schema, known, optional, implied = table.collect_schema(), dict(COLUMNS), set(OPTIONAL), {}
    known["path"] = tuple(dict.fromkeys((str(assets.get("column_name", "path")), *COLUMNS["path"])))
    if assets.get("format"):
        known["format"], implied["format"] = (), str(assets["format"])
    elif assets.get("format_column_name"):
        known["format"] = (str(assets["format_column_name"]),)
        optional.remove("format")
    names = {word: next((name for name in known[word] if name in schema), None) for word in COLUMNS}
    if names["source_id"] == "model" and not names["grid_label"]:
        implied |= {"mip_era": "CMIP5", "grid_label": drs.NO_GRID}
    missing = [word for word, name in names.items() if not (name or word in implied or word in optional)]
    if missing:
        wanted = ", no ".join(" or ".join(known[word]) for word in missing)
        raise CatalogueError(f"it has no column {wanted}; its columns are {schema.names()}")
    values = {word: pl.col(name) if name else pl.lit(implied.get(word)) for word, name in names.items()}
    texts = table.select(**values).cast(pl.String).with_row_index("row", offset=1)
    return texts.with_columns(pl.when(~pl.col(word).is_in(EMPTY)).then(word).alias(word) for word in COLUMNS)


def _name(listed: pl.LazyFrame) -> pl.LazyFrame:
    """Add the dataset's id, make facets what the DRS calls them and paths absolute, and say why a row is left aside."""
    path, member, year = pl.col("path"), pl.col("member_id"), pl.col("init_year")
    kind = pl.col("format").fill_null("netcdf")
    listed = listed.with_columns(path=path.str.strip_prefix("file://"))
    reason = (
        pl.when(path.is_null())
        .then(pl.lit("no path"))
        .when(~kind.str.contains(r"(?i)^(netcdf[0-9]?|nc)$"))
        .then(pl.format("format {}", kind.str.replace_all("[^A-Za-z0-9_.-]", "?")))
        .when(path.str.contains(REMOTE))
        .then(pl.lit("remote file"))
    )
    relative = pl.lit(f"{Path.cwd()}/") + path.str.strip_prefix("./")
    listed = listed.with_columns(reason=reason, path=pl.when(path.str.starts_with("/")).then(path).otherwise(relative))
    era = path.str.extract(r"(?i)/(cmip[0-9])/").str.to_uppercase()
    version = pl.col("version").str.replace(r"^([0-9]+)([.]0)?$", "v${1}")
    listed = listed.with_columns(
        mip_era=pl.coalesce("mip_era", era, pl.lit("CMIP6")),
        version=pl.coalesce(version, path.str.extract(r"/(v[0-9]+|latest)/[^/]+/?[^/]*$"), pl.lit("latest")),
        # Where the column has another name the path still says it; without it all start years would be one dataset.
        init_year=pl.coalesce(
            year.str.replace(r"^s?([0-9]+)([.]0)?$", "${1}"), path.str.extract(r"[/_]s([0-9]{4})-r[0-9]+i")
        ),
    )
    short = year.is_not_null() & ~member.str.contains("^s[0-9]+-")
    listed = listed.with_columns(member_id=pl.when(short).then(pl.format("s{}-{}", year, member)).otherwise(member))
    return listed.with_columns(id=pl.concat_str(FACETS, separator="."))


def _select(rows: pl.LazyFrame, select: Mapping[str, Any]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return id, path and size of the rows whose facets are among the selected values, checked and in order.

    The second value says which rows were refused: {reason: number of rows}. A dataset that has such a row is left out
    whole: the others of its rows would be a part of it.
    """
    if unknown := [facet for facet in select if facet not in FACETS]:
        raise CatalogueError(f"select knows no facet {unknown[0]!r}; it knows {', '.join(FACETS)} and limit")
    wanted = {
        facet: [str(value) for value in (values if isinstance(values, list | tuple) else [values])]
        for facet, values in select.items()
    }
    matches = {facet: pl.col(facet).is_in(values) for facet, values in wanted.items()}
    selected = rows.filter(*matches.values())
    size = pl.col("size").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    chosen = selected.select("row", "id", "path", size=pl.when(size >= 0).then(size)).collect(engine="streaming")
    if chosen.is_empty():
        for facet, match in matches.items():
            if rows.filter(match).select("row").collect().is_empty():
                some = rows.select(pl.col(facet).unique().sort().head(5)).collect()[facet].to_list()
                raise CatalogueError(f"select: no {facet} is {wanted[facet]}; some that are there: {some}")
        raise CatalogueError(f"select: each facet has matches, but no dataset has all of {wanted}")
    named = pl.col("id").str.contains(f"^{drs.DATASET_PATTERN}$").fill_null(False)
    short = pl.col("id").str.len_bytes() <= drs.MOST_ID_BYTES
    bad = chosen.filter(~named | ~short | pl.col("path").str.contains(r"\p{Cc}"))
    refused = {}
    if not bad.is_empty():
        refused = _refused(selected.filter(pl.col("row").is_in(bad["row"].implode())).collect(engine="streaming"))
        chosen = chosen.filter(named & short, ~pl.col("id").is_in(bad["id"].drop_nulls().implode()))
    return chosen.sort("id", "path").select("id", "path", "size"), refused


def _refused(rows: pl.DataFrame) -> dict[str, int]:
    """Return why rows cannot be used, by the first of each reason: what could not be part of a file name or command."""
    numbers: Counter[str] = Counter()
    first: dict[str, JSON] = {}
    for row in rows.iter_rows(named=True):
        column = next((facet for facet in FACETS if not re.fullmatch(drs.WORD, row[facet] or "")), None)
        column = column or ("id" if len(row["id"]) > drs.MOST_ID_BYTES else "path")
        numbers[column] += 1
        first.setdefault(column, row)
    return {_why(first[column], column): number for column, number in numbers.items()}


def _why(row: JSON, column: str) -> str:
    """Return what is wrong with a column of a row, and what to do about it."""
    if column == "id":
        found, expected = f"has {len(row['id'])} characters", f"at most {drs.MOST_ID_BYTES}, to fit into a file name"
    else:
        found = f"is {row[column]!r:.300}"
        expected = "no control characters" if column == "path" else "letters, digits, - and _ only"
    return f"row {row['row']}: {column} {found}, expected {expected}; correct it, or leave it out by select"


def _datasets(rows: pl.DataFrame, limit: int | None) -> tuple[Datasets, dict[str, int]]:
    """Return the first datasets of rows in order, a repeated row once; and those that mix files and patterns."""
    if limit is not None and not (isinstance(limit, int) and limit > 0):
        raise CatalogueError(f"limit is {limit!r}; expected a number of datasets above 0")
    # Of a path that is listed again, the last row.
    again = pl.col("id").eq(pl.col("id").shift(-1)) & pl.col("path").eq(pl.col("path").shift(-1))
    told = pl.when(pl.col("size").null_count() == 0).then(pl.col("size").sum())
    each = rows.filter(~again.fill_null(False)).group_by("id", maintain_order=True).agg(files="path", source_bytes=told)
    each = each.head(limit) if limit else each
    is_mixed = (pl.col("files").list.len() > 1) & pl.col("files").list.eval(
        pl.element().str.contains("[*?]")
    ).list.any()
    mixed = {
        f"{name} is {files[0]!r} and also {files[1]!r}; expected files, or one glob pattern": len(files)
        for name, files, _ in each.filter(is_mixed).iter_rows()
    }
    return Datasets(each.filter(~is_mixed)), mixed
