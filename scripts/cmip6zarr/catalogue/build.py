"""A catalogue of files that trees and work lists name, or of stores, as intake-esm opens it."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from cmip6zarr.catalogue import drs, mapfiles, projects, stac, versions
from cmip6zarr.catalogue.esm import CatalogueError
from cmip6zarr.catalogue.listing import LeftAside, Listed, Reading
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core import files
from cmip6zarr.core.files import JSON

DATASET = "dataset_id"
"""The column of ids, where not all rows have the same facets."""

SUMS = ("checksum", "checksum_type")


@dataclass(frozen=True, kw_only=True)
class Assets:
    """What a catalogue lists: in words, the column that says where each is, their format, and how they are joined.

    `format` is one of intake-esm's; where they are of several, `format_column` is the column that says which.
    `keys` are the columns that make up the key of what is opened as one; none: the id of a dataset. `aggregations` are
    those of intake-esm, for the assets of one key.
    """

    description: str
    column: str
    format: str | None = None
    format_column: str | None = None
    keys: tuple[str, ...] = ()
    aggregations: tuple[JSON, ...] = ()


NETCDF_FILES = Assets(
    description="NetCDF files by dataset, as their folders name them",
    column="path",
    format="netcdf",
    aggregations=({"type": "join_existing", "attribute_name": "time_range", "options": {"dim": "time"}},),
)


def build(
    roots: Iterable[str | Path] = (),
    mapped: Iterable[str | Path] = (),
    items: Iterable[str | Path] = (),
    reading: Reading | None = None,
    latest: bool = False,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return a row per NetCDF file, and how many files, folders and lines were left aside, by reason.

    `roots` are folders with DRS folders below them, `mapped` mapfiles and `items` JSON files of STAC, or folders of
    such. No NetCDF file is opened: folders and lists say it all. Sizes are in bytes, of lists where these have them,
    else of the file system. With `latest` older versions are left aside. Raises CatalogueError if a root or list is not
    there, or nothing is found.
    """
    # Not ecgtools: it imports xarray and joblib to read what paths state, hides failures, and calls `latest` v0.
    reading = reading or Reading(projects=projects.known())
    roots, lists = list(roots), [*_files(mapped, "*.map", mapfiles.read), *_files(items, "*.json", stac.read)]
    found: dict[str, Listed] = {}
    aside = LeftAside()
    listed = (each for file, read in lists for each in read(file, reading))
    for entry in chain(_in_trees(roots, reading, aside), listed):
        if not isinstance(entry, Listed):
            aside.add(*entry)
            continue
        before = found.setdefault(entry.path, entry)
        if before.facets != entry.facets:
            aside.add("file of another dataset too", f"{entry.path}: listed for two datasets, the first was taken")
        elif before.checksum is None:
            found[entry.path] = entry
        elif before.checksum_type == entry.checksum_type and before.checksum != entry.checksum:
            aside.add("file with another checksum too", f"{entry.path}: listed with two, the first was taken")
    if not found:
        where = ", ".join(map(str, (*roots, *(file for file, _ in lists))))
        found_else = "; ".join(aside.reasons) or "there is none"
        raise CatalogueError(f"no NetCDF file lies in a DRS folder, or is listed, in {where}: {found_else}")
    entries = [found[path] for path in sorted(found)]
    if not latest:
        return table(entries), aside.reasons
    chosen, older = newest(entries, [project for project in reading.projects if project.path])
    return table(chosen), aside.reasons | older


def newest(entries: Sequence[Listed], own: Sequence[Project] = ()) -> tuple[list[Listed], dict[str, int]]:
    """Return the files of the newest version of each dataset, and {reason: number} of those of older ones.

    `own` are the projects that are not built in.
    """
    names = [".".join(entry.facets.values()) for entry in entries]
    kept = set(versions.newest(pl.DataFrame({"id": list(dict.fromkeys(names))}), own)["newer"])
    chosen = [entry for name, entry in zip(names, entries, strict=True) if name in kept]
    older = len(set(names) - kept)
    return chosen, {f"files of {older} older versions": len(entries) - len(chosen)} if older else {}


Reader = Callable[[Path, Reading], Iterator[Listed | tuple[str, str]]]


def _files(paths: Iterable[str | Path], pattern: str, read: Reader) -> Iterator[tuple[Path, Reader]]:
    """Yield work lists: files, and those that match a pattern in folders; raises CatalogueError if there is none."""
    for path in map(Path, paths):
        some = sorted(path.rglob(pattern)) if path.is_dir() else [path]
        if not some or not all(file.is_file() for file in some):
            raise CatalogueError(f"{path}: there is no such file, and no folder with {pattern} in it")
        yield from ((file, read) for file in some)


def _in_trees(roots: Iterable[str | Path], reading: Reading, aside: LeftAside) -> Iterator[Listed]:
    """Yield the files in DRS folders, and count the others."""
    for root in roots:
        if not Path(root).is_dir():
            raise CatalogueError(f"{root}: there is no such folder")
    for path, facets in drs.tree(roots, reading.projects):
        if isinstance(facets, str):
            aside.add_file(facets, path)
        else:
            project = projects.of(next(iter(facets.values())), reading.projects)
            yield Listed(facets=facets, project=project, path=path)


def table(entries: Sequence[Listed]) -> pl.DataFrame:
    """Return a row per file: facets, start of a prediction, dates, path, size, and checksums where there are some."""
    told = {
        "time_range": [entry.project.time_range(entry.path.rpartition("/")[2]) for entry in entries],
        "path": [entry.path for entry in entries],
        "size": [_size(entry) for entry in entries],
    }
    if any(entry.checksum for entry in entries):
        told |= {name: [getattr(entry, name) for entry in entries] for name in SUMS}
    own = {entry.project.path: entry.project for entry in entries if entry.project.path}
    names = pl.Series([".".join(entry.facets.values()) for entry in entries], dtype=pl.String)
    kinds = {"size": pl.Int64}
    return by_ids(names, tuple(own.values())).with_columns(
        pl.Series(name, values, kinds.get(name, pl.String)) for name, values in told.items()
    )


def by_ids(names: pl.Series, own: Sequence[Project] = ()) -> pl.DataFrame:
    """Return facets of ids, and `dcpp_init_year`, the start of a prediction; with DATASET first where facets differ.

    `own` are the projects that are not built in. Columns, since there may be a million ids.
    """
    rows = pl.DataFrame({DATASET: names}).with_row_index()
    rows = rows.with_columns(word=pl.col(DATASET).str.extract(r"^([^.]*)"))
    parts, sets = [], set()
    for (word,), some in rows.partition_by("word", as_dict=True, maintain_order=True).items():
        project = projects.of(str(word), own)
        facets = list(project.facets)
        sets.add((*facets, project.path))
        start = project.said.get("start")
        year = pl.col(start["facet"]).str.extract(f"^{start['pattern']}") if start else pl.lit(None, pl.String)
        words = some[DATASET].str.split_exact(".", len(facets) - 1).struct.rename_fields(facets).struct.unnest()
        words = words.with_columns(dcpp_init_year=year.cast(pl.Int64))
        parts.append(some.select("index", DATASET).hstack(words))
    if not parts:
        facets = list(projects.built_in(projects.DEFAULT).facets)
        return pl.DataFrame(schema=dict.fromkeys(facets, pl.String) | {"dcpp_init_year": pl.Int64})
    whole = pl.concat(parts, how="diagonal").sort("index").drop("index")
    years = whole.select(pl.all().exclude("dcpp_init_year"), "dcpp_init_year")
    return years if len(sets) > 1 or any(project.path for project in own) else years.drop(DATASET)


def _size(entry: Listed) -> int | None:
    """Return the bytes of a file, None of one that cannot be reached.

    Where a list has a checksum alone, the size of what lies here is not that of what was published.
    """
    if entry.size is not None or entry.checksum:
        return entry.size
    try:
        return Path(entry.path).stat().st_size
    except OSError:
        return None


def write(rows: pl.DataFrame, path: str | Path, assets: Assets = NETCDF_FILES, kind: str = "csv") -> None:
    """Write rows as an intake-esm catalogue: `path`, a JSON, and its table beside it, each whole or not at all.

    The rows are as in `texts`; `kind` is csv or parquet. Raises CatalogueError if `path` does not end in .json.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise CatalogueError(f"{path}: expected a name that ends in .json")
    beside = path.with_suffix(f".{kind}")
    described, listed = texts(rows, path.stem, beside.name, assets)
    if kind == "csv":
        files.write_text(beside, listed)
    else:
        rows.write_parquet(held := io.BytesIO())
        files.write_bytes(beside, held.getvalue())
    files.write_text(path, described)


def texts(rows: pl.DataFrame, name: str, table: str, assets: Assets = NETCDF_FILES) -> tuple[str, str]:
    """Return an intake-esm catalogue as text: its JSON, and its CSV, which the JSON says is at `table`.

    The rows begin as those of `by_ids`, and have the column that says where an asset is.
    """
    kind = {"format": assets.format} if assets.format else {"format_column_name": assets.format_column}
    described = {
        "esmcat_version": "0.1.0",
        "id": name,
        "description": assets.description,
        "catalog_file": table,
        "attributes": [{"column_name": name, "vocabulary": ""} for name in rows.columns if name != assets.column],
        "assets": {"column_name": assets.column} | kind,
        "aggregation_control": {
            "variable_column_name": next(
                (n for n in ("variable_id", "variable") if n in rows.columns), rows.columns[0]
            ),
            "groupby_attrs": list(assets.keys) or keys(rows.columns),
            "aggregations": assets.aggregations,
        },
    }
    return files.text_of(described), rows.write_csv()


def keys(columns: Sequence[str]) -> list[str]:
    """Return the columns that make up the id of a dataset."""
    if DATASET in columns:
        return [DATASET]
    facets = (list(projects.built_in(word).facets) for word in projects.BUILT_IN)
    return next(names for names in facets if names == list(columns[: len(names)]))
