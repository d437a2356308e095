"""How big a store became against its source files, and why: the receipt of the rule size_report."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class ArraySize:
    """An array of a store: its `objects`, what they take, and what its values take in the files (`source_bytes`).

    `raw_bytes` are its values before compression, `padding_bytes` what its chunks hold beyond its edges, before
    compression too. With preset `native`, `copied` tells whether its chunks are those of the files, `not_copied` why
    they are not.
    """

    objects: int
    stored_bytes: int
    raw_bytes: int
    padding_bytes: int
    source_bytes: int
    copied: bool = False
    not_copied: str | None = None


@dataclass(frozen=True, kw_only=True)
class LetPass:
    """How many findings a dataset has, and of which kinds; files that were left out; steps that gaps leave out."""

    findings: int
    files_left_out: int
    steps_missing: int
    kinds: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Where in the results the picture of a variable lies, and from how many chunks it is; or why there is none."""

    picture: str | None
    message: str | None = None
    variable: str | None = None
    chunks_read: int | None = None


@dataclass(frozen=True, kw_only=True)
class Remark:
    """What a person should look at: its class and a sentence."""

    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class SizeReport:
    """A sealed store of `objects` objects and `zarr_bytes` bytes, made of files of `netcdf_bytes` bytes.

    `causes` say what made it bigger (positive) or smaller: {cause: bytes}, which add up to the change; `reason` says it
    in words. `shape` and `chunks` are those of the main variable, spelled `12 x 3 x 4`. `time_range` is the first and
    the last date, None without time. `arrays` are all arrays by name, `nc_path` is the folder that has all files.
    `extent` is that of the main variable's cells, as `report.extent` has it; None where it is not known, and in older
    receipts.
    """

    RULE: ClassVar[str] = "size_report"

    dataset: str
    store: str
    files: int
    nc_path: str
    time_range: str | None
    shape: str
    chunks: str
    codec: str
    zarr_format: int
    convert_planned_mib: int
    convert_peak_rss_mib: int
    verified: str
    values_compared: int
    raw_bytes: int
    netcdf_bytes: int
    zarr_bytes: int
    ratio: float
    objects: int
    arrays: dict[str, ArraySize]
    causes: dict[str, int]
    reason: str
    findings: tuple[Remark, ...]
    let_pass: LetPass
    look: Picture
    extent: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        change, told = self.zarr_bytes - self.netcdf_bytes, sum(self.causes.values())
        if told != change:
            raise ValueError(f"causes: found {told} bytes in sum, expected {change} as the size has changed")
        if (objects := sum(array.objects for array in self.arrays.values())) > self.objects:
            raise ValueError(f"arrays: found {objects} objects, expected at most {self.objects} as the store has")
