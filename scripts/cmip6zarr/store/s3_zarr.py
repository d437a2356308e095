"""What zarr-python reads and writes of a store in a bucket."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Self

import obstore
from obstore.store import S3Store
from zarr.storage import ObjectStore

from cmip6zarr.store.s3_errors import asking

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class ZarrStore(ObjectStore[S3Store]):
    """As the store of zarr-python itself, but errors are errors, and an object is one PUT.

    `set_if_not_exists` asks first: a store that ignores If-None-Match would lose the attributes of the root group.
    """

    def __init__(self, store: S3Store, url: str, read_only: bool) -> None:
        super().__init__(store, read_only=read_only)
        self._url = url

    def __str__(self) -> str:
        return self._url

    def with_read_only(self, read_only: bool = False) -> Self:
        return type(self)(self.store, self._url, read_only)

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        with asking(f"{self._url}/{key}"):
            return await super().get(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: "BufferPrototype", key_ranges: "Iterable[tuple[str, ByteRequest | None]]"
    ) -> "list[Buffer | None]":
        return await asyncio.gather(*(self.get(key, prototype, byte_range) for key, byte_range in key_ranges))

    async def exists(self, key: str) -> bool:
        with asking(f"{self._url}/{key}"):
            return await super().exists(key)

    async def set(self, key: str, value: "Buffer") -> None:
        self._check_writable()
        with asking(f"{self._url}/{key}"):
            await obstore.put_async(self.store, key, value.as_buffer_like(), use_multipart=False)

    async def set_if_not_exists(self, key: str, value: "Buffer") -> None:
        if not await self.exists(key):
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        with asking(f"{self._url}/{key}"):
            await super().delete(key)

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        with asking(f"{self._url}/{prefix}"):
            names = [name async for name in super().list_dir(prefix)]
        for name in names:
            yield name
