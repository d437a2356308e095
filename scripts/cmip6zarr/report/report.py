"""The campaign as one HTML file that needs nothing else: how far it is, what it made, what failed and what to do.

Figures and pictures are within the file; receipts, logs and further pictures are links beside it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from cmip6zarr.campaign import findings
from cmip6zarr.campaign.findings import SEALED, WITH_FINDINGS
from cmip6zarr.campaign.status import rerun
from cmip6zarr.core import files
from cmip6zarr.core.files import JSON
from cmip6zarr.core.text import human
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.request import RULES
from cmip6zarr.report.figures import AHEAD, figures

TEMPLATES = Path(__file__).parent / "templates"
MOST_PICTURES_BYTES = 2_500_000  # within the file: some 200 looks
MOST_SHOWN = 6  # looks at once, outliers
MOST_MESSAGES = 3  # of a class of failure

COLUMNS = (
    *("id", "state", "rule", "text", "files", "netcdf_bytes", "zarr_bytes", "raw_bytes", "ratio"),
    *("objects", "chunk_objects", "planned_objects", "planned_mib", "peak_mib"),
    *("convert_seconds", "verify_seconds", "cpu_seconds", "shape", "chunks", "codec", "values_compared", "look"),
    *("verified", "findings", "files_left_out", "steps_missing", "let_pass", "kinds"),
)
"""What the report knows of a dataset; None where it is not known (yet)."""

WORDS = {"convert": "converting", "verify": "verifying"}
"""State of a dataset that a rule is at work on, where it is not `at work`."""


def row_of(name: str, state: str, at_work: str | None, sized: Mapping[str, Any] | None, results: Results) -> JSON:
    """Return what the report says of a dataset: COLUMNS, of receipts as far as there are some.

    `sized` is the row of a verified dataset in the table `campaign.SIZED`.
    """
    row = dict.fromkeys(COLUMNS) | {"id": name, "state": state, "text": ""}
    if state == "waiting" and at_work:
        return row | {"state": WORDS.get(at_work, "at work"), "rule": at_work}
    if state in SEALED and sized:
        return row | sizes_of(name, sized, results)
    if state != "waiting":
        record = receipts.find(results, "failed", name) or {}
        row |= {"rule": record.get("rule"), "text": record.get("message", "Its receipt is not as it was written.")}
    return row


def sizes_of(name: str, sized: Mapping[str, Any], results: Results) -> JSON:
    """Return what the receipts of a verified dataset say."""
    done = [receipts.find(results, rule, name) or {} for rule in ("convert", "verify")]
    return {column: sized[column] for column in COLUMNS if column in sized} | {
        "text": sized["reason"],
        "planned_objects": done[0].get("planned_objects"),
        "planned_mib": sized["convert_planned_mib"],
        "peak_mib": sized["convert_peak_rss_mib"],
        # What an earlier run had left took no time, nor do values that are not read.
        "convert_seconds": None if done[0].get("resumed_shards") else done[0].get("seconds"),
        "verify_seconds": done[1].get("seconds") if sized["verified"] == "full" else None,
        "cpu_seconds": round(sum(facts.get("cpu_seconds", 0) for facts in (*done, sized)), 2),
    }


def groups(names: Mapping[str, str], results: Results) -> list[JSON]:
    """Return the classes of failure of {dataset: state}, the largest first: count, remedies, command, messages."""
    found = defaultdict(list)
    for name, state in names.items():
        found[state].append(receipts.find(results, "failed", name) or {"dataset": name})
    return [
        {
            "state": state,
            "count": len(records),
            "remedies": [text for text, _ in Counter(r.get("remedy") for r in records).most_common(3) if text],
            "records": records[:MOST_MESSAGES],
            "again": rerun(state),
        }
        for state, records in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def let_pass(rows: list[JSON], results: Results) -> JSON | None:
    """Return what policy and rules have let pass of the rows' stores, None if nothing was.

    It has the numbers of `stores`, `files_left_out`, `steps_missing`, stores proven by `checksums` alone, and `kinds`:
    those of most stores first, each with its number of stores, what the policy says, and the first messages.
    """
    found = [row for row in rows if row["state"] == WITH_FINDINGS]
    checksums = sum(row["state"] in SEALED and row["verified"] == "checksums" for row in rows)
    if not found and not checksums:
        return None
    of_kind = defaultdict(list)
    for row in found:
        for kind in row["kinds"]:
            of_kind[kind].append(row)
    return {
        "state": WITH_FINDINGS,
        "stores": len(found),
        "files_left_out": sum(row["files_left_out"] for row in found),
        "steps_missing": sum(row["steps_missing"] for row in found),
        "checksums": checksums,
        "kinds": [
            {"kind": kind, "count": len(of)} | examples(kind, of[:MOST_MESSAGES], results)
            for kind, of in sorted(of_kind.items(), key=lambda item: (-len(item[1]), item[0]))
        ],
    }


def examples(kind: str, rows: list[JSON], results: Results) -> JSON:
    """Return the choices of the policy that let findings of a kind pass, and the first one of each row's store."""
    records = []
    for row in rows:
        found = findings.together(*findings.of_receipts(results, row["id"]))
        of_kind = [finding for finding in found if finding["kind"] == kind]
        records += [{"id": row["id"], "more": len(of_kind) - 1} | of_kind[0]] if of_kind else []
    return {"choices": sorted({record["policy"] for record in records}), "records": records}


def outliers(rows: list[JSON]) -> tuple[list[JSON], list[JSON]]:
    """Return the verified datasets with the largest ratios of Zarr to NetCDF, and those with the smallest."""
    done = sorted((row for row in rows if row["state"] in SEALED), key=lambda row: -row["ratio"])
    most = min(MOST_SHOWN, len(done) // 2)
    return done[: most or 1], done[len(done) - most :][::-1]


def pictures(rows: list[JSON], results: Results) -> tuple[list[str], dict[str, str]]:
    """Return the datasets whose looks are shown, as unlike as can be, and {dataset: SVG} of those within the file."""
    seen = sorted((row for row in rows if row["look"]), key=lambda row: -row["raw_bytes"])
    kinds: dict[tuple[str, ...], JSON] = {}
    for row in seen:
        kinds.setdefault(tuple(row["id"].split(".")[6:8]), row)  # table and variable
    within, left = {}, MOST_PICTURES_BYTES
    for row in (*kinds.values(), *seen):
        path = Path(results, row["look"])
        if row["id"] in within or not path.is_file() or path.stat().st_size > left:
            continue
        within[row["id"]] = path.read_text(encoding="utf-8")
        left -= len(within[row["id"]])
    return list(within)[:MOST_SHOWN], within


def render(
    states: Mapping[str, str], sized: pl.DataFrame, at_work: Mapping[str, str], results: Results, now: datetime
) -> str:
    """Return the report of datasets: {dataset: state}, the table `campaign.SIZED`, {dataset: rule at work on it}."""
    import jinja2
    import vl_convert
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["human"] = human
    known = {row["dataset"]: row for row in sized.iter_rows(named=True)}
    rows = [row_of(name, state, at_work.get(name), known.get(name), results) for name, state in states.items()]
    counts = Counter(row["state"] for row in rows)
    failed = {row["id"]: row["state"] for row in rows if row["state"] not in (*SEALED, *AHEAD)}
    largest, smallest = outliers(rows)
    shown, within = pictures(rows, results)
    own = {name: Markup((TEMPLATES / f"report.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    text = environment.get_template("report.html").render(
        now=now.strftime("%Y-%m-%d %H:%M UTC"),
        counts=counts,
        order=sorted(counts, key=lambda state: (rank(state), state)),
        figures=figures(rows),
        groups=groups(failed, results),
        let_pass=let_pass(rows, results),
        sealed=sum(counts[state] for state in SEALED),
        largest=largest,
        smallest=smallest,
        shown=shown,
        data={
            "columns": COLUMNS,
            "rows": [list(row.values()) for row in rows],
            "rules": RULES,
            "pictures": within,
        },
        vega=Markup(vl_convert.javascript_bundle()),  # type: ignore[call-arg]  # its types lack a default
        **own,
    )
    # Names of files may hold bytes that are no text.
    return text.encode("utf-8", "replace").decode()


def rank(state: str) -> int:
    """Return the place of a state in the order in which states are shown: done, at work, ahead, refused, failed."""
    order = (*SEALED, "converting", "verifying", "at work", "waiting", "refused")
    return order.index(state) if state in order else len(order)


def write(states: Mapping[str, str], sized: pl.DataFrame, at_work: Mapping[str, str], results: Results) -> Path:
    """Write `report.html` into the results folder and return its path."""
    path = Path(results, "report.html")
    files.write_text(path, render(states, sized, at_work, results, datetime.now(UTC)))
    return path
