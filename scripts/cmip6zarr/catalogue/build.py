"""A catalogue of a tree of NetCDF files, or of stores, as intake-esm opens it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cmip6zarr.catalogue import drs
from cmip6zarr.catalogue.drs import FACETS
from cmip6zarr.catalogue.esm import CatalogueError
from cmip6zarr.core import files
from cmip6zarr.core.files import JSON


@dataclass(frozen=True, kw_only=True)
class Assets:
    """What a catalogue lists: in words, the column that says where each is, their format, and how they are joined.

    `aggregations` are those of intake-esm, for the assets of one dataset.
    """

    description: str
    column: str
    format: str
    aggregations: tuple[JSON, ...] = ()


NETCDF_FILES = Assets(
    description="NetCDF files by dataset, as their folders name them",
    column="path",
    format="netcdf",
    aggregations=({"type": "join_existing", "attribute_name": "time_range", "options": {"dim": "time"}},),
)


def build(roots: Iterable[str | Path]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return a row per NetCDF file in DRS folders below `roots`, and how many paths were left aside, by reason.

    No file is opened: folders say it all, and the file system has the sizes, in bytes. Raises CatalogueError if a root
    is no folder or nothing is found.
    """
    # Not ecgtools: it imports xarray and joblib to read what paths state, hides failures, and calls `latest` v0.
    rows = []
    left_aside: Counter[str] = Counter()
    for root in roots:
        if not Path(root).is_dir():
            raise CatalogueError(f"{root}: there is no such folder")
    for path, facets in drs.tree(roots):
        if isinstance(facets, str):
            left_aside[facets] += 1
        else:
            member, name = facets["member_id"], path.rpartition("/")[2]
            rows.append((*facets.values(), drs.init_year(member), drs.time_range(name), path, _size(path)))
    if not rows:
        raise CatalogueError(
            f"no NetCDF file lies in a DRS folder below {', '.join(map(str, roots))}: {dict(left_aside)}"
        )
    words = dict.fromkeys((*FACETS, "dcpp_init_year", "time_range", "path", "size"), pl.String)
    columns = words | {"dcpp_init_year": pl.Int32, "size": pl.Int64}
    return pl.DataFrame(rows, columns, orient="row").sort("path"), dict(left_aside)


def _size(path: str) -> int | None:
    """Return the bytes of a file, None of one that cannot be reached."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def write(rows: pl.DataFrame, path: str | Path, assets: Assets = NETCDF_FILES) -> None:
    """Write rows as an intake-esm catalogue: `path`, a JSON, and its CSV beside it, each whole or not at all.

    The rows are as in `texts`. Raises CatalogueError if `path` does not end in .json.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise CatalogueError(f"{path}: expected a name that ends in .json")
    table = path.with_suffix(".csv")
    described, listed = texts(rows, path.stem, table.name, assets)
    files.write_text(table, listed)
    files.write_text(path, described)


def texts(rows: pl.DataFrame, name: str, table: str, assets: Assets = NETCDF_FILES) -> tuple[str, str]:
    """Return an intake-esm catalogue as text: its JSON, and its CSV, which the JSON says is at `table`.

    The rows have the ten FACETS, which make up the keys in intake-esm (a key is a dataset's id), and the column that
    says where an asset is.
    """
    described = {
        "esmcat_version": "0.1.0",
        "id": name,
        "description": assets.description,
        "catalog_file": table,
        "attributes": [{"column_name": name, "vocabulary": ""} for name in rows.columns if name != assets.column],
        "assets": {"column_name": assets.column, "format": assets.format},
        "aggregation_control": {
            "variable_column_name": "variable_id",
            "groupby_attrs": FACETS,
            "aggregations": assets.aggregations,
        },
    }
    return files.text_of(described), rows.write_csv()
