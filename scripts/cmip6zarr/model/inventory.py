"""What the source files of a dataset hold: the receipt of the rule inventory, which all later rules read.

An attribute is a list of its type and value, as `source.attributes` has it. Index ranges along time are those of the
dataset: the steps of all files one after another, from 0, stop not included.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

from cmip6zarr.core.files import JSON

Attribute = list[Any]
"""The type and the value of an attribute."""

Attributes = dict[str, Attribute]
"""Typed attributes by name, in the order of the file."""


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file whose steps [`start`, `stop`) are in the dataset: those after its first `skip`, which the one before has.

    `path` is absolute, `bytes` its size, `mtime_ns` and `ctime_ns` nanoseconds since 1970; None where an older receipt
    does not say it. `steps` are all that the file has, 0 without time. `moves` convert times to the first file's units:
    {variable: (scale, offset)}, two fractions. `form` is what differs from the first file's, see `source.file_form`.
    """

    path: str
    bytes: int
    mtime_ns: int
    inode: int | None = None
    ctime_ns: int | None = None
    steps: int
    skip: int
    start: int
    stop: int
    moves: dict[str, tuple[str, str]]
    form: JSON

    def __post_init__(self) -> None:
        first, stop = self.start - self.skip, self.stop
        if self.steps != stop - first or not 0 <= first <= self.start <= stop:
            raise ValueError(
                f"{self.path}: found {self.steps} steps from {first}, expected {stop - first} as it ends before step "
                f"{stop}, its first {self.skip} are trimmed and no file begins before step 0"
            )


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How values are stored in a file: `chunks` are steps along each axis, None for contiguous ones.

    `filters` are those of HDF5 that are on, as netCDF4 names them, sorted.
    """

    chunks: tuple[int, ...] | None
    filters: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable of the dataset.

    `dtype` is a numpy name without byte order, `str` (texts of variable length) or `S1` (characters). A `static` one
    does not depend on time. `raw_bytes` are its values before compression; `layouts` the distinct ones of the files.
    `attributes` are the first file's without those in `dropped`, which the policy leaves out of the store.
    """

    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    static: bool
    raw_bytes: int
    layouts: tuple[Layout, ...]
    attributes: Attributes
    dropped: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.dims) != len(self.shape) or min(self.shape, default=0) < 0:
            raise ValueError(f"found the shape {self.shape}, expected one length for each of {self.dims}")


@dataclass(frozen=True, kw_only=True)
class TimeAxis:
    """The coordinate along which the files follow one another, of `steps` steps in `units` since a date.

    `variable` is its name and that of its dimension; `start` and `end` are the dates of the first and last step.
    """

    variable: str
    steps: int
    start: str
    end: str
    calendar: str
    units: str


@dataclass(frozen=True, kw_only=True)
class AttributeRange:
    """The typed value that an attribute has in the files of the steps [`start`, `stop`); None: they do not have it."""

    start: int
    stop: int
    value: Attribute | None


@dataclass(frozen=True, kw_only=True)
class DifferingAttribute:
    """An attribute that is not the same in all files; `variable` is "" for one of the files themselves."""

    variable: str
    attribute: str
    values: tuple[AttributeRange, ...]


@dataclass(frozen=True, kw_only=True)
class KeptValues:
    """What turns values of the store into those that some files have of a variable, as `source.file_form` makes it.

    `files` are the numbers of those files, from 0; None in place of what is kept: it was too much.
    """

    variable: str
    files: tuple[int, ...]
    kept: str | list[Any] | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something in the source that was let pass: its class, the choice of the policy that did so, and a sentence.

    `file` and `variable` say where. `steps_missing` counts the steps that a gap leaves out. `max_difference` is the
    largest one between two coordinates, in their units, or a text where they are not comparable. `values` counts those
    that a finding of verify is about.
    """

    kind: str
    policy: str
    message: str
    file: str | None = None
    variable: str | None = None
    steps_missing: int = 0
    max_difference: float | str | None = None
    values: int | None = None


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A file of the dataset that the policy left out, and why: the class of the refusal and its sentence."""

    path: str
    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The source files of a dataset, in the order of time, and what the store that they become will hold.

    `row` is the digest of the dataset's row in the catalogue. `source_bytes` are the sizes of the files together,
    `raw_bytes` the values of all variables before compression. `dims` are the dimensions of the dataset and their
    lengths, `attributes` those of the first file. `form` is the form of the first file, see `source.file_form`, and
    `kept` the values of other files that the store does not give back. `time` is None without a time axis. `policy` is
    the one by which the files were judged. `left_out` is None in older receipts, which do not list those files.
    """

    RULE: ClassVar[str] = "inventory"

    dataset: str
    row: str
    files: tuple[SourceFile, ...]
    source_bytes: int
    raw_bytes: int
    dims: dict[str, int]
    unlimited: tuple[str, ...]
    variables: dict[str, Variable]
    attributes: Attributes
    differing_attributes: tuple[DifferingAttribute, ...]
    form: JSON
    kept: tuple[KeptValues, ...]
    time: TimeAxis | None
    verdict: str
    policy: dict[str, str | float]
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...] | None = None

    def __post_init__(self) -> None:
        if not self.files:
            raise ValueError("files: found none, expected at least one")
        if self.files[0].start != 0:
            raise ValueError(f"{self.files[0].path}: begins at step {self.files[0].start}, expected 0")
        for before, file in pairwise(self.files):
            if file.start != before.stop:
                raise ValueError(f"{file.path}: begins at step {file.start}, expected {before.stop} as its start")
        if self.time and self.time.steps != self.files[-1].stop:
            raise ValueError(f"time: found {self.time.steps} steps, expected {self.files[-1].stop} as the files have")
