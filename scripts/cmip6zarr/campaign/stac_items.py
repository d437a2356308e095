"""Sealed stores as STAC Items, all in one ItemCollection: what ESGF's catalogue says of files, said of stores.

Fields of CMIP6 and CMIP7 have the names that ESGF's own items have; their schemas are not named, for these ask for what
only an archive knows.
"""

import calendar
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core.files import JSON
from cmip6zarr.store import zarr_store
from cmip6zarr.store.interface import LEDGER

END = ".stac.json"
"""Of the name of an ItemCollection, which begins as that of the catalogue beside it."""

VERSION = "1.1.0"

EXTENSIONS = ("https://stac-extensions.github.io/zarr/v1.1.0/schema.json",)

OTHER_NAMES = {("CMIP7", "branding_suffix"): "variable_branding_suffix"}
"""Facets that have another name in ESGF's items."""

LISTS = {("CMIP6", "activity_id")}
"""Facets that ESGF's items have as lists."""

OF_VARIABLE = {
    "units": "variable_units",
    "standard_name": "variable_cf_standard_name",
    "long_name": "variable_long_name",
    "frequency": "frequency",
    "nominal_resolution": "nominal_resolution",
}
"""Columns of the table SIZED, which attributes of the files fill, and their names in ESGF's items."""

OURS = ("calendar", "time_range", "verified", "findings", "files_left_out", "steps_missing")
"""Columns of the table SIZED that are properties as they are."""


def pieces(stores: pl.DataFrame, own: Sequence[Project] = ()) -> Iterator[bytes]:
    """Yield the ItemCollection of sealed stores as JSON, an item at a time.

    `stores` is the table `finished.REPORTED` with the columns of `withdrawn.marked`. `own` are the projects that are
    not built in. Column `store` has paths, URLs, or paths relative to the collection, which begin with `../`. A store
    whose receipt of verify is gone has no item.
    """
    yield b'{"type": "FeatureCollection", "features": ['
    for number, row in enumerate(stores.drop_nulls("verify_mtime_ns").iter_rows(named=True)):
        yield f"{',' * bool(number)}\n{json.dumps(item(row, own), allow_nan=False)}".encode()
    yield b"\n]}\n"


def item(row: Mapping[str, Any], own: Sequence[Project] = ()) -> JSON:
    """Return the item of a store, of a row of the table of `pieces`."""
    west_south_east_north = row["extent"]
    is_href = "://" in row["store"] or row["store"].startswith("../")
    place = row["store"] if is_href else str(Path(row["store"]).absolute())
    kind = f"application/vnd.zarr; version={row['zarr_format']}"
    found: JSON = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": row["dataset"],
        "geometry": geometry(west_south_east_north) if west_south_east_north else None,
        "properties": properties(row, projects.of(row["dataset"], own)),
        "links": [{"rel": "store", "href": place, "type": kind}],
        "assets": {
            "zarr": {
                "href": place,
                "type": kind,
                "roles": ["data"],
                "title": "Zarr store",
                "zarr:zarr_format": row["zarr_format"],
                "zarr:node_type": "group",
                "zarr:consolidated": True,
                "cmip6zarr:store_digest": row["store_digest"],
            },
            "provenance": {
                "href": place + zarr_store.PROVENANCE,
                "type": "application/json",
                "roles": ["metadata"],
                "title": "Its NetCDF files, and what they say that the store does not",
            },
            "ledger": {
                "href": place + LEDGER,
                "type": "application/jsonl",
                "roles": ["metadata"],
                "title": "A checksum of each object of the store",
            },
        },
    }
    # A Feature without geometry must not have one.
    return found | ({"bbox": west_south_east_north} if west_south_east_north else {})


def geometry(extent: Sequence[float]) -> JSON:
    """Return an extent as GeoJSON has it: two polygons where 180 E lies within, a point where it has no width."""
    west, south, east, north = extent
    boxes = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    rings = [[[[w, south], [e, south], [e, north], [w, north], [w, south]]] for w, e in boxes]
    if len(rings) > 1:
        return {"type": "MultiPolygon", "coordinates": rings}
    if (west, south) == (east, north):
        return {"type": "Point", "coordinates": [west, south]}
    return {"type": "Polygon", "coordinates": rings[0]}


def properties(row: Mapping[str, Any], project: Project) -> JSON:
    """Return the properties of an item: time, version, size and facets as ESGF has them, and what is known of it."""
    prefix, verified = project.name.lower(), instant(row["verify_mtime_ns"])
    words = project.words(row["dataset"])
    facets: JSON = {}
    for name, word in words.items():
        key = OTHER_NAMES.get((project.name, name), name)
        facets[f"{prefix}:{key}"] = [word] if (project.name, name) in LISTS else word
    if project.name == "CMIP6":
        start, _, variant = words["member_id"].rpartition("-")
        facets |= {"cmip6:variant_label": variant, "cmip6:sub_experiment_id": start or "none"}
    told = {f"{prefix}:{name}": row[column] for column, name in OF_VARIABLE.items()}
    told[f"{prefix}:realm"] = (row["realm"] or "").split() or None
    facets = {name: value for name, value in told.items() if value is not None} | facets
    if version := facets.pop(f"{prefix}:version", None):
        facets["version"] = version.removeprefix("v")
    return {
        **span(row["time_range"], verified),
        "title": row["dataset"],
        "created": verified,
        "project": project.name,
        "size": row["zarr_bytes"],
        "latest": row["latest"],
        "retracted": row["retracted"],
        **facets,
        **{f"cmip6zarr:{name}": row[name] for name in OURS},
    }


def span(time_range: str | None, otherwise: str) -> dict[str, str | None]:
    """Return the first and last date of a dataset as STAC has them; `otherwise` where it has none that STAC can have.

    STAC knows the calendar of the world alone: a day that this does not have is the last of its month. A year before 1
    or after 9999 is none, and what has no time has the time of its proof.

    >>> span("1850-01-16 12:00/1850-02-30 00:00", "now")["end_datetime"]
    '1850-02-28T00:00:00Z'
    >>> span(None, "now"), span("0000-01-16 00:00/0009-12-16 00:00", "now")
    ({'datetime': 'now'}, {'datetime': 'now'})
    """
    dates = [civil(date) for date in time_range.split("/")] if time_range else []
    if len(dates) != 2 or None in dates:
        return {"datetime": otherwise}
    return {"datetime": None, "start_datetime": dates[0], "end_datetime": dates[1]}


def civil(date: str) -> str | None:
    """Return a date of any calendar, as inventories spell it, as RFC 3339 does; None where it cannot be."""
    found = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}:[0-9]{2})", date)
    if not found or not (year := int(found[1])) >= 1 or not 1 <= (month := int(found[2])) <= 12:
        return None
    day = min(int(found[3]), calendar.monthrange(year, month)[1])
    return f"{found[1]}-{found[2]}-{day:02}T{found[4]}:00Z"


def instant(time_ns: int) -> str:
    """Return a time, in nanoseconds since 1970, as RFC 3339 has it."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
