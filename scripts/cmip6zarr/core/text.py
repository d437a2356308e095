"""Bytes and foreign text as people read them."""

from collections.abc import Mapping

UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1))


def human(count: float) -> str:
    """Return bytes with a unit (powers of 1000) and three digits.

    >>> human(429_258_345_000), human(-1500), human(0)
    ('429 GB', '-1.5 kB', '0 B')
    """
    unit, size = next(((u, s) for u, s in UNITS if abs(count) >= s), UNITS[-1])
    return f"{count / size:.3g} {unit}" if abs(count) / size < 999.5 else f"{count / size:.0f} {unit}"


def printable(text: str) -> str:
    """Return text with a `?` for each letter that a terminal would obey and not show: escapes, newlines, directions.

    >>> printable("a\\x1b[2Jb")
    'a?[2Jb'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def words(mapping: Mapping[str, object]) -> str:
    """Return a mapping in words.

    >>> words({"source_id": ["MIROC6", "CESM2"], "limit": 3})
    'source_id: MIROC6, CESM2; limit: 3'
    """
    told = {key: ", ".join(map(str, value)) if isinstance(value, list) else value for key, value in mapping.items()}
    return "; ".join(f"{key}: {value}" for key, value in told.items())
