"""How the report titles datasets, and whose looks it shows."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import polars as pl

from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core.files import JSON
from cmip6zarr.job.receipts import Results

MOST_PICTURES_BYTES = 2_500_000  # within the file: some 200 looks
MOST_SHOWN = 6  # at once
TABLES = ("table_id", "frequency")


def titles(names: Iterable[str], own: Sequence[Project]) -> dict[str, JSON]:
    """Return {first word of ids: how many words they have, and which are the `variable`, its `kind`, the `run`}.

    So are `model`, and `table`: that of the variable, or its frequency.
    """
    found = {}
    for word, name in {name.split(".", 1)[0]: name for name in names}.items():
        project = projects.of(name, own)
        places = list(project.facets)
        *kind, variable = (places.index(facet) for facet in project.said["kind"])
        run = [places.index(facet) for facet in project.said["run"]]
        table = next((places.index(facet) for facet in TABLES if facet in places), kind[0] if kind else variable)
        found[word] = {"words": len(places), "variable": variable, "kind": kind, "run": run}
        found[word] |= {"model": run[0], "table": table}
    return found


def title(name: str, known: Mapping[str, JSON]) -> tuple[str, str, str] | None:
    """Return variable, kind and run of a dataset, by `titles`; None where its id has another number of words."""
    words = name.split(".")
    told = known.get(words[0])
    if not told or len(words) != told["words"]:
        return None
    kind, run = (" ".join(words[place] for place in told[key]) for key in ("kind", "run"))
    return words[told["variable"]], kind, run


def pictures(done: pl.DataFrame, known: Mapping[str, JSON], results: Results) -> tuple[list[str], dict[str, str]]:
    """Return the datasets whose looks are shown, as unlike as can be, and {dataset: SVG} of those within the file."""
    seen = done.select("id", "look", "raw_bytes").drop_nulls("look")
    seen = seen.sort("raw_bytes", descending=True, maintain_order=True).drop("raw_bytes")
    kinds: dict[tuple[str, ...], tuple[str, str]] = {}
    for name, look in seen.iter_rows():
        kinds.setdefault((title(name, known) or (name,))[:2], (name, look))
    within, left = {}, MOST_PICTURES_BYTES
    for name, look in chain(kinds.values(), seen.iter_rows()):
        path = f"{results}/{look}"
        with suppress(OSError):
            if name not in within and os.stat(path).st_size <= left:  # noqa: PTH116
                within[name] = Path(path).read_text(encoding="utf-8")
                left -= len(within[name])
    return list(within)[:MOST_SHOWN], within
