"""An intake-esm catalogue in, datasets out."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cmip6zarr.catalogue import checksums, drs, lines, naming, projects, selecting
from cmip6zarr.catalogue.datasets import Datasets
from cmip6zarr.catalogue.naming import REMOTE, SAID
from cmip6zarr.catalogue.projects import DEFAULT, Project, ProjectError
from cmip6zarr.catalogue.selecting import Selection
from cmip6zarr.core.files import JSON
from cmip6zarr.core.text import printable

if TYPE_CHECKING:
    from intake_esm.cat import ESMCatalogModel

MOST_JSON_BYTES = 256 * 2**20
"""Read at once: more rows belong into a table."""

YES = ("true", "1", "1.0", "yes")


class CatalogueError(ValueError):
    """A catalogue cannot be used; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Catalogue:
    """What a catalogue holds: datasets by id, in order; rows left aside or refused, by reason; rows in all."""

    datasets: Datasets
    left_aside: dict[str, int]
    rows: int


def read_catalogue(
    path: str | Path,
    select: Selection | None = None,
    own: Sequence[str] = (),
    unnamed: str = "",
    exclude: Sequence[Selection] = (),
) -> Catalogue:
    """Read the NetCDF datasets which a catalogue lists, without looking at any of their files.

    `path` is an intake-esm JSON, or the table (csv, csv.gz, parquet) of one. `select` narrows: facet to value or
    values, and `limit` for the first so many datasets; `exclude` are selections of what is not wanted. `own` are files
    of projects of one's own, `unnamed` is the project of rows that name none. Raises CatalogueError.
    """
    select = dict(select or {})
    limit = select.pop("limit", None)
    with _errors_of(path):
        rows, of = _named(*_open(Path(path)), _known(own, unnamed), unnamed)
        count = int(rows.select(pl.len()).collect(engine="streaming").item())
        if not count:
            raise CatalogueError("it has no rows")
        chosen, left_aside, refused = selecting.select(rows, select, of, exclude)
        datasets, wrong = _datasets(chosen, limit, own)
        if not datasets:
            raise CatalogueError("; ".join(refused | wrong))
        return Catalogue(datasets, left_aside | refused | wrong, count)


def read_rows(path: str | Path, own: Sequence[str] = (), unnamed: str = "") -> pl.DataFrame:
    """Return the rows of a catalogue that are NetCDF files of a dataset, with what the list says of each.

    Columns are `id`, `file` (a number that stands for the path: paths would take most of the memory), `size` (bytes),
    `checksum` (as `checksums.sums` has it), `retracted` and `latest` (Boolean), null where the list says nothing. Rows
    that `read_catalogue` leaves aside are not there. Raises CatalogueError.
    """
    with _errors_of(path):
        rows, of = _sound(Path(path), own, unnamed)
        size = pl.col("size").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
        checksum = checksums.sums(of).get("sum", pl.lit(None, pl.String))
        found = rows.select("id", *SAID, file=pl.col("path").hash(), size=size, checksum=checksum)
        return found.collect(engine="streaming")


def says(path: str | Path) -> bool:
    """Tell whether a catalogue has a column of SAID; raises CatalogueError."""
    with _errors_of(path):
        return any(name in SAID for name in _open(Path(path))[0].collect_schema().names())


def read_listed(path: str | Path, own: Sequence[str] = (), unnamed: str = "") -> pl.DataFrame:
    """Return a row for each dataset of a catalogue, selected or not: `id`, and `retracted` and `latest` of any file.

    Both are null where the list says nothing of it. Raises CatalogueError.
    """
    with _errors_of(path):
        rows, _ = _sound(Path(path), own, unnamed)
        return rows.group_by("id").agg(pl.col(SAID).max()).collect(engine="streaming")


def _sound(path: Path, own: Sequence[str], unnamed: str) -> tuple[pl.LazyFrame, naming.Table]:
    """Return the rows that are NetCDF files of a dataset, with the columns SAID, and what their table is."""
    table, assets = _open(path)
    # A row with too many fields has its values in other columns. Polars tells only where it reads all of them.
    table = table.filter(pl.all_horizontal(pl.all().is_null() | pl.lit(value=True)))
    rows, of = _named(table, assets, _known(own, unnamed), unnamed)
    rows = rows.filter(pl.col("reason").is_null() & pl.col("id").str.contains(f"^{drs.DATASET_PATTERN}$"))
    lower = {name: pl.col(f"said:{name}").str.to_lowercase() for name in of.said}
    # Not `is_in`, for which polars holds the column a second time.
    said = {name: pl.any_horizontal(text == yes for yes in YES) for name, text in lower.items()}
    return rows.with_columns(**dict.fromkeys(SAID, pl.lit(None, pl.Boolean)) | said), of


@contextmanager
def _errors_of(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong with the catalogue at a path into a CatalogueError that names it."""
    try:
        yield
    except (CatalogueError, selecting.SelectError, naming.NoColumn) as error:
        raise CatalogueError(f"{path}: {error}") from None
    except ProjectError as error:
        raise CatalogueError(str(error)) from None
    except (OSError, EOFError, UnicodeError, pl.exceptions.PolarsError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        # It may quote whatever bytes the file holds, and goes to a terminal.
        raise CatalogueError(f"{path}: cannot be read: {printable(first_line)}") from error


def _known(own: Sequence[str], unnamed: str) -> tuple[Project, ...]:
    """Return all projects; raises ProjectError, or CatalogueError where `unnamed` is none of them."""
    known = projects.known(own)
    if unnamed and unnamed not in (names := [project.name for project in known]):
        raise CatalogueError(f"project is {unnamed!r}; expected one of {', '.join(names)}")
    return known


def _named(
    table: pl.LazyFrame, assets: JSON, known: Sequence[Project], unnamed: str
) -> tuple[pl.LazyFrame, naming.Table]:
    """Return the rows of a table with their ids and facets, and what the table is; raises NoColumn, CatalogueError."""
    columns = table.collect_schema().names()
    of = naming.Table(columns=columns, assets=assets, projects=known, unnamed=unnamed)
    rows = naming.with_projects(naming.texts(table, of), of)
    default = projects.built_in(DEFAULT)
    if default not in of.complete:
        there = set(rows.select(pl.col("project").unique()).collect(engine="streaming")["project"]) or {default.name}
        found = [project for project in known if project.name in there]
        if not any(project in of.complete for project in found):
            lacking = naming.no_column([facet.columns for facet in of.lacking(found[0])], columns)
            raise CatalogueError(lacking if found[0] is default else f"its rows are of {found[0].name}, and {lacking}")
    return naming.named(rows, of), of


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


def _datasets(rows: pl.DataFrame, limit: int | None, own: Sequence[str]) -> tuple[Datasets, dict[str, int]]:
    """Return the first datasets of rows in order, a repeated row once; and those whose rows contradict one another."""
    if limit is not None and not (isinstance(limit, int) and limit > 0):
        raise CatalogueError(f"limit is {limit!r}; expected a number of datasets above 0")
    # Of a path that is listed again, the last row.
    again = pl.all_horizontal(pl.col(name).eq(pl.col(name).shift(-1)) for name in ("id", *selecting.PARTS))
    told = {
        **{name: pl.col(name) for name in selecting.PARTS},
        "is_mixed": (pl.len() > 1) & pl.col("is_pattern").any(),
        "source_bytes": pl.when(pl.col("size").null_count() == 0).then(pl.col("size").sum()),
    }
    contradicting: dict[str, str] = {}
    if "sum" in rows.columns:
        told |= {"sums": pl.col("sum"), "sizes": pl.col("size")}
        twice = rows.filter(again & pl.col("sum").ne_missing(pl.col("sum").shift(-1)))
        path = pl.concat_str(*selecting.PARTS)
        contradicting = dict(twice.select(pl.col("id").cast(pl.String), path).iter_rows())
    each = rows.filter(~again.fill_null(False)).group_by("id").agg(**told)
    each = each.with_columns(pl.col("id").cast(pl.String)).sort("id")
    each = each.filter(~pl.col("id").is_in(list(contradicting)))
    each = each.head(limit) if limit else each
    own_of = {projects.load(path).first_word: path for path in own}
    mixed = Datasets(each.filter("is_mixed"), own_of).values()
    wrong = {f"{name} lists {path!r} twice, with two checksums; correct one": 1 for name, path in contradicting.items()}
    wrong |= {
        f"{row.id} is {row.files[0]!r} and also {row.files[1]!r}; expected files, or one glob pattern": len(row.files)
        for row in mixed
    }
    return Datasets(each.filter(~pl.col("is_mixed")), own_of), wrong
