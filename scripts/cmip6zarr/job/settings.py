"""The settings of one dataset: those of the configuration, but what the first matching entry of `settings` says."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.text import words

Config = Mapping[str, Any]
"""The configuration of the workflow, as its schema describes it."""


def of(config: Config, row: Dataset) -> Config:
    """Return the configuration of a dataset.

    >>> entry = {"select": {"table_id": ["day", "3hr"]}, "codec": "fast"}
    >>> config = {"codec": "small", "memory_mib": 1024, "settings": [entry]}
    >>> of(config, Dataset("CMIP6.CMIP.CAS.M.historical.r1i1p1f1.day.ta.gr.v2019", ()))["codec"]
    'fast'
    """
    found = entry(config, row)
    return config if found is None else merged(config, found)


def entry(config: Config, row: Dataset) -> int | None:
    """Return which entry of `settings` is the first that a dataset matches, None if it matches none.

    A dataset whose project has no such facet does not match.
    """
    if not config["settings"]:
        return None
    facets = row.facets
    matching = (number for number, each in enumerate(config["settings"]) if matches(each["select"], facets))
    return next(matching, None)


def matches(select: Mapping[str, str | list[str]], facets: Mapping[str, str]) -> bool:
    """Tell whether facets have the wanted values, each a value or one of a list."""
    return all(
        name in facets and (facets[name] in wanted if isinstance(wanted, list) else facets[name] == wanted)
        for name, wanted in select.items()
    )


def merged(config: Config, number: int) -> Config:
    """Return the configuration of the datasets of an entry."""
    return {**config, **{key: value for key, value in config["settings"][number].items() if key != "select"}}


def memory_mib(config: Config, rows: Iterable[Dataset]) -> int:
    """Return the most memory of a job that takes these datasets one after the other, in MiB.

    Without `settings` no dataset is looked at: each is made when it is asked for.
    """
    if not config["settings"]:
        return int(config["memory_mib"])
    return max((int(of(config, row)["memory_mib"]) for row in rows), default=int(config["memory_mib"]))


def fault(config: Config) -> str | None:
    """Return which facet of a selection in `settings` no project has, and which there are; None if all are known."""
    known = dict.fromkeys(facet for project in projects.known(config["projects"]) for facet in project.facets)
    for number, each in enumerate(config["settings"]):
        if unknown := [name for name in each["select"] if name not in known]:
            return f"settings.{number}.select: unknown facet {unknown[0]!r}: expected one of {', '.join(known)}."
    return None


def unused(config: Config, rows: Iterable[Dataset]) -> str | None:
    """Return which entries of `settings` no dataset has, None where each is of one. As `memory_mib`."""
    if not config["settings"]:
        return None
    none = [str(number) for number, count in numbers(config, rows).items() if number is not None and not count]
    told = "no dataset of this run matches them and no entry before"
    return f"settings: {told}: {', '.join(none)} (the first entry is 0)." if none else None


def numbers(config: Config, rows: Iterable[Dataset]) -> dict[int | None, int]:
    """Return {entry of `settings`: how many of some datasets have its settings}; None stands for no entry."""
    found = Counter(entry(config, row) for row in rows)
    return {number: found[number] for number in (*range(len(config["settings"])), None)}


def told(config: Config) -> str:
    """Return how stores are cut, compressed and verified, in a line.

    >>> config = {"zarr_format": 3, "chunks": "auto", "chunk_mib": 32, "shard_mib": 0, "codec": "fast"}
    >>> told(config | {"verify": "full"})
    'Zarr v3, fast, chunks of 32 MiB, verify full'
    """
    is_auto = config["chunks"] == "auto"
    chunks = f"of {config['chunk_mib']:g} MiB" if is_auto else words(config["chunks"])
    shards = f", shards of {config['shard_mib']:g} MiB" if config["shard_mib"] else ""
    return f"Zarr v{config['zarr_format']}, {config['codec']}, chunks {chunks}{shards}, verify {config['verify']}"
