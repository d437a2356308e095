"""What is left to do of a campaign: found by receipts, before Snakemake plans anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from cmip6zarr.campaign import bundles, finished, lost, outdated, replaced, tables
from cmip6zarr.campaign.bundles import Bundle
from cmip6zarr.campaign.replaced import Change
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import due, receipts, request
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.settings import Config

MARK = "datasets.done"
"""A run leaves it in the results when all its datasets are done, before the tables are made."""

SUMMARY = "summary.txt"
"""What a run says of a campaign in which not all datasets are verified, in the results."""


@dataclass(frozen=True)
class Remaining:
    """What one run does: datasets, or bundles of them, new ones before those that have failed.

    `names` are all datasets that are left, in order, `later` how many of them are left to later runs. `unasked` are not
    finished either, and this run leaves them alone: they were refused, or `rerun` names another class of failure.
    `again` are files that do not hold: receipts, and the mark of a campaign that is no longer done. `replaced` are the
    sealed stores that it would write again, as `replaced.replaced` counts them. `changed` has the sources of finished
    datasets that are others since. `table` is that of the finished datasets, None where the one that was kept holds.
    """

    names: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    later: int = 0
    unasked: tuple[str, ...] = ()
    again: tuple[Path, ...] = ()
    replaced: Mapping[Change, int] = field(default_factory=dict)
    changed: Mapping[str, list[str]] = field(default_factory=dict)
    table: pl.DataFrame | None = field(default=None, compare=False)

    @property
    def unfinished(self) -> int:
        """How many datasets are not verified when all work of this run has succeeded."""
        return self.later + len(self.unasked)


def remaining(listed: Mapping[str, Dataset], config: Config) -> Remaining:
    """Return what is left to do of the datasets of a catalogue: they are not finished, and were not refused.

    A run has at most `batch` of them, or `batch` bundles that have some. `rerun` narrows it to a class of failure, or
    adds what was refused. Both are keys of the configuration, as all that is asked of a dataset. Writes nothing:
    `finished.keep` keeps the table of finished datasets for the next time.
    """
    results, rerun, batch = Path(config["results"]), config["rerun"], config["batch"]
    table, holds = finished.table(results, finished.KEPT)
    done = _done(listed, table, config)
    unfinished = listed.keys() - done | lost.untrue(done, config).keys()
    left = set(unfinished)
    if rerun != "refused":
        left -= tables.refused_before(listed, results, config["policy"])
    failed = {path.stem for path in (results / "failed").glob("*.json")}
    if rerun not in ("failed", "refused"):
        left = {name for name in left & failed if tables.state(name, results) == rerun}
    together = bundles.bundles(listed, config) if config["bundle"]["datasets"] else []
    names = tuple(name for name in listed if name in left)
    members = [(bundle.id, bundle.datasets) for bundle in together] or [(name, (name,)) for name in names]
    units = [(unit, todo) for unit, some in members if (todo := left.intersection(some))]
    # Where failed datasets came first, a batch of them would keep all others waiting.
    units.sort(key=lambda unit: failed.issuperset(unit[1]))
    now = tuple(unit for unit, _ in units[:batch])
    if together:
        again = tuple(receipts.path_of(results, "bundle", bundle) for bundle in now)
    else:
        again = _again(results, [listed[name] for name in now], config)
    by_id = {bundle.id: bundle for bundle in together}
    return Remaining(
        names=names,
        datasets=() if together else now,
        bundles=tuple(by_id[unit] for unit in now) if together else (),
        later=sum(len(todo) for _, todo in units[batch:]),
        unasked=tuple(name for name in listed if name in unfinished - left),
        again=(*again, *_ends(results, table, now)),
        replaced=replaced.replaced(left, listed, config),
        changed=outdated.changed((row for row in listed.values() if row.id not in unfinished), results, table),
        table=None if holds else table,
    )


def told(left: Remaining, datasets: int, results: Results) -> str:
    """Return in a line what a campaign of so many datasets has to do, and why."""
    names, failed = set(left.names), tables.names_in(Path(results, "failed"))
    begun = tables.names_in(Path(results, "inventory")) | failed
    counts = {
        "new": len(names - begun),
        "failed before": len(names & failed),
        "again, for a row, a setting or a receipt has changed": len(names & begun - failed),
    }
    reasons = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    line = f"To do: {len(names):,} of {datasets:,} datasets" + (f" ({reasons})" if reasons else "")
    later = f"; {left.later:,} of them in later runs" if left.later else ""
    unasked = f"; {len(left.unasked):,} were refused, or failed otherwise, and are not tried" if left.unasked else ""
    return f"{line}{later}{unasked}."


def _done(listed: Mapping[str, Dataset], table: pl.DataFrame, config: Config) -> list[str]:
    """Return the datasets whose receipts were asked what is asked now."""
    made_of = dict(table.select("dataset", "made_of").iter_rows())
    asked = request.asker(config)
    return [row.id for row in listed.values() if made_of.get(row.id) == finished.fingerprint(asked(row))]


def _ends(results: Path, table: pl.DataFrame, now: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the mark of a campaign that is done, if something is left to do now or a receipt is younger."""
    mark = results / MARK
    late = not mark.is_file() or max(table["size_report_mtime_ns"], default=0) > mark.stat().st_mtime_ns
    return (mark,) if late or now else ()


def _again(results: Path, rows: list[Dataset], config: Config) -> tuple[Path, ...]:
    """Return the receipts where datasets begin anew: they are there, and do not hold."""
    untrue = lost.untrue([row.id for row in rows], config)
    first = {}
    for row in rows:
        found = due.receipts_of(results, row.id)
        rule = due.first_rule(row.id, found, request.asked(config, row), untrue.get(row.id))
        if rule in found:
            first[row.id] = rule
    return tuple(receipts.path_of(results, rule, name) for name, rule in first.items())
