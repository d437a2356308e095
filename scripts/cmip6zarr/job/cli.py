"""What the command lines of the rules share: arguments, exit codes, and what is left behind by success or failure."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from cmip6zarr import RECIPE
from cmip6zarr.catalogue import drs
from cmip6zarr.core import open_timeout
from cmip6zarr.core.errors import FULL, ROOM, DatasetError, Refused
from cmip6zarr.core.files import JSON
from cmip6zarr.job import due, failures, in_progress, receipts
from cmip6zarr.job.request import RULES, add_options, asked_of_rule

OK, FAILED, USAGE, REFUSED = 0, 1, 2, 3
"""Exit codes of the scripts; only 0 comes with a receipt."""

UNTRUE = dict.fromkeys(("chunks", "mismatch", "store", "ledger", "rot"), "convert")
UNTRUE |= dict.fromkeys(("source", "checksum"), "inventory")
"""Kind of failure -> the rule whose receipt it proves wrong: it is removed, so that the next run begins there.

What is only asked of a sealed store, or copied, proves nothing wrong but by `rot` and `ledger`: a store that does not
answer is still there."""


def dataset_id(text: str) -> str:
    """Return an id given on the command line; argparse refuses one that is none, and could leave its folder."""
    if not drs.is_id(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a dataset id: words of letters, digits, - and _, joined by dots"
        )
    return text


def parser(description: str, rule: str) -> argparse.ArgumentParser:
    """Return the parser of a rule's script: the dataset, where receipts lie, and the options of the rule."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("dataset", type=dataset_id, help="id of the dataset")
    arguments.add_argument("--results", required=True, help="folder of the receipts, one folder in it for each rule")
    arguments.add_argument("--attempt", type=int, default=1, help="number of this attempt, from Snakemake")
    arguments.add_argument("--bundle", help="id of the bundle whose job this is")
    add_options(arguments, rule)
    return arguments


def draft_of(args: argparse.Namespace) -> Path:
    """Return where the ledger of the dataset's store lies while a store in a bucket is written."""
    return Path(args.results, "ledger", f"{args.dataset}.jsonl")


def peak_rss_mib() -> int:
    """Return the most memory that this process has had, in MiB (Linux; elsewhere 0).

    `VmHWM` and not `ru_maxrss`, which begins with the size of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def asked(rule: str, args: argparse.Namespace) -> JSON:
    """Return what a rule was asked to make of a dataset."""
    return asked_of_rule(rule, vars(args) | {"recipe": RECIPE})


def fault(error: BaseException) -> tuple[str, str]:
    """Return the class of a failure that the program did not foresee, and what to do about it.

    >>> fault(OSError(FULL[0], "No space left on device"))[0], fault(ValueError())[0]
    ('space', 'bug')
    """
    if type(error).__module__.startswith(("obstore", "botocore")):
        return "store", "See the log for the traceback, and to the store, then run again."
    if isinstance(error, OSError) and error.errno in FULL:
        return "space", ROOM
    faults = {MemoryError: "memory", OSError: "store", KeyboardInterrupt: "cancelled"}
    kind = next((word for fault, word in faults.items() if isinstance(error, fault)), "bug")
    return kind, "See the log for the traceback, then run again."


def answer(rule: str, args: argparse.Namespace) -> JSON | None:
    """Return the record of failure that makes another try of a rule needless; None where it is to be tried."""
    was_killed = receipts.path_of(args.results, in_progress.FOLDER, args.dataset).is_file()
    record = None if was_killed else receipts.find(args.results, "failed", args.dataset)
    return record if due.is_answered(rule, record, args.attempt) else None


def voided(rule: str) -> tuple[str, ...]:
    """Return the rules whose receipts are void when a rule is at work on their dataset.

    >>> voided("verify"), voided("publish")
    (('verify', 'size_report', 'audit'), ('publish',))
    """
    return (*RULES[RULES.index(rule) :], "audit") if rule in RULES else (rule,)


def attempt(rule: str, args: argparse.Namespace, work: Callable[[], JSON], **context: object) -> int:
    """Run `work` for a dataset and return the exit code of the script.

    The facts that `work` returns become the rule's receipt; the dataset, the seconds of `work`, and the CPU seconds and
    peak memory of the process so far are added. If it raises, the reason (JSON: rule, class, kind, message, remedy and
    the `context`; the kind of a refusal is a key of the policy) becomes the dataset's record of failure, and goes to
    stderr; no receipt is left. What is not a DatasetError is a fault of the program or of the machine: it is recorded
    too, and raised again. While it works, a note of it lies in `running/`. Where another process is at work on the
    dataset, nothing of that one is touched: what reads a sealed store waits for it, and any other rule fails. Where
    nothing can be written, stderr says so alone.
    """
    if record := answer(rule, args):
        said = DatasetError(failures.kind_of(record), record["message"], record["remedy"])
        print(f"{rule}: {args.dataset} is not tried again: {said}", file=sys.stderr)
        return REFUSED if record["class"] == "refused" else FAILED
    try:
        with in_progress.begin(args.results, rule, args.dataset, args.bundle, wait=rule not in RULES) as note:
            try:
                return _attempt(rule, args, work, context)
            finally:
                in_progress.end(args.results, args.dataset, note)
    except DatasetError as error:
        print(f"{rule}: {args.dataset} failed: {error}", file=sys.stderr)
        return FAILED


def _attempt(rule: str, args: argparse.Namespace, work: Callable[[], JSON], context: JSON) -> int:
    receipt = receipts.path_of(args.results, rule, args.dataset)
    failed = receipts.path_of(args.results, "failed", args.dataset)
    # What later rules said of the dataset is void from now on, even if this process is killed.
    for void in voided(rule):
        receipts.path_of(args.results, void, args.dataset).unlink(missing_ok=True)
    start = time.perf_counter()

    def record(word: str, message: str, remedy: str, **more: str) -> None:
        facts = {"dataset": args.dataset, "rule": rule, "class": word, "message": message, "remedy": remedy}
        receipts.write(failed, facts | more | context)

    def give_up(error: DatasetError) -> NoReturn:
        print(f"{rule}: {args.dataset} failed: {error}", file=sys.stderr, flush=True)
        with suppress(DatasetError):  # nothing can be written
            record(error.kind, error.message, error.remedy)
        in_progress.end(args.results, args.dataset)
        os._exit(FAILED)  # the thread that hangs cannot be asked to

    open_timeout.give_up = give_up
    try:
        facts = work()
        spent = {
            "seconds": round(time.perf_counter() - start, 3),
            "cpu_seconds": round(sum(os.times()[:4]), 3),  # with that of processes it waited for
            "peak_rss_mib": peak_rss_mib(),
        }
        receipts.write(receipt, {"dataset": args.dataset} | facts | {"asked": asked(rule, args)} | spent)
        failed.unlink(missing_ok=True)
    except DatasetError as error:
        refused = isinstance(error, Refused)
        print(f"{rule}: {args.dataset} {'refused' if refused else 'failed'}: {error}", file=sys.stderr)
        if refused:
            record("refused", error.message, error.remedy, kind=error.kind)
        else:
            record(error.kind, error.message, error.remedy)
        if error.kind in UNTRUE and (rule in RULES or error.kind in ("rot", "ledger")):
            receipts.path_of(args.results, UNTRUE[error.kind], args.dataset).unlink(missing_ok=True)
        return REFUSED if refused else FAILED
    except BaseException as error:
        kind, remedy = fault(error)
        with suppress(DatasetError):  # nothing can be written; the traceback says the rest
            record(kind, f"{type(error).__name__}: {error}", remedy)
        raise
    return OK
