"""The one decision what a dataset needs next: from its receipts, and what is asked of its rules."""

from collections.abc import Mapping
from contextlib import suppress

from cmip6zarr.job import receipts
from cmip6zarr.job.request import RULES


def first_rule(
    name: str, found: Mapping[str, tuple[dict, int]], asked: Mapping[str, Mapping], untrue: str | None = None
) -> str | None:
    """Return the first rule that is to be run for a dataset, and all after it with it; None if it is finished.

    `found` has the receipts that there are, as `receipts_of` returns them, `asked` what each rule is asked now, and
    `untrue` is a rule whose receipt is proven wrong by its store. A receipt holds if it is of the dataset, was asked
    the same, and is not older than the one before it. Nothing is read here.
    """
    since_ns = 0
    for rule in RULES:
        facts, written_ns = found.get(rule, ({}, 0))
        is_same = facts.get("dataset") == name and facts.get("asked") == asked.get(rule, {})
        if not is_same or rule == untrue or written_ns < since_ns:
            return rule
        since_ns = written_ns
    return None


def receipts_of(results, name: str) -> dict[str, tuple[dict, int]]:
    """Return {rule: (receipt, when it was written in ns)} of a dataset; one that cannot be read is empty."""
    found = {}
    for rule in RULES:
        with suppress(FileNotFoundError):  # a job may void it at any time
            written_ns = receipts.path_of(results, rule, name).stat().st_mtime_ns
            found[rule] = (receipts.find(results, rule, name) or {}, written_ns)
    return found
