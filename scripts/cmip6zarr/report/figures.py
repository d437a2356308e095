"""The figures at the head of the report of a campaign: what was made, how fast, and what is still to come."""

import polars as pl

from cmip6zarr.core.chunks import MIB
from cmip6zarr.core.text import human

SUMMED = (
    *("files", "files_as_published", "netcdf_bytes", "zarr_bytes", "raw_bytes"),
    *("objects", "values_compared", "cpu_seconds"),
)
AHEAD = ("waiting", "converting", "verifying", "at work")
"""States of datasets that will become something yet."""


def figures(done: pl.DataFrame, ahead: int) -> list[tuple[str, str, str]]:
    """Return the figures at the head of the report: name, value, and what to know of it.

    `done` has what the report says of verified datasets, and `ahead` others are still to come.
    """
    if not done.height:
        return []
    total = done.select(pl.col(SUMMED).sum()).row(0, named=True)
    grown = done.filter(pl.col("zarr_bytes") > pl.col("netcdf_bytes")).height
    planned, peak = pl.col("planned_mib"), pl.col("peak_mib")
    found = done.select(
        ratio=pl.col("ratio").median(),
        unplanned=(pl.col("planned_objects") != pl.col("chunk_objects")).sum(),
        peak_mib=peak.max(),
        share=(peak / planned).max(),
        over=(peak > planned).sum(),
    ).row(0, named=True)
    by_checksums, by_streams = (done.filter(pl.col("verified") == mode).height for mode in ("checksums", "streams"))
    as_published = total["files_as_published"]
    told = [
        (
            "NetCDF in",
            human(total["netcdf_bytes"]),
            f"{total['files']:,} files, {human(total['raw_bytes'])} of values"
            + (f"; {as_published:,} files as published, by their checksums" if as_published else ""),
        ),
        (
            "Zarr out",
            human(total["zarr_bytes"]),
            f"{grown:,} of {done.height:,} stores are bigger than their files",
        ),
        (
            "Ratio",
            f"{total['zarr_bytes'] / total['netcdf_bytes']:.2f}",
            f"median {found['ratio']:.2f}",
        ),
        (
            "Values compared",
            short(total["values_compared"]),
            "with their source, bit by bit: all equal"
            + (f"; {by_streams:,} stores by streams where chunks were copied" if by_streams else "")
            + (f"; {by_checksums:,} stores by their checksums alone" if by_checksums else ""),
        ),
        (
            "Objects",
            f"{total['objects']:,}",
            f"{human(total['zarr_bytes'] / total['objects'])} each; "
            + (f"{found['unplanned']:,} stores not as planned" if found["unplanned"] else "as many as planned"),
        ),
        (
            "Convert, verify",
            f"{speed(done, 'convert')} and {speed(done, 'verify')}",
            "MiB of values a second, in a job",
        ),
        ("CPU", duration(total["cpu_seconds"]), f"{duration(total['cpu_seconds'] / done.height)} for a dataset"),
        (
            "Memory",
            f"{found['peak_mib']:,} MiB",
            f"at most; up to {found['share']:.0%} of a plan, {found['over']:,} above",
        ),
    ]
    return told + ([forecast(done, ahead)] if ahead else [])


def forecast(done: pl.DataFrame, ahead: int) -> tuple[str, str, str]:
    """Return the figure of what is still to come, if it is like what is done."""
    each = done.select(pl.col("zarr_bytes", "objects", "cpu_seconds").mean() * ahead)
    zarr_bytes, objects, seconds = each.row(0)
    more = f"{round(objects):,} objects, {duration(seconds)} of CPU, if the {ahead:,} ahead are like those done"
    return ("Still to come", human(zarr_bytes), more)


def speed(done: pl.DataFrame, rule: str) -> str:
    """Return the MiB of values that a rule has done in a second, in all datasets of which it is known."""
    known = done.filter(pl.col(f"{rule}_seconds") > 0)
    return f"{known['raw_bytes'].sum() / MIB / known[f'{rule}_seconds'].sum():,.3g}" if known.height else "?"


def short(number: int) -> str:
    """Return a large number in words.

    >>> short(70_783_476), short(999)
    ('70.8 million', '999')
    """
    sizes = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
    return next((f"{number / size:.3g} {word}" for size, word in sizes if number >= size), f"{number:,}")


def duration(seconds: float) -> str:
    """Return a time in its largest unit.

    >>> duration(2), duration(300), duration(90_000)
    ('2 s', '5 min', '25 h')
    """
    size, unit = next((item for item in ((3600, "h"), (60, "min")) if seconds >= 2 * item[0]), (1, "s"))
    return f"{seconds / size:,.3g} {unit}" if seconds / size < 100 else f"{seconds / size:,.0f} {unit}"
