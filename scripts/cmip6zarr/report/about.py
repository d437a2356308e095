"""Which campaign a report is of: its title, what it was told to make, of what, by what, where and when."""

import os
from datetime import UTC, datetime

import polars as pl

from cmip6zarr.campaign import last_run, listed
from cmip6zarr.core.files import JSON
from cmip6zarr.core.text import words
from cmip6zarr.job import settings
from cmip6zarr.job.receipts import Results
from cmip6zarr.source.policy import POLICY

HERE = "%"
"""Stands for the folders of a dataset's id in a path of the report: it is the end of nearly all of them."""


def about(results: Results, extent: tuple[float, float] | None) -> JSON:
    """Return `title`, `brief` (a line), `facts` (name, value) and how stores are opened (`options`), of the last run.

    `extent` is when the campaign began and ended, in seconds since 1970, if that is known.
    """
    run = last_run.read(results)
    config = run.get("config", {})
    facts = [(name, value) for name, value in _facts(run, config, results, extent) if value]
    told = dict(facts)
    brief = [told.get(name) for name in ("Catalogue", "Settings", "Version")]
    return {
        "title": config.get("title", ""),
        "brief": " · ".join(filter(None, brief)),
        "facts": facts,
        "options": options(config.get("s3", {})),
    }


def _facts(
    run: JSON, config: JSON, results: Results, extent: tuple[float, float] | None
) -> list[tuple[str, str | None]]:
    if not run:
        return [("Time", period(extent))]
    return [
        ("Catalogue", config["catalogue"]),
        ("Selection", words(config["select"]) or "all of it"),
        ("Excluded", " or ".join(f"({words(each)})" for each in config.get("exclude", ()))),
        ("Left aside", left_aside(results)),
        *_settings(config),
        ("Policy", words({kind: choice for kind, choice in config["policy"].items() if choice != POLICY.get(kind)})),
        ("Stores", config["store_root"]),
        ("Published", config["publish_root"]),
        ("Results", os.path.abspath(results)),  # noqa: PTH100 - without asking what links are
        ("Version", f"cmip6-zarr {run['version']}"),
        ("Host", run["host"]),
        ("Time", period(extent)),
        ("Command", f"{last_run.again(results)}, in {run['folder']}"),
    ]


def left_aside(results: Results) -> str:
    """Return how many rows of the catalogue are not used, and why."""
    _, reasons = listed.read(results)
    return "; ".join(f"{number} rows: {reason}" for reason, number in reasons.items())


def _settings(config: JSON) -> list[tuple[str, str]]:
    """Return the settings, and those of datasets that have others."""
    others = config.get("settings", ())  # which a campaign of an older version lacks
    of_others = [(words(other["select"]), settings.told(settings.merged(config, n))) for n, other in enumerate(others)]
    return [("Settings", settings.told(config)), *((f"Settings of {which}", told) for which, told in of_others)]


def period(extent: tuple[float, float] | None) -> str | None:
    """Return a span of time in words, of seconds since 1970.

    >>> period((0, 90_000))
    '1970-01-01 00:00 to 1970-01-02 01:00 UTC'
    """
    if not extent:
        return None
    start, end = (datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") for seconds in extent)
    return f"{start} to {end} UTC"


def options(s3: JSON) -> str:
    """Return what `xr.open_zarr` needs beside the URL of a store in a bucket, as it is written in Python."""
    told = {"anon": True} if s3.get("anonymous") else {}
    told |= {"profile": s3["profile"]} if s3.get("profile") else {}
    told |= {"endpoint_url": s3["endpoint_url"]} if s3.get("endpoint_url") else {}
    return f", storage_options={told!r}" if told else ""


def short(column: str, suffix: str = "") -> pl.Expr:
    """Return a column of paths or URLs, absolute, with HERE for the folders of the column `dataset` at its end."""
    path = pl.col(column)
    path = pl.when(path.str.contains(r"^(/|\w+://)")).then(path).otherwise(pl.lit(f"{os.getcwd()}/") + path)  # noqa: PTH109
    end = pl.col("dataset").str.replace_all(".", "/", literal=True) + suffix
    return pl.when(path.str.ends_with(end)).then(path.str.strip_suffix(end) + HERE).otherwise(path)


def by_words(dataset: str, name: str) -> str:
    """Return the name of a file with a number for each of its words that the id of its dataset has; else `/` and it.

    >>> by_words("CMIP6.A.tas", "tas_A_185001-185012.nc"), by_words("CMIP6.A.tas", "%1_x.nc")
    ('%2_%1_185001-185012.nc', '/%1_x.nc')
    """
    if "%" in name:
        return f"/{name}"
    places = {word: f"%{place}" for place, word in enumerate(dataset.split("."))}
    return "_".join(places.get(word, word) for word in name.split("_"))
