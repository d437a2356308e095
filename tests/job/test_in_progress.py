"""Notes of work that goes on, and what becomes of those that are left behind."""

import os
import subprocess
import sys

import pytest
from builders import dataset_id

from cmip6zarr.core import files
from cmip6zarr.job import in_progress, receipts, slurm

ID = dataset_id()


@pytest.fixture
def note(tmp_path, monkeypatch):
    """A function that leaves a note as another process would have; the working folder is that of the campaign."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)

    def leave(**change):
        in_progress.begin("results", "convert", ID)
        path = receipts.path_of("results", in_progress.FOLDER, ID)
        receipts.write(path, receipts.read("results", in_progress.FOLDER, ID) | change)
        return path

    return leave


def dead_pid():
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_work_that_goes_on_is_left_alone(note):
    """A process that is alive, or on another machine, or whose job SLURM does not know, keeps its note."""
    for change in ({}, {"host": "elsewhere", "pid": dead_pid()}, {"slurm_job": "1", "pid": dead_pid()}):
        path = note(**change)
        assert in_progress.settle("results", {ID}) == []
        assert path.is_file()
    assert not receipts.path_of("results", "failed", ID).exists()


def test_damaged_note(note):
    """A note that is not as it was written tells nothing, and does not keep the others from being settled."""
    path = note(pid=dead_pid())
    sound = path.read_text()
    path.write_text(sound.replace("convert", "verify"))
    assert in_progress.settle("results", {ID}) == []
    assert in_progress.at_work("results", {ID}) == {}
    path.write_text(sound)
    assert in_progress.settle("results", {ID}) == [ID]


def test_job_of_a_bundle(note, monkeypatch):
    """The log that tells what killed the work of a bundle is the bundle's, and its rule is named in the remedy."""
    monkeypatch.setattr(slurm, "ask", lambda *_: "JobState=FAILED")
    note(slurm_job="7", bundle="000003-0123456789ab")
    files.write_text(
        ".snakemake/slurm_logs/rule_bundle/000003-0123456789ab/7.log",
        "slurmstepd-h: error: StepId=7.0 exceeded memory limit (2 > 1), being killed",
    )
    assert in_progress.settle("results", {ID}) == [ID]
    record = receipts.read("results", "failed", ID)
    assert (record["rule"], record["class"]) == ("convert", "memory")
    assert "--set-resources bundle:mem_mb" in record["remedy"]


def test_killed_process(note):
    """A process that is gone leaves a record of class `killed`, and no note."""
    path = note(pid=dead_pid())
    assert in_progress.settle("results", set()) == []
    assert in_progress.settle("results", {ID}) == [ID]
    record = receipts.read("results", "failed", ID)
    assert (record["rule"], record["class"]) == ("convert", "killed")
    assert "was killed: it is gone" in record["message"]
    assert not path.exists()


@pytest.mark.parametrize(
    ("state", "said", "kind"),
    [
        (
            "JobState=CANCELLED",
            "slurmstepd: error: *** JOB 7 ON host1 CANCELLED AT 2026-03-01T00:00:00 ***",
            "cancelled",
        ),
        ("JobState=TIMEOUT", "slurmstepd: error: *** JOB 7 ON h CANCELLED AT x DUE TO TIME LIMIT ***", "walltime"),
        ("JobState=FAILED", "slurmstepd-h: error: StepId=7.0 exceeded memory limit (2 > 1), being killed", "memory"),
        ("JobState=FAILED", "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0", "memory"),
        ("JobState=NODE_FAIL", "slurmstepd: error: *** JOB 7 ON h CANCELLED AT x DUE TO NODE FAILURE ***", "node"),
        ("JobState=OUT_OF_MEMORY", "", "memory"),
        ("JobState=FAILED", "MissingInputException: CANCELLED AT", "killed"),
        ("CANCELLED by 1000", "", "cancelled"),
        (None, "slurmstepd: error: *** JOB 7 ON h CANCELLED AT x DUE TO TIME LIMIT ***", "walltime"),
        (None, "", None),
        ("JobState=RUNNING", "", None),
        ("JobState=PENDING", "slurmstepd: error: *** JOB 7 ON h CANCELLED AT x DUE TO NODE FAILURE ***", None),
    ],
)
def test_class_of_a_job(note, monkeypatch, state, said, kind):
    """The log of the job says why, or its state does; one that SLURM has queued again is not at its end."""

    def ask(command, *_):
        if state is None or command == ("sacct" if "=" in state else "scontrol"):
            raise slurm.LotusError("no answer")
        return f"JobId=7 JobName=x {state} Reason=None" if "=" in state else state

    monkeypatch.setattr(slurm, "ask", ask)
    path = note(slurm_job="7", pid=os.getpid())
    files.write_text(f".snakemake/slurm_logs/rule_convert/{ID}/7.log", f"all is well\n{said}\n")
    assert in_progress.settle("results", {ID}) == ([ID] if kind else [])
    assert path.exists() == (kind is None)
    if kind:
        record = receipts.read("results", "failed", ID)
        assert (record["class"], record["slurm_job"]) == (kind, "7")
        assert record["message"].startswith("SLURM job 7 on ")
        assert "Run again" in record["remedy"]
