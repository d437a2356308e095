"""The verbatim command on a real SLURM of one node, looked at in its queue: `make test-slurm`.

The runs of two campaigns go on side by side, since a job takes seconds and most of a test is waiting for the next look
at the queue.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clones
import pytest
from builders import dataset_id, make_catalogue, make_dataset
from clones import RULES, A, B, assert_converted, chain, finish, read_rows, write_rows

from cmip6zarr import drs, lotus

pytestmark = pytest.mark.slurm

CLUSTER = Path(__file__).with_name("cluster.sh")
QUICK = (*clones.LOTUS, "--slurm-init-seconds-before-status-checks", "7", "--latency-wait", "5")
"""The verbatim command, with less patience."""

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


class Queue:
    """The queue of a cluster, and every line that was seen in it."""

    def __init__(self, folder: Path):
        self.folder, self.seen, self.over = folder, {}, threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def cluster(self, command: str) -> str:
        """Run a command of cluster.sh and return what it printed."""
        env = os.environ | {"FOLDER": str(self.folder), "PORT": str(self.port)}
        # To a file: the daemons that it starts would hold a pipe open.
        with (self.folder / "said").open("w+") as said:
            run = subprocess.run([CLUSTER, command], env=env, stdout=said, stderr=subprocess.STDOUT, check=False)
            text = Path(said.name).read_text()
        assert run.returncode == 0, text
        return text

    def look(self) -> list[list[str]]:
        """Return [job, name, state, memory, walltime, QoS, rule and dataset] of all that is in the queue."""
        command = ("squeue", "--me", "--noheader", "--format=%i|%j|%T|%m|%l|%q|%k")
        # Not checked: one test kills who could answer.
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        self.seen |= dict.fromkeys(lines)
        return [line.split("|") for line in lines]

    def watch(self) -> None:
        """Look, again and again, until it is over."""
        while not self.over.wait(0.5):
            self.look()

    def jobs(self, clone) -> list[list[str]]:
        """Return what `look` does, of the jobs of one campaign."""
        return [job for job in self.look() if job[1].startswith(f"{lotus.jobname(clone.results)}_")]

    def lines(self) -> list[list[str]]:
        """Return all that was ever seen, as `look` does."""
        return [line.split("|") for line in self.seen]

    def running(self, clone, rule: str, dataset: str) -> str:
        """Wait until the job of a rule is running, and its script has left a note; return its number."""
        note = clone.results / "running" / f"{dataset}.json"
        for _ in range(900):
            for job, _, state, *_, told in self.jobs(clone):
                if (state, told) == ("RUNNING", f"rule_{rule}_wildcards_{dataset}") and note.is_file():
                    return job
            time.sleep(0.1)
        raise AssertionError("\n".join((f"no {rule} of {dataset} is running:", *self.seen)))

    def empty(self, clone) -> None:
        """Wait until no job of a campaign is in the queue."""
        for _ in range(900):
            if not self.jobs(clone):
                return
            time.sleep(0.1)
        raise AssertionError("\n".join(("still in the queue:", *self.seen)))


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    """A cluster, with its commands first on PATH.

    Where SLURM is not installed the tests are skipped; they fail if `CMIP6ZARR_REQUIRE_SLURM` is set.
    """
    if not shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin"):
        reason = f"no SLURM: slurmctld is not installed; `{CLUSTER} install` does it on Debian, as root"
        pytest.fail(reason) if os.environ.get("CMIP6ZARR_REQUIRE_SLURM") else pytest.skip(reason)
    queue = Queue(tmp_path_factory.mktemp("slurm"))
    with pytest.MonkeyPatch.context() as patch:
        try:
            queue.cluster("start")
            assert queue.cluster("check")
            patch.setenv("SLURM_CONF", str(queue.folder / "slurm.conf"))
            patch.setenv("PATH", str(queue.folder / "bin"), prepend=os.pathsep)
            patch.setenv("LOTUS_ACCOUNT", "mygws")
            watcher = threading.Thread(target=queue.watch, daemon=True)
            watcher.start()
            yield queue
        finally:
            queue.over.set()
            queue.cluster("stop")
            print(*queue.seen, sep="\n")


def faulty(folder: Path, *names: str, keep: int):
    """Return a clone with the first `keep` datasets and those of these names, where FAULTS go wrong."""
    clone = clones.checkout(folder.parent).copy(folder / "clone")
    for name in names:
        make_dataset(folder / "more", source_id=name, files=2, steps=2)
    rows = [row for row in read_rows(clone.catalogue) if row["source_id"] in ("MODEL-A", "MODEL-B")[:keep]]
    write_rows(clone.catalogue, rows + read_rows(make_catalogue(folder / "more")))
    for name in {"HELD", "SLOW"} & set(names):
        (clone.folder / name).touch()
    script, begin = clone.folder / "scripts" / "convert.py", "    inventory = receipts.read("
    text = script.read_text()
    assert text.count(begin) == 1
    script.write_text(text.replace(begin, FAULTS.strip("\n") + "\n" + begin))
    (clone.folder / "small.yaml").write_text("memory_mib: 256")
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
    runs = [clone.start(*QUICK, "--set-resources", *setting.split(), "--nolock") for setting in wrong]
    told = [*wrong.values()]
    if os.environ.get("ACCOUNTING"):
        monkeypatch.setenv("LOTUS_ACCOUNT", "others")
        runs.append(clone.start(*QUICK, "--nolock"))
        told.append("found LOTUS_ACCOUNT=others; expected one of mygws")
    monkeypatch.delenv("LOTUS_ACCOUNT")
    runs.append(clone.start(*QUICK, "--nolock"))
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
    assert clone.plan(*again) == chain(HELD, rules=RULES[1:])
    before = clone.files()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(finish, clone.start(*again))
        queue.running(clone, "convert", HELD)
        time.sleep(6)  # it writes down every five seconds what is running; what it does not know it would start twice
        os.kill(int((queue.folder / "run" / "slurmctld").read_text()), signal.SIGKILL)
        time.sleep(3)
        queue.cluster("start")
        (clone.folder / "HELD").unlink()
        said = run.result()
    assert "6 datasets: 3 verified" in said
    assert_converted(clone, HELD)
    assert clones.sources(clones.changed(before, clone.files())) == {"HELD"}
