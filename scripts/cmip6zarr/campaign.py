"""The campaign as a whole, from the receipts of its datasets: states, the size table, the catalogue of stores."""

from collections import Counter
from pathlib import Path

import polars as pl

from . import drs, objects, receipts
from .catalogue import Dataset
from .units import human

COLUMNS = {
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
    "convert_planned_mib": pl.Int64,
    "convert_peak_rss_mib": pl.Int64,
    "reason": pl.String,
}
"""The size table: what a size_report receipt says, one row a dataset."""

AUDIT = {
    "dataset": pl.String,
    "verdict": pl.String,
    "objects": pl.Int64,
    "stored_bytes": pl.Int64,
    "seconds": pl.Float64,
    "message": pl.String,
}
"""The table of the last audit, one row a store that was asked."""

STORES = {
    "description": "Zarr stores that were compared with their NetCDF files bit by bit",
    "column": "zstore",
    "format": "zarr",
    "aggregations": [],
}
"""What distinguishes the catalogue of stores from one of NetCDF files."""

MOST_PRINTED = 50  # rows of the table on a terminal


def refused_before(datasets: dict[str, Dataset], results, policy: dict) -> set[str]:
    """Return the datasets that were refused with the same row and the same policy: the answer would be the same."""
    failed = Path(results, "failed")
    names = {file.stem for file in failed.glob("*.json")}
    refused = set()
    for name in names & datasets.keys():
        record = receipts.find(results, "failed", name) or {"class": None}
        same = record.get("row") == datasets[name].digest and record.get("policy") == policy
        if record["class"] == "refused" and same:
            refused.add(name)
    return refused


def state(name: str, results) -> str:
    """Return the state of a dataset: verified, the class of its failure (`refused` is one), or waiting."""
    if receipts.path_of(results, "failed", name).is_file():
        return (receipts.find(results, "failed", name) or {"class": "receipt"})["class"]
    if not receipts.path_of(results, "size_report", name).is_file():
        return "waiting"
    return "verified" if receipts.find(results, "size_report", name) else "receipt"


def size_table(names, results) -> pl.DataFrame:
    """Return the size table of verified datasets, from their size_report receipts."""
    rows = (receipts.read(results, "size_report", name) for name in names)
    # As tuples: of 100,000 receipts the rest would be gigabytes.
    return pl.DataFrame([tuple(row[column] for column in COLUMNS) for row in rows], COLUMNS, orient="row")


def audit_table(names, results) -> pl.DataFrame:
    """Return what the last audit said of the stores that it asked, sound or not."""
    rows = []
    for name in names:
        receipt, failed = (receipts.path_of(results, folder, name) for folder in ("audit", "failed"))
        if receipt.is_file() and (facts := receipts.find(results, "audit", name)):
            rows.append(facts | {"verdict": "sound", "message": None})
        elif failed.is_file() and (record := receipts.find(results, "failed", name) or {}).get("rule") == "audit":
            rows.append({"dataset": name, "verdict": record["class"], "message": record["message"]})
    return pl.DataFrame([{column: row.get(column) for column in AUDIT} for row in rows], AUDIT)


def store_table(names, results, told_by: str = "size_report") -> pl.DataFrame:
    """Return the catalogue of sealed stores: facets, where the store and its files are, sizes, chunks, proof.

    The receipt of the rule `told_by` says where the store is.
    """
    schema = dict.fromkeys(drs.FACETS, pl.String) | {
        "dcpp_init_year": pl.Int64,
        "time_range": pl.String,
        "zstore": pl.String,
        "nc_path": pl.String,
        "netcdf_bytes": pl.Int64,
        "zarr_bytes": pl.Int64,
        "chunks": pl.String,
        "zarr_format": pl.Int64,
        "verified": pl.String,
        "values_compared": pl.Int64,
    }
    rows = []
    for name in names:
        row = receipts.read(results, "size_report", name)
        facets = dict(zip(drs.FACETS, name.split("."), strict=True))
        # intake-esm passes storage options, which zarr takes with a URL only, and `file:` does not count as one.
        store = (row if told_by == "size_report" else receipts.read(results, told_by, name))["store"]
        url = store if store.startswith(objects.SCHEME) else f"local://{Path(store).absolute()}"
        row |= facets | {"dcpp_init_year": drs.init_year(facets["member_id"]), "zstore": url}
        rows.append(tuple(row[column] for column in schema))
    return pl.DataFrame(rows, schema, orient="row")


def printed(table: pl.DataFrame, width: int) -> str:
    """Return the size table for a terminal of `width` characters: the reason is cut to what is left of a line.

    Of an id it shows source, experiment, member, table, variable and grid; the table on disk has all of it.
    """
    head = ("dataset", "files", "chunks", "NetCDF", "Zarr", "ratio", "objects", "MiB used", "why")
    rows = [
        (
            ".".join(row["dataset"].split(".")[3:9]),
            str(row["files"]),
            row["chunks"].replace(" ", ""),
            human(row["netcdf_bytes"]),
            human(row["zarr_bytes"]),
            f"{row['ratio']:.2f}",
            str(row["objects"]),
            str(row["convert_peak_rss_mib"]),
            row["reason"],
        )
        for row in table.head(MOST_PRINTED).iter_rows(named=True)
    ]
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head) - 1)]
    left = max(20, width - sum(widths) - 2 * len(widths))

    def line(cells):
        name, *numbers, why = cells
        padded = [name.ljust(widths[0]), *(n.rjust(w) for n, w in zip(numbers, widths[1:], strict=True))]
        return "  ".join((*padded, why if len(why) <= left else why[: left - 1] + "…"))

    more = [f"... and {table.height - MOST_PRINTED} more"] if table.height > MOST_PRINTED else []
    return "\n".join([line(head), *map(line, rows), *more])


def total(table: pl.DataFrame) -> str:
    """Return one line: datasets, files, bytes in and out of the whole table."""
    files, netcdf, stored, objects = (table[c].sum() for c in ("files", "netcdf_bytes", "zarr_bytes", "objects"))
    ratio = f" ({stored / netcdf:.2f})" if netcdf else ""
    return f"{table.height} stores from {files} files: {human(netcdf)} -> {human(stored)}{ratio} in {objects} objects"


def bigger(table: pl.DataFrame) -> list[str]:
    """Return a line for each store that is bigger than its NetCDF files, the biggest first."""
    rows = table.filter(pl.col("zarr_bytes") > pl.col("netcdf_bytes")).sort("ratio", descending=True)
    lines = [
        f"  bigger than NetCDF ({row['ratio']:.2f}): {row['dataset']}: {row['reason']}"
        for row in rows.head(MOST_PRINTED).iter_rows(named=True)
    ]
    return lines + ([f"  ... and {rows.height - MOST_PRINTED} more"] if rows.height > MOST_PRINTED else [])


def counted(states: dict[str, str]) -> str:
    """Return one line: how many datasets are in each state.

    >>> counted({"a": "verified", "b": "refused", "c": "verified"})
    '3 datasets: 2 verified, 1 refused'
    """
    counts = Counter(states.values())
    plain = ("verified", "refused", "waiting")
    words = (f"{n} {word if word in plain else f'failed ({word})'}" for word, n in counts.most_common())
    return f"{len(states)} datasets: {', '.join(words)}"
