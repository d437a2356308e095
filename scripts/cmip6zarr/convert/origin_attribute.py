"""The attribute of a store that says what it was made of, and by what: so the copy of a store alone is no orphan."""

import json
from datetime import datetime

from cmip6zarr import RECIPE
from cmip6zarr.core.files import JSON
from cmip6zarr.model.inventory import Attribute, Inventory

NAME = "cmip6_zarr"


def made(inventory: Inventory, version: str, now: datetime) -> JSON:
    """Return {NAME: what a store says of its origin}; empty if its source has an attribute of this name, which is kept.

    It is JSON in a text, since what is read from the store must fit into a NetCDF file again. `version` is that of this
    workflow; `now`, the date of the conversion, is in UTC.
    """
    if NAME in inventory.attributes:
        return {}
    told = {
        "dataset": inventory.dataset,
        "files": len(inventory.files),
        "tracking_ids": tracking_ids(inventory),
        "recipe": RECIPE,
        "version": version,
        "converted": f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }
    return {NAME: json.dumps(told)}


def tracking_ids(inventory: Inventory) -> list[str | None]:
    """Return the tracking_id of each file, in the order of time; None for a file that has no such text."""
    name = "tracking_id"
    found: list[Attribute | None] = [inventory.attributes.get(name) for _ in inventory.files]
    for each in inventory.differing_attributes:
        for values in each.values if (each.variable, each.attribute) == ("", name) else ():
            for number, file in enumerate(inventory.files):
                if values.start <= file.start < values.stop:
                    found[number] = values.value
    texts = (value and value[1] for value in found)
    return [text.rstrip("\0") if isinstance(text, str) else None for text in texts]
