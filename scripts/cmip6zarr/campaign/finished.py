"""The finished datasets of a campaign: they have all receipts, and a table keeps what these were asked.

To find nothing to do for a dataset Snakemake takes 2 ms, a look at the times and sizes of its receipts 20 µs. What they
say was asked is read once and kept in the table, and read again when the time or the size of one has changed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial, reduce
from io import BytesIO
from pathlib import Path

import polars as pl

from cmip6zarr.core import files
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.request import ASKED, RULES, Options

TABLE = "finished.parquet"
STAMPS: dict[str, type[pl.DataType]] = {
    f"{rule}_{stamp}": pl.Int64 for rule in RULES for stamp in ("mtime_ns", "bytes")
}
SCHEMA: dict[str, type[pl.DataType]] = {"dataset": pl.String, **STAMPS, "made_of": pl.String}
"""The table: a row for each dataset with all receipts; `made_of` is null where one is no receipt of the dataset."""


def fingerprint(asked: Mapping[str, Options]) -> str:
    """Return sixteen hex digits that change when what was asked of a rule does: {rule: {option: value}}."""
    values = [asked[rule].get(option) for rule, options in ASKED.items() for option in options]
    # 32 and 32.0 are the same number of MiB.
    values = [float(value) if isinstance(value, int) else value for value in values]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def made_of(results: Results, name: str) -> str | None:
    """Return the fingerprint of what the receipts of a dataset were asked; None if one is no receipt of it."""
    found = {rule: receipts.find(results, rule, name) or {} for rule in RULES}
    if any(facts.get("dataset") != name for facts in found.values()):
        return None
    return fingerprint({rule: found[rule].get("asked", {}) for rule in ASKED})


def table(results: Results) -> pl.DataFrame:
    """Return the table of the datasets that have all receipts, as they are now; of the kept one what still holds."""
    kept, now = _kept(Path(results, TABLE)), _stamps(Path(results))
    known = now.join(kept, on=["dataset", *STAMPS])
    if known.height == now.height == kept.height:
        return kept
    new = now.join(kept, on=["dataset", *STAMPS], how="anti")
    read = pl.Series([made_of(results, name) for name in new["dataset"]], dtype=pl.String)
    return pl.concat([known, new.with_columns(made_of=read)])


def keep(results: Results, finished: pl.DataFrame) -> None:
    """Keep the table of finished datasets for the next time."""
    data = BytesIO()
    finished.write_parquet(data)
    files.write_bytes(Path(results, TABLE), data.getvalue())


def _kept(path: Path) -> pl.DataFrame:
    """Return the table that was kept, an empty one if there is none that can be used."""
    try:
        kept = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        kept = pl.DataFrame()
    return kept if kept.schema == SCHEMA else pl.DataFrame(schema=SCHEMA)


def _stamps(results: Path) -> pl.DataFrame:
    """Return time and size of the receipts of all datasets that have all of them."""
    # On a network file system a look at a file is a question to a server: all folders are asked at the same time.
    with ThreadPoolExecutor(len(RULES)) as pool:
        stamps = list(pool.map(partial(_stamps_of, results), RULES))
    return reduce(partial(pl.DataFrame.join, on="dataset", maintain_order="left"), stamps)


def _stamps_of(results: Path, rule: str) -> pl.DataFrame:
    rows = []
    with suppress(FileNotFoundError), os.scandir(results / rule) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                # A job may void it at any time.
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    rows.append((entry.name.removesuffix(".json"), status.st_mtime_ns, status.st_size))
    columns = {name: kind for name, kind in SCHEMA.items() if name == "dataset" or name.startswith(f"{rule}_")}
    return pl.DataFrame(rows, columns, orient="row")
