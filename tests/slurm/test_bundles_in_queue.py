"""Bundles, which are the default on SLURM, on a real one: what a failure leaves, and what the next run does."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import clones
import pytest
import queues
from builders import dataset_id, make_catalogue, make_dataset
from clones import assert_converted, finish
from queues import QUICK

from cmip6zarr.catalogue import drs
from cmip6zarr.job import receipts, slurm
from cmip6zarr.store import ledger

pytestmark = pytest.mark.slurm

SOURCES = [
    *("A1", "A2-TAKEN", "A3", "B1", "B2-KILLED", "B3", "C1", "C2-GREEDY", "C3"),
    *("D1", "D2-SLOW", "D3", "E1", "E2-HELD", "E3", "F1", "F2", "F3"),
]
"""Three to a bundle, in this order."""

TAKEN, KILLED, GREEDY, SLOW, HELD = (
    dataset_id(source_id=name) for name in ("A2-TAKEN", "B2-KILLED", "C2-GREEDY", "D2-SLOW", "E2-HELD")
)
FAULTS = {
    "convert.py": (
        "    inventory = receipts.load(",
        """
    import signal, time
    from pathlib import Path
    model = args.dataset.split(".")[3]
    while model.endswith("HELD") and Path(model).exists():
        time.sleep(0.1)
    if model.endswith("KILLED") and Path(model).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if model.endswith("GREEDY"):
        hog = bytearray(b"x") * (500 << 20)
        time.sleep(4)
        del hog
""",
    ),
    "cmip6zarr/store/ledger_writer.py": (
        '        """Write down an object that has been written',
        """
        import time
        while "SLOW" in str(self.store) and Path("D2-SLOW").exists() and self.path.read_text().count("\\n") > 2:
            time.sleep(0.1)
""",
    ),
}
"""Script -> where in it, and what goes wrong there: HELD, KILLED, SLOW (after two objects) while a file is there."""


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with queues.started(tmp_path_factory.mktemp("slurm")) as queue:
        yield queue


def faulty(folder, sources, most):
    """Return a clone whose catalogue lists these sources, `most` to a bundle, where FAULTS go wrong."""
    clone = clones.checkout(folder.parent).copy(folder / "clone")
    for name in sources:
        make_dataset(folder / "more", source_id=name, files=2, steps=2)
    make_catalogue(folder / "more", clone.catalogue)
    for name, (place, fault) in FAULTS.items():
        script = clone.folder / "scripts" / name
        text = script.read_text()
        assert text.count(place) == 1
        script.write_text(text.replace(place, fault.strip("\n") + "\n" + place))
    for name in sources:
        if name.endswith(("HELD", "KILLED", "SLOW")):
            (clone.folder / name).touch()
    (clone.folder / "few.yaml").write_text(f"bundle: {{datasets: {most}}}\nmemory_mib: 256\nchunks: {{time: 1}}")
    return clone


@pytest.fixture(scope="module")
def campaign(queue, tmp_path_factory):
    """A run of all sources, each job tried once: one is cancelled, and one over its walltime amid a store."""
    clone = faulty(tmp_path_factory.mktemp("bundled"), SOURCES, 3)
    (clone.stores / drs.store_folder(TAKEN) / "notes").mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(finish, clone.start(*QUICK, "--retries", "0", "--configfile", "few.yaml"), 1)
        slow, held = (queue.running(clone, "convert", dataset) for dataset in (SLOW, HELD))
        subprocess.run(["scancel", held], check=True)
        while ledger.path_of(clone.stores / drs.store_folder(SLOW)).read_text().count("\n") < 3:
            time.sleep(0.1)
        subprocess.run(["scontrol", "update", f"jobid={slow}", "TimeLimit=00:00:01"], check=True)
        return clone, run.result(), slow, held


def jobs_of(queue, clone):
    """Return {number of a bundle: its jobs} of all that was ever seen in the queue of a campaign."""
    jobs = {}
    for job, name, *_, told in queue.lines():
        if name.startswith(slurm.jobname(clone.results)):
            jobs.setdefault(int(told.removeprefix("rule_bundle_wildcards_")[:6]), set()).add(job)
    return jobs


def test_failures_leave_the_others_complete(queue, campaign):
    """What fails is recorded with what it was; its neighbours are verified, or wait where the whole job was ended."""
    clone, said, slow, held = campaign
    kinds = {TAKEN: "store", KILLED: "memory", GREEDY: "memory", SLOW: "walltime", HELD: "cancelled"}
    records = {dataset: receipts.read(clone.results, "failed", dataset) for dataset in kinds}
    assert {dataset: record["class"] for dataset, record in records.items()} == kinds, (records, queue.seen)
    assert {record["rule"] for record in records.values()} == {"convert"}
    assert {records[SLOW]["slurm_job"], records[HELD]["slurm_job"]} == {slow, held}
    assert "18 datasets: 10 verified, 3 waiting" in said
    assert_converted(
        clone, *(dataset_id(source_id=name) for name in ["A1", "A3", "B1", "B3", "C1", "D1", "E1", "F1", "F2", "F3"])
    )
    assert {number: len(jobs) for number, jobs in jobs_of(queue, clone).items()} == dict.fromkeys(range(6), 1)
    assert [path.stem[:6] for path in (clone.results / "bundle").iterdir()] == ["000005"]


def test_class_of_failure_is_done_again_while_slurm_restarts(queue, campaign):
    """`rerun=cancelled` submits one bundle, in which one dataset is done; SLURM's controller dies and comes back."""
    clone = campaign[0]
    again = (*QUICK, "--configfile", "few.yaml", "--config", "rerun=cancelled")
    assert sorted(rule for rule, _ in clone.plan(*again)) == sorted(("bundle", "summary", *clones.ENDS))
    before = clone.files()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(finish, clone.start(*again), 1)
        try:
            queue.running(clone, "convert", HELD)
            queue.restart()
        finally:
            (clone.folder / "E2-HELD").unlink()
        assert "11 verified, 3 waiting" in run.result()
    assert_converted(clone, HELD)
    assert clones.sources(clones.changed(before, clone.files())) == {"E2-HELD"}


def test_next_run_does_what_is_left(queue, campaign):
    """Bundles with work left are submitted and no others; a store goes on where it was, memory grows try by try."""
    clone = campaign[0]
    for name in ("B2-KILLED", "D2-SLOW", "E2-HELD"):
        (clone.folder / name).unlink(missing_ok=True)
    (clone.stores / drs.store_folder(TAKEN) / "notes").rmdir()
    (clone.stores / drs.store_folder(TAKEN)).rmdir()
    before, earlier = clone.files(), jobs_of(queue, clone)
    assert "18 datasets: 18 verified" in clone.snakemake(*QUICK, "--configfile", "few.yaml")
    new = {number: len(jobs - earlier[number]) for number, jobs in jobs_of(queue, clone).items()}
    assert new == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1, 5: 0}, queue.seen
    touched = clones.sources(clones.changed(before, clone.files()))
    assert touched == {"A2-TAKEN", "B2-KILLED", "C2-GREEDY", "C3", "D2-SLOW", "D3", "E3"}
    assert receipts.read(clone.results, "convert", SLOW)["resumed_shards"] >= 2
    assert_converted(clone, *(dataset_id(source_id=name) for name in SOURCES))
    assert not any((clone.results / "running").iterdir())
    assert "Nothing to be done" in clone.snakemake(*QUICK, "--configfile", "few.yaml")
    assert not queue.twice


def state(job):
    """Return the state of a job of SLURM."""
    said = subprocess.run(["scontrol", "-o", "show", "job", job], capture_output=True, text=True, check=True).stdout
    return said.partition("JobState=")[2].partition(" ")[0]


def ended(job):
    """Wait until a job of SLURM has ended, and return its state."""
    for _ in range(1200):
        if (now := state(job)) not in ("PENDING", "RUNNING", "COMPLETING"):
            return now
        time.sleep(0.1)
    raise AssertionError(f"job {job} does not end")


def test_controller_is_a_job_too(queue, tmp_path_factory):
    """A controller that is a job submits the others; one told to end takes them along, a killed one leaves them."""
    clone = faulty(tmp_path_factory.mktemp("controller"), ["A1", "A2", "B1", "B2-HELD"], 2)
    held = dataset_id(source_id="B2-HELD")

    def start():
        command = f"exec {sys.executable} -m snakemake {' '.join(QUICK)} --configfile few.yaml"
        options = [
            "--account=mygws",
            "--partition=standard",
            "--qos=long",
            "--time=5-0",
            "--mem=4G",
            "--signal=B:INT@600",
        ]
        sbatch = ["sbatch", "--parsable", "--output=controller.log", *options, "--signal=B:INT@600", "--wrap", command]
        return subprocess.run(sbatch, cwd=clone.folder, capture_output=True, text=True, check=True).stdout.strip()

    def said():
        return (clone.folder / "controller.log").read_text()

    told_to_end = start()
    queue.running(clone, "convert", held)
    subprocess.run(["scancel", "--batch", "--signal=INT", told_to_end], check=True)
    assert ended(told_to_end) == "FAILED", said()
    queue.empty(clone)

    killed = start()
    job = queue.running(clone, "convert", held)
    subprocess.run(["scancel", "--batch", "--signal=KILL", killed], check=True)
    assert ended(killed) == "FAILED"
    assert state(job) == "RUNNING"
    clone.snakemake("--unlock")
    assert ended(start()) == "FAILED"
    assert "left by a controller that is gone" in said()
    (clone.folder / "B2-HELD").unlink()
    queue.empty(clone)
    before = jobs_of(queue, clone)

    assert ended(start()) == "COMPLETED", said()
    assert "4 datasets: 4 verified" in said()
    assert_converted(clone, *(dataset_id(source_id=name) for name in ("A1", "A2", "B1", "B2-HELD")))
    # The jobs that went on alone had done it all.
    assert jobs_of(queue, clone) == before
    assert not queue.twice
