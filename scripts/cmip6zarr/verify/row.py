"""The files of a dataset: its row of the catalogue, expanded to paths, against those of the inventory's receipt."""

import glob
import os
from collections import Counter
from pathlib import Path

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.inventory import Inventory, SourceFile

ANEW = "Run again: the dataset starts anew."


def paths_of(row: Dataset) -> list[str]:
    """Return the paths of a row's files: those listed, or the matches of its one glob pattern."""
    first = row.files[0]
    if len(row.files) == 1 and glob.has_magic(first) and not os.path.lexists(first):
        return sorted(glob.glob(first))  # noqa: PTH207
    return list(row.files)


def check_files(row: Dataset, inventory: Inventory) -> list[str]:
    """Return the paths of a row's files that the receipt of its inventory leaves out.

    Raises DatasetError: `source` for a file that came after the inventory, `mismatch` where the receipt has a file
    twice or one that is not of the row, or does not name just those that it leaves out.
    """
    paths, used = paths_of(row), [file.path for file in inventory.files]
    if inventory.row != row.digest:
        message = f"{row.id}: the inventory is of digest {inventory.row}, expected {row.digest} of the row."
        raise DatasetError("source", message, ANEW)
    problems = [f"{path}: found {n} times, expected once" for path, n in Counter(used).items() if n > 1]
    problems += [f"{path}: found in the receipt, expected files of the row only" for path in set(used) - set(paths)]
    missing = [path for path in dict.fromkeys(paths) if path not in set(used)]
    if inventory.left_out is not None:
        said = {file.path for file in inventory.left_out}
        problems += [f"{path}: found neither used nor left out, expected one" for path in missing if path not in said]
        problems += [f"{path}: found left out, expected a file of the row" for path in sorted(said - set(missing))]
    if problems:
        message = f"the inventory of {row.id} has not the files of its row: " + "; ".join(sorted(problems)) + "."
        raise DatasetError("mismatch", message, f"{ANEW} If it stays, report it as a bug.")
    return missing


def check_unchanged(file: SourceFile) -> None:
    """Raise DatasetError (`source`) unless a file still is the one of the inventory.

    Its size and times are compared, and which file it is; receipts of before have no `inode` and `ctime_ns`.
    """
    try:
        stat = Path(file.path).stat()
    except OSError as error:
        message = f"{file.path}: {error.strerror}."
        raise DatasetError("source", message, "Bring the file back and run again.") from error
    found = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino, "ctime_ns": stat.st_ctime_ns}
    if changed := [name for name, value in found.items() if getattr(file, name) not in (value, None)]:
        differ = ", ".join(f"{name} {found[name]}, expected {getattr(file, name)}" for name in changed)
        message = f"{file.path}: has changed since the inventory: found {differ}."
        raise DatasetError("source", message, ANEW)
