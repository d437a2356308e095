"""The one decision what a dataset needs next: from its receipts, its record of failure, and what is asked."""

from collections.abc import Mapping
from contextlib import suppress

from cmip6zarr.core.files import JSON
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.job.request import RULES, Options

Found = dict[str, tuple[JSON, int]]
"""{rule: (receipt, when it was written in ns)}; a receipt that cannot be read is empty."""

PASSING = ("store", "busy", "cancelled")
"""Kinds of failure that a second try may cure; any other is an answer, and the same answer would come again."""


def first_rule(name: str, found: Found, asked: Mapping[str, Options], untrue: str | None = None) -> str | None:
    """Return the first rule that is to be run for a dataset, and all after it with it; None if it is finished.

    `found` has the receipts that there are, `asked` what each rule is asked now, and `untrue` is a rule whose receipt
    is proven wrong by its store. A receipt holds if it is of the dataset, was asked the same, and is not older than the
    one before it. Nothing is read here.
    """
    since_ns = 0
    for rule in RULES:
        facts, written_ns = found.get(rule, ({}, 0))
        is_same = facts.get("dataset") == name and facts.get("asked") == asked.get(rule, {})
        if not is_same or rule == untrue or written_ns < since_ns:
            return rule
        since_ns = written_ns
    return None


def is_answered(rule: str, failure: JSON | None, attempt: int) -> bool:
    """Tell whether a try of a rule is needless: the try before, in the same job, has ended with an answer.

    `failure` is the record of failure that the dataset has, `attempt` counts the tries of a job from 1. A process that
    was killed has not answered. Nothing is read here.
    """
    if attempt == 1 or failure is None or failure["rule"] != rule:
        return False
    return "signal" not in failure and failure["class"] not in PASSING


def receipts_of(results: Results, name: str) -> Found:
    """Return the receipts that there are of a dataset."""
    found: Found = {}
    for rule in RULES:
        with suppress(FileNotFoundError):  # a job may void it at any time
            written_ns = receipts.path_of(results, rule, name).stat().st_mtime_ns
            found[rule] = (receipts.find(results, rule, name) or {}, written_ns)
    return found
