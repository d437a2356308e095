"""Is the object store slower than the disk, and by what factor?

Needs a bucket: `CMIP6ZARR_S3_STORE` names a prefix in it (s3://bucket/prefix) whose objects may be replaced, and
`CMIP6ZARR_S3` has the configuration's `s3` as JSON; credentials come from where they always do. Run as a program
(`python questions/store.py STORE`) it reads a store whole, and one map of it.
"""

import json
import os
import statistics
import sys
import time

import data
from benchmark import DATASET, take_inventory
from child import Case, median, run, said
from setting import SCRIPTS, Setting, in_child
from words import faster, listed, number, table

CHUNK_MIB = (1, 4, 16, 32, 100)
DISK, OBJECTS = "disk", "object store"
WRITE, ALL, MAP = "write", "read all", "read one map"


def measure(setting: Setting) -> dict:
    """Write and read one dataset on disk and in a bucket, in chunks of several sizes."""
    bucket, settings = os.environ.get("CMIP6ZARR_S3_STORE"), os.environ.get("CMIP6ZARR_S3", "{}")
    if not bucket:
        return {"reason": "no bucket to write to (`CMIP6ZARR_S3_STORE`)"}
    files, steps, grid = setting.pick((2, 48, (384, 512)), (1, 4, (12, 16)))
    folder = data.make(setting.work, files, steps, grid)
    take_inventory(folder)
    disk, remote = setting.work / "store.zarr", f"{bucket.rstrip('/')}/store.zarr"
    results = [DATASET, "--results", folder.parent / "results"]
    runs: dict[str, list[dict]] = {}
    for _ in range(setting.rounds):
        for chunk_mib in setting.pick(CHUNK_MIB, CHUNK_MIB[:1]):
            for name, store, given in ((DISK, disk, []), (OBJECTS, remote, ["--s3", settings])):
                options = ["--store", store, "--chunk-mib", chunk_mib, "--memory-mib", 2048, *given]
                convert = [sys.executable, SCRIPTS / "convert.py", *results, *options]
                figure = run(Case(convert, disk if name == DISK else None))
                # Seals it, so that it opens.
                run(Case([sys.executable, SCRIPTS / "verify.py", *results, "--memory-mib", 2048, *given]))
                read = run(in_child("store", store, settings))["said"]
                runs.setdefault(f"{chunk_mib}|{name}", []).append(figure | {"said": read})
    return {"raw_mib": files * steps * 8 * grid[0] * grid[1] * 4 / 2**20, "runs": runs}


def main(argv: list[str]) -> None:
    """Print the seconds of reading all of `ta`, and one map of it, as JSON."""
    import zarr

    target = argv[0]
    if target.startswith("s3://"):
        from obstore.store import from_url
        from zarr.storage import ObjectStore

        endpoint = json.loads(argv[1]).get("endpoint_url", "")
        config = {"endpoint": endpoint} if endpoint else {}
        options = {"allow_http": endpoint.startswith("http://")}
        target = ObjectStore(from_url(argv[0], config=config, client_options=options), read_only=True)
    spent = {}
    for name, where in ((ALL, ...), (MAP, (1, 0))):
        start = time.perf_counter()
        zarr.open_array(target, path="ta", mode="r")[where]
        spent[name] = round(time.perf_counter() - start, 3)
    print(json.dumps(spent))


def seconds(figures: dict, chunk_mib: str, name: str, what: str) -> float:
    """Return the median seconds of writing or reading."""
    runs = figures["runs"][f"{chunk_mib}|{name}"]
    return median(runs, "wall_s") if what == WRITE else statistics.median(said(runs, what))


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    if "reason" in figures:
        return {"answer": f"Not run: {figures['reason']}.", "method": "", "runs": ""}
    sizes = list(dict.fromkeys(key.split("|")[0] for key in figures["runs"]))
    columns = [(what, name) for what in (WRITE, ALL, MAP) for name in (DISK, OBJECTS)]
    rows = [[size, *(number(seconds(figures, size, name, what)) for what, name in columns)] for size in sizes]
    said_of = []
    for what, verb in ((WRITE, "writing to it"), (ALL, "reading all of it"), (MAP, "reading one map")):
        best = min(sizes, key=lambda size, what=what: seconds(figures, size, OBJECTS, what))
        factor = faster(seconds(figures, best, OBJECTS, what), seconds(figures, best, DISK, what))
        said_of.append(f"{verb} is {factor} in chunks of {best} MiB")
    return {
        "answer": f"Against the disk, each at the chunk size that suits the object store best: {listed(said_of)}.",
        "method": f"`convert` to both, plain zarr from both, {number(figures['raw_mib'], 0)} MiB before compression. A "
        "server on the same machine shares its cores, and a real one has a network before it: to measure yours, name a "
        "prefix in `CMIP6ZARR_S3_STORE`.",
        "runs": table(["chunk MiB", *(f"{what} s, {name}" for what, name in columns)], rows),
    }


def draw(figures: dict, axes) -> None:
    """Draw seconds of writing and reading by chunk size."""
    sizes = list(dict.fromkeys(key.split("|")[0] for key in figures["runs"]))
    for what in (WRITE, ALL):
        for name, line in ((DISK, "--"), (OBJECTS, "-")):
            values = [seconds(figures, size, name, what) for size in sizes]
            axes.plot([float(size) for size in sizes], values, f"o{line}", label=f"{what}, {name}")
    axes.set_xscale("log")
    axes.set_xlabel("MiB of a chunk before compression")
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)


if __name__ == "__main__":
    main(sys.argv[1:])
