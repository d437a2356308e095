"""What all of `make torture` shares: a dataset to break, the scripts as processes, and the table of what was promised.

Standard library and the project's own scripts; nothing is faked: processes are killed, disks fill, system calls fail.
"""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("scripts", "tests", "tests/support")]

import chain  # noqa: E402
from builders import dataset_id, make_catalogue, make_dataset  # noqa: E402

import audit  # noqa: E402, F401
import campaign  # noqa: E402, F401
import size_report  # noqa: E402, F401
from cmip6zarr.catalogue import esm  # noqa: E402
from cmip6zarr.catalogue.dataset import hand_over  # noqa: E402
from cmip6zarr.job import receipts  # noqa: E402
from cmip6zarr.store import ledger, zarr_store  # noqa: E402

ID = dataset_id()
RULE = ("--chunks", '{"time": 1}')


@dataclass
class Outcome:
    """A row of the table: what was done to the workflow how often, and which promises were broken."""

    name: str
    count: int = 0
    said: str = ""
    broken: list[str] = field(default_factory=list)

    def promise(self, kept: bool, what: str) -> None:
        """Note a broken promise."""
        if not kept:
            self.broken.append(what)


class Bench:
    """A folder with the sources, the inventory and the store of one dataset of `steps` steps in shards of one each.

    `asked` are more options of the rules, {rule: options}.
    """

    def __init__(
        self,
        folder: Path,
        steps: int = 60,
        lat: int = 180,
        lon: int = 360,
        asked: dict[str, tuple[str, ...]] | None = None,
    ):
        self.folder, self.steps, self.asked = folder, steps, asked or {}
        folder.mkdir(parents=True, exist_ok=True)
        self.paths = make_dataset(folder / "nc", files=3, steps=steps // 3, lat=lat, lon=lon, chunks=(1, lat, lon))
        self.catalogue = make_catalogue(folder / "nc", folder / "catalogue.json")
        self.results, self.store = folder / "results", folder / "s.zarr"
        row = chain.ROWS[str(self.results), ID] = esm.read_catalogue(str(self.catalogue)).datasets[ID]
        hand_over(self.results, [row])
        self.digest = row.digest
        self.take_inventory()

    def words(self, what: str) -> str:
        """Return what is done, and with which options."""
        return " ".join((what, *(word for options in self.asked.values() for word in options)))

    def take_inventory(self) -> None:
        """Leave the inventory receipt, as the next run does where a failure has removed it."""
        if not self.has("inventory"):
            done = self.run("inventory")
            if done.returncode:
                raise SystemExit(done.stderr)

    def command(self, rule: str, *options) -> list[str]:
        """Return the command line of a rule's script."""
        options = (*self.asked.get(rule, ()), *options)
        if rule == "convert":
            options = ("--store", self.store, *RULE, *options)
        if rule in ("inventory", "verify"):
            options = ("--digest", self.digest, *options)
        return [
            sys.executable,
            str(ROOT / "scripts" / f"{rule}.py"),
            ID,
            "--results",
            str(self.results),
            *map(str, options),
        ]

    def run(self, rule: str, *options, before=()) -> subprocess.CompletedProcess:
        """Run a rule's script to its end, behind the words `before`."""
        return subprocess.run([*before, *self.command(rule, *options)], capture_output=True, text=True, timeout=300)

    def seconds(self, rule: str, *options) -> float:
        """Return how long a rule takes when nothing happens to it."""
        start = time.perf_counter()
        done = self.run(rule, *options)
        if done.returncode:
            raise SystemExit(done.stderr)
        return time.perf_counter() - start

    def kill(self, rule: str, after: float, *options) -> bool:
        """Start a rule, kill -9 it after some seconds, and tell whether it was still running then."""
        with subprocess.Popen(
            self.command(rule, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as child:
            try:
                child.wait(after)
            except subprocess.TimeoutExpired:
                child.kill()
                return True
        return False

    def forget(self) -> None:
        """Remove the store with all that lies beside it."""
        shutil.rmtree(self.store, ignore_errors=True)
        for path in self.store.parent.glob(f"{self.store.name}.*"):
            path.unlink()

    def failed(self) -> dict:
        """Return the record of the failure of the dataset; empty without one."""
        path = receipts.path_of(self.results, "failed", ID)
        return json.loads(path.read_text()) if path.exists() else {}

    def has(self, rule: str) -> bool:
        """Tell whether the dataset has the receipt of a rule."""
        return receipts.path_of(self.results, rule, ID).exists()

    def written(self) -> set[str]:
        """Return the keys of all chunks that are whole in the store."""
        return {
            key for key in zarr_store.list_objects(self.store) if zarr_store.is_chunk(key) and not key.endswith(".part")
        }

    def noted(self) -> set[str]:
        """Return the keys of the chunks that the ledger has."""
        path = ledger.path_of(self.store)
        return (
            {key for key in ledger.parse(path.read_bytes())[1] if zarr_store.is_chunk(key)} if path.exists() else set()
        )

    def equal(self) -> bool:
        """Tell whether the sealed store, read by xarray, is what the files hold."""
        with xr.open_zarr(self.store, decode_times=False, mask_and_scale=False) as found:
            values = found["tas"].values
        expected = []
        for path in self.paths:
            with xr.open_dataset(path, decode_times=False, mask_and_scale=False) as source:
                expected.append(source["tas"].values)
        return values.tobytes() == np.concatenate(expected).tobytes()
