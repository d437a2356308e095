"""Records of failure, as a person reads them: what was found and expected, then where, then what to do."""

import os
import re

from cmip6zarr.core.errors import reason, split
from cmip6zarr.core.files import JSON
from cmip6zarr.job import receipts
from cmip6zarr.job.receipts import Results

UNREAD = {"rule": "?", "class": "receipt", "message": "The record is not as it was written.", "remedy": "Run again."}
"""Stands for a record that cannot be read."""

NETCDF = re.compile(r"(?<![\w./~-])/[^\s'\":;,]+\.nc\b")


def read(results: Results, dataset: str) -> JSON:
    """Return the record of failure of a dataset, or UNREAD in its place."""
    return receipts.find(results, "failed", dataset) or UNREAD | {"dataset": dataset}


def kind_of(record: JSON) -> str:
    """Return why a dataset failed in one word; of a refusal it is the key of the policy.

    Refusals of older versions name that key in their remedy alone, if at all.

    >>> kind_of({"class": "refused", "remedy": "Fetch it, or set policy.gap to allow."})
    'gap'
    """
    if "kind" in record:
        return str(record["kind"])
    key = re.search(r"policy\.(\w+)", record["remedy"]) if record["class"] == "refused" else None
    return key[1] if key else str(record["class"])


def parts(message: str) -> tuple[str, str]:
    """Return what a message says, and where; NetCDF files are relative to the folder that holds all it names.

    Of the path of a store the end is left, or the key of an object in it.

    >>> parts("/d/a.nc and /d/b.nc: between 1999 and 2001: found 12 steps left out.")
    ('between 1999 and 2001: found 12 steps left out', 'a.nc and b.nc')
    >>> parts("/d/v1/a.nc: 'lat' is not as in /d/v2/a.nc.")
    ("'lat' is not as in v2/a.nc", 'v1/a.nc')
    >>> parts("/stores/x/v1.zarr/tas/c.0.0: cannot be read.")
    ('cannot be read', 'tas/c.0.0')
    """
    what, where = split(message)
    places = re.split(r" and (?=/)", where)
    files = [path for path in (*places, *NETCDF.findall(what)) if path.startswith("/") and path.endswith(".nc")]
    if files:
        folder = os.path.commonpath([path.rpartition("/")[0] or "/" for path in files]).rstrip("/") + "/"
        what, where = (text.replace(folder, "") if folder != "/" else text for text in (what, where))
    what = what.removesuffix(f": {where!r}")  # the netCDF library names the file too
    if where.startswith(("/", "s3://")) and not where.endswith(".nc"):
        where = where.rpartition(".zarr/")[2] if ".zarr/" in where else where.rpartition("/")[2]
    return what, where


def reason_of(record: JSON) -> str:
    """Return why a dataset failed: `kind: what was found, what was expected (file)`."""
    return reason(kind_of(record), *parts(record["message"]))


def told(record: JSON) -> str:
    """Return why a dataset failed, and what to do.

    >>> told({"class": "source", "message": "/d/a.nc: is cut off.", "remedy": "Fetch it again."})
    'source: is cut off (a.nc) -> Fetch it again.'
    """
    return f"{reason_of(record)} -> {record['remedy']}"
