"""Notes of what is at work, and what has become of the work whose note was left behind.

A script that is killed (memory, walltime, a node that fails, scancel) cannot say so. While it works, a note of it lies
in `running/`; the script removes it in the end, unless it is killed. The campaign finds what is left.
"""

import fcntl
import json
import os
import platform
import re
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.core.files import JSON
from cmip6zarr.job import receipts, slurm
from cmip6zarr.job.receipts import Results

FOLDER = "running"

SAID = (
    ("memory", r"exceeded (job )?memory limit|oom.kill|out of memory"),
    ("walltime", r"DUE TO TIME LIMIT"),
    ("node", r"DUE TO NODE FAILURE"),
    ("cancelled", r"CANCELLED AT"),
)
"""Class -> what SLURM writes into a job's log; the first counts, since a job that is killed is cancelled too."""

STATES = {
    "OUT_OF_MEMORY": "memory",
    "TIMEOUT": "walltime",
    "DEADLINE": "walltime",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "CANCELLED": "cancelled",
    "PREEMPTED": "cancelled",
    "FAILED": "killed",
    "COMPLETED": "killed",
}
"""State of a job that has ended, as scontrol and sacct have it -> class."""

REMEDY = {
    "memory": "Run again with more, as in --set-resources {rule}:mem_mb=16000, or with a smaller memory_mib.",
    "walltime": "Run again, it goes on where it was; or with more, as in --set-resources {rule}:runtime=2d.",
    "node": "Run again: it goes on where it was.",
    "cancelled": "Run again: it goes on where it was.",
    "killed": "See the log, and whether the machine had enough memory. Run again: it goes on where it was.",
}


def begin(results: Results, rule: str, dataset: str, bundle: str | None = None, wait: bool = False) -> TextIO:
    """Leave a note that this process works on a dataset, in the job of a bundle if it is one.

    The note is locked as long as the file that is returned is open. Where another process has locked it, that one's
    stays: raises DatasetError (`busy`), or waits until it is gone. Raises DatasetError if it cannot be written.
    """
    path = receipts.path_of(results, FOLDER, dataset)
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        note = locked(path, wait)
    facts = {
        "dataset": dataset,
        "rule": rule,
        "bundle": bundle,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "host": platform.node(),
        "pid": os.getpid(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        with files.writing(path):
            note.truncate(0)
            note.write(files.text_of(facts))
            note.flush()
    except DatasetError:
        end(results, dataset, note)
        raise
    return note


def locked(path: Path, wait: bool) -> TextIO:
    """Return a note, locked: the one that others find, as it was, or an empty one; raises as `begin` does."""
    while True:
        note = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                note.seek(0)
                message = f"{path}: another process is at work on this dataset: {told(note.read())}."
                raise DatasetError("busy", message, "Wait for it or end it, then run again.") from None
            fcntl.flock(note, fcntl.LOCK_EX)
        except OSError:
            return note  # where files cannot be locked, the ledger of the store says so
        if is_at(path, note):
            return note
        note.close()  # its process has ended, and taken it away


def told(note: str) -> str:
    """Return in words what the text of a note says."""
    try:
        return "{rule}, process {pid} on {host}, since {started}".format_map(json.loads(note))
    except (ValueError, KeyError, TypeError):
        return "it has just begun"


def end(results: Results, dataset: str, note: TextIO | None = None) -> None:
    """Take the note of a dataset away; with `note`, which `begin` has returned, only if it still is that one."""
    path = receipts.path_of(results, FOLDER, dataset)
    if note is None or is_at(path, note):
        path.unlink(missing_ok=True)


def is_at(path: Path, note: TextIO) -> bool:
    """Tell whether an open note is the one that others find."""
    try:
        return os.path.samestat(os.fstat(note.fileno()), path.stat())
    except FileNotFoundError:
        return False


def at_work(results: Results, names: Collection[str]) -> dict[str, str]:
    """Return {dataset: rule} of what is at work on some datasets."""
    notes = {path.stem: receipts.find(results, FOLDER, path.stem) for path in Path(results, FOLDER).glob("*.json")}
    return {name: note["rule"] for name, note in notes.items() if note and name in names}


def settle(results: Results, names: Collection[str]) -> list[str]:
    """Turn the notes of work that was killed into records of failure, and return the datasets; others stay."""
    killed = []
    for path in sorted(Path(results, FOLDER).glob("*.json")):
        note = receipts.find(results, FOLDER, path.stem) if path.stem in names else None
        if not note:  # of a damaged one nothing follows; the next run writes over it
            continue
        kind, told = became(note)
        if kind:
            where = f"SLURM job {note['slurm_job']}" if note["slurm_job"] else f"process {note['pid']}"
            message = f"{where} on {note['host']}, begun {note['started']}, was killed: {told}."
            facts = {"dataset": path.stem, "rule": note["rule"], "class": kind, "message": message}
            facts |= {"remedy": REMEDY[kind].format(rule=job_of(note)[0]), "slurm_job": note["slurm_job"]}
            receipts.write(receipts.path_of(results, "failed", path.stem), facts)
            end(results, path.stem)
            killed.append(path.stem)
    return killed


def became(note: JSON) -> tuple[str | None, str]:
    """Return the class of what has become of the work of a note, and how it is known; None if it may still go on."""
    if note["slurm_job"]:
        return of_job(note["slurm_job"], *job_of(note))
    if note["host"] != platform.node() or is_process(note["pid"]):
        return None, ""
    return "killed", "it is gone and has said nothing"


def is_process(pid: int) -> bool:
    """Tell whether there is a process of this machine with an id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and another user's
    return True


def job_of(note: JSON) -> tuple[str, str]:
    """Return the rule of the job to which the work of a note belongs, and what it is about: its dataset or bundle."""
    return ("bundle", note["bundle"]) if note["bundle"] else (note["rule"], note["dataset"])


def of_job(job: str, rule: str, about: str) -> tuple[str | None, str]:
    """Return the class of what SLURM has done to a job, and its words: from the job's log, else from its state."""
    state = state_of(job)
    if state and state not in STATES:
        return None, state
    # Where the executor puts the logs of jobs, below the folder in which Snakemake was called.
    log = Path(".snakemake", "slurm_logs", f"rule_{rule}", about, f"{job}.log")
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    for kind, pattern in SAID:
        for line in lines:
            if line.startswith(("slurmstepd", "srun", "slurmd")) and re.search(pattern, line, re.IGNORECASE):
                return kind, line.replace("*** ", "").replace(" ***", "").strip()
    return (STATES[state], f"its state is {state}") if state else (None, "")


def state_of(job: str) -> str | None:
    """Return the state of a job, first as the controller of SLURM has it, then as its accounts do; None: not known."""
    asked = {
        r"\bJobState=([A-Z_]+)": ("scontrol", "-o", "show", "job", job),
        r"^([A-Z_]+)": ("sacct", "-X", "-n", "-P", "-o", "State", "-j", job),
    }
    for pattern, command in asked.items():
        try:
            found = re.search(pattern, slurm.ask(*command))
        except slurm.LotusError:
            continue  # the one has forgotten it, or the other is not kept
        if found:
            return found[1]
    return None
