"""The words of the data reference syntax: facets, dataset ids, folders and file names."""

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

FACETS = (
    "mip_era",
    "activity_id",
    "institution_id",
    "source_id",
    "experiment_id",
    "member_id",
    "table_id",
    "variable_id",
    "grid_label",
    "version",
)

WORD = "[A-Za-z0-9_-]+"
DATASET_PATTERN = rf"{WORD}(?:\.{WORD}){{9}}"
MOST_ID_BYTES = 200
"""An id is part of file names, which have at most 255 bytes: suffixes and the number of a process come behind it."""
# What a catalogue can carry: printable, Unicode, and nothing that reads as a glob pattern.
SAFE = r"[^*?\x00-\x1f\x7f-\x9f\ud800-\udfff]*"

NO_GRID = "na"
"""The grid label of CMIP5, which had none."""


def is_id(text: str) -> bool:
    """Tell whether a text is the id of a dataset: ten words of letters, digits, - and _ joined by dots, not too long.

    >>> is_id("CMIP6.CMIP.MOHC.UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn.v20190406"), is_id("../tas")
    (True, False)
    """
    return len(text) <= MOST_ID_BYTES and bool(re.fullmatch(DATASET_PATTERN, text))


def store_folder(dataset_id: str) -> str:
    """Return where a dataset's store lies below the store root.

    Raises ValueError if it is not ten words of letters, digits, - and _ joined by dots, or longer than MOST_ID_BYTES.

    >>> store_folder("CMIP6.CMIP.MOHC.UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn.v20190406")
    'CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/v20190406.zarr'
    """
    if not is_id(dataset_id):
        raise ValueError(
            f"{dataset_id!r:.300} is not a dataset id: expected {'.'.join(FACETS)}, each of letters, digits, - and _, "
            f"and at most {MOST_ID_BYTES} characters"
        )
    return dataset_id.replace(".", "/") + ".zarr"


def store_place(root: str, dataset: str) -> str:
    """Return the path or URL of the store of a dataset below a root.

    >>> store_place("s3://bucket/zarr/", "CMIP6.CMIP.A.B.historical.r1i1p1f1.Amon.tas.gn.v1")
    's3://bucket/zarr/CMIP6/CMIP/A/B/historical/r1i1p1f1/Amon/tas/gn/v1.zarr'
    """
    return f"{root.rstrip('/')}/{store_folder(dataset)}"


def folder_facets(folder: str) -> dict[str, str] | None:
    """Return the ten facets which an absolute folder of NetCDF files states, or None if it is no DRS folder.

    >>> folder_facets("/data/CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/v20190406")["version"]
    'v20190406'
    >>> folder_facets("/data/cmip5/output1/MOHC/HadGEM2-ES/rcp85/mon/atmos/Amon/r1i1p1/latest/tas")["activity_id"]
    'output1'
    >>> folder_facets("/data/CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/files/d20190406")
    """
    for pattern in (_CMIP6_FOLDER, _CMIP5_FOLDER):
        if match := pattern.fullmatch(folder):
            facets = {"grid_label": NO_GRID} | match.groupdict()
            return {facet: facets[facet] for facet in FACETS} | {"mip_era": facets["mip_era"].upper()}
    return None


def time_range(name: str) -> str | None:
    """Return the dates at the end of a file name, None where it has none (as fixed fields do).

    >>> time_range("tas_Amon_UKESM1-0-LL_historical_r1i1p1f2_gn_185001-194912.nc")
    '185001-194912'
    >>> time_range("areacella_fx_UKESM1-0-LL_historical_r1i1p1f2_gn.nc")
    """
    match = re.search(r"_(\d{4,14}(?:-\d{4,14}(?:-clim)?)?)\.nc$", name)
    return match and match[1]


def init_year(member: str) -> int | None:
    """Return the year in which a decadal prediction starts, None for other members.

    >>> init_year("s1960-r2i1p1f1"), init_year("r2i1p1f1")
    (1960, None)
    """
    match = re.match(r"s(\d{4})-", member)
    return match and int(match[1])


def tree(roots: Iterable[str | Path]) -> Iterator[tuple[str, dict[str, str] | str]]:
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
        facets = folder_facets(str(folder)) or "outside any DRS folder"
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.appendleft(folder / entry.name)
            elif entry.name.endswith(".nc"):
                yield entry.path, facets if re.fullmatch(SAFE, entry.name) else "unsafe file name"
            elif entry.is_symlink():
                waiting.append(folder / entry.name)


def _folder(*parts: str) -> re.Pattern[str]:
    """Compile folder parts, `<facet>` meaning a word of that name."""
    named = (re.sub(r"^<(\w+)>$", rf"(?P<\1>{WORD})", part) for part in parts)
    return re.compile(f"{SAFE}/" + "/".join(named))


_VERSION = r"(?P<version>v\d+|latest)"
_CMIP6_FOLDER = _folder(
    "(?P<mip_era>CMIP6)",
    *(f"<{facet}>" for facet in FACETS[1:-1]),
    # NCAR keeps files one folder deeper, in one named after the variable.
    _VERSION + "(?:/(?P=variable_id))?",
)
_CMIP5_FOLDER = _folder(
    "(?P<mip_era>(?i:cmip5))",
    *("<activity_id>", "<institution_id>", "<source_id>", "<experiment_id>"),
    *(WORD, WORD),  # frequency and realm
    *("<table_id>", "<member_id>", _VERSION, "<variable_id>"),
)
