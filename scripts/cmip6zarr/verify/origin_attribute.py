"""Does a store that says what it was made of say what its files say?"""

import json
import re
from typing import Any

from cmip6zarr.verify.header import USER_DEFINED, Header
from cmip6zarr.verify.source import Files
from cmip6zarr.verify.tally import Tally

NAME = "cmip6_zarr"

FORMS = {
    "recipe": "[1-9][0-9]*",
    "version": '".+"',
    "converted": '"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"',
}
"""What no source file says: the form that it has as JSON."""


def check_origin(attributes: dict[str, Any], dataset: str, files: Files, tally: Tally) -> dict[str, Any]:
    """Note a mismatch where a store does not say what it was made of, and return its other attributes.

    If the first file has an attribute of the same name, the store has that one: all attributes are returned.
    """
    own = files.first.attributes.get(NAME)
    if own and own.kind != USER_DEFINED:
        return attributes
    what, text = f"attribute {NAME!r}", attributes.get(NAME)
    others = {name: value for name, value in attributes.items() if name != NAME}
    try:
        told = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        tally.wrong(f"{what}: found {text!r}, expected JSON that says what the store was made of")
        return others
    ids = [tracking_id(header) for header in files.headers]
    expected = {"dataset": dataset, "files": len(ids), "tracking_ids": ids}
    keys = [*expected, *FORMS]
    if list(told) != keys:
        tally.wrong(f"{what}: keys: found {list(told)}, expected {keys}")
        return others
    for name, value in expected.items():
        tally.same(f"{what}: {name}", json.dumps(told[name]), json.dumps(value))
    for name, form in FORMS.items():
        if not re.fullmatch(form, json.dumps(told[name])):
            tally.wrong(f"{what}: {name}: found {told[name]!r}, expected the form {form}")
    tally.same(what, text, json.dumps(told))  # not the same where a key is there twice
    return others


def tracking_id(header: Header) -> str | None:
    """Return the tracking_id of a file; None if it has no such text."""
    found = header.attributes.get("tracking_id")
    return found.value if found and found.kind != USER_DEFINED and isinstance(found.value, str) else None
