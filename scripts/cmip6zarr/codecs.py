"""How values are compressed: the codecs to choose from, the presets of the configuration, and the bytes of a shard."""

import struct
from dataclasses import dataclass
from itertools import product
from math import prod

import google_crc32c
import imagecodecs
import numcodecs
import numpy as np
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.codecs.numcodecs import PCodec

from .scratch import scratch

MOST_OVERHEAD = 16  # bytes that Blosc may add to what does not compress
ABSENT = 2**64 - 1  # offset and length of a chunk that a shard does not hold


@dataclass(frozen=True)
class Blosc:
    """Blosc with byte shuffle: inner codec, level, and block size (0: Blosc's own choice)."""

    inner: str
    level: int
    block_bytes: int

    @property
    def name(self) -> str:
        blocks = f" {self.block_bytes // 2**20} MiB blocks" if self.block_bytes else ""
        return f"blosc {self.inner}-{self.level}{blocks}"

    def fits(self, dtype: np.dtype) -> bool:  # noqa: ARG002
        return True

    def v2(self):
        return numcodecs.Blosc(self.inner, self.level, numcodecs.Blosc.SHUFFLE, self.block_bytes)

    def v3(self, dtype: np.dtype) -> dict:
        settings = {"cname": self.inner, "clevel": self.level, "shuffle": "shuffle", "blocksize": self.block_bytes}
        return {"compressors": [BloscCodec(**settings, typesize=dtype.itemsize), Crc32cCodec()]}

    def encode(self, values: np.ndarray) -> memoryview:
        return imagecodecs.blosc_encode(
            values,
            level=self.level,
            compressor=self.inner,
            shuffle=1,
            typesize=values.dtype.itemsize,
            blocksize=self.block_bytes,
            numthreads=1,
            out=scratch.get("blosc", values.nbytes + MOST_OVERHEAD),
        )


@dataclass(frozen=True)
class Pcodec:
    """Pcodec, which models numbers; its Zarr v3 name is registered, but not part of the core."""

    level: int

    @property
    def name(self) -> str:
        return f"pcodec-{self.level}"

    def fits(self, dtype: np.dtype) -> bool:
        return dtype.kind in "fiu" and dtype.itemsize > 1

    def v2(self):
        return numcodecs.PCodec(level=self.level)

    def v3(self, dtype: np.dtype) -> dict:  # noqa: ARG002
        return {"serializer": PCodec(level=self.level), "compressors": [Crc32cCodec()]}

    def encode(self, values: np.ndarray) -> bytes:
        return numcodecs.PCodec(level=self.level).encode(values)


MIB_8 = 8 * 2**20
PRESETS = {
    "balanced": (Blosc("zstd", 1, MIB_8),),
    "fast": (Blosc("lz4", 5, 0),),
    "small": (Blosc("zstd", 3, MIB_8), Pcodec(8)),
    "portable": (Blosc("zstd", 1, MIB_8), Blosc("zstd", 3, MIB_8), Blosc("zstd", 5, MIB_8)),
}
"""The codecs of each preset; where there are several, a trial on sampled chunks chooses for each variable.

Measured on 55 whole-grid fields of real models, relative to what CMOR writes (shuffle + deflate 1): balanced 0.95 of
the size, fast 1.16. Blosc's automatic block size would make balanced 1.06: it is the block size that loses to deflate,
not zstd. For lz4 the automatic one is best.
"""


@dataclass(frozen=True)
class Form:
    """How blocks of one array become objects: its chunk shape, the value of what lies beyond its edge, its codec."""

    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    beyond: np.generic | bytes
    codec: Blosc | Pcodec
    checksum: bool

    def encode(self, values: np.ndarray) -> list:
        """Return the bytes of the object that holds `values`, a shard or what of it lies in the array, in parts.

        They are valid until the next call in the same thread.
        """
        if self.shards == self.chunks:
            return self.encode_chunk(values)
        grid = [shard // chunk for shard, chunk in zip(self.shards, self.chunks, strict=True)]
        parts, index, offset = [], [], 0
        for place in product(*map(range, grid)):
            starts = [i * chunk for i, chunk in zip(place, self.chunks, strict=True)]
            if any(start >= size for start, size in zip(starts, values.shape, strict=True)):
                index += [ABSENT, ABSENT]
                continue
            part = values[tuple(slice(s, s + c) for s, c in zip(starts, self.chunks, strict=True))]
            parts.append(b"".join(self.encode_chunk(part)))
            index += [offset, len(parts[-1])]
            offset += len(parts[-1])
        table = struct.pack(f"<{2 * prod(grid)}Q", *index)
        return [*parts, table, checksum(table)]

    def encode_chunk(self, values: np.ndarray) -> list:
        """Return one compressed chunk in parts; where it is short, at the edge of the array, it is filled up."""
        if values.shape != self.chunks:
            whole = np.full(self.chunks, self.beyond, values.dtype)
            whole[tuple(slice(0, n) for n in values.shape)] = values
            values = whole
        encoded = self.codec.encode(np.ascontiguousarray(values))
        return [encoded, checksum(encoded)] if self.checksum else [encoded]


def checksum(data) -> bytes:
    """Return the four bytes that the codec crc32c of Zarr v3 puts behind data."""
    return struct.pack("<I", google_crc32c.value(data))
