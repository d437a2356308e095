"""How values are compressed: the codecs to choose from, the presets of the configuration, and the bytes of a shard."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import ClassVar, Literal

import google_crc32c
import imagecodecs
import numcodecs
import numcodecs.abc
import numpy as np
from zarr.codecs import BloscCodec, BytesCodec
from zarr.codecs.numcodecs import PCodec

from cmip6zarr.convert.hdf5_layout import Region
from cmip6zarr.core.buffers import Bytes, Parts, scratch
from cmip6zarr.core.chunks import BLOCK_BYTES
from cmip6zarr.core.files import JSON
from cmip6zarr.store.raw_sum import RawSum

MOST_OVERHEAD = 16  # bytes that Blosc may add to what does not compress
# A Blosc frame begins with version 2 of the format, version 1 of the inner codec, flags, itemsize, and the bytes of the
# values, of a block and of the frame; then comes where each block begins (c-blosc, README_CHUNK_FORMAT.rst).
BLOSC_HEADER = struct.Struct("<4B3I")
INNER_CODES = {"lz4": 1, "zlib": 3, "zstd": 4}
SHUFFLED, NOT_SPLIT = 1, 16  # flags: byte shuffle; a block is compressed at once and not byte by byte of the values
ABSENT = 2**64 - 1  # offset and length of a chunk that a shard does not hold


@dataclass(frozen=True)
class Blosc:
    """Blosc: inner codec, level, block size (0: its own), whether crc32c always follows in v3, and bytes are shuffled.

    The inner codec zlib is for native chunks, of which each is a block, and which may be of `big`-endian numbers.
    """

    inner: Literal["lz4", "zlib", "zstd"]
    level: int
    block_bytes: int
    crc32c: bool = True
    shuffle: bool = True
    big: bool = False

    @property
    def name(self) -> str:
        if self.inner == "zlib":
            more = ", not shuffled" * (not self.shuffle) + ", big-endian" * self.big
            return f"native chunks, blosc zlib of {self.block_bytes} bytes{more}"
        blocks = f" {self.block_bytes // 2**20} MiB blocks" if self.block_bytes else ""
        return f"blosc {self.inner}-{self.level}{blocks}"

    def fits(self, dtype: np.dtype) -> bool:  # noqa: ARG002
        return True

    def v2(self) -> numcodecs.abc.Codec:
        return numcodecs.Blosc(self.inner, self.level, int(self.shuffle), self.block_bytes)

    def v3(self, dtype: np.dtype) -> JSON:
        codec = BloscCodec(
            typesize=dtype.itemsize,
            cname=self.inner,
            clevel=self.level,
            shuffle="shuffle" if self.shuffle else "noshuffle",
            blocksize=self.block_bytes,
        )
        return {"compressors": [codec]} | ({"serializer": BytesCodec(endian="big")} if self.big else {})

    def encode(self, values: np.ndarray) -> memoryview:
        values = values.astype(values.dtype.newbyteorder(">")) if self.big else values
        encoded: Bytes = imagecodecs.blosc_encode(
            values,
            level=self.level,
            compressor=self.inner,
            shuffle=int(self.shuffle),
            typesize=values.dtype.itemsize,
            blocksize=self.block_bytes,
            numthreads=1,
            out=scratch.get("blosc", values.nbytes + MOST_OVERHEAD),
        )
        return encoded.data

    def encode_shuffled(self, blocks: Iterable[Bytes], values_bytes: int, itemsize: int) -> memoryview:
        """Return the frame of `values_bytes` of values that come as blocks of bytes, each shuffled by itself.

        All blocks but the last are of one size. The frame is valid until the next call in the same thread. Blosc itself
        takes values and not what is shuffled already; any Blosc reads the frame.
        """
        sizes: list[int] = []
        starts: list[int] = []
        frame, end = scratch.get("blosc", 0), 0
        for block in blocks:
            if not sizes:
                count = -(-values_bytes // block.nbytes)
                end = BLOSC_HEADER.size + 4 * count
                frame = scratch.get("blosc", end + values_bytes + 4 * count + bound(block.nbytes) - block.nbytes)
            sizes.append(block.nbytes)
            starts.append(end)
            compressed = self.compress(block, frame[end + 4 : end + 4 + bound(block.nbytes)])
            if len(compressed) >= block.nbytes:  # a block of its own size is one that is not compressed
                frame[end + 4 : end + 4 + block.nbytes] = block
            size = min(len(compressed), block.nbytes)
            struct.pack_into("<I", frame.data, end, size)
            end += 4 + size
        return self.framed(frame[:end], itemsize, values_bytes, sizes[0], starts)

    def framed(self, frame: Bytes, itemsize: int, values_bytes: int, block_bytes: int, starts: list[int]) -> memoryview:
        """Return a frame whose blocks are in place, each `block_bytes` of the values, with the header before them."""
        flags = INNER_CODES[self.inner] << 5 | NOT_SPLIT | (SHUFFLED if self.shuffle else 0)
        BLOSC_HEADER.pack_into(frame.data, 0, 2, 1, flags, itemsize, values_bytes, block_bytes, len(frame))
        struct.pack_into(f"<{len(starts)}I", frame.data, BLOSC_HEADER.size, *starts)
        return frame.data

    def compress(self, block: Bytes, out: Bytes) -> Bytes:
        """Return a block compressed into `out`; levels mean what they mean to Blosc."""
        compressed: Bytes
        if self.inner == "lz4":
            compressed = imagecodecs.lz4_encode(block, level=10 - self.level, header=False, out=out)
        else:
            compressed = imagecodecs.zstd_encode(block, level=2 * self.level - 1, out=out)
        return compressed


@dataclass(frozen=True)
class Pcodec:
    """Pcodec, which models numbers; its Zarr v3 name is registered, but not part of the core."""

    level: int
    crc32c: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"pcodec-{self.level}"

    def fits(self, dtype: np.dtype) -> bool:
        return dtype.kind in "fiu" and dtype.itemsize > 1

    def v2(self) -> numcodecs.abc.Codec:
        return numcodecs.PCodec(level=self.level)

    def v3(self, dtype: np.dtype) -> JSON:  # noqa: ARG002
        return {"serializer": PCodec(level=self.level), "compressors": []}

    def encode(self, values: np.ndarray) -> bytes:
        encoded: bytes = numcodecs.PCodec(level=self.level).encode(values)
        return encoded


@dataclass(frozen=True)
class Preset:
    """The codecs of a preset, the cheapest first; where there are several, a trial on sampled chunks takes one.

    With `smallest` that is the one that makes them smallest, else the first that makes them no bigger than they are in
    the source files.
    """

    codecs: tuple[Blosc | Pcodec, ...]
    smallest: bool = False


BALANCED = Preset(tuple(Blosc("zstd", level, BLOCK_BYTES) for level in (2, 3, 4)))
PRESETS = {
    "balanced": BALANCED,
    "fast": Preset((Blosc("lz4", 5, 0),)),
    "small": Preset((Blosc("zstd", 3, BLOCK_BYTES), Pcodec(6)), smallest=True),
    "portable": Preset(tuple(Blosc("zstd", level, BLOCK_BYTES, crc32c=False) for level in (1, 3, 5)), smallest=True),
    "native": BALANCED,
}
"""The presets of the configuration; that of native is for what cannot be copied.

Blosc's levels 1 to 5 of zstd are zstd's 1, 3, 5, 7 and 9. Measured on 28 whole-grid fields of real models, relative to
what CMOR writes (shuffle + deflate 1), the median field and the one that became biggest: level 1 0.99 and 1.05, level 2
0.97 and 1.05 for 1.3 times the CPU of compressing, level 3 0.96 and 1.01 for 2.8 times. Blosc's automatic block size
makes zstd 11 % bigger; for lz4 it is the best. Small takes about twice the CPU of balanced: pcodec's level 8
would save another 2 % for 15 % more. Portable has crc32c in shards only, since GDAL does not know it.
"""


@dataclass(frozen=True)
class Form:
    """How blocks of one array become objects: its chunk shape, the value of what lies beyond its edge, its codec."""

    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    beyond: np.generic | bytes
    codec: Blosc | Pcodec
    checksum: bool

    def encode(self, shape: tuple[int, ...], encode_chunk: Callable[[Region], Parts]) -> Parts:
        """Return the bytes, in parts, of the object that holds a shard, of which `shape` lies in the array.

        `encode_chunk` returns those of the chunk at a region of the shard. They are valid until the next call in the
        same thread.
        """
        if self.shards == self.chunks:
            return encode_chunk(tuple(slice(0, size) for size in shape))
        grid = [shard // chunk for shard, chunk in zip(self.shards, self.chunks, strict=True)]
        parts: list[bytes] = []
        index: list[int] = []
        offset = 0
        for place in product(*map(range, grid)):
            starts = [i * chunk for i, chunk in zip(place, self.chunks, strict=True)]
            if any(start >= size for start, size in zip(starts, shape, strict=True)):
                index += [ABSENT, ABSENT]
                continue
            ends = (min(start + n, size) for start, n, size in zip(starts, self.chunks, shape, strict=True))
            parts.append(b"".join(encode_chunk(tuple(map(slice, starts, ends)))))
            index += [offset, len(parts[-1])]
            offset += len(parts[-1])
        table = struct.pack(f"<{2 * prod(grid)}Q", *index)
        return [*parts, table, checksum(table)]

    def encode_values(self, values: np.ndarray, raw: RawSum) -> Parts:
        """Return one compressed chunk in parts; where it is short, at the edge of the array, it is filled up.

        Its values are added to the sum `raw`.
        """
        if values.shape != self.chunks:
            whole = np.full(self.chunks, self.beyond, values.dtype)
            whole[tuple(slice(0, n) for n in values.shape)] = values
            values = whole
        values = np.ascontiguousarray(values)
        raw.update(values)
        return self.checked(self.codec.encode(values))

    def checked(self, encoded: bytes | memoryview) -> Parts:
        """Return a compressed chunk in parts, with its checksum behind it if chunks have one."""
        return [encoded, checksum(encoded)] if self.checksum else [encoded]


def bound(size: int) -> int:
    """Return the most bytes that LZ4 or zstd makes of `size`: of their two formulas more than either."""
    return size + size // 128 + 512


def checksum(data: bytes | memoryview) -> bytes:
    """Return the four bytes that the codec crc32c of Zarr v3 puts behind data."""
    # It takes an array, but no memoryview.
    return struct.pack("<I", google_crc32c.value(np.frombuffer(data, "u1")))
