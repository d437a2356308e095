"""What if `open_mfdataset` is told to be parallel?"""

import math
import signal
import statistics

import made_up_data
from command_cost import interleave, median, said
from setting import Setting, note_script
from wording import cores_of, faster, listed, number, smaller, table

FILES = 202
"""As many as the note's dataset must have had: 36360 steps in files of 180."""
OPEN, WHOLE = "open", "open and convert"


def measure(setting: Setting) -> dict:
    """Open many small files, and open and convert them, with and without."""
    files = setting.pick(FILES, 3)
    folder = made_up_data.make(setting.work, files, 4, setting.pick((48, 64), (12, 16)))
    store = setting.work / "opening.zarr"
    cases = {}
    for cores in (1, 2):
        for what, options in ((OPEN, ("--open-only",)), (WHOLE, ())):
            for name, more in (("False", ()), ("True", ("--parallel",))):
                cases[f"{what}|{cores}|{name}"] = note_script(folder, store, *options, *more, cores=cores)
    runs = interleave(cases, setting.rounds, warm=not setting.quick, sample=True, may_fail=True)
    return {"files": files, "runs": runs}


def seconds(runs: list[dict], what: str) -> float:
    """Return the median seconds: of opening alone as the script timed it, or of the whole script."""
    opened = said(runs, "open_s")
    return statistics.median(opened) if what == OPEN and opened else median(runs, "wall_s")


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    runs = figures["runs"]
    rows = []
    for key, of_case in runs.items():
        what, cores, parallel = key.split("|")
        cells = [number(seconds(of_case, what)), *(number(median(of_case, k), 0) for k in ("rss_mib", "threads"))]
        rows.append([what, cores, parallel, *cells, f"{crashes(of_case)} of {len(of_case)}"])
    with_it, without = ([run for key, r in runs.items() if key.endswith(p) for run in r] for p in ("True", "False"))
    names = sorted({signal.Signals(-run["exit"]).name for run in with_it if run["exit"] < 0})
    return {
        "files": str(figures["files"]),
        "serial_2": number(seconds(runs[f"{OPEN}|2|False"], OPEN)),
        "parallel_2": ending(runs, OPEN, 2),
        "parallel_1": ending(runs, OPEN, 1),
        "whole_2": ending(runs, WHOLE, 2),
        "whole_1": ending(runs, WHOLE, 1),
        "tries": str(len(with_it)),
        "crashed": str(crashes(with_it)),
        "signals": f" ({listed(names)})" if names else "",
        "crashed_without": str(crashes(without)),
        "runs": table(["what", "cores", "parallel", "wall s", "peak MiB", "peak threads", "crashed"], rows),
    }


def ending(runs: dict[str, list[dict]], what: str, cores: int) -> str:
    """Return in words how it ends with `parallel=True`, against without: how long it takes, and its peak memory."""
    with_it, without = (runs[f"{what}|{cores}|{p}"] for p in ("True", "False"))
    if crashes(with_it) == len(with_it):
        return f"crashes every time ({len(with_it)} of {len(with_it)})"
    time = faster(seconds(with_it, what), seconds(without, what))
    return f"is {time}, its memory {smaller(median(with_it, 'rss_mib'), median(without, 'rss_mib'))}"


def crashes(runs: list[dict]) -> int:
    """Return how many runs failed."""
    return sum(run["exit"] != 0 for run in runs)


def draw(figures: dict, axes) -> None:
    """Draw seconds with and without."""
    keys = [(what, cores) for what in (OPEN, WHOLE) for cores in (1, 2)]
    for offset, parallel in ((-0.2, "False"), (0.2, "True")):
        values = [seconds(figures["runs"][f"{what}|{cores}|{parallel}"], what) for what, cores in keys]
        bars = axes.barh([i + offset for i in range(len(keys))], values, 0.38, label=f"parallel={parallel}")
        for bar, value in zip(bars, values, strict=True):
            if not math.isfinite(value):
                axes.text(0, bar.get_y() + bar.get_height() / 2, " crashed every time", va="center", fontsize=7)
    axes.set_yticks(range(len(keys)), [f"{what}, {cores_of(cores)}" for what, cores in keys])
    axes.set_xlabel("seconds")
