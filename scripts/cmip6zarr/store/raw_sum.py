"""The checksum of an object's raw values, whatever its codec.

For each byte of a value, the least significant first: XXH3-128 of this byte of all values, chunk after chunk in C
order, each chunk whole and in C order; and XXH3-128 of these digests.
"""

import numpy as np
import xxhash
from numcodecs.shuffle import Shuffle

from cmip6zarr.core.buffers import Bytes, scratch
from cmip6zarr.store.ledger import COPIED

BLOCK_VALUES = 2**17  # shuffled at once to be summed: what is in the cache of a core


class RawSum:
    """The checksum of the raw values of a shard, fed in order with values or with blocks of them that are shuffled."""

    def __init__(self, itemsize: int) -> None:
        self._planes = [xxhash.xxh3_128() for _ in range(itemsize)]
        self._copied = False

    def copied(self) -> None:
        """Give up the sum: values are in the shard that were not seen."""
        self._copied = True

    def update_shuffled(self, block: Bytes) -> None:
        """Add a block of values, shuffled: bytes."""
        for plane, part in zip(self._planes, block.reshape(len(self._planes), -1), strict=True):
            plane.update(part.data)

    def update(self, values: np.ndarray) -> None:
        """Add values, contiguous and little-endian."""
        data, step = values.reshape(-1).view("u1"), BLOCK_VALUES * len(self._planes)
        shuffled = scratch.get("shuffled", min(step, data.nbytes))
        for start in range(0, data.nbytes, step):
            block = data[start : start + step]
            self.update_shuffled(Shuffle(len(self._planes)).encode(block, out=shuffled[: block.nbytes]))

    def hexdigest(self) -> str:
        if self._copied:
            return COPIED
        return xxhash.xxh3_128(b"".join(plane.digest() for plane in self._planes)).hexdigest()
