"""Put faults into our own code on purpose, one at a time: none may end in a sealed store.

Each fault runs inventory, convert and verify on small datasets in a forked process. It is *found* if nothing is sealed
and the message names what is wrong. One that changes nothing of what is left on disk shows nothing: the row says so.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from common import ROOT, Outcome, chain
from mutants.datasets import DATASETS, Small
from mutants.declared import FAULTS, Fault, put_in

import bundle
from cmip6zarr.catalogue import esm
from cmip6zarr.catalogue.dataset import Dataset, hand_over
from cmip6zarr.job import receipts, request
from cmip6zarr.store import zarr_store

LEAST_FAULTS = 12
"""Tried however small the share: spread over all parts, some ten seconds."""
MEASURED = {"seconds", "cpu_seconds", "peak_rss_mib", "trials", "digest"}
"""Facts of a receipt that are others in each run."""
LISTED = """
import json, sys
sys.argv = ["x"]
import {script}
print(json.dumps(sorted(name for name in sys.modules if name.startswith("cmip6zarr."))))
"""


@dataclass(frozen=True)
class Ended:
    """How a dataset ended: `verified`, or the class of the failure with its message; and a digest of all it left.

    `calls` counts how often the fault was met.
    """

    answer: str
    message: str
    sealed: bool
    left: str
    calls: int


class Bank:
    """The small datasets, each made once below `folder`, and how each ends without a fault."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._rows: dict[str, Dataset] = {}
        self._ended: dict[str, Ended] = {}

    def row(self, name: str) -> Dataset:
        """Return the row of the catalogue of a dataset."""
        if name not in self._rows:
            folder = self.folder / "sources" / name.replace(" ", "-")
            paths = DATASETS[name].make(folder)
            chain.list_files({chain.ID: paths}, folder / "catalogue.json")
            if DATASETS[name].published:
                publish(folder / "catalogue.csv")
            self._rows[name] = esm.read_catalogue(str(folder / "catalogue.json")).datasets[chain.ID]
        return self._rows[name]

    def sound(self, name: str) -> Ended:
        """Return how a dataset ends without a fault; raises SystemExit if that is not as it should."""
        if name not in self._ended:
            self._ended[name] = ended = self.run(name, None)
            if ended.answer != DATASETS[name].answer:
                raise SystemExit(f"{name}: {ended.answer} without a fault: {ended.message}")
        return self._ended[name]

    def run(self, name: str, fault: Fault | None) -> Ended:
        """Take a dataset through inventory, convert and verify in a process with a fault, and return how it ended."""
        row, small, out = self.row(name), DATASETS[name], self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        process = multiprocessing.get_context("fork").Process(target=take, args=(row, small, fault, self.folder))
        process.start()
        process.join(120)
        if process.is_alive():
            process.kill()
        return ended(out, self.folder)


def publish(table: Path) -> None:
    """Add the checksums of the files to the table of a catalogue."""
    rows = pl.read_csv(table)
    sums = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in rows["path"]]
    rows.with_columns(checksum=pl.Series(sums)).write_csv(table)


def configuration(small: Small, row: Dataset, folder: Path) -> dict:
    """Return the workflow's configuration for a dataset."""
    listed = Path(row.files[0]).parent
    while not (listed / "catalogue.json").exists():
        listed = listed.parent
    change = {"catalogue": str(listed / "catalogue.json"), "store_root": str(folder / "out" / "stores")}
    return chain.configuration(**change, policy=small.policy, **small.config)


def take(row: Dataset, small: Small, fault: Fault | None, folder: Path) -> None:
    """Run the rules with a fault in this process; how often it was met is left in `calls`."""
    out = folder / "out"
    config = configuration(small, row, folder)
    hand_over(out, [row])
    calls = put_in(fault) if fault else []
    rules = ("inventory", "convert", "verify")
    todo = [(rule, request.command(rule, config, row, out)) for rule in rules]
    code = 1
    with contextlib.suppress(BaseException):  # the record of the failure says it
        bundle.take(row, todo, str(out))
        code = 0
    (out / "calls").write_text(str(len(calls)))
    os._exit(code)


def ended(out: Path, folder: Path) -> Ended:
    """Return how a run ended, from what it left."""
    calls = int((out / "calls").read_text()) if (out / "calls").exists() else 0
    failed = receipts.path_of(out, "failed", chain.ID)
    record = json.loads(failed.read_text()) if failed.exists() else {}
    found = list((out / "stores").rglob("*.zarr"))
    sealed = any(zarr_store.is_sealed(store) for store in found)
    verified = receipts.path_of(out, "verify", chain.ID).exists()
    answer = record.get("class") or ("verified" if verified else "killed")
    digest = hashlib.sha256()
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path.name != "calls"):
        if not {"logs", "running", "failed", "verify", "datasets"} & set(path.relative_to(out).parts):
            digest.update(str(path.relative_to(folder)).encode() + stable(path))
    return Ended(answer, record.get("message", ""), sealed, digest.hexdigest(), calls)


def stable(path: Path) -> bytes:
    """Return the bytes of a file; of a receipt without what is another in each run."""
    if path.parent.name not in ("inventory", "convert"):
        return path.read_bytes()
    facts = {key: value for key, value in json.loads(path.read_text()).items() if key not in MEASURED}
    return json.dumps(facts, sort_keys=True).encode()


def judge(fault: Fault, bank: Bank) -> tuple[str, str]:
    """Return what became of a fault in a word, and the message or what is missing.

    `found`: on each of its datasets nothing is sealed, and the message names what is wrong. Otherwise `survived`,
    `unnamed` (not sealed, but the message does not say what is wrong), `no effect`, or `not reached`.
    """
    said = ""
    for name in fault.datasets:
        sound, now = bank.sound(name), bank.run(name, fault)
        if not now.calls:
            return "not reached", f"on {name!r}"
        if now.sealed or now.answer == "verified":
            return ("no effect" if now.left == sound.left else "survived"), f"on {name!r}"
        if (now.answer, now.message) == (sound.answer, sound.message):
            return "no effect", f"on {name!r}: {now.message}"
        if now.answer in ("bug", "killed") or not re.search(fault.says, now.message):
            return "unnamed", f"on {name!r}: {now.answer}: {now.message}"
        said = said or f"{now.answer}: {now.message}"
    return "found", said


def spread(faults: list[Fault], share: float) -> list[Fault]:
    """Return a share of the faults, at least LEAST_FAULTS, evenly from all parts."""
    count = min(len(faults), max(LEAST_FAULTS, round(len(faults) * share)))
    return [faults[i * len(faults) // count] for i in range(count)]


def shared_modules() -> list[str]:
    """Return the names of the modules that both convert and verify load."""
    sets = []
    for script in ("convert", "verify"):
        command = [sys.executable, "-c", LISTED.format(script=script)]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        sets.append(set(json.loads(done.stdout)))
    names = (name.removeprefix("cmip6zarr.") for name in set.intersection(*sets))
    return sorted(name for name in names if "." in name)


def table(results: list[tuple[Fault, str, str]]) -> list[str]:
    """Return the lines of two tables: faults found of all, part by part, and what became of each fault."""
    parts, found = Counter(fault.part for fault, *_ in results), Counter()
    for fault, word, _ in results:
        found[fault.part] += word == "found"
    lines = ["| faults in | found | of |", "| --- | --- | --- |"]
    lines += [f"| {part} | {found[part]} | {count} |" for part, count in parts.items()]
    lines += [
        "",
        "| part | fault | what became of it | message, or why it may survive |",
        "| --- | --- | --- | --- |",
    ]
    for fault, word, said in results:
        told = said if word == "found" else fault.listed or said
        lines.append(f"| {fault.part} | {fault.what} | {word} | {told.replace('|', ' ')} |")
    return lines


def inject(folder: Path, share: float) -> Outcome:
    """Try a share of the faults, write `mutations.md`, and name those that were not found and are not listed."""
    told, bank, results = Outcome("faults put into our own code"), Bank(folder), []
    for fault in spread(FAULTS, share):
        word, said = judge(fault, bank)
        results.append((fault, word, said))
        told.count += 1
        expected = word == "found" or (word == "survived" and fault.listed)
        told.promise(expected, f"{fault.part}, {fault.name}: {fault.what} {word}: {said}")
    shared, left = shared_modules(), [fault.name for fault, word, _ in results if word != "found"]
    told.said = (
        f"{told.count - len(left)} found and named, {len(left)} not ({', '.join(left) or 'none'}); verify shares "
        f"{len(shared)} modules with convert: {', '.join(shared)}"
    )
    (folder / "mutations.md").write_text("\n".join(table(results)) + "\n")
    return told
