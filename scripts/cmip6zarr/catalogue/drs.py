"""Where datasets lie: their ids, the folders of their stores, and the folders of NetCDF files."""

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.projects import BUILT_IN, Project
from cmip6zarr.catalogue.templates import SAFE, WORD

DATASET_PATTERN = rf"{WORD}(?:\.{WORD}){{2,24}}"
MOST_ID_BYTES = 200
"""An id is part of file names, which have at most 255 bytes: suffixes and the number of a process come behind it."""


def is_id(text: str) -> bool:
    """Tell whether a text is the id of a dataset: words of letters, digits, - and _ joined by dots, not too long.

    Where it begins as the ids of a built-in project do, it has as many words as they.

    >>> is_id("CMIP6.CMIP.MOHC.UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn.v20190406"), is_id("CMIP6.CMIP.MOHC")
    (True, False)
    """
    if len(text) > MOST_ID_BYTES or not re.fullmatch(DATASET_PATTERN, text):
        return False
    first = text.split(".", 1)[0].lower()
    return first not in BUILT_IN or text.count(".") == len(projects.built_in(first).facets) - 1


def store_folder(dataset_id: str) -> str:
    """Return where a dataset's store lies below the store root: in the folders of its id.

    Raises ValueError if it is no id.

    >>> store_folder("CMIP6.CMIP.MOHC.UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn.v20190406")
    'CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/v20190406.zarr'
    """
    if not is_id(dataset_id):
        words = ".".join(projects.of(dataset_id).facets)
        raise ValueError(
            f"{dataset_id!r:.300} is not a dataset id: expected words such as {words}, each of letters, digits, - and "
            f"_, and at most {MOST_ID_BYTES} characters"
        )
    return dataset_id.replace(".", "/") + ".zarr"


def store_place(root: str, dataset: str) -> str:
    """Return the path or URL of the store of a dataset below a root.

    >>> store_place("s3://bucket/zarr/", "CMIP6.CMIP.A.B.historical.r1i1p1f1.Amon.tas.gn.v1")
    's3://bucket/zarr/CMIP6/CMIP/A/B/historical/r1i1p1f1/Amon/tas/gn/v1.zarr'
    """
    return f"{root.rstrip('/')}/{store_folder(dataset)}"


def folder_facets(folder: str, known: Sequence[Project]) -> dict[str, str] | None:
    """Return the facets which an absolute folder of NetCDF files states, or None if it is no DRS folder.

    >>> cmip6, cmip5 = projects.built_in("cmip6"), projects.built_in("cmip5")
    >>> folder = "/data/CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/v20190406"
    >>> folder_facets(folder, [cmip6])["version"]
    'v20190406'
    >>> folder_facets("/data/cmip5/output1/MOHC/HadGEM2-ES/rcp85/mon/atmos/Amon/r1i1p1/latest/tas", [cmip5])["mip_era"]
    'CMIP5'
    >>> folder_facets(folder.replace("/v2", "/files/d2"), [cmip6, cmip5])
    """
    for project in known:
        if match := project.folder.fullmatch(folder):
            return project.dataset(match.groupdict())
    return None


def tree(roots: Iterable[str | Path], known: Sequence[Project]) -> Iterator[tuple[str, dict[str, str] | str]]:
    """Yield the absolute path of every NetCDF file below some folders, with its facets or why it has none.

    Every folder is walked once: real ones first, so that a link such as `latest` does not rename what lies beside it.
    """
    seen, waiting = set(), deque(Path(os.path.normpath(Path(root).absolute())) for root in roots)
    while waiting:
        folder = waiting.popleft()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except NotADirectoryError:
            continue
        except OSError:
            yield str(folder), "unreadable folder"
            continue
        facets = folder_facets(str(folder), known) if any(e.name.endswith(".nc") for e in entries) else None
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.appendleft(folder / entry.name)
            elif entry.name.endswith(".nc"):
                yield entry.path, _facets_or_why(entry.name, facets, known)
            elif entry.is_symlink():
                waiting.append(folder / entry.name)


def _facets_or_why(name: str, facets: dict[str, str] | None, known: Sequence[Project]) -> dict[str, str] | str:
    """Return the facets of the folder of a file, or why the file is left aside."""
    if not re.fullmatch(SAFE, name):
        return "unsafe file name"
    if facets is None:
        return "outside any DRS folder"
    is_of = projects.of(next(iter(facets.values())), known).is_of(name, facets)
    return facets if is_of else "named as another dataset than its folder"
