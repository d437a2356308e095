"""A store under a prefix of an S3 bucket, and how the bucket is asked.

The client is obstore: one PUT for an object, which is there whole or not at all. Its defaults are replaced where they
lose data or give up early: uploads in parts, 30 s for a whole request, retries for seconds only.

S3 cannot append to an object. While a store is written its ledger is a file of the campaign's, and is put beside the
store when that is complete. A second campaign, whose results lie elsewhere, is kept out by an object beside the store,
which the writer puts there before its first object and takes away when it has sealed.
"""

import hashlib
import json
import platform
import re
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

import obstore
import xxhash
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from cmip6zarr.core import files
from cmip6zarr.core.buffers import Parts
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.store.interface import LEDGER, READ_BYTES, Home, Put, Written
from cmip6zarr.store.s3_client import Settings, client
from cmip6zarr.store.s3_errors import ERRORS, asking, failure, was_cut, was_damaged
from cmip6zarr.store.s3_zarr import ZarrStore

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult
    from obstore.store import S3Store

WRITER = ".writer.json"
UPLOADS = 3  # of an object that does not arrive as it was sent
LISTINGS = 3  # whose answer breaks off, which obstore does not ask for again
DELETIONS = 3  # whose answer is lost, likewise
# An address, a bucket's name by the rules of S3, and words in which no client has to quote anything.
URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*)/?")


class Prefix(Home):
    """A store in a bucket: its objects have the keys below a prefix.

    `draft` is the file that is the ledger while the store is written; without one a store can only be read.
    """

    def __init__(self, url: str, settings: Settings, draft: Path | None = None) -> None:
        match = URL.fullmatch(url)
        if not match:
            message = f"{url!r:.300}: expected s3://BUCKET/PREFIX of letters, digits and . _ = -, no word in dots."
            raise DatasetError("store", message, "Correct store_root.")
        self.bucket, self.key = match[1], match[2].strip("/")
        self.settings, self.draft = settings, draft
        self.tells_md5 = False  # known once the writer's object has been read

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def threads(self) -> int:
        # A request for a small object is waiting, mostly; of large ones each thread holds a piece.
        return 2 * self.settings.concurrency

    @property
    def uploads(self) -> int:
        return self.settings.concurrency

    @property
    def ledger(self) -> Path:
        if self.draft is None:
            raise DatasetError("store", f"{self}: is open to read, expected to write.", "Report this as a bug.")
        return self.draft

    @cached_property
    def _inside(self) -> "S3Store":
        return client(self.settings, self.bucket, self.key)

    @cached_property
    def _outside(self) -> "S3Store":
        return client(self.settings, self.bucket, self.key.rpartition("/")[0])

    def room(self) -> None:
        return None

    def reach(self) -> None:
        with asking(str(self)):
            next(iter(obstore.list(client(self.settings, self.bucket, self.key, quick=True), chunk_size=1)), None)

    def zarr_store(self, read_only: bool = True) -> ZarrStore:
        return ZarrStore(self._inside, str(self), read_only)

    def _listed(self, tries: int = LISTINGS) -> "list[ObjectMeta]":
        try:
            return [found for page in obstore.list(self._inside, chunk_size=1000) for found in page]
        except ERRORS as error:
            if tries > 1 and was_cut(error):
                return self._listed(tries - 1)
            raise failure(str(self), error) from None

    def list(self) -> dict[str, int]:
        return {found["path"]: found["size"] for found in self._listed()}

    def strangers(self) -> dict[str, str]:
        return {}  # all that is there is an object

    def md5s(self) -> dict[str, str | None]:
        return {found["path"]: tag(found) for found in self._listed()}

    def has(self, key: str) -> bool:
        try:
            with asking(f"{self}/{key}"):
                obstore.get(self._inside, key)  # not HEAD, whose answer cannot say that there is no bucket
        except FileNotFoundError:
            return False
        return True

    def put(self, key: str, parts: Parts) -> Written:
        data = b"".join(parts)
        checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
        made = Written(len(data), xxhash.xxh3_128(data).hexdigest(), checksum)
        for left in reversed(range(UPLOADS)):
            self.fence()
            try:
                said = tag(obstore.put(self._inside, key, data, use_multipart=False))
            except ERRORS as error:
                if left and was_damaged(error):
                    continue
                raise failure(f"{self}/{key}", error) from None
            if said == checksum or not self.tells_md5:
                return made._replace(md5=checksum if said == checksum else None)
        message = f"{self}/{key}: found ETag {said!r} after {UPLOADS} uploads, expected its MD5 {checksum!r}."
        raise DatasetError("store", message, "Look at the network between here and the store, then run again.")

    @contextmanager
    def writing(self, uploads: int) -> Iterator[Put]:
        room, waiting, lock = BoundedSemaphore(max(1, uploads)), deque[Future[None]](), Lock()

        def upload(key: str, data: bytes, then: Callable[[Written], None]) -> None:
            try:
                then(self.put(key, [data]))
            finally:
                room.release()

        def put(key: str, parts: Parts, then: Callable[[Written], None]) -> None:
            room.acquire()
            with lock:
                while waiting and waiting[0].done():
                    waiting.popleft().result()
                # Joined here: the parts are the thread's own buffers, and hold something else soon.
                waiting.append(pool.submit(upload, key, b"".join(parts), then))

        with ThreadPoolExecutor(max(1, uploads)) as pool:
            yield put
            for future in waiting:
                future.result()

    def read(self, key: str) -> bytes:
        with asking(f"{self}/{key}"):
            return bytes(obstore.get(self._inside, key).bytes())

    def digest(self, key: str) -> tuple[int, str]:
        checksum, size = xxhash.xxh3_128(), 0
        with asking(f"{self}/{key}"):
            for data in obstore.get(self._inside, key).stream(min_chunk_size=READ_BYTES):
                checksum.update(data)
                size += len(data)
        return size, checksum.hexdigest()

    def rename(self, old: str, new: str) -> None:
        self.put(new, [self.read(old)])
        self.delete([old])

    def delete(self, keys: Collection[str]) -> None:
        for left in reversed(range(DELETIONS if keys else 0)):
            self.fence()
            try:
                obstore.delete(self._inside, list(keys))
                break
            except ERRORS as error:
                if not left:
                    raise failure(f"{self}: {len(keys)} objects to delete", error) from None

    def clear(self) -> None:
        self.delete(self.list())

    def occupied(self) -> bool:
        with asking(str(self)):
            return any(obstore.list(self._inside, chunk_size=1))

    def genuine(self) -> bool:
        return True

    def read_beside(self, end: str) -> bytes | None:
        try:
            with asking(f"{self}{end}"):
                found = obstore.get(self._outside, self.name + end)
                data = bytes(found.bytes())
        except FileNotFoundError:
            return None
        if end == WRITER:
            self.tells_md5 = tag(found.meta) == hashlib.md5(data, usedforsecurity=False).hexdigest()
        return data

    def write_beside(self, end: str, text: str) -> None:
        self.fence()
        with asking(f"{self}{end}"):
            obstore.put(self._outside, self.name + end, text.encode(), use_multipart=False)

    def put_ledger(self, lines: Iterable[str]) -> None:
        self.write_beside(LEDGER, "".join(lines))

    @property
    def _token(self) -> Path:
        """The campaign's own copy of what it has put beside the store as its writer."""
        return self.ledger.with_suffix(WRITER)

    def claimed(self) -> bool:
        theirs = self.read_beside(WRITER)
        if theirs is None or (self._token.is_file() and self._token.read_bytes() == theirs):
            return theirs is not None
        try:
            who = "{results} on {host} since {since}".format_map(json.loads(theirs))
        except (ValueError, KeyError, TypeError):
            who = "somebody"
        message = f"{self}: {who} is writing this store, by the object {self.name}{WRITER} beside it."
        raise DatasetError("busy", message, "Wait; or, if that campaign has been given up, delete the object.")

    def claim(self) -> None:
        facts = {"token": secrets.token_hex(16), "host": platform.node(), "results": str(self.ledger.parent.parent)}
        text = json.dumps(facts | {"since": datetime.now(UTC).isoformat(timespec="seconds")})
        files.write_text(self._token, text)
        outside = client(self.settings, self.bucket, self.key.rpartition("/")[0], quick=True)
        try:
            obstore.put(outside, self.name + WRITER, text.encode(), use_multipart=False, mode="create")
        except (AlreadyExistsError, PreconditionError):
            pass  # perhaps by this very request, whose answer was lost: what is there will tell
        except (BaseError, OSError):
            self.write_beside(WRITER, text)  # not every store knows If-None-Match
        self.check_claim()

    def check_claim(self) -> None:
        if not self.claimed():
            message = f"{self}: found no {self.name}{WRITER} beside it, expected this campaign's own."
            raise DatasetError("busy", message, "Somebody has taken the store: let one campaign alone write it.")

    def release(self) -> None:
        self.fence(now=True)
        with asking(f"{self}{WRITER}"):
            obstore.delete(self._outside, [self.name + WRITER])
        self._token.unlink(missing_ok=True)


def tag(told: "ObjectMeta | PutResult") -> str | None:
    """Return the ETag of an answer, without its quotes: the MD5 of the object, on most stores."""
    return (told["e_tag"] or "").strip('"') or None
