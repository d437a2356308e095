"""What is left to do of a campaign: finished datasets are found by their receipts, before Snakemake plans anything.

To find nothing to do for a dataset Snakemake takes 2 ms, a look at the times and sizes of its receipts 20 µs. What they
say was asked is read once and kept in a table, and read again when the time or the size of one has changed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import polars as pl

from . import bundles, campaign, receipts
from .bundles import Bundle
from .catalogue import Dataset
from .cli import ASKED, RULES

TABLE = "finished.parquet"
STAMPS = {f"{rule}_{stamp}": pl.Int64 for rule in RULES for stamp in ("mtime_ns", "bytes")}
SCHEMA = {"dataset": pl.String} | STAMPS | {"made_of": pl.String}
"""The table: a row for each dataset with all receipts; `made_of` is null where one is no receipt of the dataset."""


MARK = "datasets.done"
"""A run leaves it in the results when all its datasets are done, before the tables are made."""


@dataclass(frozen=True)
class Remaining:
    """What one run does: datasets, or bundles of them, new ones before those that have failed.

    `names` are all datasets that are left, in order, `later` how many of them are left to later runs. `marks` say of
    work that is no longer done that it is; `again` are the receipts of `datasets` that do not hold.
    """

    names: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    later: int = 0
    marks: tuple[Path, ...] = ()
    again: tuple[Path, ...] = ()


def remaining(listed: Mapping[str, Dataset], config: Mapping) -> Remaining:
    """Return what is left to do of the datasets of a catalogue: they are not finished, and were not refused.

    A run has at most `batch` of them, or `batch` bundles that have some. `rerun` narrows it to a class of failure, or
    adds what was refused. Both are keys of the configuration, as all that is asked of a dataset.
    """
    results, rerun, batch = Path(config["results"]), config["rerun"], config["batch"]
    table = finished(results)
    made_of = dict(table.select("dataset", "made_of").iter_rows())
    left = {name for name, row in listed.items() if made_of.get(name) != fingerprint(bundles.asked(config, row))}
    if rerun != "refused":
        left -= campaign.refused_before(listed, results, config["policy"])
    failed = {path.stem for path in (results / "failed").glob("*.json")}
    if rerun not in ("failed", "refused"):
        left = {name for name in left & failed if campaign.state(name, results) == rerun}
    together = bundles.bundles(listed, config) if config["bundle"]["datasets"] else []
    units = [(bundle, bundle.datasets) for bundle in together] or [(name, (name,)) for name in listed]
    units = [(unit, todo) for unit, names in units if (todo := left.intersection(names))]
    # Where failed datasets came first, a batch of them would keep all others waiting.
    units.sort(key=lambda unit: failed.issuperset(unit[1]))
    now = tuple(unit for unit, _ in units[:batch])
    return Remaining(
        names=tuple(name for name in listed if name in left),
        datasets=() if together else now,
        bundles=now if together else (),
        later=sum(len(todo) for _, todo in units[batch:]),
        marks=_stale(results, table, now if together else ()),
        again=() if together else _again(results, [listed[name] for name in now], config),
    )


def _stale(results: Path, table: pl.DataFrame, again: tuple[Bundle, ...]) -> tuple[Path, ...]:
    """Return the marks of bundles that are done again, and those of the tables then, or if a receipt is younger."""
    mark = results / MARK
    late = not mark.is_file() or (table["size_report_mtime_ns"].max() or 0) > mark.stat().st_mtime_ns
    # Both: Snakemake does not make what is missing in the middle of a chain whose end is there.
    ends = (mark, results / "campaign.done") if late or again else ()
    return *(receipts.path_of(results, "bundle", bundle.id) for bundle in again), *ends


def _again(results: Path, rows: list[Dataset], config: Mapping) -> tuple[Path, ...]:
    """Return the receipts of datasets that do not say what is asked, or are none: edited, cut off, another's."""
    again = []
    for row in rows:
        asked = bundles.asked(config, row)
        for rule in RULES:
            path = receipts.path_of(results, rule, row.id)
            if path.is_file():
                facts = receipts.find(results, rule, row.id) or {}
                if facts.get("dataset") != row.id or facts.get("asked") != asked.get(rule, {}):
                    again.append(path)
    return tuple(again)


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
    """Return the table of the datasets that have all receipts, as they are now, and keep it for the next time."""
    path = Path(results, TABLE)
    kept, now = _kept(path), _stamps(Path(results))
    known = now.join(kept, on=["dataset", *STAMPS])
    if known.height == now.height == kept.height:
        return kept
    new = now.join(kept, on=["dataset", *STAMPS], how="anti")
    read = pl.Series([made_of(results, name) for name in new["dataset"]], dtype=pl.String)
    table = pl.concat([known, new.with_columns(made_of=read)])
    part = path.with_name(f"{TABLE}.{os.getpid()}.part")
    table.write_parquet(part)
    part.replace(path)
    return table


def _kept(path: Path) -> pl.DataFrame:
    """Return the table that was kept, an empty one if there is none that can be used."""
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError):
        table = pl.DataFrame()
    return table if table.schema == SCHEMA else pl.DataFrame(schema=SCHEMA)


def _stamps(results: Path) -> pl.DataFrame:
    """Return time and size of the receipts of all datasets that have all of them."""
    # On a network file system a look at a file is a question to a server: all folders are asked at the same time.
    with ThreadPoolExecutor(len(RULES)) as pool:
        tables = list(pool.map(partial(_stamps_of, results), RULES))
    return reduce(partial(pl.DataFrame.join, on="dataset", maintain_order="left"), tables)


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
