"""Checksums in the table of a catalogue: in which column, of which kind, and which of them are none.

As in `naming`, expressions of polars.
"""

import re

import polars as pl

from cmip6zarr.catalogue.dataset import Published
from cmip6zarr.catalogue.listing import DIGITS
from cmip6zarr.catalogue.naming import Table
from cmip6zarr.catalogue.stac import MULTIHASH

PATTERN = "[*?]"
"""Is in a path that stands for several files."""

FORMS = ", ".join(f"{digits} hexadecimal digits of {kind}" for kind, digits in DIGITS.items())


def parse(told: str, size: int | None) -> Published:
    """Return what `sums` has of a row, with the bytes of its file."""
    kind, checksum = told.split(" ")
    return Published(kind, checksum, size)


def sums(of: Table) -> dict[str, pl.Expr]:
    """Return {"sum": `KIND checksum` of each row}, null where the list has none, or an unsound one.

    Nothing is returned for a table without a column of checksums: there it costs no memory. A multihash says its kind
    itself; of others `checksum_type` says it, or their length.
    """
    if not of.sums:
        return {}
    found, kind = pl.col("checksum").str.strip_chars().str.to_lowercase(), pl.lit(None, pl.String)
    if "checksum_type" in of.sums:
        kind = pl.col("checksum_type").str.strip_chars().str.to_uppercase().str.replace_all("-", "", literal=True)
    hashes = [_with_kind(name, found, head) for head, name in MULTIHASH.items()]
    plain = [pl.when(kind.is_null() | kind.eq(name)).then(_with_kind(name, found)) for name in DIGITS]
    return {"sum": pl.coalesce(*hashes, *plain)}


def _with_kind(kind: str, found: pl.Expr, head: str = "") -> pl.Expr:
    return pl.format(f"{kind} {{}}", found.str.extract(f"^{head}([0-9a-f]{{{DIGITS[kind]}}})$"))


def unsound(of: Table) -> pl.Expr:
    """Return whether a row with its `sum` has a checksum that cannot be compared, or one of what is no file."""
    if not of.sums:
        return pl.lit(value=False)
    return pl.col("checksum").is_not_null() & (pl.col("sum").is_null() | pl.col("path").str.contains(PATTERN))


def problem(path: str, checksum: str, kind: str | None) -> str:
    """Return what is wrong with the checksum of a row that is unsound, and what was expected.

    >>> problem("/d/a.nc", "ab", None)
    "checksum is 'ab', expected 64 hexadecimal digits of SHA256, 32 hexadecimal digits of MD5, or a multihash of these"
    >>> problem("/d/a.nc", "ab" * 64, "SHA512")
    "checksum_type is 'SHA512', expected one of SHA256, MD5"
    """
    if re.search(PATTERN, path):
        return f"checksum is that of {path!r:.300}, expected that of a file, and no pattern"
    if kind is not None and kind.strip().upper().replace("-", "") not in DIGITS:
        return f"checksum_type is {kind!r:.300}, expected one of {', '.join(DIGITS)}"
    of_kind = f" as checksum_type is {kind!r:.300}" if kind else ""
    return f"checksum is {checksum!r:.300}, expected {FORMS}, or a multihash of these{of_kind}"
