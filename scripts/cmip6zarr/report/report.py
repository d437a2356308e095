"""The campaign as one HTML file that needs nothing else: how far it is, what it made, what failed and what to do.

Figures and pictures are within the file; receipts, logs and further pictures are links beside it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from cmip6zarr.campaign import findings
from cmip6zarr.campaign.findings import SEALED, VERIFIED, WITH_FINDINGS
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core import files
from cmip6zarr.core.files import JSON
from cmip6zarr.core.text import human
from cmip6zarr.job import failures
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.request import RULES
from cmip6zarr.report.about import about, by_words, short
from cmip6zarr.report.archive import archive
from cmip6zarr.report.failed import groups
from cmip6zarr.report.figures import AHEAD, figures
from cmip6zarr.report.looks import pictures, title, titles
from cmip6zarr.report.timeline import extent, timeline

TEMPLATES = Path(__file__).parent / "templates"
MOST_OUTLIERS = 6  # of either kind
MOST_MESSAGES = 3  # of a kind of finding

COLUMNS = (
    *("id", "state", "rule", "text", "files", "netcdf_bytes", "zarr_bytes", "raw_bytes", "ratio"),
    *("objects", "chunk_objects", "planned_objects", "planned_mib", "peak_mib"),
    *("convert_seconds", "verify_seconds", "cpu_seconds", "shape", "chunks", "codec", "values_compared", "look"),
    *("verified", "files_as_published", "findings", "files_left_out", "steps_missing", "let_pass", "kinds"),
    *("store", "nc_path", "first_file", "time_range", "calendar", "units", "remedy"),
)
"""What the report knows of a dataset; None where it is not known (yet)."""

WORDS = {"convert": "converting", "verify": "verifying"}
"""State of a dataset that a rule is at work on, where it is not `at work`."""

NAMED = {"id": "dataset", "text": "reason", "planned_mib": "convert_planned_mib", "peak_mib": "convert_peak_rss_mib"}
"""Columns that the table `finished.SIZED` has under another name."""

AT_ONCE = 1000
"""Rows that are text at a time: that of all is some hundred MB."""


def told(sized: pl.DataFrame) -> pl.DataFrame:
    """Return what the report says of verified datasets: COLUMNS, of the table `finished.SIZED`.

    Paths and names are short, as `about.short` and `about.by_words` make them.
    """
    none = pl.lit(None, pl.String)
    first_file = pl.struct("dataset", "first_file").map_elements(
        lambda row: by_words(row["dataset"], row["first_file"]) if row["first_file"] else None, pl.String
    )
    unlike = {
        "state": pl.when(pl.col("findings") > 0).then(pl.lit(WITH_FINDINGS)).otherwise(pl.lit(VERIFIED)),
        "rule": none,
        "remedy": none,
        "store": short("store", ".zarr"),
        "nc_path": short("nc_path"),
        "first_file": first_file,
    }
    return sized.select(unlike[c].alias(c) if c in unlike else pl.col(NAMED.get(c, c)).alias(c) for c in COLUMNS)


def rows_of(
    states: Mapping[str, str], done: pl.DataFrame, at_work: Mapping[str, str], results: Results
) -> Iterator[tuple[Any, ...]]:
    """Yield what the report says of each dataset: COLUMNS, of receipts as far as there are some.

    `done` has them of those that are sealed, in the order of `states`.
    """
    verified = done.iter_rows()
    unknown = (None,) * (len(COLUMNS) - 5)
    for name, state in states.items():
        if state in SEALED:
            yield next(verified)
        elif state == "waiting":
            rule = at_work.get(name)
            yield (name, at_work_on(rule) if rule else state, rule, "", *unknown, None)
        else:
            record = failures.read(results, name)
            yield (name, state, record["rule"], failures.reason_of(record), *unknown, record["remedy"])


def at_work_on(rule: str) -> str:
    """Return the state of a dataset that a rule is at work on."""
    return WORDS.get(rule, "at work")


def texts(rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    """Yield rows as JSON that ends no script, AT_ONCE at a time, with commas between all."""
    from jinja2.utils import htmlsafe_json_dumps

    comma = ""
    while some := list(islice(rows, AT_ONCE)):
        yield comma + htmlsafe_json_dumps(some)[1:-1]
        comma = ", "


def let_pass(done: pl.DataFrame, results: Results) -> JSON | None:
    """Return what policy and rules have let pass of verified stores, None if nothing was.

    It has the numbers of `stores`, `files_left_out`, `steps_missing`, stores proven by `checksums` alone, and `kinds`:
    those of most stores first, each with its number of stores, what the policy says, and the first messages.
    """
    found = done.filter(pl.col("findings") > 0)
    checksums = done.filter(pl.col("verified") == "checksums").height
    if not found.height and not checksums:
        return None
    of_kind = defaultdict(list)
    for name, kinds in found.select("id", "kinds").iter_rows():
        for kind in kinds:
            of_kind[kind].append(name)
    return {
        "state": WITH_FINDINGS,
        "stores": found.height,
        "files_left_out": found["files_left_out"].sum(),
        "steps_missing": found["steps_missing"].sum(),
        "checksums": checksums,
        "kinds": [
            {"kind": kind, "count": len(of)} | examples(kind, of[:MOST_MESSAGES], results)
            for kind, of in sorted(of_kind.items(), key=lambda item: (-len(item[1]), item[0]))
        ],
    }


def examples(kind: str, names: list[str], results: Results) -> JSON:
    """Return the choices of the policy that let findings of a kind pass, and the first one of each store."""
    records = []
    for name in names:
        found = findings.together(*findings.of_receipts(results, name))
        of_kind = [finding for finding in found if finding["kind"] == kind]
        if of_kind:
            what, where = failures.parts(of_kind[0]["message"])
            told = f"{what} ({where})" if where else what
            records.append({"id": name, "more": len(of_kind) - 1} | of_kind[0] | {"message": told})
    return {"choices": sorted({record["policy"] for record in records}), "records": records}


def outliers(done: pl.DataFrame) -> tuple[list[JSON], list[JSON]]:
    """Return the verified datasets with the largest ratios of Zarr to NetCDF, and those with the smallest."""
    order = done.select("ratio").with_row_index().sort("ratio", descending=True, maintain_order=True)["index"]
    most = min(MOST_OUTLIERS, done.height // 2)
    return done[order.head(most or 1)].to_dicts(), done[order.tail(most).reverse()].to_dicts()


def render(
    states: Mapping[str, str],
    sized: pl.DataFrame,
    at_work: Mapping[str, str],
    results: Results,
    now: datetime,
    own: Sequence[Project] = (),
) -> Iterator[str]:
    """Yield the report of datasets: {dataset: state}, the table `finished.REPORTED`, {dataset: rule at work on it}.

    `own` are the projects that are not built in.
    """
    import jinja2
    import vl_convert
    from markupsafe import Markup

    loader, strict = jinja2.FileSystemLoader(TEMPLATES), jinja2.StrictUndefined
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["human"] = human
    named = titles(states, own)
    environment.filters["title"] = lambda name: title(name, named)
    done, course = told(sized), timeline(sized)
    counts = counted(states, at_work)
    failed = {name: state for name, state in states.items() if state not in (*SEALED, *AHEAD)}
    largest, smallest = outliers(done)
    shown, within = pictures(done, named, results)
    parts = {name: Markup((TEMPLATES / f"report.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    yield from environment.get_template("report.html").generate(
        now=now.strftime("%Y-%m-%d %H:%M UTC"),
        about=about(results, extent(course)),
        course=course,
        counts=counts,
        order=sorted(counts, key=lambda state: (rank(state), state)),
        figures=figures(done, sum(counts[state] for state in AHEAD)),
        groups=groups(failed, results),
        let_pass=let_pass(done, results),
        archive=archive(results),
        sealed=done.height,
        largest=largest,
        smallest=smallest,
        shown=shown,
        columns=COLUMNS,
        rows=map(Markup, texts(rows_of(states, done, at_work, results))),
        rules=RULES,
        pictures=within,
        titles=named,
        vega=Markup(vl_convert.javascript_bundle()),  # type: ignore[call-arg]  # its types lack a default
        **parts,
    )


def counted(states: Mapping[str, str], at_work: Mapping[str, str]) -> Counter[str]:
    """Return {state: datasets}; one that waits and has a rule at work on it is counted by what that does."""
    counts = Counter(states.values())
    for name, rule in at_work.items():
        if states.get(name) == "waiting":
            counts.subtract(["waiting"])
            counts[at_work_on(rule)] += 1
    return +counts


def rank(state: str) -> int:
    """Return the place of a state in the order in which states are shown: done, at work, ahead, refused, failed."""
    order = (*SEALED, "converting", "verifying", "at work", "waiting", "refused")
    return order.index(state) if state in order else len(order)


def write(
    states: Mapping[str, str],
    sized: pl.DataFrame,
    at_work: Mapping[str, str],
    results: Results,
    own: Sequence[Project] = (),
) -> Path:
    """Write `report.html` into the results folder and return its path."""
    path = Path(results, "report.html")
    pieces = render(states, sized, at_work, results, datetime.now(UTC), own)
    # Names of files may hold bytes that are no text.
    files.write_pieces(path, (piece.encode("utf-8", "replace") for piece in pieces))
    return path
