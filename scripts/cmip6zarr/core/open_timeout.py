"""A library that never comes back from a damaged file ends the process, with a word of the file.

The HDF5 library can loop for ever over a header with a flipped bit, where no signal handler of Python runs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

from cmip6zarr.core.errors import DatasetError

OPEN_SECONDS = 45

give_up: Callable[[DatasetError], None] | None = None
"""What to do about a hang, from another thread than the one that hangs: it ends the process (see `cli.attempt`)."""


@contextmanager
def opening(path: str | Path, seconds: float = OPEN_SECONDS) -> Iterator[None]:
    """Give up if what is done within, which is to open a file and read its header, takes longer than `seconds`."""

    def late() -> None:
        message = f"{path}: found no answer of the library that opens it within {seconds:g} s, expected one at once."
        error = DatasetError("source", message, "Fetch it again; or run again, if the file system was so slow.")
        if give_up:
            give_up(error)

    timer = Timer(seconds, late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
