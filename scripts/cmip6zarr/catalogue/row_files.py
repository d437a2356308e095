"""The files of a dataset's row of the catalogue: which they are, and whether they are those that were seen before."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from cmip6zarr.core.errors import Refused


class FileState(TypedDict):
    """A file's path, its size in bytes and its times in nanoseconds since 1970: None where there is no file."""

    path: str
    bytes: int | None
    mtime_ns: int | None
    ctime_ns: int | None


def expand(files: Sequence[str]) -> list[str]:
    """Return the paths of a row: as they are, or those that its one glob pattern matches; Refused if there is none."""
    # Brackets in the name of a file that is there, or of one of several, are letters: as a pattern it would match none.
    is_pattern = len(files) == 1 and glob.has_magic(files[0]) and not os.path.lexists(files[0])
    paths = sorted(glob.glob(files[0])) if is_pattern else list(files)  # noqa: PTH207
    if not paths:
        raise Refused("unreadable", f"{files[0]}: no file matches.", "Correct the catalogue or fetch the files.")
    return paths


def seen(files: Sequence[str]) -> list[FileState]:
    """Return the files of a row as they are now, as `look` does each.

    `files` are paths, or one glob pattern; the list is empty where that matches none. No file is opened.
    """
    try:
        return [look(path) for path in expand(files)]
    except Refused:
        return []


def look(path: str) -> FileState:
    """Return what a file is like now."""
    try:
        status = Path(path).stat()
    except OSError:
        return {"path": path, "bytes": None, "mtime_ns": None, "ctime_ns": None}
    return {"path": path, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
