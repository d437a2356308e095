"""The writer of a store's ledger: one process at a time, which goes on where an earlier one was stopped."""

import fcntl
import json
import os
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from pathlib import Path
from threading import Lock
from typing import Self

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import JSON
from cmip6zarr.store import backend, zarr_store
from cmip6zarr.store.backend import Place
from cmip6zarr.store.interface import LEDGER
from cmip6zarr.store.ledger import Entry, digest_of, holds, line_of, parse, place, places

CLAIM_SECONDS = 5  # between two requests whether the claim on a store in a bucket still holds


@dataclass(frozen=True)
class Owner:
    """The folder of `results` for which a store is written; `take_over` is another, whose stores may be replaced."""

    results: str | Path
    take_over: str = ""


class LedgerWriter:
    """The ledger of a store that is being written or proven; use as a context manager.

    It is locked as long as it is open: raises DatasetError (`busy`) where another process, or campaign, has it. The
    store's home asks it before each change whether that is so still.
    """

    def __init__(self, store: Place, owner: Owner | None = None) -> None:
        self.store = backend.at(store)
        self.owner: dict[str, str] | None = None
        if owner:
            self.owner = {"results": str(Path(owner.results).resolve()), "place": place(self.store)}
        self.take_over = owner.take_over if owner else ""
        self.path = self.store.ledger
        self._lock = Lock()
        self._claim_seen = -inf
        self._proven: JSON | None = None
        # Keys of objects that are what the last line with their key says.
        self._current: set[str] = set()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            message = f"{self.store}: another process is writing or verifying this store; it holds {self.path}."
            raise DatasetError("busy", message, "Wait for it or end it, then run again.") from error
        except OSError as error:
            os.close(self._file)
            message = f"{self.path}: cannot be locked against a second writer: {error.strerror}."
            raise DatasetError("store", message, "Choose a file system that has flock.") from error
        try:
            if not self.store.claimed():
                # What stands here is of a store that has been sealed since, perhaps by another campaign.
                os.ftruncate(self._file, 0)
                os.write(self._file, self.store.read_beside(LEDGER) or b"")
                self.store.claim()
            self.check(now=True)
        except BaseException:
            os.close(self._file)
            raise
        self.store.guard = self.check
        return self

    def __exit__(self, *_: object) -> None:
        self.store.guard = None
        os.close(self._file)

    def check(self, now: bool = False) -> None:
        """Raise DatasetError (`busy`) unless this process still is the only one that may change the store.

        The file that is locked must be the one that others find. That the campaign still has its claim, which is a
        request, is asked again after CLAIM_SECONDS, or `now`; then the ledger must be the one that was proven, too.
        """
        ours, remedy = os.fstat(self._file), "Let one campaign alone write the store, then run again."
        try:
            theirs = self.path.stat()
        except FileNotFoundError:
            theirs = None
        if theirs is None or not os.path.samestat(ours, theirs):
            found = "is gone" if theirs is None else "is another file"
            message = f"{self.store}: its ledger {self.path} {found}, expected the one that this process has locked."
            raise DatasetError("busy", message, remedy)
        if now or time.monotonic() - self._claim_seen > CLAIM_SECONDS:
            self.store.check_claim()
            self._claim_seen = time.monotonic()
        if now and self._proven not in (None, self._digest()):
            message = f"{self.store}: its ledger has changed while the store was proven by it, expected the same."
            raise DatasetError("busy", message, remedy)

    def witness(self) -> None:
        """Remember the ledger that lies beside the store: what it says is being proven, and nothing else is sealed."""
        self._proven = self._proven or self._digest()

    def _digest(self) -> JSON:
        return digest_of(self.store.read_beside(LEDGER) or b"")

    def begin(self, first: JSON) -> dict[str, Entry]:
        """Make this the ledger of what `first` says; return what an earlier one of the same holds and the store has.

        An object is kept only if its length and checksum are those of the ledger; one that is torn is not. It is read
        for that, unless the home tells its MD5. Raises DatasetError (`owner`) if nothing would be kept of a store that
        was written for other results.
        """
        data = self.path.read_bytes()
        found, entries, good = parse(data)
        if any(found.get(name) != value for name, value in first.items()):
            self._check_owner(found.get("owner"))
            os.ftruncate(self._file, 0)
            self._write(first)
            self._current = set()
            return {}
        os.ftruncate(self._file, good)  # the rest is a line that was cut off
        strangers = self.store.strangers()
        md5s = self.store.md5s() if any(entry.md5 for entry in entries.values()) else {}

        def sound(entry: Entry) -> bool:
            if any(f"{entry.key}/".startswith(f"{key}/") for key in strangers):
                return False  # behind a link it is not ours
            known = entry.md5 and md5s.get(entry.key) == entry.md5
            return bool(entry.raw_xxh3 and (known or holds(self.store, entry)))

        with ThreadPoolExecutor(self.store.threads) as pool:
            kept = pool.map(sound, entries.values())
            held = {entry.key: entry for entry, is_held in zip(entries.values(), kept, strict=True) if is_held}
        self._current = set(held)
        return held

    def _check_owner(self, found: JSON | None) -> None:
        # One that was copied or moved with its results still names those of before.
        if self.owner is None or found is None or found["place"] != self.owner["place"]:
            return
        theirs, ours = found["results"], self.owner["results"]
        if theirs in (ours, self.take_over):
            return
        self.store.release()
        message = (
            f"{self.store}: was written for the results in {theirs}, expected those in {ours}, for which it would be "
            "written anew."
        )
        remedy = f"Choose another root; or, if those results are given up, set the config key take_over: {theirs}"
        raise DatasetError("owner", message, remedy)

    def add(self, entry: Entry) -> None:
        """Write down an object that has been written, and wait until the line is on disk."""
        self._write(line_of(entry))
        self._current.add(entry.key)

    def forget(self) -> None:
        """Give up all that is written down: what it says of the store has been proven wrong."""
        os.ftruncate(self._file, 0)

    def complete(self, proven: bool = True) -> None:
        """Write down all objects in the store that neither were kept nor added: metadata, and what zarr has written.

        From now on the ledger lies beside the store, and says which store that is. If the provenance is not `proven`,
        because it comes from a store whose ledger does not know it, neither does this one.
        """
        first, entries, _ = parse(self.path.read_bytes())
        for key in sorted(self.store.list()):
            name = zarr_store.sealed_name(key)
            if name not in self._current:
                entries[name] = Entry(name, zarr_store.array_of(name), *zarr_store.digest(self.store, key))
                self.add(entries[name])
        kept = digest_of(self.store.read_beside(zarr_store.PROVENANCE) or b"") if proven else None
        last = {"store": places(self.store, first["dataset"])[0], "provenance": kept, "owner": self.owner}
        self._write(last)
        self.store.fence(now=True)
        # Whoever reads it later has nothing but the store: there an MD5 that has been told once proves nothing.
        head = {name: value for name, value in first.items() if name not in last}
        lines = chain([head], (line_of(replace(entry, md5=None)) for entry in entries.values()), [last])
        self.store.put_ledger(json.dumps(line) + "\n" for line in lines)

    def doubt(self, keys: Collection[str]) -> None:
        """Have objects read, whatever their home tells of them, before they are kept again: they are not right."""
        _, entries, _ = parse(self.path.read_bytes())
        for key in keys:
            if key in entries and entries[key].md5:
                self.add(replace(entries[key], md5=None))

    def _write(self, facts: JSON) -> None:
        line = (json.dumps(facts) + "\n").encode()
        with self._lock:
            os.write(self._file, line)
            os.fdatasync(self._file)
