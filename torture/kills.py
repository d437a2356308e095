"""kill -9 at random moments: of convert, of verify and size_report, of the controller."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import ID, ROOT, Bench, Outcome

from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

ROW = 10  # kills of one store, one after another, before it is left to finish


def kill_convert(folder: Path, count: int, asked: dict[str, tuple[str, ...]] | None = None) -> Outcome:
    """Kill convert again and again, let it finish, and prove the store; what is done again is told from the ledger."""
    bench = Bench(folder, asked=asked)
    told = Outcome(bench.words("convert killed -9"))
    whole, most_redone, kept = bench.seconds("convert"), 0, 0
    chance = random.Random(1)
    while told.count < count:
        if told.count % ROW == 0:
            bench.forget()
        after = chance.uniform(0, whole)
        if not bench.kill("convert", after):
            continue
        told.count += 1
        # What is in the store but not yet in the ledger is written again: at most what is being written.
        most_redone = max(most_redone, len(bench.written() - bench.noted()) if bench.store.exists() else 0)
        told.promise(not zarr_store.is_sealed(bench.store), f"sealed by convert after {after:.3f} s")
        if told.count % ROW == 0 or told.count == count:
            noted = len(bench.noted() & bench.written()) if bench.store.exists() else 0
            done = bench.run("convert")
            resumed = receipts.read(bench.results, "convert", ID)["resumed_shards"] if not done.returncode else -1
            told.promise(resumed == noted, f"{resumed} shards kept of {noted} in the ledger: {done.stderr[-300:]}")
            kept += resumed
            done = bench.run("verify")
            told.promise(done.returncode == 0 and bench.equal(), f"not verified: {done.stderr[-300:]}")
    told.promise(most_redone <= 1, f"{most_redone} shards were written and not in the ledger")
    told.said = f"every store verified; at most {most_redone} shard of 1 done again a kill; {kept} shards kept"
    return told


def kill_verify(folder: Path, count: int) -> Outcome:
    """Kill verify and size_report; every other store has a wrong bit, and must never be sealed."""
    told, bench = Outcome("verify, size_report killed -9"), Bench(folder)
    if bench.run("convert").returncode:
        raise SystemExit("convert failed")
    chunk, seconds = bench.store / "tas" / "c/7/0/0", 0.0
    right = chunk.read_bytes()
    wrong = bytes([*right[:50], right[50] ^ 1, *right[51:]])
    chance, whole = random.Random(2), bench.seconds("verify")
    convert = receipts.path_of(bench.results, "convert", ID)
    receipt = convert.read_text()
    number = 0
    while told.count < count:
        spoilt = (number := number + 1) % 2 == 1
        zarr_store.unseal(bench.store)
        chunk.write_bytes(wrong if spoilt else right)
        convert.write_text(receipt)
        receipts.path_of(bench.results, "verify", ID).unlink(missing_ok=True)
        after = chance.uniform(0, whole)
        told.count += bench.kill("verify", after)
        sealed = zarr_store.is_sealed(bench.store)
        told.promise(not (spoilt and sealed), f"a wrong store was sealed, killed after {after:.3f} s")
        told.promise(bench.has("verify") <= sealed, "a receipt says verified of a store that is not sealed")
        seconds += after
        if sealed:
            bench.kill("size_report", chance.uniform(0, 0.5))
            told.promise(zarr_store.is_sealed(bench.store), "size_report unsealed a store")
    chunk.write_bytes(right)
    convert.write_text(receipt)
    for rule in ("verify", "size_report"):
        told.promise(bench.run(rule).returncode == 0, f"{rule} did not recover")
    told.promise(bench.equal(), "the store is not what the files hold")
    told.said = f"half of the stores with a flipped bit: none sealed; recovered after {seconds:.0f} s of kills"
    return told


def kill_controller(folder: Path, count: int) -> Outcome:
    """Kill Snakemake itself, whose jobs go on, and start it again at once; in the end all is verified."""
    told, bench = Outcome("controller killed -9"), Bench(folder)
    clone = folder / "clone"
    for name in ("scripts", "rules", "config", "envs", "Snakefile"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        clone.mkdir(exist_ok=True)
        copy(ROOT / name, clone / name)
    config = [f"catalogue={bench.catalogue}", f"results={folder}/out", f"store_root={folder}/stores"]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--keep-going",
        "--rerun-incomplete",
        "--config",
        *config,
    ]
    chance = random.Random(3)
    while told.count < count:
        after = chance.uniform(0, 6)
        subprocess.run([*command, "--unlock"], capture_output=True, cwd=clone)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=clone) as controller:
            try:
                controller.wait(after)
            except subprocess.TimeoutExpired:
                controller.kill()
                told.count += 1
            else:  # it was faster: from the beginning
                shutil.rmtree(folder / "out")
    for _ in range(5):
        subprocess.run([*command, "--unlock"], capture_output=True, cwd=clone)
        done = subprocess.run(command, capture_output=True, text=True, cwd=clone)
        if done.returncode == 0:
            break
        time.sleep(2)  # a job of the killed controller may still have the store
    (bench.store,) = (folder / "stores").rglob("*.zarr")
    told.promise(done.returncode == 0 and bench.equal(), f"not recovered: {done.stderr[-500:]}")
    told.said = "the next start goes on; the store is verified"
    return told
