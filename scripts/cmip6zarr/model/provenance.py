"""What lies beside a store and is all that is needed to write its source files again."""

from dataclasses import dataclass

from cmip6zarr.core.files import JSON
from cmip6zarr.model.inventory import (
    Attributes,
    DifferingAttribute,
    Finding,
    KeptValues,
    SourceFile,
    TimeAxis,
    Variable,
)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The source files of a store, and what they say that the store does not; `recipe` is that of the store's code.

    All else is as in the inventory, without what changes when a file moves to another file system as it is.
    """

    dataset: str
    recipe: int
    files: tuple[SourceFile, ...]
    dims: dict[str, int]
    unlimited: tuple[str, ...]
    variables: dict[str, Variable]
    attributes: Attributes
    differing_attributes: tuple[DifferingAttribute, ...]
    findings: tuple[Finding, ...]
    time: TimeAxis | None
    form: JSON
    kept: tuple[KeptValues, ...]
