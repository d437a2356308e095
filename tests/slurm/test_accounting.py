"""What a SLURM with accounts and LOTUS2's limits accepts, refuses and remembers, and what is known here of it.

`make test-slurm-accounting`: it needs slurmdbd and MariaDB.
"""

import subprocess
import sys
import time

import pytest
import queues

from cmip6zarr.job import in_progress, slurm
from cmip6zarr.job.slurm import QOS, Request

pytestmark = [pytest.mark.slurm_accounting, pytest.mark.usefixtures("queue")]


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCOUNTING", "1")
        with queues.started(tmp_path_factory.mktemp("slurm")) as queue:
            yield queue


def sbatch(request: Request, *options: str) -> tuple[str, str]:
    """Submit a job as it is asked for; return its number, empty where it is refused, and what else was said."""
    asked = {"account": request.account, "partition": request.partition, "qos": request.qos, "mem": request.mem_mb}
    asked |= {"cpus-per-task": request.cpus, "time": request.minutes}
    command = ["sbatch", "--parsable", *(f"--{name}={value}" for name, value in asked.items()), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.stderr


def squeue(job: str, form: str) -> str:
    """Return what squeue says of a job."""
    command = ("squeue", "--noheader", "--states=all", f"--format={form}", f"--jobs={job}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def most(name: str, partition: str | None = None, **more) -> Request:
    """Return the most that a QoS grants by what is known here, with some changes."""
    qos = QOS[name]
    granted = {"cpus": qos.cpus, "mem_mb": min(int(min(qos.mem_mb, 1e6)), 10**6), "minutes": qos.minutes}
    return Request("convert", "mygws", partition or qos.partition, name, **granted | more)


@pytest.mark.parametrize("name", QOS)
def test_limits_of_a_qos(name):
    """SLURM accepts the most that we think it grants, and refuses what we refuse beyond it."""
    qos = QOS[name]
    assert slurm.excess(most(name)) is None
    job, said = sbatch(most(name), "--hold", "--wrap=true")
    assert job, said
    subprocess.run(["scancel", job], check=True)
    # A GB of JASMIN's table is SLURM's G, of 1024 M: we stay a little below.
    beyond = [{"cpus": qos.cpus + 1}, {"minutes": qos.minutes + 1}]
    beyond += [{"mem_mb": int(qos.mem_mb * 1.03)}] if qos.mem_mb < float("inf") else []
    for change in beyond:
        request = most(name, **change)
        assert f"QoS {name} would not take" in slurm.excess(request)
        job, said = sbatch(request, "--hold", "--wrap=true")
        assert not job
        assert "QOSMax" in said


def test_wrong_partition_waits_for_ever():
    """SLURM accepts a QoS that the partition does not have, and never starts the job: we refuse it."""
    request = most("standard", "debug", minutes=1, mem_mb=100)
    assert "would wait for ever" in slurm.excess(request)
    job, said = sbatch(request, "--output=/dev/null", "--wrap=true")
    assert job, said
    time.sleep(5)
    assert squeue(job, "%T %r").startswith("PENDING Job's QOS not permitted")
    subprocess.run(["scancel", job], check=True)


def test_accounts():
    """The accounts that we ask for are those that SLURM takes."""
    assert "mygws" in slurm.accounts_of_user()
    job, said = sbatch(Request("convert", "others", "standard", "short", 1, 100, 1), "--wrap=true")
    assert not job
    assert "Invalid account" in said
    with pytest.raises(slurm.LotusError, match="found LOTUS_ACCOUNT=others; expected one of mygws"):
        slurm.check_requests([Request("convert", "others", "standard", "short", 1, 100, 1)], slurm.accounts_of_user())


def test_what_is_remembered_of_a_job(tmp_path, monkeypatch):
    """What became of a job is told from its log and sacct alone, when SLURM's controller has forgotten it."""
    monkeypatch.chdir(tmp_path)
    request = most("short", minutes=10, mem_mb=300)
    hog = f"{sys.executable} -c 'x = bytearray(600 << 20); import time; time.sleep(20)'"
    works = {"memory": hog, "walltime": "sleep 300", "cancelled": "sleep 300", "killed": "kill -9 $$"}
    jobs = {}
    for kind, work in works.items():
        folder = tmp_path / ".snakemake" / "slurm_logs" / "rule_convert" / kind
        folder.mkdir(parents=True)
        jobs[kind], said = sbatch(request, f"--output={folder}/%j.log", "--wrap", work)
        assert jobs[kind], said
    while squeue(jobs["cancelled"], "%T") != "RUNNING" or squeue(jobs["walltime"], "%T") != "RUNNING":
        time.sleep(0.2)
    subprocess.run(["scontrol", "update", f"jobid={jobs['walltime']}", "TimeLimit=00:00:01"], check=True)
    subprocess.run(["scancel", jobs["cancelled"]], check=True)
    for job in jobs.values():
        while squeue(job, "%T") in ("PENDING", "RUNNING", "COMPLETING"):
            time.sleep(0.2)
    ask = slurm.ask

    def forgetful(command, *options):
        if command == "scontrol":
            raise slurm.LotusError("Invalid job id specified")
        return ask(command, *options)

    monkeypatch.setattr(slurm, "ask", forgetful)
    time.sleep(2)  # slurmdbd is told a little later
    told = {kind: in_progress.of_job(job, "convert", kind) for kind, job in jobs.items()}
    said = subprocess.run(["sacct", "-X", "-o", "JobID,State,QOS,ReqMem,Elapsed"], capture_output=True, text=True)
    print(said.stdout)
    assert {kind: found for kind, (found, _) in told.items()} == {kind: kind for kind in jobs}, told
    (tmp_path / ".snakemake").rename(tmp_path / "gone")
    states = {kind: in_progress.of_job(job, "convert", kind)[0] for kind, job in jobs.items()}
    assert states | {"memory": None} == {kind: kind for kind in jobs} | {"memory": None}
