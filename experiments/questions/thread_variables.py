"""Do the environment variables for threads change anything, one by one and all together?"""

import statistics

import made_up_data
from command_cost import interleave, median
from setting import Setting, note_script
from wording import ALIKE, codes, cores_of, faster, number, smaller, table

ASKED = {
    "OMP_NUM_THREADS": "libgomp",
    "OPENBLAS_NUM_THREADS": "openblas",
    "MKL_NUM_THREADS": "libmkl",
    "VECLIB_MAXIMUM_THREADS": "accelerate",
    "NUMEXPR_NUM_THREADS": "numexpr",
}
"""The note's variables, and the library each speaks to."""
CORES = (1, 2)
NONE, ALL = "none", "all five"
NOBODY = "NOBODY_NUM_THREADS"
"""A variable that nothing reads: what it changes is the noise of the machine."""
ROUNDS = 7
"""At least: it is small differences that are looked for."""
# Those that speak to what does run threads in this script.
OTHERS = ("BLOSC_NTHREADS", "ZARR_THREADING__MAX_WORKERS", "DASK_NUM_WORKERS")
UNSET = dict.fromkeys((*ASKED, *OTHERS, "DASK_SCHEDULER", "ZARR_ASYNC__CONCURRENCY", "OMP_THREAD_LIMIT"))


def measure(setting: Setting) -> dict:
    """Run the note's script with each variable at 1, and with all, on one core and on two."""
    folder = made_up_data.make(setting.work, *setting.pick((3, 16, (384, 512)), (1, 4, (12, 16))))
    settings = {NONE: {}, NOBODY: {NOBODY: "1"}} | {name: {name: "1"} for name in ASKED}
    settings |= {ALL: dict.fromkeys(ASKED, "1")} | {name: {name: "1"} for name in OTHERS}
    if setting.quick:
        settings = {name: settings[name] for name in (NONE, NOBODY, ALL, "OPENBLAS_NUM_THREADS", "DASK_NUM_WORKERS")}
    store = setting.work / "threads.zarr"
    cases = {
        f"{name}|{cores}": note_script(folder, store, cores=cores, environment=UNSET | variables)
        for name, variables in settings.items()
        for cores in CORES
    }
    rounds = setting.pick(max(ROUNDS, setting.rounds), setting.rounds)
    return {"runs": interleave(cases, rounds, warm=not setting.quick, sample=True)}


def names_of(figures: dict) -> list[str]:
    """Return what was set, in order."""
    return list(dict.fromkeys(key.split("|")[0] for key in figures["runs"]))


def ratios(figures: dict, name: str, cores: int) -> list[float]:
    """Return the time with a variable over that with none, of each round."""
    with_it, without = (figures["runs"][f"{each}|{cores}"] for each in (name, NONE))
    return [a["wall_s"] / b["wall_s"] for a, b in zip(with_it, without, strict=True)]


def changes(figures: dict, name: str) -> bool:
    """Tell whether a variable changes the time: by as much as counts in the median, and the same way in each round."""
    of_cores = [ratios(figures, name, cores) for cores in CORES]
    return any(abs(statistics.median(r) - 1) >= ALIKE and (min(r) > 1 or max(r) < 1) for r in of_cores)


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    names = names_of(figures)

    def get(name: str, cores: int, key: str) -> float:
        return median(figures["runs"][f"{name}|{cores}"], key)

    def slower(name: str, cores: int) -> str:
        return faster(statistics.median(ratios(figures, name, cores)), 1)

    def spread(name: str, cores: int) -> str:
        found = ratios(figures, name, cores)
        return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"

    shown = {"wall_s": ("wall s", 2), "threads": ("threads", 0), "rss_mib": ("peak MiB", 0)}
    rows = [
        [
            f"`{name}`" if "_" in name else name,
            *(spread(name, cores) for cores in CORES),
            *(number(get(name, c, key), digits) for key, (_, digits) in shown.items() for c in CORES),
        ]
        for name in names
    ]
    columns = ("time / none's", *(what for what, _ in shown.values()))
    head = ["set to 1", *(f"{what}, {cores_of(cores)}" for what in columns for cores in CORES)]
    loaded = {library for run in figures["runs"][f"{NONE}|2"] for library in run["libraries"]}
    return {
        "rounds": str(len(figures["runs"][f"{NONE}|2"])),
        "all_1": slower(ALL, 1),
        "all_2": slower(ALL, 2),
        "threads_all": number(get(ALL, 2, "threads"), 0),
        "threads_none": number(get(NONE, 2, "threads"), 0),
        "changed": codes(name for name in names if name in ASKED and changes(figures, name)),
        "noise": spread(NOBODY, 2),
        "tidies": "changes the time" if changes(figures, "OPENBLAS_NUM_THREADS") else "tidies up, no more",
        "silent": codes(name for name, library in ASKED.items() if library not in loaded),
        "blas": number(get(NONE, 2, "threads") - get("OPENBLAS_NUM_THREADS", 2, "threads"), 0),
        "workers": slower("DASK_NUM_WORKERS", 2),
        "workers_memory": smaller(get("DASK_NUM_WORKERS", 2, "rss_mib"), get(NONE, 2, "rss_mib")),
        "runs": table(head, rows),
    }


def draw(figures: dict, axes) -> None:
    """Draw seconds, with the number of threads at each."""
    names = names_of(figures)
    for offset, cores in ((-0.2, 1), (0.2, 2)):
        runs = [figures["runs"][f"{name}|{cores}"] for name in names]
        positions = [i + offset for i in range(len(names))]
        bars = axes.barh(positions, [median(r, "wall_s") for r in runs], 0.38, label=cores_of(cores))
        axes.bar_label(bars, [f"{median(r, 'threads'):.0f} threads" for r in runs], padding=3, fontsize=7)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("seconds")
    axes.margins(x=0.3)
    axes.invert_yaxis()
