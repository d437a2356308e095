"""Files that are written whole or not at all, and JSON with a digest of itself."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cmip6zarr.core.errors import FULL, ROOM, DatasetError

JSON = dict[str, Any]
"""An object of JSON, as Python's json reads and writes it."""


def text_of(facts: JSON) -> str:
    """Return `facts` as the JSON that is written, with a digest of them."""
    facts = json.loads(json.dumps(facts, allow_nan=False))
    return json.dumps(facts | {"digest": digest(facts)}, indent=1) + "\n"


def digest(facts: JSON) -> str:
    """Return sixteen hex digits that change when facts do."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` as `write_pieces` does."""
    write_pieces(path, [data])


def write_pieces(path: str | Path, pieces: Iterable[bytes]) -> None:
    """Write pieces to `path`, whole or not at all, so that they survive a crash of the machine right after.

    Raises DatasetError as `writing` does.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            with suppress(OSError):  # where there is no folder for it, there is none of it
                part.unlink(missing_ok=True)  # of a disk that is full


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what the file system says to writing `path` into a DatasetError, `space` of a full disk and else `write`."""
    try:
        yield
    except OSError as error:
        kind, remedy = ("space", ROOM) if error.errno in FULL else ("write", "See to this folder, then run again.")
        raise DatasetError(kind, f"{path}: cannot be written: {error.strerror or error}.", remedy) from error
