"""A real SLURM of one node, and its queue, in which tests look at what Snakemake submits."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clones
import pytest

from cmip6zarr.job import receipts, slurm

CLUSTER = Path(__file__).parents[1] / "slurm" / "cluster.sh"
QUICK = (*clones.LOTUS, "--slurm-init-seconds-before-status-checks", "7", "--latency-wait", "5")
"""The verbatim command, with less patience."""


class Queue:
    """The queue of a cluster, every line that was seen in it, and what was seen running twice at the same time."""

    def __init__(self, folder: Path):
        self.folder, self.seen, self.twice, self.over = folder, {}, {}, threading.Event()
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
        jobs = [line.split("|") for line in lines]
        ours = [job for job in jobs if job[1].startswith("cmip6zarr-") and job[2] == "RUNNING"]
        running = Counter((name.rpartition("_")[0], told) for _, name, *_, told in ours)
        self.twice |= {job: number for job, number in running.items() if number > 1}
        return jobs

    def watch(self) -> None:
        """Look, again and again, until it is over."""
        while not self.over.wait(0.5):
            self.look()

    def jobs(self, clone) -> list[list[str]]:
        """Return what `look` does, of the jobs of one campaign."""
        return [job for job in self.look() if job[1].startswith(f"{slurm.jobname(clone.results)}_")]

    def lines(self) -> list[list[str]]:
        """Return all that was ever seen, as `look` does."""
        return [line.split("|") for line in self.seen]

    def running(self, clone, rule: str, dataset: str) -> str:
        """Wait until a script works on a dataset in a job that is running; return the number of the job."""
        for _ in range(1800):
            note = receipts.find(clone.results, "running", dataset) or {"rule": None}
            for job, _, state, *_ in self.jobs(clone):
                if (state, rule, job) == ("RUNNING", note["rule"], note.get("slurm_job")):
                    return job
            time.sleep(0.1)
        raise AssertionError("\n".join((f"no {rule} of {dataset} is running:", *self.seen)))

    def restart(self) -> None:
        """Kill SLURM's controller and start it again."""
        time.sleep(6)  # it writes down every five seconds what is running; what it does not know it would start twice
        os.kill(int((self.folder / "run" / "slurmctld").read_text()), signal.SIGKILL)
        time.sleep(3)
        self.cluster("start")

    def empty(self, clone) -> None:
        """Wait until no job of a campaign is in the queue."""
        for _ in range(900):
            if not self.jobs(clone):
                return
            time.sleep(0.1)
        raise AssertionError("\n".join(("still in the queue:", *self.seen)))


@contextmanager
def started(folder: Path) -> Iterator[Queue]:
    """A cluster in a folder, with its commands first on PATH.

    Where SLURM is not installed the tests are skipped; they fail if `CMIP6ZARR_REQUIRE_SLURM` is set.
    """
    if not shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin"):
        reason = f"no SLURM: slurmctld is not installed; `{CLUSTER} install` does it on Debian, as root"
        pytest.fail(reason) if os.environ.get("CMIP6ZARR_REQUIRE_SLURM") else pytest.skip(reason)
    queue = Queue(folder)
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
    assert not queue.twice, queue.twice
