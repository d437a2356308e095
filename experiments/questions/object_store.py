"""Is the object store slower than the disk, and by what factor? `make bench-s3` asks nothing else.

Beside the functions of every question it has `tables(figures)`, those of docs/performance.md.
"""

from command_cost import median
from object_store_cost import S3, WRITE, measure, tables
from read_store import ALL, DISK, MAP, OBSTORE, S3FS
from wording import faster, listed, number, table

__all__ = ["draw", "measure", "tables", "words"]

PLACES = {WRITE: (DISK, S3), ALL: (DISK, OBSTORE, S3FS), MAP: (DISK, OBSTORE, S3FS)}


def seconds(figures: dict, layout: str, what: str, where: str) -> float:
    """Return the median seconds of writing or reading."""
    return median(figures["layouts"][layout]["runs"][f"{what}|{where}"], "wall_s")


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    if "reason" in figures:
        return {"answer": f"Not run: {figures['reason']}.", "method": "", "runs": ""}
    layouts = figures["layouts"]
    said_of = []
    for what, verb in ((WRITE, "writing to it"), (ALL, "reading all of it"), (MAP, "reading one map")):
        disk, remote = PLACES[what][:2]
        best = min(layouts, key=lambda name, what=what, remote=remote: seconds(figures, name, what, remote))
        factor = faster(seconds(figures, best, what, remote), seconds(figures, best, what, disk))
        said_of.append(f"{verb} is {factor} in chunks of {best} MiB")
    columns = [(what, where) for what, places in PLACES.items() for where in places]
    rows = [
        [name, *(number(seconds(figures, name, what, where), 3 if what == MAP else 2) for what, where in columns)]
        for name in layouts
    ]
    return {
        "answer": f"Against the disk, each in the chunks that suit the object store best: {listed(said_of)}.",
        "method": f"`convert` to both, plain xarray from both, {number(figures['raw_mib'], 0)} MiB before compression. "
        "The server, SeaweedFS, is on the same machine and shares its cores; a real one has a network before it, which "
        "`scripts/s3_probe.py` measures. CPU time, memory, requests, `verify` and `audit`: "
        "[performance.md](performance.md#stores-in-s3).",
        "runs": table(["chunk MiB", *(f"{what} s, {where}" for what, where in columns)], rows),
    }


def draw(figures: dict, axes) -> None:
    """Draw seconds of writing and reading by chunk size, without shards."""
    sizes = [name for name in figures["layouts"] if name.isdecimal()]
    for what in (WRITE, ALL):
        for where, line in zip(PLACES[what][:2], ("--", "-"), strict=True):
            values = [seconds(figures, size, what, where) for size in sizes]
            axes.plot([float(size) for size in sizes], values, f"o{line}", label=f"{what}, {where}")
    axes.set_xscale("log")
    axes.set_xlabel("MiB of a chunk before compression")
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)
