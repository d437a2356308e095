"""What was let pass of a verified dataset: the findings of inventory and of verify, together."""

from collections import Counter

from cmip6zarr.core.files import JSON
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.model.proof import Proof
from cmip6zarr.model.size_report import LetPass

VERIFIED, WITH_FINDINGS = "verified", "verified, with findings"
"""States of a dataset whose store is sealed: nothing was let pass, or something was."""

SEALED = (VERIFIED, WITH_FINDINGS)

FOLDER = "findings"
"""In the results: a record for each verified dataset that has findings, as `failed` has one for each failure."""


def together(inventory: Inventory | None, verified: Proof | None) -> list[JSON]:
    """Return the findings of two receipts as JSON; of what both have found about a file, inventory's alone."""
    ours: list[JSON] = to_json(inventory.findings) if inventory else []
    known = {(finding["kind"], finding.get("file")) for finding in ours}
    theirs = to_json(verified.findings or ()) if verified else []
    return ours + [finding for finding in theirs if (finding["kind"], finding.get("file")) not in known]


def counts(inventory: Inventory | None, verified: Proof | None) -> LetPass:
    """Return how many findings a dataset has, files that were left out, steps that gaps leave out, and {kind: number}.

    Receipts of older versions do not list the files that were left out; their findings name them.
    """
    found = together(inventory, verified)
    if inventory and inventory.left_out is not None:
        left_out = len(inventory.left_out)
    else:
        left_out = sum(finding.get("policy") == "leave_out" for finding in found)
    return LetPass(
        findings=len(found),
        files_left_out=left_out,
        steps_missing=sum(finding.get("steps_missing", 0) for finding in found),
        kinds=dict(Counter(finding["kind"] for finding in found).most_common()),
    )


def of_receipts(results: Results, dataset: str) -> tuple[Inventory | None, Proof | None]:
    """Return the receipts of inventory and of verify of a dataset; None in place of what is no receipt."""
    return receipts.load_if_any(Inventory, results, dataset), receipts.load_if_any(Proof, results, dataset)


def leave(results: Results, dataset: str, inventory: Inventory, verified: Proof) -> LetPass:
    """Leave the record of a dataset's findings, or take it away if there are none, and return their counts."""
    path, found = receipts.path_of(results, FOLDER, dataset), together(inventory, verified)
    if found:
        left_out = to_json(inventory.left_out or ())
        receipts.write(path, {"dataset": dataset, "findings": found, "left_out": left_out})
    else:
        path.unlink(missing_ok=True)
    return counts(inventory, verified)


def words(counted: JSON) -> str:
    """Return counts in words.

    >>> words({"findings": 3, "files_left_out": 1, "steps_missing": 12, "kinds": {"gap": 2, "empty": 1}})
    'gap 2, empty 1; 1 file left out; 12 steps missing'
    """
    told = [", ".join(f"{kind} {number}" for kind, number in counted["kinds"].items())]
    for number, what in ((counted["files_left_out"], "file{} left out"), (counted["steps_missing"], "step{} missing")):
        told += [f"{number} {what.format('' if number == 1 else 's')}"] if number else []
    return "; ".join(told)
