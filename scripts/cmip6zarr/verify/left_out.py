"""Is there a reason, and a policy, for each file that is left out of its dataset?"""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.verify import header as headers
from cmip6zarr.verify.header import Attribute, Header, Variable
from cmip6zarr.verify.meaning import disagreements, fill_of, plain_attributes
from cmip6zarr.verify.order import other_steps, out_of_order, place_within, times_of
from cmip6zarr.verify.source import Files, Source
from cmip6zarr.verify.static import drift
from cmip6zarr.verify.tally import Policy, Tally
from cmip6zarr.verify.times import clocks
from cmip6zarr.verify.values import differences, missing_numbers

LEAVE_OUT = "leave_out"

Reason = tuple[str, str]
"""Its kind, and a message."""


def check_left_out(path: str, used: Files, policy: Policy, tally: Tally) -> None:
    """Note the reason to leave out the file at `path`, or a mismatch where none is found that the policy allows.

    `used` are the files of the dataset that are in the store.
    """
    found = []
    for kind, message in reasons(path, used, policy):
        choices = ("trim", LEAVE_OUT) if kind == "overlap" else (LEAVE_OUT,)
        if policy.get(kind) in choices:
            tally.note(kind, str(policy[kind]), message, file=path)
            return
        found.append(f"{message} [policy.{kind} is {policy.get(kind, 'refuse')}]")
    told = "; ".join(found) or "no reason"
    tally.wrong(f"{path}: is left out of its dataset: found {told}, expected a reason that the policy allows")


def reasons(path: str, used: Files, policy: Policy) -> Iterator[Reason]:
    """Yield why a file is not of the dataset of others, as far as can be told."""
    try:
        header = headers.read(path)
    except (RuntimeError, OSError, UnicodeDecodeError) as error:
        yield "unreadable", f"{path}: the netCDF library cannot read it: {error}"
        return
    if cut_off := missing_bytes(header):
        yield "unreadable", f"{path}: is cut off: found {cut_off} bytes less than its header says"
        return
    with Source(header) as source:
        yield from reasons_of_times(source, used.time_name)
        for kind, _, message in disagreements(header, used.first, used.time_name, used.identity):
            yield kind, message
            if kind == "unseen":
                yield "structure", message
        for name, variable in header.variables.items():
            if "_FillValue" in variable.attributes and not fill_of(variable)[0]:
                yield "fill_value", f"{path}: {name}:_FillValue is no {variable.kind}"
        try:
            yield from reasons_of_values(source, used, policy)
        except DatasetError as error:
            yield "unreadable", error.message


def reasons_of_times(source: Source, time_name: str | None) -> Iterator[Reason]:
    """Yield what is wrong with the time axis of a file."""
    path, variable = source.header.path, source.header.variables.get(time_name or "")
    if variable is None or time_name is None or variable.dims != (time_name,):
        yield "structure", f"{path}: has no time coordinate {time_name!r}"
        return
    if not prod(variable.shape):
        yield "empty", f"{path}: {time_name!r} has 0 steps"
        return
    clock = clocks(plain_attributes(source.header)).get(time_name)
    try:
        if clock is None:
            raise ValueError(f"{variable.value('units')!r} are no time units")
        clock.microseconds()
    except ValueError as error:
        yield "time_units", f"{path}: {time_name!r}: {error}"
    try:
        if problem := out_of_order(times_of(source, time_name), missing_numbers(variable)):
            yield "time_order", f"{path}: {time_name!r}: {problem}"
    except DatasetError as error:
        yield "unreadable", error.message


def reasons_of_values(source: Source, used: Files, policy: Policy) -> Iterator[Reason]:
    """Yield where coordinates of a file are not those of the first, and the file that has all of its steps."""
    header, first, time_name = source.header, used.sources[0], used.time_name
    for name, variable in header.variables.items():
        expected = first.header.variables.get(name)
        if time_name in variable.dims or expected is None or expected.shape != variable.shape:
            continue
        whole = tuple(slice(0, size) for size in variable.shape)
        found, reference = source.read(name, whole), first.read(name, whole)
        if problem := not_same(found, reference, variable, float(policy["coordinate_tolerance"])):
            yield "coordinates", f"{header.path}: {name!r} is not as in {first.header.path}: {problem}"
    if time_name is None:
        return
    ours = clocks(plain_attributes(first.header)).get(time_name)
    theirs = clocks(plain_attributes(header)).get(time_name)
    if ours != theirs:
        yield "time_units", f"{header.path}: {time_name!r} is in {theirs and theirs.units!r}"
    for before in used.sources if time_name in header.variables else ():
        place = place_within(source, before, time_name)
        steps = slice(0, header.variables[time_name].shape[0])
        if place and not other_steps(source, steps, before, place, time_name, used.memory_bytes):
            yield "overlap", f"{header.path}: all of its steps are found in {before.header.path}"


def not_same(found: np.ndarray, reference: np.ndarray, variable: Variable, tolerance: float) -> str | None:
    """Return how two static arrays of one shape differ by more than the tolerance."""
    if found.dtype == reference.dtype and not differences(found, reference, None)[0]:
        return None
    return drift(found, reference, variable, tolerance)


def missing_bytes(header: Header) -> int:
    """Return how many bytes a classic file lacks, at least, by its own header; 0 for HDF5, which says so itself."""
    with Path(header.path).open("rb") as file:
        if file.read(3) != b"CDF":
            return 0
        version = file.read(1)[0]
    sizes = [prod(v.shape) * v.itemsize for v in header.variables.values()]
    long, offset = (8 if version == 5 else 4), (4 if version == 1 else 8)

    def name_bytes(name: str) -> int:
        return long + -(-len(name.encode()) // 4) * 4

    def list_bytes(attributes: dict[str, Attribute]) -> int:
        each = (name_bytes(n) + 4 + long + -(-len(a.data) // 4) * 4 for n, a in attributes.items())
        return 4 + long + sum(each)

    said = 4 + long + 4 + long + sum(name_bytes(n) + long for n in header.dims)
    said += list_bytes(header.attributes) + 4 + long
    for name, variable in header.variables.items():
        said += (
            name_bytes(name) + long + long * len(variable.dims) + list_bytes(variable.attributes) + 4 + long + offset
        )
    return max(0, said + sum(sizes) - Path(header.path).stat().st_size)
