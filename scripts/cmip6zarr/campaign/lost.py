"""Stores of datasets that have receipts, and that are no more, or no longer sealed: a receipt is proven wrong."""

import os
from collections.abc import Sequence

from cmip6zarr.campaign import outdated
from cmip6zarr.catalogue import drs
from cmip6zarr.job.settings import Config
from cmip6zarr.store import backend, zarr_store


def untrue(names: Sequence[str], config: Config) -> dict[str, str]:
    """Return {dataset: rule} of the stores that are not there and sealed: the rule whose receipt is proven wrong.

    It is `convert` where there is no store, and `verify` where it is not sealed. The root metadata of each store in a
    folder is looked at, in whichever format it is. Buckets are not asked, which would take a request for each store:
    audits do that.
    """
    if config["store_root"].startswith(backend.SCHEME):
        return {}
    # Most are in the format of the configuration: of these one look is enough.
    formats = sorted(zarr_store.ROOT_KEYS, key=config["zarr_format"].__ne__)
    keys = [zarr_store.ROOT_KEYS[zarr_format][-1] for zarr_format in formats]
    unsealed = [zarr_store.held(key) for key in keys]

    def has(place: str, *names: str) -> bool:
        return any(os.path.exists(f"{place}/{name}") for name in names)  # noqa: PTH110

    def look(part: Sequence[str]) -> dict[str, str]:
        places = {name: drs.store_place(config["store_root"], name) for name in part}
        bare = {name: place for name, place in places.items() if not has(place, *keys)}
        return {name: "verify" if has(place, *unsealed) else "convert" for name, place in bare.items()}

    return outdated.side_by_side(look, names)
