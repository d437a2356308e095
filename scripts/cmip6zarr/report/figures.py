"""The figures at the head of the report of a campaign: what was made, how fast, and what is still to come."""

from statistics import mean, median

from cmip6zarr.campaign.findings import SEALED
from cmip6zarr.core.chunks import MIB
from cmip6zarr.core.files import JSON
from cmip6zarr.core.text import human

SUMMED = ("files", "netcdf_bytes", "zarr_bytes", "raw_bytes", "objects", "values_compared", "cpu_seconds")
AHEAD = ("waiting", "converting", "verifying", "at work")
"""States of datasets that will become something yet."""


def figures(rows: list[JSON]) -> list[tuple[str, str, str]]:
    """Return the figures at the head of the report: name, value, and what to know of it."""
    done = [row for row in rows if row["state"] in SEALED]
    if not done:
        return []
    total = {column: sum(row[column] or 0 for row in done) for column in SUMMED}
    ahead = sum(row["state"] in AHEAD for row in rows)
    grown = sum(row["zarr_bytes"] > row["netcdf_bytes"] for row in done)
    unplanned = sum(row["planned_objects"] not in (None, row["chunk_objects"]) for row in done)
    over = sum(row["peak_mib"] > row["planned_mib"] for row in done)
    share = max(row["peak_mib"] / row["planned_mib"] for row in done)
    by_checksums, by_streams = (sum(row["verified"] == mode for row in done) for mode in ("checksums", "streams"))
    told = [
        ("NetCDF in", human(total["netcdf_bytes"]), f"{total['files']:,} files, {human(total['raw_bytes'])} of values"),
        ("Zarr out", human(total["zarr_bytes"]), f"{grown:,} of {len(done):,} stores are bigger than their files"),
        (
            "Ratio",
            f"{total['zarr_bytes'] / total['netcdf_bytes']:.2f}",
            f"median {median(r['ratio'] for r in done):.2f}",
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
            + (f"{unplanned:,} stores not as planned" if unplanned else "as many as planned"),
        ),
        (
            "Convert, verify",
            f"{speed(done, 'convert')} and {speed(done, 'verify')}",
            "MiB of values a second, in a job",
        ),
        ("CPU", duration(total["cpu_seconds"]), f"{duration(total['cpu_seconds'] / len(done))} for a dataset"),
        (
            "Memory",
            f"{max(r['peak_mib'] for r in done):,} MiB",
            f"at most; up to {share:.0%} of a plan, {over:,} above",
        ),
    ]
    return told + ([forecast(done, ahead)] if ahead else [])


def forecast(done: list[JSON], ahead: int) -> tuple[str, str, str]:
    """Return the figure of what is still to come, if it is like what is done."""
    zarr_bytes, objects, seconds = (mean(r[c] for r in done) * ahead for c in ("zarr_bytes", "objects", "cpu_seconds"))
    more = f"{round(objects):,} objects, {duration(seconds)} of CPU, if the {ahead:,} ahead are like those done"
    return ("Still to come", human(zarr_bytes), more)


def speed(done: list[JSON], rule: str) -> str:
    """Return the MiB of values that a rule has done in a second, in all datasets of which it is known."""
    known = [(row["raw_bytes"] / MIB, row[f"{rule}_seconds"]) for row in done if row[f"{rule}_seconds"]]
    return f"{sum(mib for mib, _ in known) / sum(seconds for _, seconds in known):,.3g}" if known else "?"


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
