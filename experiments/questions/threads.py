"""Do the environment variables for threads change anything, one by one and all together?"""

import data
from child import interleave, median
from setting import Setting, note_script
from words import ALIKE, codes, cores_of, faster, number, smaller, table

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
# Those that speak to what does run threads in this script.
OTHERS = ("BLOSC_NTHREADS", "ZARR_THREADING__MAX_WORKERS", "DASK_NUM_WORKERS")
UNSET = dict.fromkeys((*ASKED, *OTHERS, "DASK_SCHEDULER", "ZARR_ASYNC__CONCURRENCY", "OMP_THREAD_LIMIT"))


def measure(setting: Setting) -> dict:
    """Run the note's script with each variable at 1, and with all, on one core and on two."""
    folder = data.make(setting.work, *setting.pick((3, 16, (384, 512)), (1, 4, (12, 16))))
    settings = {NONE: {}, **{name: {name: "1"} for name in ASKED}, ALL: dict.fromkeys(ASKED, "1")}
    settings |= {name: {name: "1"} for name in OTHERS}
    if setting.quick:
        settings = {name: settings[name] for name in (NONE, ALL, "OPENBLAS_NUM_THREADS", "DASK_NUM_WORKERS")}
    store = setting.work / "threads.zarr"
    cases = {
        f"{name}|{cores}": note_script(folder, store, cores=cores, environment=UNSET | variables)
        for name, variables in settings.items()
        for cores in CORES
    }
    return {"runs": interleave(cases, setting.rounds, warm=not setting.quick, sample=True)}


def names_of(figures: dict) -> list[str]:
    """Return what was set, in order."""
    return list(dict.fromkeys(key.split("|")[0] for key in figures["runs"]))


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    names = names_of(figures)

    def get(name: str, cores: int, key: str) -> float:
        return median(figures["runs"][f"{name}|{cores}"], key)

    def changes(name: str) -> bool:
        return any(abs(get(name, cores, "wall_s") / get(NONE, cores, "wall_s") - 1) >= ALIKE for cores in CORES)

    shown = {"wall_s": ("wall s", 2), "cpu_s": ("CPU s", 2), "threads": ("threads", 0), "rss_mib": ("peak MiB", 0)}
    rows = [
        [
            f"`{name}`" if "_" in name else name,
            *(number(get(name, c, key), digits) for key, (_, digits) in shown.items() for c in CORES),
        ]
        for name in names
    ]
    head = ["set to 1", *(f"{what}, {cores_of(cores)}" for what, _ in shown.values() for cores in CORES)]
    loaded = {library for run in figures["runs"][f"{NONE}|2"] for library in run["libraries"]}
    return {
        "all_1": faster(get(ALL, 1, "wall_s"), get(NONE, 1, "wall_s")),
        "all_2": faster(get(ALL, 2, "wall_s"), get(NONE, 2, "wall_s")),
        "threads_all": number(get(ALL, 2, "threads"), 0),
        "threads_none": number(get(NONE, 2, "threads"), 0),
        "changed": codes(name for name in names if name in ASKED and changes(name)),
        "tidies": "changes the time" if changes("OPENBLAS_NUM_THREADS") else "tidies up, no more",
        "silent": codes(name for name, library in ASKED.items() if library not in loaded),
        "blas": number(get(NONE, 2, "threads") - get("OPENBLAS_NUM_THREADS", 2, "threads"), 0),
        "workers": faster(get("DASK_NUM_WORKERS", 2, "wall_s"), get(NONE, 2, "wall_s")),
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
