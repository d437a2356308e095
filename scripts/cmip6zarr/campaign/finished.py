"""The memory of a campaign: what the receipts of its datasets say, read once.

To find nothing to do for a dataset Snakemake takes 2 ms, a look at the times and sizes of its receipts 20 µs. What they
say was asked, and what tables and report tell of them, is read once and kept in a table, and read again when the time
or the size of one has changed.
"""

import gc
import hashlib
import json
import os
import signal
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl

from cmip6zarr.campaign import findings
from cmip6zarr.core import files
from cmip6zarr.core.files import JSON
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.request import ASKED, LATER, RULES, Options
from cmip6zarr.model.as_json import to_json

Columns = dict[str, pl.DataType | type[pl.DataType]]

TABLE = "finished.parquet"

COLUMNS: Columns = {
    "dataset": pl.String,
    "files": pl.Int64,
    "shape": pl.String,
    "chunks": pl.String,
    "codec": pl.String,
    "raw_bytes": pl.Int64,
    "netcdf_bytes": pl.Int64,
    "zarr_bytes": pl.Int64,
    "ratio": pl.Float64,
    "objects": pl.Int64,
    "values_compared": pl.Int64,
    "files_as_published": pl.Int64,
    "findings": pl.Int64,
    "files_left_out": pl.Int64,
    "steps_missing": pl.Int64,
    "convert_planned_mib": pl.Int64,
    "convert_peak_rss_mib": pl.Int64,
    "reason": pl.String,
}
"""The size table: what a size_report receipt says, one row a dataset; that of verify says `files_as_published`."""

SIZED: Columns = COLUMNS | {
    "store": pl.String,
    "zarr_format": pl.Int64,
    "time_range": pl.String,
    "nc_path": pl.String,
    "verified": pl.String,
    "chunk_objects": pl.Int64,
    "look": pl.String,
    "let_pass": pl.String,
    "kinds": pl.List(pl.String),
    "planned_objects": pl.Int64,
    "store_digest": pl.String,
    "convert_seconds": pl.Float64,
    "verify_seconds": pl.Float64,
    "cpu_seconds": pl.Float64,
    **dict.fromkeys(("units", "standard_name", "long_name"), pl.String),
    **dict.fromkeys(("frequency", "realm", "nominal_resolution"), pl.String),
    "steps": pl.Int64,
    "calendar": pl.String,
    "first_file": pl.String,
    "extent": pl.List(pl.Float64),
}
"""All that is told of a sealed dataset: also in the catalogue of stores, and in the report."""

REPORTED: Columns = SIZED | {"convert_mtime_ns": pl.Int64, "verify_mtime_ns": pl.Int64}
"""What the report is made of: that, and when its rules had done their work."""

STAMPS = tuple(f"{rule}_{stamp}" for rule in RULES for stamp in ("mtime_ns", "bytes"))
KEPT: Columns = {"dataset": pl.String, **dict.fromkeys(STAMPS, pl.Int64), "made_of": pl.String}
SCHEMA: Columns = KEPT | SIZED
"""The table: a row for each dataset that has a size report.

`made_of` is null where one of its receipts is not there or no receipt of it, the rest where its size report is none.
"""

AT_ONCE = 2000
"""Datasets whose rows are Python objects: as columns they take a tenth."""

READERS = 4
"""Processes that read the receipts of more datasets: Python reads JSON in one thread."""


def fingerprint(asked: Mapping[str, Options]) -> str:
    """Return sixteen hex digits that change when what was asked of a rule does: {rule: {option: value}}."""
    values = [
        asked[rule].get(option)
        for rule, options in ASKED.items()
        for option in options
        if option not in LATER or option in asked[rule]
    ]
    # 32 and 32.0 are the same number of MiB.
    values = [float(value) if isinstance(value, int) else value for value in values]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def table(results: Results, columns: Iterable[str] = SCHEMA) -> tuple[pl.DataFrame, bool]:
    """Return the table of the datasets that have a size report now, and whether the kept one still holds.

    Where it does, the table has but the columns that are asked for.
    """
    path, same = Path(results, TABLE), ("dataset", *STAMPS)
    kept, now = _kept(path, KEPT), _stamps(Path(results))
    known = now.join(kept, on=same, nulls_equal=True)
    if known.height == now.height == kept.height:
        return _kept(path, columns), True
    new = now.join(kept, on=same, how="anti", nulls_equal=True)
    old = _kept(path, SCHEMA).filter(pl.col("dataset").is_in(known["dataset"].implode()))
    return pl.concat([old, *_read(results, new)]), False


def keep(results: Results, finished: pl.DataFrame) -> None:
    """Keep the table of finished datasets for the next time."""
    data = BytesIO()
    finished.write_parquet(data)
    files.write_bytes(Path(results, TABLE), data.getvalue())


def told(found: Mapping[str, JSON]) -> JSON:
    """Return what is told of a sealed dataset, the columns SIZED, of its receipts by rule."""
    sized, converted, verified = (found[rule] for rule in ("size_report", "convert", "verify"))
    return sized | {
        "chunk_objects": sum(array["objects"] for array in sized.get("arrays", {}).values()),
        "look": sized.get("look", {}).get("picture"),
        **{column: sized["let_pass"][column] for column in ("findings", "files_left_out", "steps_missing")},
        "let_pass": findings.words(sized["let_pass"]),
        "kinds": list(sized["let_pass"]["kinds"]),
        "planned_objects": converted.get("planned_objects"),
        "files_as_published": verified.get("files_as_published", 0),
        "store_digest": verified.get("store_digest"),
        # What an earlier run had left took no time, nor do values that are not read.
        "convert_seconds": None if converted.get("resumed_shards") else converted.get("seconds"),
        "verify_seconds": verified.get("seconds") if sized.get("verified") == "full" else None,
        "cpu_seconds": round(sum(facts.get("cpu_seconds", 0) for facts in (converted, verified, sized)), 2),
        **_told_of_source(found["inventory"], sized.get("look", {}).get("variable")),
    }


def _told_of_source(inventory: JSON, main: str | None) -> JSON:
    """Return what attributes say of the main variable and of the files, the calendar, steps, and the first file's name.

    `main` is None where none is known: then it is the largest.
    """
    variables = inventory.get("variables", {})
    name = main or max(variables, key=lambda name: variables[name]["raw_bytes"], default="")
    of_variable, of_files = variables.get(name, {}).get("attributes", {}), inventory.get("attributes", {})
    time = inventory.get("time") or {}
    return {
        **_texts(of_variable, "units", "standard_name", "long_name"),
        **_texts(of_files, "frequency", "realm", "nominal_resolution"),
        "calendar": time.get("calendar"),
        "steps": time.get("steps"),
        "first_file": inventory["files"][0]["path"].rpartition("/")[2] if inventory.get("files") else None,
    }


def _texts(attributes: Mapping[str, Sequence[Any]], *names: str) -> dict[str, str | None]:
    """Return attributes, (type, value) each, that are texts, by name; None of those that are not."""
    values = {name: attributes.get(name, ("char", None))[1] for name in names}
    return {name: value if isinstance(value, str) else None for name, value in values.items()}


def size_report(results: Results, name: str) -> JSON | None:
    """Return the size report of a dataset, None where it is none; one of an older version too has `let_pass`."""
    sized = receipts.find(results, "size_report", name)
    if sized and "let_pass" not in sized:
        sized["let_pass"] = to_json(findings.counts(*findings.of_receipts(results, name)))
    return sized


def _read(results: Results, new: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows of datasets of which names and stamps are given, from their receipts, AT_ONCE at a time."""
    read = {column: SCHEMA[column] for column in SCHEMA if column not in new.columns}
    slices = list(new.iter_slices(AT_ONCE))
    names, rows_of = (some["dataset"].to_list() for some in slices), partial(_rows, results)
    with ExitStack() as stack:
        each: Iterator[list[tuple[Any, ...]]] = map(rows_of, names)
        if len(slices) > 1:
            # They do not answer Ctrl-C: this process does, and ends them.
            pool = ProcessPoolExecutor(READERS, get_context("fork"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
            each = stack.enter_context(pool).map(rows_of, names)
        for some, rows in zip(slices, each, strict=True):
            yield some.hstack(pl.DataFrame(rows, read, orient="row", strict=False))


def _rows(results: Results, names: Iterable[str]) -> list[tuple[Any, ...]]:
    """Return what receipts of datasets say: `made_of`, and the columns SIZED without the first."""
    with _no_search_for_cycles():
        return [_row(results, name) for name in names]


def _row(results: Results, name: str) -> tuple[Any, ...]:
    found = {rule: receipts.find(results, rule, name) or {} for rule in RULES[:-1]}
    found["size_report"] = size_report(results, name) or {}
    is_whole = all(facts.get("dataset") == name for facts in found.values())
    made_of = fingerprint({rule: found[rule].get("asked", {}) for rule in ASKED}) if is_whole else None
    row: JSON = told(found) if found["size_report"] else {}
    return (made_of, *(row.get(column) for column in SIZED if column != "dataset"))


def _kept(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    """Return columns of the table that was kept; of an empty one if there is none that can be used."""
    try:
        kept = pl.scan_parquet(path, glob=False)
        if kept.collect_schema() == SCHEMA:
            return kept.select(*columns).collect()
    except (OSError, pl.exceptions.PolarsError):
        pass
    return pl.DataFrame(schema={column: SCHEMA[column] for column in columns})


def _stamps(results: Path) -> pl.DataFrame:
    """Return time and size of the receipts of all datasets that have a size report."""
    # On a network file system a look at a file is a question to a server: all folders are asked at the same time.
    with ThreadPoolExecutor(len(RULES)) as pool:
        *others, stamps = pool.map(partial(_stamps_of, results), RULES)
    for other in others:
        stamps = stamps.join(other, on="dataset", how="left", maintain_order="left")
    return stamps.select("dataset", *STAMPS)


def _stamps_of(results: Path, rule: str) -> pl.DataFrame:
    names, times_ns, sizes = [], array("q"), array("q")
    with suppress(FileNotFoundError), os.scandir(results / rule) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                # A job may void it at any time.
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    names.append(entry.name.removesuffix(".json"))
                    times_ns.append(status.st_mtime_ns)
                    sizes.append(status.st_size)
    columns = {"dataset": names, f"{rule}_mtime_ns": times_ns, f"{rule}_bytes": sizes}
    return pl.DataFrame({name: pl.Series(values, dtype=SCHEMA[name]) for name, values in columns.items()})


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Keep Python from looking for cycles of objects: JSON has none, and it is a quarter of the time of reading."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
