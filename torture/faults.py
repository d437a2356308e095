"""Rotten objects, full disks, failing system calls, two runs at once, and a file many times the memory."""

import os
import random
import shutil
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from common import ID, ROOT, Bench, Outcome, chain

from cmip6zarr.convert import hdf5_layout
from cmip6zarr.job import receipts
from cmip6zarr.store import audit, zarr_store

TMPFS_MIB = 4


def flip(data: bytes, chance: random.Random) -> bytes:
    """Flip one bit."""
    bit = chance.randrange(len(data) * 8)
    return bytes([*data[: bit // 8], data[bit // 8] ^ 1 << bit % 8, *data[bit // 8 + 1 :]])


def rot(folder: Path, count: int, asked: dict[str, tuple[str, ...]] | None = None) -> Outcome:
    """Spoil one object of a sealed store at a time: by a bit, a byte, its removal, or another object in its place."""
    bench, chance = Bench(folder, 30, 18, 36, asked), random.Random(4)
    told = Outcome(bench.words("one object of a sealed store spoilt"))
    for rule in ("convert", "verify"):
        if bench.run(rule).returncode:
            raise SystemExit(f"{rule} failed")
    keys = sorted(zarr_store.list_objects(bench.store))
    convert = receipts.path_of(bench.results, "convert", ID)
    receipt = convert.read_text()
    while told.count < count:
        key, other = chance.sample(keys, 2)
        path, way = bench.store / key, chance.choice(("bit", "cut", "removed", "swapped"))
        right, swapped = path.read_bytes(), (bench.store / other).read_bytes()
        cut = chance.randrange(len(right))
        if way == "swapped" and swapped == right:
            continue
        told.count += 1
        path.unlink()
        if way != "removed":
            path.write_bytes(
                {"bit": flip(right, chance), "cut": right[:cut] + right[cut + 1 :], "swapped": swapped}[way]
            )
        found = [problem["key"] for problem in audit.problems(bench.store)]
        told.promise(found == [key], f"audit: {way} of {key}: {found}")
        told.promise(verified(bench) == 1 and not zarr_store.is_sealed(bench.store), f"verify: {way} of {key} not seen")
        named = key in bench.failed()["message"]
        told.promise(named, f"verify: {way} of {key} not named: {bench.failed()['message']}")
        path.write_bytes(right) if key not in zarr_store.ALL_ROOT_KEYS else None
        restore_root(bench, key, right)
        convert.write_text(receipt)
        told.promise(verified(bench) == 0, f"{way} of {key}: not sealed again when it was mended")
    told.said = "all found and named by audit and by verify, and sealed again when they were mended"
    return told


def verified(bench: Bench) -> int:
    """Run verify in this process, of which there are too many to start one each, and return its exit code."""
    hdf5_layout.layouts.cache_clear()
    with redirect_stderr(StringIO()):
        return chain.run_verify(bench.results, *bench.asked.get("verify", ()))


def restore_root(bench: Bench, key: str, right: bytes) -> None:
    """Put root metadata back under the name that it has in the unsealed store."""
    for name in zarr_store.ALL_ROOT_KEYS & {key}:
        (bench.store / name).unlink(missing_ok=True)
        (bench.store / zarr_store.held(name)).write_bytes(right)


def full_disk(folder: Path) -> Outcome:
    """Convert to a file system that is too small: at once where it can be seen, and mid-way where it cannot."""
    told, bench = Outcome("disk full (tmpfs)"), Bench(folder)
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MIB}m", "none", disk], check=True)
    try:
        bench.store = disk / "s.zarr"
        done = bench.run("convert")
        told.count += 1
        told.promise(done.returncode == 1 and bench.failed().get("class") == "space", "not refused beforehand")
        told.promise(not bench.store.exists(), "a store was begun")
        unlimited = (
            "import convert, cmip6zarr.store.disk_space as d; d.check = lambda *_: 0; raise SystemExit(convert.main())"
        )
        command = [sys.executable, "-c", unlimited, *bench.command("convert")[2:]]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
        )
        told.count += 1
        told.promise(done.returncode == 1 and bench.failed().get("class") == "space", f"mid-way: {bench.failed()}")
        told.promise(
            not bench.has("convert") and not zarr_store.is_sealed(bench.store), "a receipt or a seal without a store"
        )
        noted = len(bench.noted())
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        told.promise(bench.run("convert").returncode == 0, "did not go on with more room")
        resumed = receipts.read(bench.results, "convert", ID)["resumed_shards"]
        told.promise(resumed == noted > 0, f"{resumed} shards kept of {noted}")
        told.promise(bench.run("verify").returncode == 0 and bench.equal(), "not verified")
        told.said = f"class space before and mid-way; went on from {resumed} shards with more room"
    finally:
        subprocess.run(["umount", disk], check=True)
    return told


CALLS = {
    "fdatasync": ("EIO", "ENOSPC", "EDQUOT"),
    "rename": ("EIO", "EACCES", "EDQUOT"),
    "preadv2": ("EIO", "EACCES"),
    "fsync": ("EIO", "ENOSPC"),
    "mkdir": ("EACCES", "ENOSPC"),
    "flock": ("ENOLCK", "ENOSYS"),
}
CLASSES = {"ENOSPC": {"space"}, "EDQUOT": {"space"}}


def failing_calls(folder: Path, count: int) -> Outcome:
    """Let a system call of convert fail, the first time or later; nothing is sealed, and the next run goes on."""
    told, bench, chance = Outcome("system calls failing (strace)"), Bench(folder, 12, 18, 36), random.Random(5)
    cases = [(call, error) for call, errors in CALLS.items() for error in errors]
    number = 0
    while told.count < count:
        call, error = cases[number % len(cases)]
        number, when = number + 1, chance.randint(1, 5)
        bench.forget()
        inject = ("strace", "-f", "-q", "-o", "/dev/null", "-e", f"trace={call}")
        done = bench.run("convert", before=(*inject, "-e", f"inject={call}:error={error}:when={when}"))
        record = bench.failed()
        if done.returncode == 0:  # there are not so many calls
            told.promise(bench.has("convert"), f"{call} {error}: exit 0 without a receipt")
            continue
        told.count += 1
        told.promise(not bench.has("convert"), f"{call} {error} at {when}: exit {done.returncode} with a receipt")
        expected = CLASSES.get(error, {"store", "source", "write"})
        words = f"{call} {error} at {when}: class {record.get('class')}, {done.stderr[-200:]}"
        told.promise(not record or record["class"] in expected, words)
        told.promise(bool(record) or "cannot be written" in done.stderr, f"{words}: no word of it")
        told.promise(not zarr_store.is_sealed(bench.store), f"{call} {error}: sealed")
        bench.take_inventory()
        told.promise(bench.run("convert").returncode == 0, f"{call} {error} at {when}: did not recover")
        told.promise(bench.run("verify").returncode == 0, f"{call} {error} at {when}: not verified after")
        zarr_store.unseal(bench.store)
    told.promise(bench.run("verify").returncode == 0 and bench.equal(), "not what the files hold")
    told.said = "classed, no receipt, nothing sealed; the next run recovered"
    return told


def two_runs(folder: Path, count: int) -> Outcome:
    """Convert one dataset twice at once, for the same results and for others: one wins, and the other says so."""
    told, bench = Outcome("two runs at once"), Bench(folder)
    other = folder / "others"
    for number in range(count):
        bench.forget()
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(bench.results, other)
        command = bench.command("convert")
        others = [word.replace(str(bench.results), str(other)) for word in command] if number % 2 else command
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        both = [subprocess.Popen(each, **pipes) for each in (command, others)]
        said = [run.communicate()[1] for run in both]
        codes = [run.returncode for run in both]
        told.count += 1
        if 1 in codes:
            expected = "another process is writing" if number % 2 else "another process is at work on this dataset"
            told.promise(expected in said[codes.index(1)], f"the loser says: {said}")
        told.promise(0 in codes, f"none won: {said}")
        told.promise(bench.run("convert").returncode == 0 and bench.run("verify").returncode == 0, "not verified after")
        zarr_store.unseal(bench.store)
    told.said = "one wins, the other says which store or dataset is taken"
    return told


CHANGES = {
    "replaced": lambda path: path.write_bytes(path.read_bytes()),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "gone": lambda path: path.unlink(),
    "bit flipped, time kept": lambda path: secretly_flip(path),
}


def secretly_flip(path: Path) -> None:
    """Flip a bit of a chunk of values and give the file its time back, as a bad disk does."""
    times, data = (path.stat().st_atime_ns, path.stat().st_mtime_ns), path.read_bytes()
    hdf5_layout.layouts.cache_clear()
    offset, size, _ = hdf5_layout.layouts(str(path))["tas"].index.get((0, 0, 0))
    middle = offset + size // 2
    path.write_bytes(bytes([*data[:middle], data[middle] ^ 8, *data[middle + 1 :]]))
    os.utime(path, ns=times)


def moving_sources(folder: Path) -> Outcome:
    """Change, cut or damage a source before a rule: what can be seen is seen, and no wrong store is sealed."""
    told = Outcome("source changed under us")
    for number, (what, change) in enumerate(CHANGES.items()):
        for rules in (("convert", "verify"), ("verify",)):
            bench = Bench(folder / f"{number}-{rules[0]}", 12, 18, 36)
            if len(rules) == 1 and bench.run("convert").returncode:
                raise SystemExit("convert failed")
            change(bench.paths[1])
            told.count += 1
            code = next((code for rule in rules if (code := bench.run(rule).returncode)), 0)
            record, words = bench.failed(), f"{what} before {rules[0]}"
            told.promise(
                code == 1 and not zarr_store.is_sealed(bench.store), f"{words}: exit {code}, sealed or not seen"
            )
            told.promise(record.get("class") in ("source", "mismatch"), f"{words}: class {record.get('class')}")
            told.promise(str(bench.paths[1]) in record.get("message", ""), f"{words}: file not named: {record}")
    told.said = "seen, classed, the file named, nothing sealed"
    return told
