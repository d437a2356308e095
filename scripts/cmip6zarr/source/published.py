"""What can be told of published checksums before a file is read; the sums themselves are compared by verify."""

from collections.abc import Sequence
from pathlib import Path

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import Refused
from cmip6zarr.source.policy import Judge, remedy


def check_published(row: Dataset, paths: Sequence[str], judge: Judge) -> None:
    """Raise Refused for a file that cannot be the published one, or has no checksum though the policy asks for it.

    `paths` are the files of the row. The first is of kind `checksum`: the file has another number of bytes than was
    published with its checksum. The other is of kind `no_checksum`. A file that is not there is refused elsewhere.
    """
    told = dict(zip(row.files, row.published, strict=bool(row.published)))
    for path in paths:
        said = told.get(path)
        if said is None and judge.policy["no_checksum"] == "refuse":
            message = f"{path}: found no checksum in the catalogue, expected one for each file."
            raise Refused("no_checksum", message, remedy("no_checksum", "allow", "List it with a checksum"))
        if said is None or said.bytes is None or not Path(path).exists():
            continue
        size = Path(path).stat().st_size
        if size != said.bytes:
            message = (
                f"{path}: found {size} bytes, expected {said.bytes} as published, with {said.kind} {said.checksum}."
            )
            raise Refused("checksum", message, "Fetch the file again, or correct the catalogue.")
