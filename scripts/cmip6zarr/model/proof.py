"""What verify has proven of a store: the receipt of the rule verify."""

from dataclasses import dataclass
from typing import ClassVar

from cmip6zarr.model.inventory import Finding


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The store at `store`, a path or URL, holds what its source files hold, and is `sealed`.

    In mode `full` that is proven value by value. In mode `streams` too, but for values that were copied: of them
    `blocks_compared` blocks were compared compressed, and a sample of values. In mode `checksums` nothing is compared
    but checksums. `values_compared` counts values of all files, `chunks_expected` objects of the store.
    `files_as_published` counts the source files whose checksum is the one that their archive has published.
    `store_digest` is the digest of all objects, see `ledger.digest_of_all`; None in older receipts. `findings` are what
    the policy or a tolerance lets pass; None in older receipts, which do not list them.
    """

    RULE: ClassVar[str] = "verify"

    dataset: str
    store: str
    mode: str
    values_compared: int
    blocks_compared: int = 0
    files_as_published: int = 0
    mismatches: int
    chunks_expected: int
    chunks_missing: int
    store_digest: str | None = None
    findings: tuple[Finding, ...] | None = None
    sealed: bool

    def __post_init__(self) -> None:
        if self.mismatches or self.chunks_missing:
            found = f"{self.mismatches} mismatches and {self.chunks_missing} chunks missing"
            raise ValueError(f"found {found}, expected none")
        if self.mode in ("full", "streams") and self.values_compared < 1:
            raise ValueError(f"found no value that was compared, expected at least one in mode {self.mode}")
