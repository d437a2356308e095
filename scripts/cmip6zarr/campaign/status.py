"""A look at a campaign from outside: names of receipts, records of failure, notes of what is at work.

It changes nothing, and reads no receipt: whether they still hold is for the next run to say.
"""

import platform
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cmip6zarr.campaign import findings, last_run, listed
from cmip6zarr.core.files import JSON
from cmip6zarr.core.text import printable
from cmip6zarr.job import failures, in_progress, receipts, slurm
from cmip6zarr.job.receipts import Results

FOLDERS = ("inventory", "size_report", "failed", findings.FOLDER, in_progress.FOLDER)

MOST_PRINTED = 10
"""Datasets at work, and failures, that are shown."""

STATES = (*findings.SEALED, "at work", "gone", "waiting", "refused", "failed")
"""`gone`: its note says that it is at work, but the process is no more; the next run says why, and does it again."""

CLASSES = ("refused", "memory", "walltime", "node", "cancelled", "killed", "space", "store", "source", "busy", "bug")
"""The classes that the config key `rerun` knows; any run does the others again."""


def look(results: Path) -> JSON:
    """Return what there is to know, ready for JSON: counts by state and class, what is at work, the newest failures."""
    there = {folder: _names(results / folder) for folder in FOLDERS}
    names = _listed(results) or set().union(*there.values())
    work = _at_work(results, there[in_progress.FOLDER] & names)
    states = Counter("gone" if note["alive"] is False else "at work" for note in work)
    idle = names - {note["dataset"] for note in work}
    failed = [failure for name in there["failed"] & idle if (failure := _failure(results, name))]
    failed.sort(key=lambda failure: (failure["time"], failure["dataset"]), reverse=True)
    classes = Counter(failure["class"] for failure in failed)
    states["refused"], states["failed"] = classes["refused"], len(failed) - classes["refused"]
    sealed = there["size_report"] & idle - there["failed"]
    states[findings.WITH_FINDINGS] = len(sealed & there[findings.FOLDER])
    states[findings.VERIFIED] = len(sealed - there[findings.FOLDER])
    states["waiting"] = len(names) - states.total()
    return {
        "results": str(results),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "datasets": len(names),
        "states": {state: states[state] for state in STATES},
        "classes": dict(classes.most_common()),
        "rerun": {kind: rerun(kind, results) for kind, _ in classes.most_common()},
        "at_work": work,
        "newest_failures": failed[:MOST_PRINTED],
        "withdrawn": listed.withdrawn(results),
    }


def rerun(kind: str, results: Results) -> str:
    """Return the command that does datasets of a class of failure again, in the folder where the last run was begun."""
    return last_run.again(results, kind if kind in CLASSES else None)


def lines(status: JSON, width: int) -> Iterator[str]:
    """Yield what a look has found as lines of at most `width` letters, none of which could move a terminal's cursor.

    Commands are whole, for they are to be copied.
    """
    for line in _lines(status):
        line = printable(line)
        is_whole = len(line) <= width or line.endswith(tuple(map(printable, status["rerun"].values())))
        yield line if is_whole else line[: width - 1] + "…"


def _lines(status: JSON) -> Iterator[str]:
    yield f"{status['results']}: {status['datasets']} datasets"
    for state, number in status["states"].items():
        if number:
            yield f"  {state:<23} {number:>7}"
    if line := listed.told(status["withdrawn"], status["results"]):
        yield f"  {line}"
    work = status["at_work"]
    if work:
        yield "At work"
    for note in work[:MOST_PRINTED]:
        where = f"job {note['slurm_job']}" if note["slurm_job"] else f"process {note['pid']}"
        gone = {None: " (SLURM does not say)", False: " (gone)", True: ""}[note["alive"]]
        yield f"  {note['rule']:<11} since {note['started'][:16]}  {where} on {note['host']}{gone}  {note['dataset']}"
    if len(work) > MOST_PRINTED:
        yield f"  ... and {len(work) - MOST_PRINTED} more"
    if status["classes"]:
        yield "What to run again, when its cause is gone"
    for kind, number in status["classes"].items():
        yield f"  {number:>7} {kind:<10} {status['rerun'][kind]}"
    if status["newest_failures"]:
        yield "Newest failures"
    for failure in status["newest_failures"]:
        yield f"  {failures.told(failure)}"
        word = "refused" if failure["class"] == "refused" else "failed"
        yield f"      {failure['dataset']}  ({word} by {failure['rule']}, {failure['time']:.16})"


def _names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.json")}


def _listed(results: Path) -> set[str]:
    try:
        return set(listed.names(results))
    except FileNotFoundError:
        return set()


def _failure(results: Path, name: str) -> JSON | None:
    """Return a record of failure and when it was written; None where a job has just taken it away."""
    record = failures.read(results, name)
    try:
        written = receipts.path_of(results, "failed", name).stat().st_mtime
    except FileNotFoundError:
        return None
    time = datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")
    told = {key: record[key] for key in failures.UNREAD} | {"kind": failures.kind_of(record)}
    return {"dataset": name, "time": time} | told


def _at_work(results: Path, names: set[str]) -> list[JSON]:
    """Return the notes of what is at work, the oldest first, with `alive`: None where nobody can say."""
    notes = [note for name in names if (note := receipts.find(results, in_progress.FOLDER, name))]
    in_queue = _in_queue() if any(note["slurm_job"] for note in notes) else None
    for note in notes:
        if note["slurm_job"]:
            note["alive"] = None if in_queue is None else note["slurm_job"] in in_queue
        else:
            note["alive"] = in_progress.is_process(note["pid"]) if note["host"] == platform.node() else None
    return sorted(notes, key=lambda note: (note["started"], note["dataset"]))


def _in_queue() -> set[str] | None:
    """Return the jobs of the user that SLURM has, asking it once; None if it gives no answer."""
    try:
        return set(slurm.ask("squeue", "--me", "--noheader", "--format=%i").split())
    except slurm.LotusError:
        return None
