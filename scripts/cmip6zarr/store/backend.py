"""Where the objects of a store lie: a folder, or a prefix of an S3 bucket. Nothing else knows the difference.

Whatever takes a store takes its home, or a path or URL, of which `at` makes one.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cmip6zarr.store.folder import Folder
from cmip6zarr.store.interface import Home

if TYPE_CHECKING:
    from cmip6zarr.store.s3_client import Settings

SCHEME = "s3://"
Place = str | Path | Home
"""Where a store lies."""


def at(place: Place, settings: "Settings | None" = None, draft: Path | None = None) -> Home:
    """Return the home of the store at a path or URL; of a home, itself.

    For a store in a bucket `settings` say how it is asked, and `draft` is the file that is its ledger while it is
    written. Raises DatasetError (`store`) for a URL that is none.
    """
    if isinstance(place, Home):
        return place
    if isinstance(place, str) and place.startswith(SCHEME):
        from cmip6zarr.store import s3, s3_client  # only who needs them waits for them

        return s3.Prefix(place, settings or s3_client.Settings(), draft)
    return Folder(Path(place))
