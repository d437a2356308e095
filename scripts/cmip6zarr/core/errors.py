"""Why a dataset cannot go on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

FULL = (errno.ENOSPC, errno.EDQUOT)
ROOM = "Make room, then run again: it goes on where it was."

# What the netCDF library and its Python part raise for files that are not what they should be.
LIBRARY_ERRORS = (OSError, RuntimeError, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError)


class DatasetError(Exception):
    """A dataset cannot go on: `kind` says in one word why, `remedy` what to do about it."""

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.kind, self.message, self.remedy = kind, message, remedy

    def __str__(self) -> str:
        return f"{self.message} [{self.kind}] {self.remedy}"


class Refused(DatasetError):
    """The source is not fit to convert: asking again with the same source and policy gives the same answer."""


@contextmanager
def reading_source(path: str, name: str, where: object) -> Iterator[None]:
    """Turn what reading values of a file raises into a DatasetError (`source`) with file, variable and indices."""
    try:
        yield
    except (*LIBRARY_ERRORS, Refused) as error:
        message = f"{path}: {name!r} cannot be read at {where}: {error}."
        raise DatasetError("source", message, "Fetch the file again.") from error
