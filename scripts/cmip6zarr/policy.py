"""What may be done about a source that is not fit to convert as it is."""

from .errors import Refused

POLICY = {
    "unreadable": "refuse",
    "empty": "refuse",
    "structure": "refuse",
    "encoding": "refuse",
    "calendar": "refuse",
    "time_units": "refuse",
    "time_order": "refuse",
    "gap": "refuse",
    "overlap": "refuse",
    "coordinates": "refuse",
    "coordinate_tolerance": 1e-12,
    "inflation": "refuse",
}
"""What may be done about each kind of refusal; the choices are in config/config.schema.yaml."""


def remedy(kind: str, choice: str, otherwise: str) -> str:
    """Return what to do about a refusal that the policy can lift."""
    return f"{otherwise}, or set policy.{kind} to {choice}."


class Judge:
    """Applies the policy: a refusal is raised unless the policy lifts it, and then it is a finding."""

    def __init__(self, policy: dict):
        self.policy = POLICY | policy
        self.findings: list[dict] = []

    def note(self, refusal: Refused, choice: str) -> None:
        self.findings.append({"kind": refusal.kind, "policy": choice, "message": refusal.message})

    def lift(self, refusal: Refused, *choices: str) -> str:
        """Return the policy's choice if it is one of `choices` and note the finding; else raise the refusal."""
        choice = self.policy[refusal.kind]
        if choice not in choices:
            raise refusal
        self.note(refusal, choice)
        return choice

    def keep(self, items: list, check) -> list:
        """Return what `check` returns for each item; a refused one is left out if the policy says so."""
        kept = []
        for item in items:
            try:
                kept.append(check(item))
            except Refused as refusal:
                self.lift(refusal, "leave_out")
        return kept
