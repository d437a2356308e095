"""What a proof has compared, and what it has found."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cmip6zarr.model.inventory import Finding

MOST_NAMED = 10  # mismatches that are spelled out; all are counted

Policy = Mapping[str, str | float]
"""What is let pass: {kind of finding: choice}, and the number `coordinate_tolerance`."""


@dataclass
class Tally:
    """What was compared, and what was found wrong: `messages` names the first few, `mismatches` counts all.

    `blocks_compared` counts blocks of copied chunks that were compared compressed, whose values are not in
    `values_compared`.

    `covered` counts the values of each array that were compared, `findings` are what the policy or a tolerance
    lets pass. `default_fill` counts by variable and file the values of netCDF's default fill that no attribute
    declares. `files_as_published` counts the files whose checksum is the published one.
    """

    values_compared: int = 0
    blocks_compared: int = 0
    files_as_published: int = 0
    covered: Counter[str] = field(default_factory=Counter)
    mismatches: int = 0
    messages: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    default_fill: Counter[tuple[str, str]] = field(default_factory=Counter)

    def wrong(self, message: str, count: int = 1) -> None:
        self.mismatches += count
        if len(self.messages) < MOST_NAMED:
            self.messages.append(message)

    def same(self, what: str, found: object, expected: object) -> None:
        """Note a mismatch unless both are equal; NaN equals NaN."""
        if not equal(found, expected):
            self.wrong(f"{what}: found {found!r}, expected {expected!r}")

    def note(
        self,
        kind: str,
        policy: str,
        message: str,
        file: str | None = None,
        variable: str | None = None,
        values: int | None = None,
    ) -> None:
        """Note a finding; `policy` is the choice that lets it pass, `accept` where a rule does."""
        self.findings.append(
            Finding(kind=kind, policy=policy, message=message, file=file, variable=variable, values=values)
        )


def equal(a: object, b: object) -> bool:
    """Tell whether two JSON-like values are equal; NaN equals NaN, 1 equals 1.0.

    >>> equal(float("nan"), float("nan")), equal([1, float("nan")], [1.0, float("nan")]), equal("1", 1)
    (True, True, False)
    """
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b)


def bits(values: np.ndarray) -> np.ndarray:
    """Return numbers or characters as unsigned integers of the same size, little-endian; texts as they are."""
    if values.dtype.kind in "OTU":
        return values.astype(object)
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return little.view(f"u{values.dtype.itemsize}").reshape(values.shape)
