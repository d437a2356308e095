"""Why a dataset cannot go on."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

FULL = (errno.ENOSPC, errno.EDQUOT)
ROOM = "Make room, then run again: it goes on where it was."

# What the netCDF library and its Python part raise for files that are not what they should be.
LIBRARY_ERRORS = (OSError, RuntimeError, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError)


PLACE = re.compile(r"((?:s3:/)?/.+?|[^\s:/]+/\S*?): (?=.)", re.DOTALL)
"""The path or URL with which a message begins."""


class DatasetError(Exception):
    """A dataset cannot go on: `kind` says in one word why, `remedy` what to do about it.

    `message` is a sentence `place: what was found, what was expected.`; the place is a path or URL, or is left out.
    """

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.kind, self.message, self.remedy = kind, message, remedy

    def __str__(self) -> str:
        what, where = split(self.message)
        return f"{reason(self.kind, what, where)} -> {self.remedy}"


class Refused(DatasetError):
    """The source is not fit to convert: asking again with the same source and policy gives the same answer."""


def split(message: str) -> tuple[str, str]:
    """Return what a message says without its last full stop, and the place where; that is empty if it names none.

    >>> split("/d/tas.nc: is cut off: found 3 bytes, expected 9.")
    ('is cut off: found 3 bytes, expected 9', '/d/tas.nc')
    """
    place = PLACE.match(message)
    return message[place.end() if place else 0 :].removesuffix("."), place[1] if place else ""


def reason(kind: str, what: str, where: str) -> str:
    """Return why something cannot go on, what before where.

    >>> reason("source", "is cut off: found 3 bytes, expected 9", "tas.nc")
    'source: is cut off: found 3 bytes, expected 9 (tas.nc)'
    """
    return f"{kind}: {what} ({where})" if where else f"{kind}: {what}"


@contextmanager
def reading_source(path: str, name: str, where: object) -> Iterator[None]:
    """Turn what reading values of a file raises into a DatasetError (`source`) with file, variable and indices."""
    try:
        yield
    except (*LIBRARY_ERRORS, Refused) as error:
        message = f"{path}: {name!r} cannot be read at {where}: {error}."
        raise DatasetError("source", message, "Fetch the file again.") from error
