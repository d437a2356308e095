"""Has a table of a catalogue only rows of sound length? Asked before the table is read, which takes whole rows."""

import gzip
from io import BufferedIOBase
from pathlib import Path

MOST_ROW_BYTES = 2**20
QUOTE, NEWLINE = b'"', b"\n"


def overlong(file: Path) -> int | None:
    """Return the number of the line, from 1, where a CSV row of more than `MOST_ROW_BYTES` begins; None without one.

    `file` is a .csv or a .csv.gz. It is read in pieces of that size: no row is ever held whole. A line break within
    double quotes ends no row, so a quote that is never closed makes a long row too. Raises OSError or EOFError for a
    file that cannot be read.
    """
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as data:
        return first_overlong(data)


def first_overlong(data: BufferedIOBase) -> int | None:
    """Return what `overlong` does, of an open file."""
    line, lines_in_row, row_bytes, quoted = 1, 0, 0, False
    while piece := data.read(MOST_ROW_BYTES):
        first = row_end(piece, quoted)
        if row_bytes + (len(piece) if first is None else first) > MOST_ROW_BYTES:
            return line
        quoted_after = quoted ^ bool(piece.count(QUOTE) % 2)
        if first is None:
            row_bytes, lines_in_row = row_bytes + len(piece), lines_in_row + piece.count(NEWLINE)
        else:
            last = last_row_end(piece, quoted_after)
            line += lines_in_row + piece.count(NEWLINE, 0, last + 1)
            row_bytes, lines_in_row = len(piece) - last - 1, piece.count(NEWLINE, last + 1)
        quoted = quoted_after
    return None


def row_end(piece: bytes, quoted: bool) -> int | None:
    """Return where the first row ends in a piece that begins within double quotes or not; None if none does."""
    at = 0
    while True:
        quote = piece.find(QUOTE, at)
        if not quoted:
            newline = piece.find(NEWLINE, at, len(piece) if quote < 0 else quote)
            if newline >= 0:
                return newline
        if quote < 0:
            return None
        at, quoted = quote + 1, not quoted


def last_row_end(piece: bytes, quoted: bool) -> int:
    """Return where the last row ends in a piece that has one, and that ends within double quotes or not."""
    stop = len(piece)
    while True:
        quote = piece.rfind(QUOTE, 0, stop)
        if not quoted:
            newline = piece.rfind(NEWLINE, quote + 1, stop)
            if newline >= 0:
                return newline
        stop, quoted = quote, not quoted
