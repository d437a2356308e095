"""The catalogue of sealed stores, for intake-esm: in the results, and below the root of the stores, to go with them."""

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cmip6zarr.catalogue import build
from cmip6zarr.catalogue.build import Assets
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.store.backend import SCHEME
from cmip6zarr.store.interface import Home

TOLD = (
    *("time_range", "steps", "calendar", "frequency", "realm", "nominal_resolution", "standard_name", "long_name"),
    *("units", "nc_path", "netcdf_bytes", "zarr_bytes", "chunks", "zarr_format", "verified", "values_compared"),
    *("files_as_published", "findings", "files_left_out", "steps_missing", "store_digest", "latest", "retracted"),
)
"""Columns that the catalogue has as they are, unless an id has them."""

MEMBERS = ("member_id", "variant_label")
"""Facets of the members of an ensemble."""

MANY = 50_000
"""Stores from which on the table is parquet too, which is read sooner than CSV."""


def table(sized: pl.DataFrame, own: Sequence[Project] = (), root: str = "", public_url: str = "") -> pl.DataFrame:
    """Return the catalogue of sealed stores: facets, attributes, where things are, sizes, proof, what is withdrawn.

    `sized` is the table SIZED, with the columns of `withdrawn.marked`.

    Column `zstore` says where a store is: below `public_url` if that is given, else below `root` and relative to it if
    that is a folder; without a root the URL of the store itself. `format` is the version of Zarr in the words of
    intake-esm, `zarr2` or `zarr3`; in a bucket plain `zarr`, since intake-esm 2025.12.12 hands s3fs an option of the
    others that s3fs does not know, and opens none of them. `own` are the projects that are not built in.
    """
    facets = build.by_ids(sized["dataset"], own)
    # intake-esm passes storage options, which zarr takes with a URL only; `file:` does not count as one.
    places = (place(store, root, public_url) for store in sized["store"])
    urls = pl.Series("zstore", [each if "://" in each else f"local://{each}" for each in places], pl.String)
    version = pl.when(urls.str.starts_with(SCHEME)).then(pl.lit("zarr")).otherwise(pl.format("zarr{}", "zarr_format"))
    kind = sized.select(format=version)["format"]
    return facets.with_columns(urls, kind, *(sized[column] for column in TOLD if column not in facets.columns))


def place(store: str, root: str = "", public_url: str = "") -> str:
    """Return where a store is: its URL in a bucket or below `public_url`, else its path, relative to a `root`.

    >>> place("s3://b/stores/CMIP6/a.zarr", "s3://b/stores", "https://host/cmip6/")
    'https://host/cmip6/CMIP6/a.zarr'
    >>> place("/data/CMIP6/a.zarr", "/data/"), place("/data/CMIP6/a.zarr"), place("s3://b/CMIP6/a.zarr", "s3://b")
    ('CMIP6/a.zarr', '/data/CMIP6/a.zarr', 's3://b/CMIP6/a.zarr')
    """
    if store.startswith(SCHEME) and not public_url:
        return store
    below = store.removeprefix(root.rstrip("/")).lstrip("/") if root else str(Path(store).absolute())
    return f"{public_url.rstrip('/')}/{below}" if public_url else below


def assets(rows: pl.DataFrame) -> Assets:
    """Return what intake-esm is told of a catalogue of stores.

    Their version of Zarr, of each where they are of two. Variables of a run are one dataset for it, and so are members
    along a new dimension, where all stores are of one project. Versions are told apart if a dataset has several.
    """
    kinds = rows["format"].unique().to_list()
    told = {"format_column": "format"} if len(kinds) > 1 else {"format": kinds[0] if kinds else "zarr3"}
    facets = build.keys(rows.columns)
    joined = [name for name in ("variable_id", *MEMBERS) if name in facets]
    if "version" in facets and not rows.select(name for name in facets if name != "version").is_duplicated().any():
        joined.append("version")
    return Assets(
        description="Zarr stores that were compared with their NetCDF files bit by bit",
        column="zstore",
        keys=tuple(name for name in facets if name not in joined),
        aggregations=(
            *({"type": "union", "attribute_name": name} for name in joined if name == "variable_id"),
            *({"type": "join_new", "attribute_name": name} for name in joined if name in MEMBERS),
        ),
        **told,
    )


def put(rows: pl.DataFrame, home: Home, name: str = "stores") -> None:
    """Put a catalogue of stores into a folder or bucket: a JSON and its table, of MANY stores as parquet too."""
    # Beside its JSON intake-esm finds a table on a file system alone.
    beside = f"{home}/{name}" if str(home).startswith(SCHEME) else name
    described, listed = build.texts(rows, name, f"{beside}.csv", assets(rows))
    home.put(f"{name}.csv", [listed.encode()])
    if rows.height >= MANY:
        # As texts: intake-esm reads those of CSV as such, and a search must not depend on how many stores there are.
        rows.cast(pl.String).write_parquet(held := io.BytesIO())
        home.put(f"{name}.parquet", [held.getvalue()])
        described, _ = build.texts(rows, name, f"{beside}.parquet", assets(rows))
    home.put(f"{name}.json", [described.encode()])
