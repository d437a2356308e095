"""The ledger's checksum of the values of each object, against the values that were read to be compared.

It is the one that the ledger describes as `raw_xxh3`, computed here in another way than convert does.
"""

from collections.abc import Iterator
from itertools import product
from math import ceil, prod

import numpy as np
import xxhash
from zarr.types import AnyArray

from cmip6zarr.store.ledger import COPIED
from cmip6zarr.store.zarr_store import chunk_key
from cmip6zarr.verify.tally import Tally

# Their bytes are sorted at once: few enough for the processor's cache.
PIECE_VALUES = 2**16

Index = tuple[int, ...]


class Sums:
    """The sums of the objects of one array, fed with regions of it.

    An object whose chunks do not come whole, and in their order, is read again by `finish`.
    """

    def __init__(self, array: AnyArray):
        self._array = array
        self._begun: dict[Index, tuple[int, list[xxhash.xxh3_128]]] = {}
        self._given_up: set[Index] = set()
        self._unit = array.shards or array.chunks
        self._per_unit = tuple(unit // n for unit, n in zip(self._unit, array.chunks, strict=True))
        self._counts = tuple(ceil(size / n) for size, n in zip(array.shape, array.chunks, strict=True))
        self.found: dict[str, str] = {}

    def add(self, region: tuple[slice, ...], values: np.ndarray) -> None:
        """Take what was read of a region."""
        grid = (range(r.start // n, ceil(r.stop / n)) for r, n in zip(region, self._array.chunks, strict=True))
        for chunk in product(*grid):
            place, unit = self._place(chunk), self._unit_of(chunk)
            if unit in self._given_up:
                continue
            if all(r.start <= p.start and p.stop <= r.stop for r, p in zip(region, place, strict=True)):
                here = tuple(slice(p.start - r.start, p.stop - r.start) for r, p in zip(region, place, strict=True))
                self._feed(unit, chunk, values[here])
            else:
                self._give_up(unit)

    def finish(self) -> None:
        """Read the objects again of which not all chunks have come whole and in order."""
        for unit in product(*(range(ceil(size / n)) for size, n in zip(self._array.shape, self._unit, strict=True))):
            if chunk_key(self._array, unit) not in self.found:
                self._begun.pop(unit, None)
                for chunk in product(*self._chunks_of(unit)):
                    self._feed(unit, chunk, np.asarray(self._array[self._place(chunk) or ...]))

    def _give_up(self, unit: Index) -> None:
        self._begun.pop(unit, None)
        self._given_up.add(unit)

    def _place(self, chunk: Index) -> tuple[slice, ...]:
        shape = zip(chunk, self._array.chunks, self._array.shape, strict=True)
        return tuple(slice(i * n, min((i + 1) * n, size)) for i, n, size in shape)

    def _unit_of(self, chunk: Index) -> Index:
        return tuple(i // per for i, per in zip(chunk, self._per_unit, strict=True))

    def _chunks_of(self, unit: Index) -> list[range]:
        each = zip(unit, self._per_unit, self._counts, strict=True)
        return [range(i * per, min((i + 1) * per, count)) for i, per, count in each]

    def _feed(self, unit: Index, chunk: Index, values: np.ndarray) -> None:
        """Add a chunk to the sum of its object if it is the next one of it."""
        ranges, number = self._chunks_of(unit), 0
        for i, each in zip(chunk, ranges, strict=True):
            number = number * len(each) + i - each.start
        following, planes = self._begun.get(unit) or (0, [xxhash.xxh3_128() for _ in range(self._array.dtype.itemsize)])
        if number != following:
            self._give_up(unit)
            return
        for piece in self._pieces(values):
            for plane, part in zip(planes, np.ascontiguousarray(piece.T), strict=True):
                plane.update(part)
        self._begun[unit] = number + 1, planes
        if number + 1 == prod(map(len, ranges)):
            del self._begun[unit]
            digests = b"".join(plane.digest() for plane in planes)
            self.found[chunk_key(self._array, unit)] = xxhash.xxh3_128(digests).hexdigest()

    def _pieces(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the bytes of a whole chunk, little-endian, one row a value, with the fill value beyond the array."""
        array = self._array
        little = array.dtype.newbyteorder("<")
        if values.shape != array.chunks:
            fill = array.dtype.type() if array.fill_value is None else array.fill_value
            whole = np.full(array.chunks, fill, little)
            whole[tuple(slice(0, n) for n in values.shape)] = values
            values = whole
        flat = np.ascontiguousarray(values, little).reshape(-1)
        for start in range(0, flat.size, PIECE_VALUES):
            yield flat[start : start + PIECE_VALUES].view("u1").reshape(-1, little.itemsize)


def compare_sums(sums: dict[str, Sums], raw: dict[str, str | None], tally: Tally) -> None:
    """Note a mismatch for each object of some arrays whose line in the ledger, {key: raw_xxh3}, has another sum.

    An object that was copied compressed has none there.
    """
    for each in sums.values():
        each.finish()
        for key, found in each.found.items():
            if raw.get(key) != COPIED:
                tally.same(f"ledger: raw_xxh3 of {key!r}", raw.get(key), found)
