"""A dataset as the catalogue lists it, and the small file in which the controller hands it to its jobs."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cmip6zarr.catalogue import projects
from cmip6zarr.catalogue.projects import Project
from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError

FOLDER = "datasets"
"""Of these files, in the results."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset's id and its files: absolute paths in order, or one glob pattern; their bytes, where all are told.

    `own` is the file of its project, where that is none of the built-in ones.
    """

    id: str
    files: tuple[str, ...]
    source_bytes: int | None = None
    own: str | None = None

    @property
    def project(self) -> Project:
        """The project in whose words the id is; raises ProjectError where its file cannot be used."""
        return projects.load(self.own) if self.own else projects.of(self.id)

    @property
    def facets(self) -> dict[str, str]:
        """The words of the id, by the facets of the project."""
        return self.project.words(self.id)

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change when the id or the list of files does, and only then."""
        return hashlib.sha256("\n".join((self.id, *self.files)).encode()).hexdigest()[:16]


def path_of(results: str | Path, name: str) -> Path:
    """Return where the file of a dataset lies."""
    return Path(results, FOLDER, f"{name}.json")


def hand_over(results: str | Path, rows: Iterable[Dataset]) -> None:
    """Write the files of datasets, for jobs that then need not read the catalogue; one that is right already stays.

    They are not synced: a run writes them again. Raises DatasetError as `files.writing` does.
    """
    with files.writing(path_of(results, "")):
        Path(results, FOLDER).mkdir(parents=True, exist_ok=True)
    for row in rows:
        path = path_of(results, row.id)
        told = {"dataset": row.id, "files": row.files, "source_bytes": row.source_bytes, "project": row.own}
        text = json.dumps(told) + "\n"
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        with files.writing(path):
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)


def handed_over(results: str | Path, name: str, digest: str | None = None) -> Dataset:
    """Return a dataset from its file; raises DatasetError (`catalogue`) if it is not there, or has another digest."""
    path = path_of(results, name)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        row = Dataset(told["dataset"], tuple(told["files"]), told["source_bytes"], told.get("project"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{path}: not the file of a dataset, which a run writes when it begins: {error!r}."
        raise DatasetError("catalogue", message, "Run again.") from error
    if row.id != name or digest not in (None, row.digest):
        message = f"{path}: found the files of {row.id} with digest {row.digest}, expected {name} with {digest}."
        raise DatasetError("catalogue", message, "The catalogue changed after the start: run again.")
    return row
