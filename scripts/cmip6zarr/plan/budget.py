"""What a plan keeps to: the chunks and shards that are asked for, and what converting may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ChunkRule:
    """What the chunks and shards of fields are to be.

    `lengths` is {dimension: length of a chunk}, or None for chunks of `chunk_bytes` before compression: see
    `core.chunks.chunk_shapes`. Shards have at most `shard_bytes` before compression, 0 for no shards.
    """

    lengths: dict[str, int] | None
    chunk_bytes: int
    shard_bytes: int = 0


@dataclass(frozen=True)
class Budget:
    """What converting may take: at most `memory_bytes`, with `threads` at work.

    `uploads` is how many shards may wait, compressed, for a store that takes its time.
    """

    memory_bytes: int
    threads: int = 1
    uploads: int = 0
