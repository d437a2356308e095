"""Are the bytes of the source files those that their archive has published?"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cmip6zarr.catalogue.dataset import Dataset, Published
from cmip6zarr.core.errors import DatasetError, Refused
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.verify.source import FETCH
from cmip6zarr.verify.tally import Policy, Tally

SUMS = {"SHA256": "sha256", "MD5": "md5"}
"""Kinds of checksum, as catalogues have them, and as hashlib has."""

REMEDY = "Fetch the file again, or correct the catalogue."


def published(row: Dataset, inventory: Inventory, left_out: Collection[str], policy: Policy) -> dict[str, Published]:
    """Return what has been published of the files of a row, {path: Published}, those without a checksum left out.

    `left_out` are the paths of files that are not in the store. Raises Refused: `checksum` where a file has another
    number of bytes than was published, or is none of the files at all; `no_checksum` where a file in the store has none
    and the policy asks for it. No file is read.
    """
    used = [file.path for file in inventory.files]
    told = {path: said for path, said in zip(row.files, row.published, strict=bool(row.published)) if said}
    if stray := sorted(told.keys() - set(used) - set(left_out)):
        raise Refused("checksum", f"{stray[0]}: found no such file, expected the one with the listed checksum.", REMEDY)
    for path in used:
        said = told.get(path)
        if said is None and policy.get("no_checksum") == "refuse":
            message = f"{path}: found no checksum in the catalogue, expected one for each file."
            raise Refused("no_checksum", message, "List it with a checksum, or set policy.no_checksum to allow.")
        if said is not None and said.bytes not in (None, size := Path(path).stat().st_size):
            message = (
                f"{path}: found {size} bytes, expected {said.bytes} as published, with {said.kind} {said.checksum}."
            )
            raise Refused("checksum", message, REMEDY)
    return told


@contextmanager
def as_published(path: str, told: Mapping[str, Published], tally: Tally) -> Iterator[None]:
    """Compare the checksum of a file, if one was published; a thread reads it while its values are read.

    So both come from one reading of the disk, as far as memory serves. Raises Refused (`checksum`) in the end, in place
    of whatever else was found of the file, and DatasetError (`source`) where it cannot be read.
    """
    if path not in told:
        yield
        return
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(sum_of, path, told[path].kind)
        try:
            yield
        except DatasetError:
            check(path, found.result(), told[path])
            raise
        check(path, found.result(), told[path])
    tally.files_as_published += 1


def sum_of(path: str, kind: str) -> str:
    """Return the checksum of a file, one of SUMS, in hexadecimal digits; raises DatasetError (`source`)."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, partial(hashlib.new, SUMS[kind], usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DatasetError("source", f"{path}: cannot be read: {error.strerror}.", FETCH) from error


def check(path: str, found: str, said: Published) -> None:
    """Raise Refused (`checksum`) unless the checksum of a file is the published one."""
    if found != said.checksum:
        message = f"{path}: found {said.kind} {found}, expected {said.checksum} as published."
        raise Refused("checksum", message, REMEDY)
