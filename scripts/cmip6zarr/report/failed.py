"""What was refused and what failed, by kind, as the report shows it: the most serious first."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from cmip6zarr.campaign.status import rerun
from cmip6zarr.core.files import JSON
from cmip6zarr.job import failures, request
from cmip6zarr.job.receipts import Results

MOST_MESSAGES = 3  # of a kind

SERIOUS = ("mismatch", "bug", "rot", "ledger", "chunks", "provenance", "receipt")
"""Classes that put a store or the program in doubt. All others are of the machine or the source."""


def groups(states: Mapping[str, str], results: Results) -> list[JSON]:
    """Return the failures of {dataset: class} by class and kind: count, remedies, choices, command, first records.

    The most serious come first, what was refused last, and of those alike the most frequent first.
    """
    found = defaultdict(list)
    for name, state in states.items():
        record = failures.read(results, name)
        found[state, failures.kind_of(record)].append(record)
    return [
        {
            "state": state,
            "kind": kind,
            "count": len(records),
            "remedies": [text for text, _ in Counter(record["remedy"] for record in records).most_common(3)],
            "choices": choices(kind) if state == "refused" else [],
            "records": [record | {"reason": failures.reason_of(record)} for record in records[:MOST_MESSAGES]],
            "again": rerun(state, results),
        }
        for (state, kind), records in sorted(found.items(), key=lambda item: (seriousness(item[0][0]), -len(item[1])))
    ]


def seriousness(state: str) -> int:
    """Return the place of a class of failure in the order of the report."""
    return SERIOUS.index(state) if state in SERIOUS else len(SERIOUS) + (state == "refused")


def choices(kind: str) -> list[str]:
    """Return what else than `refuse` the policy can say of a kind of refusal.

    >>> choices("gap"), choices("encoding")
    (['allow'], ['leave_out', 'first'])
    """
    policy = request.schema()["policy"]["properties"]
    return [choice for choice in policy.get(kind, {}).get("enum", []) if choice != "refuse"]
