"""What did `unify_chunks()` and `chunks=` really change?"""

import os
import sys

import made_up_data
from command_cost import Case, interleave, median, said
from conversion_cost import DATASET, take_inventory
from setting import SCRIPTS, Setting, note_script
from wording import codes, faster, listed, number, smaller, table

WAYS = {
    "`.chunk()` after opening": ("--chunks", "after", "--unify", "none"),
    "`.chunk()` after opening, `unify_chunks()` discarded": ("--chunks", "after", "--unify", "discarded"),
    "`.chunk()` after opening, `unify_chunks()` kept": ("--chunks", "after", "--unify", "kept"),
    "`chunks=` at open": ("--chunks", "open", "--unify", "none"),
    "`chunks=` at open, `unify_chunks()` discarded: the note": ("--chunks", "open", "--unify", "discarded"),
    "`chunks=` at open, `unify_chunks()` kept": ("--chunks", "open", "--unify", "kept"),
}
AFTER, AFTER_DISCARDED, _, OPEN, OPEN_DISCARDED, _ = WAYS
CONVERT = "`scripts/convert.py`"
LAYOUTS = {"contiguous": "contiguous", "steps": "1-step chunks", "whole": "whole-file chunks"}


def measure(setting: Setting) -> dict:
    """Convert the same field from files laid out in three ways, chunks asked for in each way."""
    files, steps, grid = setting.pick((2, 64, (192, 256)), (2, 8, (12, 16)))
    cases = {}
    for layout in made_up_data.LAYOUTS:
        folder = made_up_data.make(setting.work, files, steps, grid, layout=layout)
        take_inventory(folder)
        store = setting.work / f"unify-{layout}.zarr"  # a store has one owner, and each layout has its own results
        for way, options in WAYS.items():
            cases[f"{way}|{layout}"] = note_script(folder, store, *options)
        command = [sys.executable, SCRIPTS / "convert.py", DATASET, "--results", folder.parent / "results"]
        options = ["--chunks", '{"time": 4}', "--codec", "fast", "--zarr-format", 2, "--memory-mib", 512]
        cases[f"{CONVERT}|{layout}"] = Case([*command, "--store", store, *options], store)
    return {
        "files": files,
        "steps": steps,
        "raw_mib": files * steps * 8 * grid[0] * grid[1] * 4 / 2**20,
        "cores": len(os.sched_getaffinity(0)),
        # Two rounds, none to warm up: the slow ones are slow.
        "runs": interleave(cases, min(setting.rounds, 2), warm=False),
    }


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    runs = figures["runs"]

    def mib(way: str, layout: str) -> float:
        return median(runs[f"{way}|{layout}"], "rss_mib")

    def seconds(way: str, layout: str) -> float:
        return median(runs[f"{way}|{layout}"], "wall_s")

    def first(way: str, layout: str, key: str):
        return said(runs[f"{way}|{layout}"], key)[0]

    rows = [
        [
            way,
            *(number(mib(way, layout), 0) for layout in LAYOUTS),
            *(number(seconds(way, layout), 1) for layout in LAYOUTS),
        ]
        for way in (*WAYS, CONVERT)
    ]
    opened = [
        [
            way,
            *(number(first(way, layout, "opened_mib"), 1) for layout in LAYOUTS),
            *("works" if first(way, layout, "consistent") else "raises" for layout in LAYOUTS),
        ]
        for way in (AFTER, OPEN)
    ]
    pairs = [(a, b, layout) for a, b in ((AFTER_DISCARDED, AFTER), (OPEN_DISCARDED, OPEN)) for layout in LAYOUTS]
    alike = [smaller(mib(a, layout), mib(b, layout)).startswith("the same") for a, b, layout in pairs]
    kept = [
        first(OPEN_DISCARDED, layout, "consistent") == first(OPEN_DISCARDED, layout, "consistent_then")
        for layout in LAYOUTS
    ]
    grown = {name for way in (AFTER, OPEN) for layout in LAYOUTS for name in first(way, layout, "grown")}
    cure = [
        f"from {number(mib(AFTER, layout), 0)} to {number(mib(OPEN, layout), 0)} for {name}: "
        f"{smaller(mib(OPEN, layout), mib(AFTER, layout))}"
        for layout, name in LAYOUTS.items()
    ]
    file_mib = figures["raw_mib"] / figures["files"]
    again = ", since all of it is inflated again for each piece"
    return {
        "not_it": "Not" if 2 * sum(alike) > len(alike) else "Perhaps",
        "nothing": str(sum(alike)),
        "comparisons": str(len(alike)),
        "unmoved": str(sum(kept)),
        "layouts": str(len(kept)),
        "cure": "; ".join(cure),
        "errors": listed([name for layout, name in LAYOUTS.items() if not first(OPEN, layout, "consistent")]),
        "grown": codes(sorted(grown - {"time_bnds"})),
        "whole_faster": faster(seconds(OPEN, "whole"), seconds(AFTER, "whole")),
        "whole_why": again if seconds(OPEN, "whole") > seconds(AFTER, "whole") else "",
        "convert": listed(
            [f"{number(mib(CONVERT, n), 0)} MiB and {number(seconds(CONVERT, n), 1)} s" for n in LAYOUTS]
        ),
        "files": str(figures["files"]),
        "steps": str(figures["steps"]),
        "file_mib": number(file_mib, 0),
        "chunk_mib": number(4 * file_mib / figures["steps"], 0),
        "cores": str(figures["cores"]),
        "runs": table(
            ["", *(f"peak MiB, {n}" for n in LAYOUTS.values()), *(f"wall s, {n}" for n in LAYOUTS.values())], rows
        ),
        "opened": table(
            ["", *(f"one piece, MiB, {n}" for n in LAYOUTS.values()), *(f"`.chunks`, {n}" for n in LAYOUTS.values())],
            opened,
        ),
    }


def draw(figures: dict, axes) -> None:
    """Draw peak memory of each way and layout."""
    ways = {
        AFTER: "chunk() after opening",
        AFTER_DISCARDED: "… unify discarded",
        OPEN: "chunks= at open",
        OPEN_DISCARDED: "… unify discarded: the note",
        CONVERT: "scripts/convert.py",
    }
    for offset, layout in zip((-0.27, 0, 0.27), LAYOUTS, strict=True):
        values = [median(figures["runs"][f"{way}|{layout}"], "rss_mib") for way in ways]
        axes.barh([i + offset for i in range(len(ways))], values, 0.25, label=LAYOUTS[layout])
    axes.set_yticks(range(len(ways)), list(ways.values()))
    axes.set_xlabel("peak MiB")
    axes.invert_yaxis()
