"""What a chunk of a store holds where it is a Blosc frame of zlib streams, each a block: taken apart, not inflated.

Of the frame (c-blosc, README_CHUNK_FORMAT.rst): a header of 16 bytes; where each block begins, int32; the blocks, each
an int32 of its length and as many bytes. A block of its own raw size is not compressed.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import google_crc32c
import numpy as np
from zarr.types import AnyArray

HEADER = struct.Struct("<4B3I")
ZLIB, SHUFFLED, NOT_SPLIT = 3, 1, 16
CHECKED_BY = 31  # RFC 1950: it divides the first two bytes of a stream
NOWHERE = 2**64 - 1
"""Offset and length of a chunk that a shard does not hold."""

Index = tuple[int, ...]


@dataclass(frozen=True)
class Form:
    """How the chunks of an array are coded, where that is Blosc with zlib in blocks of some bytes.

    `shards` is the shape of an object, that of a chunk where there is no sharding. `order` is `<` or `>`.
    """

    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    kind: str
    itemsize: int
    order: str
    shuffled: bool
    block_bytes: int
    crc32c: bool

    @property
    def dtype(self) -> np.dtype:
        """The dtype of its values as they are stored."""
        return np.dtype(self.order + np.dtype(self.kind).str[1:])

    @property
    def chunk_bytes(self) -> int:
        return prod(self.chunks) * self.itemsize

    def per_shard(self) -> tuple[int, ...]:
        """Return how many chunks an object has along each axis."""
        return tuple(shard // n for shard, n in zip(self.shards, self.chunks, strict=True))


def form_of(array: AnyArray) -> Form | None:
    """Return how the chunks of an array are coded, by its own metadata; None where that is anything else."""
    told: dict[str, Any] = array.metadata.to_dict()
    if told["zarr_format"] == 2:
        blosc, crc32c = told["compressor"] or {}, False
        order = str(told["dtype"])[0].replace("|", "<")
        plain = not told["filters"] and told["order"] == "C" and blosc.get("id") == "blosc"
        shuffled = {"0": False, "1": True}.get(str(blosc.get("shuffle")))
    else:
        names, configurations = _codecs(told["codecs"])
        order = {"little": "<", "big": ">", None: "<"}.get(configurations.get("bytes", {}).get("endian"), "")
        blosc, crc32c = configurations.get("blosc", {}), names[2:] == ["crc32c"]
        plain = names[:2] == ["bytes", "blosc"] and names[2:] in ([], ["crc32c"])
        plain = plain and blosc.get("typesize") == array.dtype.itemsize
        shuffled = {"noshuffle": False, "shuffle": True}.get(str(blosc.get("shuffle")))
    if not plain or blosc.get("cname") != "zlib" or shuffled is None or order not in ("<", ">"):
        return None
    return Form(
        chunks=array.chunks,
        shards=array.shards or array.chunks,
        kind=array.dtype.newbyteorder("=").name,
        itemsize=array.dtype.itemsize,
        order=order,
        shuffled=shuffled,
        block_bytes=blosc["blocksize"],
        crc32c=crc32c,
    )


def _codecs(codecs: list[dict[str, Any]]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the names of the codecs of a chunk in Zarr v3, and their configurations; none for a form not known."""
    if [codec["name"] for codec in codecs] == ["sharding_indexed"]:
        sharding = codecs[0]["configuration"]
        index = [codec["name"] for codec in sharding["index_codecs"]]
        little = sharding["index_codecs"][0].get("configuration", {}).get("endian") == "little"
        if index != ["bytes", "crc32c"] or not little or sharding.get("index_location", "end") != "end":
            return [], {}
        codecs = sharding["codecs"]
    return [codec["name"] for codec in codecs], {codec["name"]: codec.get("configuration", {}) for codec in codecs}


def chunks_of(data: memoryview, form: Form) -> Iterator[tuple[Index, memoryview | None]]:
    """Yield the chunks of an object: their place within it, counted in chunks, and their bytes without a checksum.

    None for one that is not there. Raises ValueError where a checksum, or the index of a shard, is not right.
    """
    places = list(product(*map(range, form.per_shard())))
    spans = [(0, len(data))]
    if form.shards != form.chunks:
        end = len(data) - 16 * len(places) - 4
        if end < 0:
            raise ValueError(f"found a shard of {len(data)} bytes, expected an index of {len(places)} chunks in it")
        index = struct.unpack(f"<{2 * len(places)}Q", unchecked(data[end:]))
        spans = list(zip(index[::2], index[1::2], strict=True))
    for place, (offset, size) in zip(places, spans, strict=True):
        if (offset, size) == (NOWHERE, NOWHERE):
            yield place, None
            continue
        if offset + size > len(data):
            raise ValueError(f"chunk {place} of a shard: found bytes {offset} to {offset + size} of {len(data)}")
        part = data[offset : offset + size]
        yield place, unchecked(part) if form.crc32c else part


def unchecked(data: memoryview) -> memoryview:
    """Return bytes without the CRC-32C behind them; raises ValueError where it is not theirs."""
    body = data[:-4]
    found, expected = bytes(data[-4:]), struct.pack("<I", google_crc32c.value(np.asarray(body)))
    if found != expected:
        raise ValueError(f"found the CRC-32C {found.hex()}, expected {expected.hex()}")
    return body


def blocks_of(frame: memoryview, form: Form) -> list[memoryview] | None:
    """Return the blocks of a frame; None for a frame that is right but put together in another way.

    Raises ValueError where a header does not say what the metadata of the array say.
    """
    if len(frame) < HEADER.size:
        raise ValueError(f"found a frame of {len(frame)} bytes, expected a header of {HEADER.size}")
    version, inner, flags, typesize, values_bytes, block_bytes, frame_bytes = HEADER.unpack_from(frame)
    found = {"codec": flags >> 5, "shuffled": bool(flags & SHUFFLED), "typesize": typesize, "bytes": values_bytes}
    expected = {"codec": ZLIB, "shuffled": form.shuffled, "typesize": form.itemsize, "bytes": form.chunk_bytes}
    if found != expected or frame_bytes != len(frame):
        raise ValueError(
            f"found a frame of {found} in {frame_bytes} bytes, expected {expected} by the metadata in {len(frame)}"
        )
    expected_flags = ZLIB << 5 | NOT_SPLIT | (SHUFFLED if form.shuffled else 0)
    if (version, inner, flags, block_bytes) != (2, 1, expected_flags, form.block_bytes):
        return None
    count = -(-values_bytes // block_bytes)
    blocks, end = [], HEADER.size + 4 * count
    if end > len(frame):
        return None
    for start in struct.unpack_from(f"<{count}I", frame, HEADER.size):
        if start != end or start + 4 > len(frame):
            return None
        (size,) = struct.unpack_from("<I", frame, start)
        end = start + 4 + size
        blocks.append(frame[start + 4 : end])
    return blocks if end == len(frame) else None


def begins_as_zlib(block: memoryview) -> bool:
    """Tell whether a block has the two bytes with which a zlib stream begins: the method deflate, a right check."""
    return len(block) > 1 and block[0] & 15 == zlib.DEFLATED and not (block[0] << 8 | block[1]) % CHECKED_BY


def inflates(block: memoryview, block_bytes: int) -> bool:
    """Tell whether a block is of its raw size, or one zlib stream of so many bytes."""
    if len(block) == block_bytes:
        return True
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(block, block_bytes + 1)
    except zlib.error:
        return False
    return len(raw) == block_bytes and stream.eof and not stream.unused_data
