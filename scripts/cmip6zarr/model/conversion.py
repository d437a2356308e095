"""How a dataset became a store: the receipt of the rule convert."""

from dataclasses import dataclass, field
from typing import ClassVar

from cmip6zarr.core.files import JSON


@dataclass(frozen=True, kw_only=True)
class Written:
    """How the variables of a dataset were written, by their names.

    `reader` are the ways in which values were read, joined by +, and `codecs` what compresses them. `trials` are the
    figures of the codecs that were tried, and `not_copied` says why preset native has compressed a variable anew.
    `resumed_shards` counts those of all variables that an earlier run had left.
    """

    reader: dict[str, str]
    codecs: dict[str, str]
    trials: JSON
    resumed_shards: int
    not_copied: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Conversion(Written):
    """The unsealed store at `store`, a path or URL, has all objects that were planned: those of chunks or of shards.

    `source_bytes` are the sizes of the files, `raw_bytes` the values before compression, `stored_bytes` the sizes of
    all `objects` of the store. `planned_mib` of memory were planned, and the process had `peak_rss_mib` at most.
    `read_amplification` are bytes read for each that is needed. `codec` is the preset. `chunks`, `shards` and `slabs`,
    what is read at once, are steps along each axis of each variable. `origin` tells whether the store was to say what
    it was made of.
    """

    RULE: ClassVar[str] = "convert"

    dataset: str
    store: str
    zarr_format: int
    source_bytes: int
    raw_bytes: int
    stored_bytes: int
    objects: int
    planned_objects: int
    planned_mib: int
    read_amplification: float
    codec: str
    chunks: dict[str, tuple[int, ...]]
    shards: dict[str, tuple[int, ...]]
    slabs: dict[str, tuple[int, ...]]
    threads: int
    origin: bool = False
    peak_rss_mib: int = 0

    def __post_init__(self) -> None:
        if self.zarr_format not in (2, 3):
            raise ValueError(f"zarr_format: found {self.zarr_format}, expected 2 or 3")
        if self.objects < self.planned_objects:
            raise ValueError(f"objects: found {self.objects}, expected at least {self.planned_objects} as was planned")
        for what in ("reader", "codecs", "shards", "slabs"):
            found, expected = sorted(getattr(self, what)), sorted(self.chunks)
            if found != expected:
                raise ValueError(f"{what}: found variables {found}, expected {expected} as in chunks")
