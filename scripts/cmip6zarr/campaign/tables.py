"""The campaign as a whole, from the receipts of its datasets: states, the size table, failures and audits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from cmip6zarr.campaign import finished
from cmip6zarr.campaign.findings import SEALED, VERIFIED, WITH_FINDINGS
from cmip6zarr.campaign.finished import REPORTED, Columns
from cmip6zarr.catalogue import projects, row_files
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core.errors import reason
from cmip6zarr.core.text import human, printable
from cmip6zarr.job import failures, receipts
from cmip6zarr.job.receipts import Results

AUDIT: Columns = {
    "dataset": pl.String,
    "verdict": pl.String,
    "objects": pl.Int64,
    "stored_bytes": pl.Int64,
    "seconds": pl.Float64,
    "message": pl.String,
}
"""The table of the last audit, one row a store that was asked."""

FAILED: Columns = dict.fromkeys(("dataset", "class", "kind", "rule", "found", "where", "remedy"), pl.String)
"""The table of what was refused and what failed."""

MOST_PRINTED = 50  # rows of the table on a terminal


def refused_before(datasets: Mapping[str, Dataset], results: Results, policy: Mapping[str, str | float]) -> set[str]:
    """Return the datasets that were refused with the same row, files and policy: the answer would be the same."""
    refused = set()
    for name in names_in(Path(results, "failed")) & datasets.keys():
        record = receipts.find(results, "failed", name) or {"class": None}
        same = record.get("row") == datasets[name].digest and record.get("policy") == policy
        if record["class"] == "refused" and same and record.get("files") == row_files.seen(datasets[name].files):
            refused.add(name)
    return refused


def state(name: str, results: Results) -> str:
    """Return the state of a dataset: one of SEALED, the class of its failure (`refused` is one), or waiting."""
    if receipts.path_of(results, "failed", name).is_file():
        return failure(name, results)
    if not receipts.path_of(results, "size_report", name).is_file():
        return "waiting"
    sized = finished.size_report(results, name)
    return _sealed(sized["let_pass"]["findings"]) if sized else "receipt"


def failure(name: str, results: Results) -> str:
    """Return the class of failure of a dataset that has a record of one."""
    return str((receipts.find(results, "failed", name) or {"class": "receipt"})["class"])


def _sealed(number_of_findings: int) -> str:
    return WITH_FINDINGS if number_of_findings else VERIFIED


def standings(names: Sequence[str], table: pl.DataFrame, results: Results) -> tuple[dict[str, str], pl.DataFrame]:
    """Return {dataset: state}, and the table `finished.REPORTED` of those that are sealed, in the same order.

    `table` is that of `finished.table`.
    """
    failed = names_in(Path(results, "failed"))
    rows = pl.DataFrame({"dataset": pl.Series(names, dtype=pl.String)}).join(
        table.select(*REPORTED).with_columns(there=True), on="dataset", how="left", maintain_order="left"
    )
    found = rows.select("dataset", "there", "findings").iter_rows()
    states = {
        name: failure(name, results)
        if name in failed
        else "waiting"
        if not there
        else "receipt"
        if number is None
        else _sealed(number)
        for name, there, number in found
    }
    sealed = pl.col("findings").is_not_null() & ~pl.col("dataset").is_in(list(failed))
    return states, rows.filter(sealed).select(*REPORTED)


def names_in(folder: Path) -> set[str]:
    """Return the datasets that have a receipt, or a record, in a folder."""
    return {path.stem for path in folder.glob("*.json")}


def audit_table(names: Iterable[str], results: Results) -> pl.DataFrame:
    """Return what the last audit said of the stores that it asked, sound or not."""
    rows, asked = [], names_in(Path(results, "audit"))
    for name in names:
        if name in asked and (facts := receipts.find(results, "audit", name)):
            rows.append({"verdict": "sound"} | facts)
            if facts.get("message"):
                rows[-1]["message"] = reason(facts["verdict"], *failures.parts(facts["message"]))
    return pl.DataFrame([{column: row.get(column) for column in AUDIT} for row in rows], AUDIT)


def failed_table(states: Mapping[str, str], results: Results) -> pl.DataFrame:
    """Return the table FAILED of {dataset: state}, in the same order."""
    rows = []
    for name, state in states.items():
        if state not in (*SEALED, "waiting"):
            record = failures.read(results, name)
            what = (record["class"], failures.kind_of(record), record["rule"], *failures.parts(record["message"]))
            rows.append((name, *map(printable, (*what, record["remedy"]))))
    return pl.DataFrame(rows, FAILED, orient="row")


def failed(table: pl.DataFrame) -> Iterator[str]:
    """Yield a line for each dataset of the table FAILED: why it failed, what to do, and which it is."""
    for row in table.head(MOST_PRINTED).iter_rows(named=True):
        word = "refused" if row["class"] == "refused" else "failed"
        yield f"  {word}: {reason(row['kind'], row['found'], row['where'])} -> {row['remedy']} [{row['dataset']}]"
    if table.height > MOST_PRINTED:
        yield f"  ... and {table.height - MOST_PRINTED} more"


def audited(table: pl.DataFrame) -> str:
    """Return in a line what the last audit has read, and the stores that were not sound, of the table AUDIT.

    >>> columns = ("dataset", "verdict", "objects", "stored_bytes")
    >>> audited(pl.DataFrame([("a", "sound", 3, 10**6), ("b", "rot", 4, 10**6)], columns, orient="row"))
    'audit: read 2 stores, 7 objects, 2 MB; 1 not sound: b (rot)'
    >>> audited(pl.DataFrame([("a", "sound", 3, 10**6)], columns, orient="row"))
    'audit: read 1 stores, 3 objects, 1 MB; all sound'
    """
    bad = table.filter(pl.col("verdict") != "sound")
    words = [f"{name} ({verdict})" for name, verdict in bad.select("dataset", "verdict").head(MOST_PRINTED).iter_rows()]
    words += [f"and {bad.height - MOST_PRINTED} more"] * (bad.height > MOST_PRINTED)
    objects, size = (table[column].sum() for column in ("objects", "stored_bytes"))
    found = f"{bad.height} not sound: {', '.join(words)}" if words else "all sound"
    return f"audit: read {table.height:,} stores, {objects:,} objects, {human(size)}; {found}"


def brief(dataset: str, own: Sequence[Project] = ()) -> str:
    """Return what tells a dataset from others of a campaign, of its id; all of that where it is of no project.

    >>> brief("CMIP6.CMIP.MOHC.UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn.v20190406")
    'UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn'
    """
    project = projects.of(dataset, own)
    if dataset.count(".") != len(project.facets) - 1:
        return dataset
    words = project.words(dataset)
    return ".".join(words[facet] for facet in project.brief)


def printed(table: pl.DataFrame, width: int, own: Sequence[Project] = ()) -> str:
    """Return the size table for a terminal of `width` characters: the reason is cut to what is left of a line.

    Of an id it shows what `brief` returns; the table on disk has all of it.
    """
    head = ("dataset", "files", "chunks", "NetCDF", "Zarr", "ratio", "objects", "MiB used", "why")
    rows = [
        (
            brief(row["dataset"], own),
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

    def line(cells: tuple[str, ...]) -> str:
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


def with_findings(table: pl.DataFrame) -> list[str]:
    """Return a line for each store of the table SIZED with findings, those with the most steps missing first.

    A last line says of how many stores no value was compared.
    """
    rows = table.filter(pl.col("findings") > 0).sort("steps_missing", "files_left_out", "findings", descending=True)
    shown = rows.head(MOST_PRINTED).iter_rows(named=True)
    lines = [f"  {WITH_FINDINGS}: {row['dataset']}: {row['let_pass']}" for row in shown]
    lines += [f"  ... and {rows.height - MOST_PRINTED} more"] if rows.height > MOST_PRINTED else []
    unread = table.filter(pl.col("verified") == "checksums").height
    return lines + ([f"  verified by checksums alone, no value was compared: {unread} stores"] if unread else [])


def counted(states: dict[str, str]) -> str:
    """Return one line: how many datasets are in each state.

    >>> counted({"a": "verified", "b": "refused", "c": "verified, with findings"})
    '3 datasets: 2 verified (1 with findings), 1 refused'
    """
    counts = Counter(VERIFIED if state in SEALED else state for state in states.values())
    more = sum(state == WITH_FINDINGS for state in states.values())
    verified = f"{VERIFIED} ({more} with findings)" if more else VERIFIED
    plain = {"refused": "refused", "waiting": "waiting", VERIFIED: verified}
    words = (f"{n} {plain.get(word, f'failed ({word})')}" for word, n in counts.most_common())
    return f"{len(states)} datasets: {', '.join(words)}"
