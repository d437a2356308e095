"""Mapfiles, which every data node of ESGF has: a line for each file, `dataset | path | size | name=value | ...`."""

from collections.abc import Iterator
from pathlib import Path

from cmip6zarr.catalogue.lines import MOST_ROW_BYTES
from cmip6zarr.catalogue.listing import Listed, Reading, Unusable, checksum_of, size_of

FORM = "DATASET | PATH | SIZE | name=value | ..."


def read(path: Path, reading: Reading) -> Iterator[Listed | tuple[str, str]]:
    """Yield the files of a mapfile; of a line that cannot be used, (sort of reason, message with its number).

    The file is read line by line, and no line is held that is longer than MOST_ROW_BYTES. Raises OSError.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MOST_ROW_BYTES + 1):
            number += 1
            try:
                if len(line) > MOST_ROW_BYTES and not line.endswith(b"\n"):
                    while (more := file.readline(MOST_ROW_BYTES)) and not more.endswith(b"\n"):
                        pass
                    raise Unusable("line has too many bytes", "", f"at most {MOST_ROW_BYTES}")
                if entry := entry_of(line, reading):
                    yield entry
            except Unusable as error:
                yield error.kind, f"{path.name}: line {number}: {error}"


def entry_of(line: bytes, reading: Reading) -> Listed | None:
    """Return the file that a line names, None of an empty line or a comment; raises Unusable."""
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        raise Unusable("line is no text", "", "UTF-8") from None
    if not text or text.startswith("#"):
        return None
    words = [word.strip() for word in text.split("|")]
    if len(words) < 2 or not all(words[:2]):
        raise Unusable("line is", repr(text), FORM)
    more = dict(word.partition("=")[::2] for word in words[2:] if "=" in word)
    size = size_of(words[2]) if len(words) > 2 and "=" not in words[2] else None
    if stray := [word for word in words[3:] if "=" not in word]:
        raise Unusable("line has", repr(stray[0]), FORM)
    path = reading.path(words[1])
    project, facets = reading.dataset(versioned(words[0]), path)
    checksum = checksum_of(more["checksum"], more.get("checksum_type", "")) if more.get("checksum") else (None, None)
    return Listed(facets=facets, project=project, path=path, size=size, checksum=checksum[0], checksum_type=checksum[1])


def versioned(dataset: str) -> str:
    """Return a dataset's id with its version, which mapfiles write behind a #, with a v or without.

    >>> versioned("CMIP6.CMIP.x#20190406"), versioned("CMIP6.CMIP.x.v20190406")
    ('CMIP6.CMIP.x.v20190406', 'CMIP6.CMIP.x.v20190406')
    """
    name, mark, version = dataset.partition("#")
    return f"{name}.v{version.removeprefix('v')}" if mark else name
