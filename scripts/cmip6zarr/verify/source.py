"""The values of a source file, as the netCDF C library reads them: raw, in pieces of bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, prod
from typing import Any, Self

import netCDF4
import numpy as np

from cmip6zarr.core.errors import LIBRARY_ERRORS, DatasetError
from cmip6zarr.model.inventory import SourceFile
from cmip6zarr.verify.header import Header

FETCH = "Fetch the file again, then run again."
# The library takes 6.6 kB for each chunk of one read, and keeps 0.1 kB of each that it has ever read of an open file.
MOST_CHUNKS_AT_ONCE = 1000
MOST_CHUNKS_OPEN = 100_000


class Source:
    """One file, open to read; use as a context manager.

    It is closed and opened again after so many chunks that the library's notes of them do not fill the memory.
    """

    def __init__(self, header: Header):
        self.header, self.chunks_touched = header, 0
        self._nc: netCDF4.Dataset | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._nc is not None:
            self._nc.close()
        self._nc, self.chunks_touched = None, 0

    def read(self, name: str, region: tuple[slice, ...]) -> np.ndarray:
        """Return what is stored in a region of a variable: no mask, no scale, characters as S1.

        What lies beyond the extent of a variable in HDF5 is its fill value. Raises DatasetError (`source`).
        """
        variable = self.header.variables[name]
        extent = variable.extent or variable.shape
        inside = tuple(slice(r.start, max(r.start, min(r.stop, n))) for r, n in zip(region, extent, strict=True))
        try:
            if inside == region:
                return self._read(name, region)
            values = np.full([r.stop - r.start for r in region], self._fill(name), self.dtype(name))
            if all(r.start < r.stop for r in inside):
                part = tuple(slice(0, r.stop - r.start) for r in inside)
                values[part] = self._read(name, inside)
            return values
        except LIBRARY_ERRORS as error:
            where = [(r.start, r.stop) for r in region]
            message = f"{self.header.path}: {name!r} at {where}: the netCDF library cannot read it: {error}."
            raise DatasetError("source", message, FETCH) from error

    def _read(self, name: str, region: tuple[slice, ...]) -> np.ndarray:
        """Return a region that lies within the extent, read in pieces of at most MOST_CHUNKS_AT_ONCE chunks."""
        chunks = self.header.variables[name].chunks
        if not chunks or not region or touched(region, chunks) <= MOST_CHUNKS_AT_ONCE:
            return self._piece(name, region)
        values = np.empty([r.stop - r.start for r in region], self.dtype(name))
        for piece in pieces(region, chunks):
            target = tuple(slice(p.start - r.start, p.stop - r.start) for p, r in zip(piece, region, strict=True))
            values[target] = self._piece(name, piece)
        return values

    def _piece(self, name: str, region: tuple[slice, ...]) -> np.ndarray:
        chunks = self.header.variables[name].chunks
        if self.chunks_touched > MOST_CHUNKS_OPEN:
            self.close()
        self.chunks_touched += touched(region, chunks) if chunks else 1
        return np.asarray(self._open()[name][region or ...])

    def _open(self) -> netCDF4.Dataset:
        if self._nc is None:
            nc = netCDF4.Dataset(self.header.path)
            nc.set_auto_maskandscale(False)
            nc.set_auto_chartostring(False)
            nc.set_always_mask(False)
            self._nc = nc
        return self._nc

    def dtype(self, name: str) -> np.dtype:
        """Return the dtype of what `read` returns of a variable."""
        kind = self.header.variables[name].kind
        return np.dtype({"char": "S1", "string": "O"}.get(kind, kind))

    def _fill(self, name: str) -> Any:
        """Return what netCDF fills up a variable with."""
        variable = self.header.variables[name]
        if "_FillValue" in variable.attributes:
            return variable.value("_FillValue")
        defaults = netCDF4.default_fillvals | {"S1": b"\0", "O": ""}
        return defaults.get(self.dtype(name).str[1:])


@dataclass(frozen=True)
class Files:
    """The source files of a store in the order of time, to be read and compared.

    `ranges` are their steps as the inventory has them, `time_name` is their time coordinate. `memory_bytes` bounds what
    is held of their values at once. `identity` are the attributes that name a dataset of their project.
    """

    sources: tuple[Source, ...]
    ranges: tuple[SourceFile, ...]
    time_name: str | None
    memory_bytes: int
    identity: tuple[str, ...]

    @property
    def headers(self) -> list[Header]:
        return [source.header for source in self.sources]

    @property
    def first(self) -> Header:
        """What the first file says: the store has its structure and attributes from it."""
        return self.sources[0].header


def touched(region: tuple[slice, ...], chunks: tuple[int, ...]) -> int:
    """Return how many chunks of a grid a region touches.

    >>> touched((slice(3, 9), slice(0, 1)), (4, 1))
    3
    """
    return prod(ceil(r.stop / n) - r.start // n if r.stop > r.start else 0 for r, n in zip(region, chunks, strict=True))


def pieces(region: tuple[slice, ...], chunks: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield parts of a region, in C order, each of at most MOST_CHUNKS_AT_ONCE chunks of a grid.

    >>> [p.stop for (p,) in pieces((slice(0, 2500),), (1,))]
    [1000, 2000, 2500]
    """
    counts = [0] * len(region)
    left = MOST_CHUNKS_AT_ONCE
    for axis in reversed(range(len(region))):  # last axes whole first, as long as chunks are left
        counts[axis] = max(1, min(left, touched(region[axis : axis + 1], chunks[axis : axis + 1])))
        left //= counts[axis]
    axes = []
    for r, n, count in zip(region, chunks, counts, strict=True):
        edges = [r.start, *range((r.start // n + count) * n, r.stop, count * n), r.stop]
        axes.append([slice(a, b) for a, b in pairwise(edges)])
    yield from product(*axes)
