"""STAC items and ItemCollections of ESGF-NG, as JSON files: an item is a dataset, its assets are the files."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cmip6zarr.catalogue.listing import Listed, Reading, Unusable, checksum_of, size_of
from cmip6zarr.catalogue.projects import Project

MOST_BYTES = 256 * 2**20
"""Of a JSON file, which is read at once."""

MULTIHASH = {"1220": "SHA256", "d50110": "MD5"}
"""How a multihash begins, in hexadecimal digits -> the kind of checksum behind it."""

NETCDF = ("application/netcdf", "application/x-netcdf")

ZARR = "application/vnd.zarr"


def read(path: Path, reading: Reading) -> Iterator[Listed | tuple[str, str]]:
    """Yield the files of the items in a JSON file; of what cannot be used, (sort of reason, message with its place).

    Raises OSError.
    """
    try:
        items = items_of(path)
    except Unusable as error:
        yield error.kind, f"{path.name}: {error}"
        return
    for number, item in enumerate(items, 1):
        seen: set[str] = set()
        kinds = {kind_of(asset) for _, asset in assets_of(item)}
        if ZARR in kinds and not kinds.intersection((*NETCDF, "")):
            yield "item of a Zarr store", f"{path.name}: item {number} is of a Zarr store; expected NetCDF files"
            continue
        for name, asset in assets_of(item):
            try:
                entry = entry_of(item, asset, reading)
                base = entry.path.rpartition("/")[2]
                if base in seen:
                    raise Unusable("replica", entry.path)
                seen.add(base)
                yield entry
            except Unusable as error:
                yield error.kind, f"{path.name}: item {number}, asset {name!r:.80}: {error}"
        if not seen and not assets_of(item):
            yield "item has no assets", f"{path.name}: item {number} has no assets"


def items_of(path: Path) -> list[Any]:
    """Return the items in a JSON file: one, a collection of them, or a list; raises Unusable."""
    if path.stat().st_size > MOST_BYTES:
        raise Unusable("file has", f"{path.stat().st_size} bytes", f"at most {MOST_BYTES}")
    try:
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unusable("file is no JSON:", error) from None
    items = told.get("features", [told]) if isinstance(told, dict) else told
    if not isinstance(items, list):
        raise Unusable("file has", type(items).__name__, "a STAC item, or an ItemCollection")
    return items


def assets_of(item: Any) -> list[tuple[str, Any]]:
    """Return the assets of an item by their names; of what is no item, none."""
    assets = item.get("assets") if isinstance(item, dict) else None
    return list(assets.items()) if isinstance(assets, dict) else []


def kind_of(asset: Any) -> str:
    """Return the media type of an asset without its parameters, in lower case; "" where it says none.

    >>> kind_of({"type": "application/vnd.zarr; version=3"})
    'application/vnd.zarr'
    """
    return str(asset.get("type", "")).partition(";")[0].strip().lower() if isinstance(asset, dict) else ""


def entry_of(item: Mapping[str, Any], asset: Any, reading: Reading) -> Listed:
    """Return the file that an asset of an item is; raises Unusable."""
    if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
        raise Unusable("asset has no href")
    kind = kind_of(asset)
    if kind not in NETCDF and not (kind == "" and asset["href"].endswith(".nc")):
        raise Unusable("asset is of type", repr(kind), "NetCDF")
    path = reading.path(asset["href"])
    project, facets = reading.dataset(identified(item.get("id")), path)
    check_properties(item.get("properties"), project, facets)
    checksum: tuple[str | None, str | None] = (None, None)
    if "file:checksum" in asset:
        checksum = unwrapped(str(asset["file:checksum"]))
    return Listed(
        facets=facets,
        project=project,
        path=path,
        size=size_of(asset.get("file:size")),
        checksum=checksum[0],
        checksum_type=checksum[1],
    )


def identified(name: Any) -> str:
    """Return the id of an item as that of a dataset: its version with a v; raises Unusable."""
    if not isinstance(name, str):
        raise Unusable("item has the id", repr(name), "a text")
    return re.sub(r"\.([0-9]{8})$", r".v\1", name)


def check_properties(properties: Any, project: Project, facets: Mapping[str, str]) -> None:
    """Raise Unusable where a property of an item, such as `cmip7:region`, is not the word in its id."""
    for name, value in properties.items() if isinstance(properties, dict) else ():
        prefix, colon, word = name.partition(":")
        facet = next((f.name for f in project.facets.values() if word in f.columns), None)
        values = value if isinstance(value, list) else [value]
        if not colon or prefix.lower() != project.name.lower() or facet is None or len(values) != 1:
            continue
        found = str(values[0])
        if facet == "version":
            found = f"v{found.removeprefix('v')}"
        if found != facets[facet]:
            raise Unusable(f"property {name} is", repr(found), f"{facets[facet]!r} as in the id")


def unwrapped(multihash: str) -> tuple[str, str]:
    """Return the checksum in a multihash, and its kind; raises Unusable.

    >>> unwrapped("d50110" + "0" * 32)
    ('00000000000000000000000000000000', 'MD5')
    """
    for begin, kind in MULTIHASH.items():
        if multihash.lower().startswith(begin):
            return checksum_of(multihash[len(begin) :], kind)
    raise Unusable("file:checksum is", repr(multihash), "a multihash of SHA-256 or MD5")
