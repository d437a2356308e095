"""What may be done about a source that is not fit to convert as it is."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cmip6zarr.core.errors import Refused
from cmip6zarr.model.inventory import Finding, LeftOut

T = TypeVar("T")
U = TypeVar("U")

POLICY: dict[str, str | float] = {
    "unreadable": "refuse",
    "empty": "refuse",
    "structure": "refuse",
    "unseen": "refuse",
    "identity": "refuse",
    "encoding": "refuse",
    "fill_value": "refuse",
    "calendar": "refuse",
    "time_units": "refuse",
    "time_order": "refuse",
    "gap": "refuse",
    "overlap": "refuse",
    "irregular": "refuse",
    "coordinates": "refuse",
    "coordinate_tolerance": 1e-12,
    "inflation": "refuse",
    "no_checksum": "allow",
}
"""What may be done about each kind of refusal; the choices are in config/config.schema.yaml."""


ACCEPTED = "accept"
"""Stands for the choice in a finding about what no policy refuses."""


def remedy(kind: str, choice: str, otherwise: str) -> str:
    """Return what to do about a refusal that the policy can lift."""
    return f"{otherwise}, or set policy.{kind} to {choice}."


def without_leave_out(remedy: str) -> str:
    """Return a remedy that does not offer `leave_out`, for a dataset of which no file would be left.

    >>> without_leave_out("Fetch the file again, or set policy.unreadable to leave_out.")
    'Fetch the file again.'
    >>> without_leave_out("Correct it, or set policy.coordinates to first (keep the first file's) or leave_out.")
    "Correct it, or set policy.coordinates to first (keep the first file's)."
    """
    return re.sub(r"(, or set policy\.\w+ to| or) leave_out\.$", ".", remedy)


class Judge:
    """Applies the policy: a refusal is raised unless the policy lifts it, and then it is a finding.

    `left_out` has each file that the policy leaves out.
    """

    def __init__(self, policy: Mapping[str, str | float]) -> None:
        self.policy = {**POLICY, **policy}
        self.findings: list[Finding] = []
        self.left_out: list[LeftOut] = []
        self._refusals: list[Refused] = []

    def note(self, kind: str, choice: str, message: str, **details: Any) -> None:
        """Add a finding; `details` are its further fields."""
        self.findings.append(Finding(kind=kind, policy=choice, message=message, **details))

    def lift(self, refusal: Refused, *choices: str, **details: Any) -> str:
        """Return the policy's choice if it is one of `choices` and note the finding; else raise the refusal."""
        choice = str(self.policy[refusal.kind])
        if choice not in choices:
            raise refusal
        self.note(refusal.kind, choice, refusal.message, **details)
        return choice

    def leave_out(self, path: str, refusal: Refused, choice: str = "leave_out") -> None:
        """Leave out the file at `path` if `choice` is what the policy says of the refusal; else raise that."""
        self.lift(refusal, choice, file=path)
        self.left_out.append(LeftOut(path=path, kind=refusal.kind, message=refusal.message))
        self._refusals.append(refusal)

    def keep(self, items: Sequence[T], check: Callable[[T], U], path_of: Callable[[T], str]) -> list[U]:
        """Return what `check` returns for each item; a refused one's file is left out if the policy says so.

        `path_of` returns the path of an item's file.
        """
        kept = []
        for item in items:
            try:
                kept.append(check(item))
            except Refused as refusal:
                self.leave_out(path_of(item), refusal)
        return kept

    def none_left(self) -> Refused:
        """Return the refusal of a dataset of which every file is left out: the reason of the first one."""
        first, count = self._refusals[0], len(self._refusals)
        message = first.message if count == 1 else f"{first.message} None of {count} files would be left."
        return Refused(first.kind, message, without_leave_out(first.remedy))
