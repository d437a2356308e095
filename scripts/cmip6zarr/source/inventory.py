"""The source of a dataset: its NetCDF files in time order, and whether they are fit to become one store."""

from collections.abc import Mapping
from math import prod

import numpy as np

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.catalogue.row_files import expand
from cmip6zarr.core.chunks import STRING_BYTES
from cmip6zarr.core.errors import Refused
from cmip6zarr.core.files import JSON
from cmip6zarr.model.inventory import Attributes, Inventory, Layout, SourceFile, TimeAxis
from cmip6zarr.model.inventory import Variable as DatasetVariable
from cmip6zarr.source import file_form
from cmip6zarr.source.consistency import check_identity, check_meaning, check_structure, differing_attributes
from cmip6zarr.source.continuity import check_order
from cmip6zarr.source.fill_values import check_fill_values
from cmip6zarr.source.headers import File, Header, Variable, read_header
from cmip6zarr.source.policy import Judge, remedy, without_leave_out
from cmip6zarr.source.published import check_published
from cmip6zarr.source.rounding import note_rounding
from cmip6zarr.source.statics import check_static
from cmip6zarr.source.time_axis import calendar_of, no_time_axis, read_time, time_axis
from cmip6zarr.source.time_conversion import clocks, common_dtypes, conversion_of, convert_times, note_conversions
from cmip6zarr.source.time_units import date

# Deflate cannot make 1033 bytes of one (zlib technical details): a larger ratio means values that were never written.
MOST_DEFLATED = 1032
HARMLESS_BYTES = 2**30
# Inventory holds all times of a dataset in memory, 40 bytes for each; every ten minutes are 8 million in 160 years.
MOST_STEPS = 2**23


def take_inventory(row: Dataset, policy: Mapping[str, str | float]) -> Inventory:
    """Read the headers and coordinates of a dataset's files and return its inventory.

    `policy` overrides POLICY. No data is read (but for steps that two files share, where the policy trims them). Raises
    Refused with file, variable, found, expected and remedy.
    """
    paths = expand(row.files)
    try:
        return inventory_of(row, paths, Judge(policy))
    except Refused as refusal:
        if len(paths) == 1:
            refusal.remedy = without_leave_out(refusal.remedy)
        raise


def inventory_of(row: Dataset, paths: list[str], judge: Judge) -> Inventory:
    """Return the inventory of a dataset's files, as far as the judge lets them pass."""
    check_published(row, paths, judge)
    headers = judge.keep(paths, lambda path: look(path, judge), str)
    if not headers:
        raise judge.none_left()
    time_name = time_axis(headers[0])
    check_inflation(headers, time_name, judge)
    if time_name is None:
        if len(headers) > 1:
            raise no_time_axis(headers)
        return inventory_from(row, [File(headers[0], np.empty(0), np.empty(0))], None, judge)
    calendar = calendar_of(headers[0], time_name)
    sources = judge.keep(headers, lambda header: read_time(header, time_name, calendar), lambda header: header.path)
    if not sources:
        raise judge.none_left()
    sources.sort(key=lambda file: (file.days[0], file.days[-1], file.header.path))
    first = sources[0].header
    dtypes, identity = common_dtypes(sources, time_name), row.project.identity
    sources[1:] = judge.keep(
        sources[1:],
        lambda file: compare(file, first, time_name, dtypes, identity, judge),
        lambda file: file.header.path,
    )
    convert_times(sources[0], first, time_name, dtypes)
    sources[1:] = judge.keep(
        sources[1:], lambda file: convert_times(file, first, time_name, dtypes), lambda file: file.header.path
    )
    calendar = calendar_of(first, time_name)
    sources = check_order(sources, time_name, calendar, judge, row.project.is_climatology(row.id))
    note_conversions(sources, judge)
    return inventory_from(row, sources, time_name, judge, calendar)


def look(path: str, judge: Judge) -> Header:
    """Return the header of a file; a finding names what it holds and no store can hold, where the policy drops that."""
    header = read_header(path, drop=judge.policy["unseen"] == "drop")
    if header.unseen:
        message = f"{path}: converted without {', '.join(header.unseen)}; restore does not give the file back."
        judge.note("unseen", "drop", message, file=path)
    return header


def compare(
    file: File, first: Header, time_name: str, dtypes: dict[str, str], identity: tuple[str, ...], judge: Judge
) -> File:
    """Return the file if it agrees with the first in names, structure, meaning and static variables; raises Refused.

    `dtypes` are those of times that the store has wider than one of the files, `identity` the attributes that name a
    dataset.
    """
    check_identity(file.header, first, identity, judge)
    check_structure(file.header, first, time_name, dtypes)
    ours, theirs = clocks(first), clocks(file.header)
    check_meaning(file.header, first, ours.keys() & theirs.keys(), judge)
    converted = {n for n, clock in theirs.items() if n in ours and conversion_of(file.header.path, n, clock, ours[n])}
    static = [n for n, variable in first.variables.items() if time_name not in variable.dims and n not in converted]
    check_static(file.header, first, static, judge)
    return file


def inventory_from(
    row: Dataset, sources: list[File], time_name: str | None, judge: Judge, calendar: str = ""
) -> Inventory:
    """Return the inventory of files that are fit to become one store, in the order of time."""
    first, forms = sources[0].header, [file_form.form(file.header, time_name) for file in sources]
    dropped = check_fill_values(first, judge)
    note_rounding(sources, judge)
    file_form.keep_static(sources, judge.findings)
    counts = [len(file.time) - file.skip for file in sources]
    stops = np.cumsum(counts).tolist()
    ranges = [(stop - count, stop) for stop, count in zip(stops, counts, strict=True)]
    variables = {name: variable_of(name, sources, time_name, stops[-1], dropped) for name in first.variables}
    return Inventory(
        dataset=row.id,
        row=row.digest,
        files=tuple(
            source_file(file, steps, file_form.unlike(form, forms[0]))
            for file, steps, form in zip(sources, ranges, forms, strict=True)
        ),
        source_bytes=sum(file.header.bytes for file in sources),
        raw_bytes=sum(variable.raw_bytes for variable in variables.values()),
        dims={name: stops[-1] if name == time_name else size for name, size in first.dims.items()},
        unlimited=tuple(first.unlimited),
        variables=variables,
        attributes=first.attributes,
        differing_attributes=differing_attributes([file.header for file in sources], ranges),
        form=forms[0],
        kept=file_form.shared([file.kept for file in sources]),
        time=time_axis_of(sources, time_name, calendar) if time_name else None,
        verdict="ok",
        policy=judge.policy,
        findings=tuple(judge.findings),
        left_out=tuple(judge.left_out),
    )


def source_file(file: File, steps: tuple[int, int], form: JSON) -> SourceFile:
    """Return what the inventory says of a file: its `steps` of the dataset, and what of its form is its own."""
    header = file.header
    return SourceFile(
        path=header.path,
        bytes=header.bytes,
        mtime_ns=header.mtime_ns,
        inode=header.inode,
        ctime_ns=header.ctime_ns,
        steps=len(file.time),
        skip=file.skip,
        start=steps[0],
        stop=steps[1],
        moves={name: (str(by.scale), str(by.offset)) for name, by in file.conversions.items()},
        form=form,
    )


def time_axis_of(sources: list[File], time_name: str, calendar: str) -> TimeAxis:
    """Return the time axis of files that follow one another."""
    return TimeAxis(
        variable=time_name,
        steps=sum(len(file.time) - file.skip for file in sources),
        start=date(sources[0].days[0], calendar),
        end=date(sources[-1].days[-1], calendar),
        calendar=calendar,
        units=sources[0].header.variables[time_name].attributes["units"][1],
    )


def variable_of(
    name: str, sources: list[File], time_name: str | None, steps: int, dropped: Attributes
) -> DatasetVariable:
    """Return a variable of a dataset of so many steps; `dropped` are fill values that do not come into the store."""
    first = sources[0].header.variables[name]
    dtype = sources[0].dtypes.get(name, first.dtype)
    shape = [steps if dim == time_name else size for dim, size in zip(first.dims, first.shape, strict=True)]
    itemsize = STRING_BYTES if dtype == "str" else np.dtype(dtype).itemsize
    variables = (file.header.variables[name] for file in sources)
    layouts = [
        Layout(chunks=None if v.chunks is None else tuple(v.chunks), filters=tuple(v.filters)) for v in variables
    ]
    is_dropped = name in dropped
    return DatasetVariable(
        dtype=dtype,
        dims=tuple(first.dims),
        shape=tuple(shape),
        static=time_name not in first.dims,
        raw_bytes=prod(shape) * itemsize,
        layouts=tuple(dict.fromkeys(layouts)),
        attributes={n: a for n, a in first.attributes.items() if not (is_dropped and n == "_FillValue")},
        dropped={"_FillValue": dropped[name]} if is_dropped else {},
    )


def check_inflation(headers: list[Header], time_name: str | None, judge: Judge) -> None:
    """Raise Refused (`inflation`) if a store would hold far more than its source can: values that nobody wrote.

    Likewise for more times than are read into memory. No value is read before this.
    """
    raw_bytes = sum(bytes_of(variable) for variable in headers[0].variables.values())
    raw_bytes += sum(bytes_of(v) for header in headers[1:] for v in header.variables.values() if time_name in v.dims)
    source_bytes = sum(header.bytes for header in headers)
    if raw_bytes > HARMLESS_BYTES and raw_bytes > MOST_DEFLATED * source_bytes:
        message = (
            f"{headers[0].path}: the store would hold {raw_bytes / 1e9:.0f} GB from {source_bytes / 1e9:.6f} GB in "
            f"{len(headers)} files: found {raw_bytes // source_bytes} times as much, expected at most {MOST_DEFLATED} "
            "(deflate's limit); nearly all of it was never written and is fill."
        )
        judge.lift(Refused("inflation", message, remedy("inflation", "convert", "Look at the file")), "convert")
    steps = sum(header.dims.get(time_name, 0) for header in headers) if time_name else 0
    if steps > MOST_STEPS:
        message = (
            f"{headers[0].path}: {time_name!r} has {steps} steps in {len(headers)} files, expected at most "
            f"{MOST_STEPS}, which is what inventory has memory for."
        )
        judge.lift(Refused("inflation", message, remedy("inflation", "convert", "Look at the file")), "convert")


def bytes_of(variable: Variable) -> int:
    """Return the bytes of a variable of a file before compression."""
    itemsize = STRING_BYTES if variable.dtype == "str" else np.dtype(variable.dtype).itemsize
    return prod(variable.shape) * itemsize
