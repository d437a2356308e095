"""Which of dask's schedulers should write the store?"""

import made_up_data
from command_cost import interleave, median
from setting import Setting, note_script
from wording import cores_of, faster, number, smaller, table

CORES = (1, 2)
SCHEDULERS = ("synchronous", "threads", "processes")


def measure(setting: Setting) -> dict:
    """Run the note's script under each scheduler, on one core and on two."""
    folder = made_up_data.make(setting.work, *setting.pick((3, 16, (384, 512)), (1, 4, (12, 16))))
    cases = {
        f"{name}|{cores}": note_script(folder, setting.work / "schedulers.zarr", "--scheduler", name, cores=cores)
        for name in SCHEDULERS
        for cores in CORES
    }
    return {"runs": interleave(cases, setting.rounds, warm=not setting.quick, sample=True)}


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    runs = figures["runs"]
    shown = {"wall_s": ("wall s", 2), "cpu_s": ("CPU s", 2), "rss_mib": ("peak MiB", 0), "threads": ("peak threads", 0),
             "processes": ("processes", 0)}  # fmt: skip
    rows = [[*name.split("|"), *(number(median(r, k), n) for k, (_, n) in shown.items())] for name, r in runs.items()]

    def against(compare, name: str, cores: int, key: str) -> str:
        return compare(median(runs[f"{name}|{cores}"], key), median(runs[f"threads|{cores}"], key))

    return {
        "synchronous_1": against(faster, "synchronous", 1, "wall_s"),
        "synchronous_2": against(faster, "synchronous", 2, "wall_s"),
        "synchronous_memory_1": against(smaller, "synchronous", 1, "rss_mib"),
        "synchronous_memory_2": against(smaller, "synchronous", 2, "rss_mib"),
        "processes_2": against(faster, "processes", 2, "wall_s"),
        "processes_memory": against(smaller, "processes", 2, "rss_mib"),
        "runs": table(["scheduler", "cores", *(name for name, _ in shown.values())], rows),
    }


def draw(figures: dict, axes) -> None:
    """Draw memory against seconds, on one core and on two."""
    for name in SCHEDULERS:
        runs = [figures["runs"][f"{name}|{cores}"] for cores in CORES]
        axes.plot([median(r, "wall_s") for r in runs], [median(r, "rss_mib") for r in runs], "o-", label=name)
        for cores, r in zip(CORES, runs, strict=True):
            where = median(r, "wall_s"), median(r, "rss_mib")
            axes.annotate(cores_of(cores), where, (5, 4), textcoords="offset points", fontsize=7)
    axes.set_xlabel("seconds")
    axes.set_ylabel("peak MiB")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
