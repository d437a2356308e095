"""What is left to do of a campaign: finished datasets are found by their receipts, before Snakemake plans anything.

To find nothing to do for a dataset Snakemake takes 2 ms, a look at the times and sizes of its receipts 20 µs. What they
say was asked is read once and kept in a table, and read again when the time or the size of one has changed.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, reduce
from io import BytesIO
from pathlib import Path

import polars as pl

from cmip6zarr.campaign import bundles, outdated, replaced, tables
from cmip6zarr.campaign.bundles import Bundle
from cmip6zarr.catalogue import drs
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core import files
from cmip6zarr.job import due, receipts, request
from cmip6zarr.job.request import ASKED, RULES
from cmip6zarr.store import backend, zarr_store

TABLE = "finished.parquet"
STAMPS = {f"{rule}_{stamp}": pl.Int64 for rule in RULES for stamp in ("mtime_ns", "bytes")}
SCHEMA = {"dataset": pl.String} | STAMPS | {"made_of": pl.String}
"""The table: a row for each dataset with all receipts; `made_of` is null where one is no receipt of the dataset."""


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
    datasets that are others since. `table` is that of the finished datasets.
    """

    names: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    later: int = 0
    unasked: tuple[str, ...] = ()
    again: tuple[Path, ...] = ()
    replaced: Mapping[tuple, int] = field(default_factory=dict)
    changed: Mapping[str, list[str]] = field(default_factory=dict)
    table: pl.DataFrame | None = field(default=None, compare=False)

    @property
    def unfinished(self) -> int:
        """How many datasets are not verified when all work of this run has succeeded."""
        return self.later + len(self.unasked)


def remaining(listed: Mapping[str, Dataset], config: Mapping) -> Remaining:
    """Return what is left to do of the datasets of a catalogue: they are not finished, and were not refused.

    A run has at most `batch` of them, or `batch` bundles that have some. `rerun` narrows it to a class of failure, or
    adds what was refused. Both are keys of the configuration, as all that is asked of a dataset. Writes nothing: `keep`
    keeps the table of finished datasets for the next time.
    """
    results, rerun, batch = Path(config["results"]), config["rerun"], config["batch"]
    table = finished(results)
    made_of = dict(table.select("dataset", "made_of").iter_rows())
    done = [name for name, row in listed.items() if made_of.get(name) == fingerprint(request.asked(config, row))]
    unfinished = listed.keys() - done | lost(done, config).keys()
    left = set(unfinished)
    if rerun != "refused":
        left -= tables.refused_before(listed, results, config["policy"])
    failed = {path.stem for path in (results / "failed").glob("*.json")}
    if rerun not in ("failed", "refused"):
        left = {name for name in left & failed if tables.state(name, results) == rerun}
    together = bundles.bundles(listed, config) if config["bundle"]["datasets"] else []
    units = [(bundle, bundle.datasets) for bundle in together] or [(name, (name,)) for name in listed]
    units = [(unit, todo) for unit, names in units if (todo := left.intersection(names))]
    # Where failed datasets came first, a batch of them would keep all others waiting.
    units.sort(key=lambda unit: failed.issuperset(unit[1]))
    now = tuple(unit for unit, _ in units[:batch])
    if together:
        again = [receipts.path_of(results, "bundle", bundle.id) for bundle in now]
    else:
        again = _again(results, [listed[name] for name in now], config)
    return Remaining(
        names=tuple(name for name in listed if name in left),
        datasets=() if together else now,
        bundles=now if together else (),
        later=sum(len(todo) for _, todo in units[batch:]),
        unasked=tuple(name for name in listed if name in unfinished - left),
        again=(*again, *_ends(results, table, now)),
        replaced=replaced.replaced(left, listed, config),
        changed=outdated.changed([row for name, row in listed.items() if name not in unfinished], results, table),
        table=table,
    )


def _ends(results: Path, table: pl.DataFrame, now: tuple) -> tuple[Path, ...]:
    """Return the mark of a campaign that is done, if something is left to do now or a receipt is younger."""
    mark = results / MARK
    late = not mark.is_file() or (table["size_report_mtime_ns"].max() or 0) > mark.stat().st_mtime_ns
    return (mark,) if late or now else ()


def _again(results: Path, rows: list[Dataset], config: Mapping) -> tuple[Path, ...]:
    """Return the receipts where datasets begin anew: they are there, and do not hold."""
    untrue = lost([row.id for row in rows], config)
    first = {}
    for row in rows:
        found = due.receipts_of(results, row.id)
        rule = due.first_rule(row.id, found, request.asked(config, row), untrue.get(row.id))
        if rule in found:
            first[row.id] = rule
    return tuple(receipts.path_of(results, rule, name) for name, rule in first.items())


def lost(names: Sequence[str], config: Mapping) -> dict[str, str]:
    """Return {dataset: rule} of the stores that are not there and sealed: the rule whose receipt is proven wrong.

    It is `convert` where there is no store, and `verify` where it is not sealed. The root metadata of each store in a
    folder is looked at, no more. Buckets are not asked, which would take a request for each store: audits do that.
    """
    if config["store_root"].startswith(backend.SCHEME):
        return {}
    key = zarr_store.ROOT_KEYS[config["zarr_format"]][-1]
    unsealed = zarr_store.held(key)

    def look(part: Sequence[str]) -> dict[str, str]:
        roots = {name: Path(drs.store_place(config["store_root"], name), key) for name in part}
        bare = {name: root for name, root in roots.items() if not root.exists()}
        return {name: "verify" if root.with_name(unsealed).exists() else "convert" for name, root in bare.items()}

    return outdated.side_by_side(look, names)


def fingerprint(asked: Mapping[str, Mapping]) -> str:
    """Return sixteen hex digits that change when what was asked of a rule does: {rule: {option: value}}."""
    values = [asked[rule].get(option) for rule, options in ASKED.items() for option in options]
    # 32 and 32.0 are the same number of MiB.
    values = [float(value) if isinstance(value, int) else value for value in values]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def made_of(results, name: str) -> str | None:
    """Return the fingerprint of what the receipts of a dataset were asked; None if one is no receipt of it."""
    found = {rule: receipts.find(results, rule, name) for rule in RULES}
    if any(facts is None or facts.get("dataset") != name for facts in found.values()):
        return None
    return fingerprint({rule: found[rule].get("asked", {}) for rule in ASKED})


def finished(results) -> pl.DataFrame:
    """Return the table of the datasets that have all receipts, as they are now; of the kept one what still holds."""
    kept, now = _kept(Path(results, TABLE)), _stamps(Path(results))
    known = now.join(kept, on=["dataset", *STAMPS])
    if known.height == now.height == kept.height:
        return kept
    new = now.join(kept, on=["dataset", *STAMPS], how="anti")
    read = pl.Series([made_of(results, name) for name in new["dataset"]], dtype=pl.String)
    return pl.concat([known, new.with_columns(made_of=read)])


def keep(results, table: pl.DataFrame) -> None:
    """Keep the table of finished datasets for the next time."""
    data = BytesIO()
    table.write_parquet(data)
    files.write_bytes(Path(results, TABLE), data.getvalue())


def _kept(path: Path) -> pl.DataFrame:
    """Return the table that was kept, an empty one if there is none that can be used."""
    try:
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        table = pl.DataFrame()
    return table if table.schema == SCHEMA else pl.DataFrame(schema=SCHEMA)


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
    columns = {name: kind for name, kind in STAMPS.items() if name.startswith(f"{rule}_")}
    return pl.DataFrame(rows, {"dataset": pl.String} | columns, orient="row")
