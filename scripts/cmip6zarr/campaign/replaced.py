"""Sealed stores that a run would write again because a setting is another than when they were written.

A setting that was forgotten or mistyped must not cost an archive: each has to be allowed, with its new value.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import receipts, request, settings
from cmip6zarr.job.settings import Config

SETTINGS = ("zarr_format", "chunks", "chunk_mib", "shard_mib", "codec", "origin")
"""Keys of the configuration that decide what a store is like, as receipts of convert have them."""

Change = tuple[str, str, str]
"""A setting, its value when stores were written, and now."""


def replaced(left: Collection[str], listed: Mapping[str, Dataset], config: Config) -> dict[Change, int]:
    """Return {change: number of sealed stores} of the datasets that are left.

    A store is sealed where there is a receipt of verify. Settings that key `replace` of the configuration allows, with
    the value that they have now, do not count.
    """
    if not left:
        return {}
    results = Path(config["results"])
    sealed = {path.stem for path in (results / "verify").glob("*.json")}
    found: Counter[Change] = Counter()
    for name in sealed.intersection(left):
        receipt = receipts.find(results, "convert", name)
        before = request.LATER | receipt.get("asked", {}) if receipt else {}
        own = settings.of(config, listed[name])
        now = request.LATER | request.asked(config, listed[name])["convert"]
        found.update(
            (setting, str(before[setting]), str(now[setting]))
            for setting in SETTINGS
            if setting in before and before[setting] != now[setting] and not allowed(setting, own)
        )
    return dict(found)


def allowed(setting: str, config: Config) -> bool:
    """Tell whether the configuration of a dataset allows that its store is written again for the value of a setting.

    Within braces on its command line Snakemake takes numbers and `true` for texts.
    """
    values = config["replace"].get(setting, [])
    return as_text(config[setting]) in map(as_text, values if isinstance(values, list) else [values])


def as_text(value: object) -> str:
    """Return the value of a setting, a scalar or a mapping of scalars, as text; true is a word like others.

    >>> as_text({"time": 4}) == as_text({"time": "4"}), as_text(4), as_text(True) == as_text("true")
    (True, '4', True)
    """
    if isinstance(value, Mapping):
        return str({key: str(each) for key, each in value.items()})
    return str(value).lower()


def refusal(found: Mapping[Change, int]) -> str | None:
    """Return why a run does not begin: how many sealed stores, which settings, and what to do; None if nothing is lost.

    >>> refusal({("codec", "small", "fast"): 12})[:89]
    '12 sealed stores would be written again: codec is fast, and was small when they were made'
    """
    if not found:
        return None
    told = [
        f"{count:,} sealed stores would be written again: {setting} is {now}, and was {before} when they were made"
        for (setting, before, now), count in sorted(found.items())
    ]
    values: dict[str, set[str]] = {}
    for setting, _, now in sorted(found):
        values.setdefault(setting, set()).add(now)
    each = {name: ", ".join(sorted(some)) for name, some in values.items()}
    change = ", ".join(f"{name}: {f'[{some}]' if len(values[name]) > 1 else some}" for name, some in each.items())
    return f"{'; '.join(told)}. Set it back, or allow that once with --config 'replace={{{change}}}'."
