"""Zarr stores: unsealed while they are written, strict when we read them, sealed when they are proven.

The root metadata of an unsealed store lies under names that no reader looks for (`zarr.json.unsealed`), so the store
does not open. Sealing gives it its name; that is the last thing that happens to a store.
"""

import warnings
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, Any, Self

import xxhash
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import WrapperStore

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.store import backend
from cmip6zarr.store.backend import Place

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

# Beside a store: it is ours, and where it came from, file by file.
PROVENANCE = ".provenance.json"

# In the order in which they are sealed: what makes a group of it comes last.
ROOT_KEYS = {2: (".zattrs", ".zmetadata", ".zgroup"), 3: ("zarr.json",)}
ALL_ROOT_KEYS = {key for keys in ROOT_KEYS.values() for key in keys}
METADATA_NAMES = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
UNSEALED = ".unsealed"


def held(key: str) -> str:
    """Return the name under which an unsealed store keeps a key: root metadata has another than readers look for."""
    return key + UNSEALED if key in ALL_ROOT_KEYS else key


def sealed_name(key: str) -> str:
    """Return the name that an object of a store, sealed or not, has in the sealed one."""
    bare = key.removesuffix(UNSEALED)
    return bare if bare in ALL_ROOT_KEYS else key


class UnsealedStore(WrapperStore[Store]):
    """A store that its writer and its verifier can open, and nobody else; `fence` is called before each request."""

    def __init__(self, store: Store, fence: Callable[[], None] = lambda: None) -> None:
        super().__init__(store)
        self._fence = fence

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._fence)

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        self._fence()
        return await self._store.get(held(key), prototype, byte_range)

    async def set(self, key: str, value: "Buffer") -> None:
        self._fence()
        await self._store.set(held(key), value)

    async def set_if_not_exists(self, key: str, value: "Buffer") -> None:
        self._fence()
        await self._store.set_if_not_exists(held(key), value)

    async def exists(self, key: str) -> bool:
        self._fence()
        return await self._store.exists(held(key))

    async def delete(self, key: str) -> None:
        self._fence()
        await self._store.delete(held(key))

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        async for name in self._store.list_dir(prefix):
            yield sealed_name(name)


class MissingChunkError(DatasetError):
    """A chunk that must be there is not; zarr would have read fill values instead."""


class StrictStore(WrapperStore[Store]):
    """A store whose absent chunks raise instead of reading as fill values."""

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        value = await self._store.get(key, prototype, byte_range)
        if value is None and key.rsplit("/", 1)[-1] not in METADATA_NAMES:
            raise MissingChunkError("chunks", f"{self._store}: chunk {key!r} is missing.", "Run again.")
        return value


class CheckedStore(StrictStore):
    """A strict store that checks each object, when it is read whole, against checksums: {key: XXH3-128}.

    What is read in parts, the chunks of a shard, carries a checksum that zarr checks. `checked` has the keys of objects
    that have been read whole, and are right.
    """

    def __init__(self, store: Store, checksums: dict[str, str]) -> None:
        super().__init__(store)
        self._checksums = checksums
        self.checked: set[str] = set()

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._checksums)

    async def get(
        self, key: str, prototype: "BufferPrototype", byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        value = await super().get(key, prototype, byte_range)
        if value is not None and byte_range is None:
            found, expected = xxhash.xxh3_128_hexdigest(value.as_buffer_like()), self._checksums.get(key)
            if found != expected:
                message = f"{self._store}: object {key!r} has changed: found checksum {found}, expected {expected}."
                raise DatasetError("chunks", message, "Run the workflow's audit, then the workflow again.")
            self.checked.add(key)
        return value


@contextmanager
def quiet() -> Iterator[None]:
    """Hush zarr's warnings of what is done on purpose in Zarr v3: characters as S1, pcodec, consolidated metadata."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
        warnings.filterwarnings("ignore", message=".*Consolidated metadata is currently not part.*")
        warnings.filterwarnings("ignore", message="Numcodecs codecs are not in the Zarr version 3 specification.*")
        yield


def open_store(path: Place, read_only: bool = True) -> Store:
    """Return the bare store at its home."""
    return backend.at(path).zarr_store(read_only)


def open_unsealed(path: Place, checksums: dict[str, str] | None = None, consolidated: bool = False) -> zarr.Group:
    """Open the group of a store that is not sealed, to read; missing chunks raise.

    With `checksums` of its objects changed ones raise too, as in `open_sealed`. Metadata are each array's own, or the
    consolidated ones at the root. Raises DatasetError where there is no store.
    """
    store = strict(UnsealedStore(open_store(path)), checksums)
    try:
        return zarr.open_group(store, mode="r", use_consolidated=consolidated)
    except FileNotFoundError as error:
        raise DatasetError("store", f"{path}: no unsealed store.", "Run again.") from error


def open_sealed(path: Place, checksums: dict[str, str] | None = None) -> zarr.Group:
    """Open the group of a store that has been proven, to read; missing chunks raise.

    With `checksums`, {key: XXH3-128} of all its objects, one that has changed raises too when it is read. Raises
    DatasetError where there is no store, or it is not sealed.
    """
    if not is_sealed(path):
        message = f"{path}: found no sealed store, expected one that verify has proven."
        raise DatasetError("store", message, "Name a store of ours; if it is not sealed, run the workflow again.")
    return zarr.open_group(strict(open_store(path), checksums), mode="r", use_consolidated=False)


def strict(store: Store, checksums: dict[str, str] | None) -> StrictStore:
    """Return a store whose absent chunks raise, and with checksums, {key: XXH3-128}, changed objects too."""
    return StrictStore(store) if checksums is None else CheckedStore(store, checksums)


def list_objects(path: Place) -> dict[str, int]:
    """Return {key: bytes} of every object of a store; empty where there is no store."""
    return backend.at(path).list()


def expected_chunks(array: zarr.Array[Any]) -> list[str]:
    """Return the keys that a fully written array has, relative to the root of its store."""
    per = array.shards or array.chunks
    grid = product(*(range(ceil(size / chunk)) for size, chunk in zip(array.shape, per, strict=True)))
    return [chunk_key(array, index) for index in grid]


def chunk_key(array: zarr.Array[Any], index: tuple[int, ...]) -> str:
    """Return the key of the object that holds a shard (or chunk) of an array, relative to the root of its store."""
    return f"{array.path}/{array.metadata.encode_chunk_key(index)}"


def read_chunk(array: zarr.Array[Any], index: tuple[int, ...]) -> bytes:
    """Return the object that holds a shard (or chunk) of an array, by way of the store that the array is opened from.

    So it is checked as that store checks what zarr reads.
    """
    value = sync(array.store_path.store.get(chunk_key(array, index), default_buffer_prototype()))
    if value is None:
        raise FileNotFoundError(f"{array.store_path}: there is no chunk {list(index)}")
    return value.to_bytes()


def digest(path: Place, key: str) -> tuple[int, str]:
    """Return the bytes of an object of a store and its XXH3-128; raises OSError where it cannot be read.

    Root metadata is found under its own name or that of an unsealed store.
    """
    home = backend.at(path)
    try:
        return home.digest(key)
    except FileNotFoundError:
        if key not in ALL_ROOT_KEYS:
            raise
        return home.digest(held(key))


def array_of(key: str) -> str:
    """Return the name of the array that an object belongs to, "" for those of the root.

    >>> array_of("tas/c/0/0/0"), array_of("tas/c.0.0.0"), array_of("tas/zarr.json"), array_of("zarr.json")
    ('tas', 'tas', 'tas', '')
    """
    name, slash, _ = key.partition("/")
    return name if slash else ""


def is_chunk(key: str) -> bool:
    """Tell whether an object's key is that of a chunk and not of metadata."""
    return key.rsplit("/", 1)[-1].removesuffix(UNSEALED) not in METADATA_NAMES


def is_sealed(path: Place) -> bool:
    """Tell whether readers can open the store."""
    return any(backend.at(path).has(key) for key in ("zarr.json", ".zgroup"))


def seal(path: Place, zarr_format: int) -> None:
    """Give the root metadata of a verified store its names: from now on it opens, and others may replace it.

    Raises DatasetError (`busy`) if another process has taken the store, or the ledger is not the one that was proven.
    """
    home = backend.at(path)
    for key in ROOT_KEYS[zarr_format]:
        home.fence(now=True)
        rename_root(home, [(key + UNSEALED, key)])
    home.release()


def unseal(path: Place) -> None:
    """Take the store away from its readers, before a chunk of it changes. Nothing happens if it is not sealed."""
    home = backend.at(path)
    present = [key for keys in ROOT_KEYS.values() for key in reversed(keys) if home.has(key)]
    rename_root(home, [(key, key + UNSEALED) for key in present])


def rename_root(path: Place, names: list[tuple[str, str]]) -> None:
    """Rename objects at a store's root one by one."""
    for old, new in names:
        try:
            backend.at(path).rename(old, new)
        except FileNotFoundError:
            raise DatasetError("store", f"{path}: {old!r} is missing.", "Run again.") from None


def check_ours(path: Place) -> None:
    """Raise DatasetError (`store`) if there is something at the place of a store that this workflow did not make."""
    home = backend.at(path)
    if home.occupied() and not (home.genuine() and home.read_beside(PROVENANCE) is not None):
        message = f"{home}: exists, and {home.name}{PROVENANCE} beside it, which would make it ours, does not."
        raise DatasetError("store", message, "Move it away, or choose another store_root.")


def sweep(path: Place, keep: Collection[str]) -> None:
    """Remove from a store of ours all objects but those with keys in `keep`; it is unsealed first.

    What was cut off while it was written goes too, and so do links and empty folders, of which none is ours. Raises
    DatasetError for what this workflow did not make.
    """
    home = backend.at(path)
    check_ours(home)
    unseal(home)
    if keep:
        home.delete((home.list().keys() | home.strangers().keys()) - set(keep))
    else:
        home.clear()
