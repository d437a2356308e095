"""The verbatim command on a real SLURM of one node, looked at in its queue: `make test-slurm`.

The runs of two campaigns go on side by side, since a job takes seconds and most of a test is waiting for the next look
at the queue.
"""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clones
import pytest
import queues
from builders import dataset_id, make_catalogue, make_dataset
from clones import RULES, A, B, assert_converted, chain, finish, read_rows, write_rows
from queues import QUICK

from cmip6zarr.catalogue import drs

pytestmark = pytest.mark.slurm

FAULTS = """
    import time
    from pathlib import Path
    model = args.dataset.split(".")[3]
    while Path(model).exists():  # HELD, SLOW: until the file is gone
        time.sleep(0.1)
    if model in ("GREEDY", "GLUTTON"):
        hog = bytearray(b"x") * ({"GREEDY": 500, "GLUTTON": 2000}[model] << 20)
        time.sleep(4)
        del hog
"""
"""What goes wrong in the converts of some datasets."""

HELD, SLOW, GREEDY, GLUTTON, TAKEN = (
    dataset_id(source_id=name) for name in ("HELD", "SLOW", "GREEDY", "GLUTTON", "TAKEN")
)


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with queues.started(tmp_path_factory.mktemp("slurm")) as queue:
        yield queue


def faulty(folder: Path, *names: str, keep: int):
    """Return a clone with the first `keep` datasets and those of these names, where FAULTS go wrong."""
    clone = clones.checkout(folder.parent).copy(folder / "clone")
    for name in names:
        make_dataset(folder / "more", source_id=name, files=2, steps=2)
    rows = [row for row in read_rows(clone.catalogue) if row["source_id"] in ("MODEL-A", "MODEL-B")[:keep]]
    write_rows(clone.catalogue, rows + read_rows(make_catalogue(folder / "more")))
    for name in {"HELD", "SLOW"} & set(names):
        (clone.folder / name).touch()
    script, begin = clone.folder / "scripts" / "convert.py", "    inventory = receipts.load("
    text = script.read_text()
    assert text.count(begin) == 1
    script.write_text(text.replace(begin, FAULTS.strip("\n") + "\n" + begin))
    (clone.folder / "small.yaml").write_text("memory_mib: 256\nbundle: {datasets: 0}")
    return clone


@pytest.fixture(scope="module")
def campaign(queue, tmp_path_factory):
    """A run of A, B, and of what is cancelled, too slow, too big, or finds a foreign folder where its store should be.

    It runs beside the tests that do not ask for it.
    """
    clone = faulty(tmp_path_factory.mktemp("faulty"), "HELD", "SLOW", "GLUTTON", "TAKEN", keep=2)
    (clone.stores / drs.store_folder(TAKEN) / "notes").mkdir(parents=True)

    def drive():
        run = pool.submit(finish, clone.start(*QUICK, "--retries", "0", "--configfile", "small.yaml"), 1)
        slow, held = (queue.running(clone, "convert", dataset) for dataset in (SLOW, HELD))
        subprocess.run(["scontrol", "update", f"jobid={slow}", "TimeLimit=00:00:01"], check=True)
        subprocess.run(["scancel", held], check=True)
        return run.result(), held

    with ThreadPoolExecutor(2) as pool:
        yield clone, pool.submit(drive)


def failure(clone, dataset):
    return json.loads((clone.results / "failed" / f"{dataset}.json").read_text())


@pytest.mark.usefixtures("campaign")
def test_nothing_is_submitted(queue, tmp_path_factory, monkeypatch):
    """Without an account, or with a QoS that would wait for ever or refuse, there is one error and no job."""
    clone = faulty(tmp_path_factory.mktemp("wrong"), "HELD", keep=1)
    wrong = {
        "convert:qos=debug": "convert: QoS debug on partition standard would wait for ever; expected one of short",
        "verify:qos=standard verify:runtime=2d": "verify: QoS standard would not take 2880 minutes of at most 1440",
        "convert:cpus_per_task=4 convert:qos=long": "QoS long would not take 4 CPUs of at most 1",
    }
    quick = (*QUICK, "--configfile", "small.yaml", "--nolock")
    runs = [clone.start(*quick, "--set-resources", *setting.split()) for setting in wrong]
    told = [*wrong.values()]
    if os.environ.get("ACCOUNTING"):
        monkeypatch.setenv("LOTUS_ACCOUNT", "others")
        runs.append(clone.start(*quick))
        told.append("found LOTUS_ACCOUNT=others; expected one of mygws")
    monkeypatch.delenv("LOTUS_ACCOUNT")
    runs.append(clone.start(*quick))
    told.append("found LOTUS_ACCOUNT unset")
    for run, why in zip(runs, told, strict=True):
        said = finish(run, expect=1)
        assert why in said
        assert said.count("WorkflowError") == 1
        assert "Traceback" not in said
        assert "has been submitted" not in said
    assert queue.jobs(clone) == []
    assert not clone.results.exists()


@pytest.mark.usefixtures("campaign")
def test_dead_controller(queue, tmp_path_factory):
    """While jobs of a dead controller are in the queue a new one refuses to begin; afterwards it completes everything.

    Another campaign of the same user is at work all the time, and is in nobody's way.
    """
    clone = faulty(tmp_path_factory.mktemp("dead"), "HELD", "GREEDY", keep=0)
    run = clone.start(*QUICK, "--configfile", "small.yaml")
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(run.communicate)
        held = queue.running(clone, "convert", HELD)
        os.killpg(run.pid, signal.SIGKILL)
        said.result()
    clone.snakemake("--unlock")
    refused = clone.snakemake(*QUICK, "--configfile", "small.yaml", expect=1)
    assert "left by a controller that is gone" in refused
    assert f"{held} RUNNING rule_convert {HELD}" in refused
    assert "scancel" in refused
    assert "has been submitted" not in refused
    (clone.folder / "HELD").unlink()
    queue.empty(clone)
    said = clone.snakemake(*QUICK, "--configfile", "small.yaml")
    assert_converted(clone, HELD, GREEDY)
    assert "2 datasets: 2 verified" in said
    # GREEDY's memory was doubled until it was enough.
    sizes = {memory for _, _, _, memory, _, _, told in queue.lines() if told == f"rule_convert_wildcards_{GREEDY}"}
    assert sizes == {"506M", "1012M"}, queue.seen
    assert not any((clone.results / "running").iterdir())


def test_failures_leave_the_others_complete(queue, campaign):
    """What was killed is recorded with what killed it, what failed by itself with its reason; A and B are verified."""
    clone, run = campaign
    said, held = run.result()
    assert_converted(clone, A, B)
    kinds = {HELD: "cancelled", SLOW: "walltime", GLUTTON: "memory", TAKEN: "store"}
    records = {dataset: failure(clone, dataset) for dataset in kinds}
    assert {dataset: record["class"] for dataset, record in records.items()} == kinds, (records, queue.seen)
    assert {record["rule"] for record in records.values()} == {"convert"}
    assert records[HELD]["slurm_job"] == held
    assert f"SLURM job {held} on " in records[HELD]["message"]
    for word in ("2 verified", *(f"1 failed ({kind})" for kind in kinds.values())):
        assert word in said
    # Half an hour for convert, which knew the inventory; an hour for inventory.
    limits = {told.split("_wild")[0]: limit for *_, limit, _, told in queue.lines() if A in told}
    assert (limits["rule_inventory"], limits["rule_convert"]) == ("1:00:00", "31:00"), queue.seen


def test_cancelled_is_done_again_while_slurm_restarts(queue, campaign):
    """The next run can redo just what was cancelled, and survives that SLURM's controller dies and comes back."""
    clone, run = campaign
    run.result()
    again = (*QUICK, "--configfile", "small.yaml", "--config", "rerun=cancelled")
    assert clone.plan(*again) == chain(HELD, rules=RULES[1:]) | {("summary", "")}
    before = clone.files()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(finish, clone.start(*again), 1)
        queue.running(clone, "convert", HELD)
        queue.restart()
        (clone.folder / "HELD").unlink()
        said = run.result()
    assert "6 datasets: 3 verified" in said
    assert_converted(clone, HELD)
    assert clones.sources(clones.changed(before, clone.files())) == {"HELD"}
