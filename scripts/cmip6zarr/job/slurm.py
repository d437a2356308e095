"""What LOTUS2 lets a job ask for, what this workflow's jobs ask for, and what is refused before anything is submitted.

The limits are those of JASMIN's help pages of March 2026 (https://help.jasmin.ac.uk/docs/batch-computing/slurm-queues).
SLURM itself refuses some of what exceeds them and lets the rest wait for ever, dataset by dataset.
"""

import getpass
import hashlib
import json
import math
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Qos:
    """What one quality of service grants a job."""

    partition: str
    cpus: int
    minutes: int
    mem_mb: float


HOUR, DAY = 60, 24 * 60
QOS = {
    "short": Qos("standard", 1, 4 * HOUR, 200_000),
    "standard": Qos("standard", 1, DAY, 128_000),
    "long": Qos("standard", 1, 5 * DAY, 128_000),
    "high": Qos("standard", 96, 2 * DAY, 1_000_000),
    "debug": Qos("debug", 8, HOUR, math.inf),
}
"""The first that grants what a job needs is asked for: by priority, but `high` only where no other will do."""

MINUTES = {"inventory": HOUR, "size_report": HOUR // 2} | dict.fromkeys(
    ("convert", "verify", "audit", "publish", "bundle"), 4 * HOUR
)
"""Walltime of a rule whose dataset is not known yet."""

RAW_PER_SOURCE = 2.5
"""Bytes before compression for each of a file: those of docs/performance.md keep 0.4 of them."""

SLOWEST = 10 * 2**20
"""Bytes a second, before compression: a twentieth of what docs/performance.md has, for a file system on a bad day."""

ADVICE = "See docs/slurm.md."


class LotusError(Exception):
    """What the jobs ask for cannot be, or jobs of this campaign are in the queue already."""


@dataclass(frozen=True)
class Request:
    """What the jobs of a rule ask for, as it would be given to sbatch."""

    rule: str
    account: str | None
    partition: str | None
    qos: str | None
    cpus: int
    mem_mb: int
    minutes: int


def minutes_for(rule: str, raw_bytes: int | None) -> int:
    """Return the walltime of a rule's first try, from the bytes of its dataset where they are known.

    Those of a bundle are converted and verified, and as much may be wrong with them as with four hours.

    >>> minutes_for("convert", None), minutes_for("convert", 10**6), minutes_for("verify", 10**12)
    (240, 31, 1620)
    >>> minutes_for("bundle", None), minutes_for("bundle", 10**6), minutes_for("bundle", 10**12)
    (240, 240, 3209)
    """
    if rule == "bundle" and raw_bytes is not None:
        return max(MINUTES[rule], HOUR // 2 + math.ceil(2 * raw_bytes / SLOWEST / 60))
    if raw_bytes is None or rule not in ("convert", "verify", "audit", "publish"):
        return MINUTES[rule]
    return HOUR // 2 + math.ceil(raw_bytes / SLOWEST / 60)


def memory_mb(rule: str, memory_mib: int) -> int:
    """Return the memory of a rule's first try; Snakemake itself takes 250 MiB in a cluster job.

    A bundle has a process more than its datasets: the one that forks theirs.

    >>> [memory_mb(rule, 1024) for rule in ("inventory", "convert", "bundle")]
    [1000, 1274, 1374]
    """
    own_mb = {"convert": 0, "verify": 0, "publish": 0, "bundle": 100}
    return 250 + (memory_mib + own_mb[rule] if rule in own_mb else 750)


def raw_bytes(inventory: Path) -> int | None:
    """Return the bytes of a dataset before compression, from the receipt of its inventory; None where there is none."""
    try:
        return _raw_bytes(inventory, inventory.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@cache
def _raw_bytes(inventory: Path, _changed: int) -> int:
    return int(json.loads(inventory.read_text())["raw_bytes"])


def granted(partition: str, cpus: int, mem_mb: int, minutes: int) -> tuple[str | None, int, int]:
    """Return the QoS for what a job needs, and the memory and minutes that it grants: what was asked for, or its limit.

    Where none grants all, memory goes before walltime. No QoS in a partition that the table does not have.

    >>> granted("standard", 1, 1274, 240), granted("standard", 1, 1274, 241), granted("standard", 1, 1274, 10_000)
    (('short', 1274, 240), ('standard', 1274, 241), ('long', 1274, 7200))
    >>> granted("standard", 4, 1274, 240), granted("standard", 1, 300_000, 10_000), granted("debug", 1, 1274, 240)
    (('high', 1274, 240), ('high', 300000, 2880), ('debug', 1274, 60))
    """
    known = {name: qos for name, qos in QOS.items() if qos.partition == partition}
    if not known:
        return None, mem_mb, minutes
    most_cpus = max(qos.cpus for qos in known.values())
    able = {name: qos for name, qos in known.items() if qos.cpus >= min(cpus, most_cpus)}
    mem_mb = int(min(mem_mb, max(qos.mem_mb for qos in able.values())))
    able = {name: qos for name, qos in able.items() if qos.mem_mb >= mem_mb}
    minutes = min(minutes, max(qos.minutes for qos in able.values()))
    return next(name for name, qos in able.items() if qos.minutes >= minutes), mem_mb, minutes


def excess(request: Request) -> str | None:
    """Return what is wrong with partition, QoS and size of a request, or None."""
    partitions = {qos.partition for qos in QOS.values()}
    if request.partition not in partitions:
        return None  # not one of LOTUS2's: nothing is known of it
    allowed = [name for name, qos in QOS.items() if qos.partition == request.partition]
    if request.qos not in allowed:
        return (
            f"QoS {request.qos} on partition {request.partition} would wait for ever; "
            f"expected one of {', '.join(allowed)}"
        )
    limit = QOS[request.qos]
    over = [
        f"{asked} {unit} of at most {most}"
        for asked, most, unit in (
            (request.cpus, limit.cpus, "CPUs"),
            (request.minutes, limit.minutes, "minutes"),
            (request.mem_mb, limit.mem_mb, "MB of memory"),
        )
        if asked > most
    ]
    return f"QoS {request.qos} would not take {', '.join(over)}" if over else None


def check_requests(requests: Iterable[Request], accounts: set[str]) -> None:
    """Raise LotusError for an account that is missing or not one of `accounts` (if there are any), or for an excess."""
    requests = sorted(set(requests), key=str)
    for account in {request.account for request in requests}:
        if not account or account.startswith("$"):
            raise LotusError(
                "No account: found LOTUS_ACCOUNT unset or empty; expected the name of a group workspace. "
                f"`useraccounts` on a sci server lists yours: export LOTUS_ACCOUNT=NAME, then run again. {ADVICE}"
            )
        if accounts and account.lower() not in accounts:
            known = ", ".join(sorted(accounts))
            raise LotusError(f"No such account: found LOTUS_ACCOUNT={account}; expected one of {known}. {ADVICE}")
    wrong = {f"{request.rule}: {told}" for request in requests if (told := excess(request))}
    if wrong:
        raise LotusError(
            f"Nothing is submitted: {'; '.join(sorted(wrong))}. Change slurm_partition or the resources in "
            f"lotus/config.v8+.yaml, or leave out what overrides qos, runtime, mem_mb or cpus_per_task. {ADVICE}"
        )


def jobname(results: str | Path) -> str:
    """Return what the names of all jobs of a campaign begin with, whatever its controller: one for a results folder."""
    return f"cmip6zarr-{hashlib.sha256(str(Path(results).resolve()).encode()).hexdigest()[:8]}"


def ask(*command: str) -> str:
    """Return what a command of SLURM prints; raises LotusError with what it said instead."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise LotusError(f"`{' '.join(command)}` gave no answer: {said}. Run this where SLURM is. {ADVICE}") from error


def accounts_of_user(run: Callable[..., str] = ask) -> set[str]:
    """Return the accounts that SLURM lets the user charge; none where it keeps none, or does not say."""
    try:
        told = run("sacctmgr", "-n", "-P", "show", "associations", f"user={getpass.getuser()}", "format=account")
    except LotusError:
        return set()
    return {line.strip().lower() for line in told.splitlines() if line.strip()}


def check_queue(name: str, run: Callable[..., str] = ask) -> None:
    """Raise LotusError if jobs of the campaign whose job names begin with `name` are in the queue.

    They are what a dead controller has left. Snakemake would submit their datasets a second time, and wait for neither.
    """
    rows = [line.split("|") for line in run("squeue", "--me", "--noheader", "--format=%i|%j|%T|%k").splitlines()]
    left = [(job, state, told) for job, jobs_name, state, told in rows if jobs_name.startswith(f"{name}_")]
    if left:
        lines = [f"  {job} {state} {told.replace('_wildcards_', ' ')}" for job, state, told in left[:20]]
        lines += [f"  ... and {len(left) - 20} more"] if len(left) > 20 else []
        raise LotusError(
            f"{len(left)} jobs of this campaign are in the queue, left by a controller that is gone:\n"
            + "\n".join(lines)
            + f"\nWait until they have ended, or end them: scancel {' '.join(job for job, *_ in left)}\n"
            f"Then run again. {ADVICE}"
        )
