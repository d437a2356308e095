"""Where the values of NetCDF-4 variables lie in a file, and how they are stored: asked of the HDF5 library once.

Only plain numbers in shuffled, deflated or bare chunks, or in one piece, have a layout here.
"""

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod

import h5py
import numpy as np

from cmip6zarr.core import open_timeout
from cmip6zarr.core.chunks import FILES_INDEXED
from cmip6zarr.core.errors import LIBRARY_ERRORS
from cmip6zarr.source.hdf5_contents import NOT_A_COORDINATE

DEFLATE, SHUFFLE, FLETCHER32 = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32
ZSTD = 32015  # registered with the HDF Group (github.com/HDFGroup/hdf5_plugins, RegisteredFilterPlugins.md)
# In the order in which they are applied; a bit of a chunk's filter mask tells that its filter was left out.
# Fletcher-32 is known where it is of the compressed bytes, as h5repack has it, and not of the values, as netCDF has it.
UNCHECKED: tuple[list[int], ...] = ([], [DEFLATE], [ZSTD], [SHUFFLE], [SHUFFLE, DEFLATE], [SHUFFLE, ZSTD])
KNOWN_PIPELINES = (*UNCHECKED, *([*some, FLETCHER32] for some in UNCHECKED))

Region = tuple[slice, ...]


class Index:
    """Where the chunks of a variable lie that were written, in chunks.INDEX_BYTES each: they may be a million."""

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
        counts = [-(-size // n) for size, n in zip(shape, chunks, strict=True)]
        self._weights = [prod(counts[axis + 1 :]) for axis in range(len(counts))]
        self._chunks, self._numbers, self._places = chunks, array("Q"), array("Q")

    def add(self, start: tuple[int, ...], place: tuple[int, int, int]) -> None:
        """Note the place of a chunk: (byte offset, bytes, filter mask) by the indices of its first value."""
        self._numbers.append(self._number(start))
        self._places.extend(place)

    def sort(self) -> None:
        """Put the chunks in the order of their numbers, as `get` needs them; HDF5 lists most so already."""
        numbers = np.frombuffer(self._numbers, "u8")
        if (numbers[1:] <= numbers[:-1]).any():
            order = np.argsort(numbers)
            places = np.frombuffer(self._places, "u8").reshape(-1, 3)[order].tobytes()
            self._numbers, self._places = array("Q", numbers[order].tobytes()), array("Q", places)

    def get(self, start: tuple[int, ...]) -> tuple[int, int, int] | None:
        """Return the place of a chunk, None if it was never written."""
        number = self._number(start)
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers) or self._numbers[at] != number:
            return None
        offset, size, mask = self._places[3 * at : 3 * at + 3]
        return offset, size, mask

    def _number(self, start: tuple[int, ...]) -> int:
        return sum(s // n * w for s, n, w in zip(start, self._chunks, self._weights, strict=True))


@dataclass(frozen=True)
class Layout:
    """Where the values of one variable lie in a file; those that were never written are all `fill`."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fill: np.generic


@dataclass(frozen=True)
class Contiguous(Layout):
    """All values from byte `offset` on, in C order; None: never written."""

    offset: int | None


@dataclass(frozen=True)
class Chunked(Layout):
    """Values in chunks, of which `index` has the places; `filters` are HDF5's numbers, in the order of writing."""

    filters: tuple[int, ...]
    chunks: tuple[int, ...]
    index: Index

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk before compression."""
        return prod(self.chunks) * self.dtype.itemsize


@lru_cache(FILES_INDEXED)
def layouts(path: str) -> dict[str, Layout]:
    """Return the layouts of a file's variables that can be read here; the others, and files not HDF5, are left out.

    Links that may lead out of the file are not followed.
    """
    try:
        with open_timeout.opening(path), h5py.File(path) as file:
            if file.userblock_size:
                return {}
            hard = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
            names = {name.removeprefix(NOT_A_COORDINATE) for name in hard if isinstance(file[name], h5py.Dataset)}
            found = {name: layout_of(file[hdf5_name(file, name)]) for name in names}
    except LIBRARY_ERRORS:
        return {}  # no HDF5, or damaged: the netCDF library will say what is wrong
    return {name: layout for name, layout in found.items() if layout}


def hdf5_name(file: h5py.File, name: str) -> str:
    """Return the name that a NetCDF variable has in HDF5: another if it is named as a dimension that is not its own."""
    return NOT_A_COORDINATE + name if NOT_A_COORDINATE + name in file else name


def layout_of(dataset: h5py.Dataset) -> Layout | None:
    """Return the layout of an HDF5 dataset, or None if the library must read it."""
    properties = dataset.id.get_create_plist()
    kind, dtype = properties.get_layout(), dataset.dtype
    if dtype.kind not in "iuf" or dtype.metadata or properties.get_external_count() or 0 in dataset.shape:
        return None
    fill = np.asarray(dataset.fillvalue, dtype).reshape(-1)[0]
    if kind == h5py.h5d.CONTIGUOUS:
        return Contiguous(dataset.shape, dtype, fill, dataset.id.get_offset())
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if kind != h5py.h5d.CHUNKED or filters not in KNOWN_PIPELINES:
        return None
    index = index_of(dataset, filters)
    return None if index is None else Chunked(dataset.shape, dtype, fill, tuple(filters), dataset.chunks, index)


def index_of(dataset: h5py.Dataset, filters: list[int]) -> Index | None:
    """Return where the chunks of a dataset lie, or None if those at its edge may be stored unfiltered.

    No function of h5py tells of that setting (H5Pset_chunk_opts): such chunks have the size of whole ones.
    """
    shape, chunks = dataset.shape, dataset.chunks
    index, whole = Index(shape, chunks), prod(chunks) * dataset.dtype.itemsize
    ragged = filters and any(size % n for size, n in zip(shape, chunks, strict=True))

    def note(chunk: h5py.h5d.StoreInfo) -> bool | None:
        start = chunk.chunk_offset
        index.add(start, (chunk.byte_offset, chunk.size, chunk.filter_mask))
        if ragged and chunk.size == whole and not chunk.filter_mask:
            return any(s + n > size for s, n, size in zip(start, chunks, shape, strict=True)) or None
        return None

    unfiltered = dataset.id.chunk_iter(note)
    index.sort()
    return None if unfiltered else index


def stored_bytes(layout: Layout, region: Region) -> float:
    """Return what a region of a variable takes in its file: of a chunk, as much as lies in the region."""
    if not isinstance(layout, Chunked):
        size: int = prod(r.stop - r.start for r in region) * layout.dtype.itemsize
        return size
    taken = 0.0
    whole = tuple(slice(0, size) for size in layout.shape)
    for start in product(*starts_in(layout, region)):
        if place := layout.index.get(start):
            sizes = [[r.stop - r.start for r in intersection(start, layout.chunks, box)] for box in (region, whole)]
            taken += place[1] * prod(sizes[0]) / prod(sizes[1])
    return taken


def starts_in(layout: Chunked, region: Region) -> list[range]:
    """Return, for each axis, where the chunks begin that have values of a region."""
    return [range(r.start // c * c, r.stop, c) for r, c in zip(region, layout.chunks, strict=True)]


def intersection(start: tuple[int, ...], chunks: tuple[int, ...], region: Region) -> Region:
    """Return what a chunk has in common with a region."""
    return tuple(slice(max(s, r.start), min(s + c, r.stop)) for s, c, r in zip(start, chunks, region, strict=True))
