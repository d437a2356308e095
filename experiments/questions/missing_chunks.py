"""What became of the chunk files that the note's listing does not have?

Run as a program (`python -m questions.missing_chunks STORE FOLDER`) it tells what plain xarray makes of a store with
holes.
"""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import made_up_data
import note_listing
from command_cost import EXPERIMENTS, run
from setting import Setting, in_child, note_script
from wording import codes, listed, number, table

EMPTY = 0.065
"""Share of chunks that are nothing but fill where that is tried."""
TODAY, THEN = "today's packages", "the packages of June 2020"
NEAR = 3
"""Percentage points within which a share of bounds is that of the field."""


def chunks_in(store: Path, name: str) -> int:
    """Return how many chunk objects an array of a store has."""
    folder = store / name
    return (
        sum(not entry.name.startswith(".") and not entry.name.endswith(".partial") for entry in os.scandir(folder))
        if folder.is_dir()
        else 0
    )


def counts(store: Path) -> dict[str, int]:
    """Return the chunk objects of the arrays that are cut along time."""
    return {name: chunks_in(store, name) for name in ("ta", "lat_bnds", "lon_bnds")}


def killed(command: list, store: Path, chunks: float) -> dict[str, int]:
    """Kill a script as soon as its store has so many chunks of `ta`, and return what there is."""
    shutil.rmtree(store, ignore_errors=True)
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    while process.poll() is None and chunks_in(store, "ta") < chunks:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return counts(store)


def watched(command: list, store: Path) -> list[list[float]]:
    """Run a script, and return what its store has in the course of it: seconds, and chunks of each array."""
    shutil.rmtree(store, ignore_errors=True)
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    start, course = time.monotonic(), []
    running = True
    while running:
        running = process.poll() is None  # asked first, so that the last count is that of the whole store
        now = [*counts(store).values()]
        if not course or course[-1][1:] != now:
            course.append([round(time.monotonic() - start, 2), *now])
        time.sleep(0.001)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return course


def part_of(folder: Path, files: int, work: Path) -> Path:
    """Return a folder that has the first files of another."""
    part = work / "part" / "nc"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for path in sorted(folder.glob("*.nc"))[:files]:
        (part / path.name).symlink_to(path.resolve())
    return part


def measure(setting: Setting) -> dict:
    """Write whole, kill, write empty chunks, take files away; count each time, and ask plain xarray what it sees.

    `CMIP6ZARR_PYTHON_2020` names a Python with the packages of that day: then the script is killed on these, too.
    """
    files, steps, grid = setting.pick((40, 60, (24, 32)), (4, 8, (6, 8)))
    folder, store = made_up_data.make(setting.work, files, steps, grid), setting.work / "missing.zarr"
    due = {"ta": files * steps // note_listing.RULE, "lat_bnds": files, "lon_bnds": files}
    said = note_listing.arithmetic()
    share = said["found"]["ta"] / said["due"]["ta"]
    fewer = round(share * files)
    part = part_of(folder, fewer, setting.work)
    run(note_script(folder, store))
    whole = counts(store)
    run(note_script(part, store))
    subset = counts(store)
    empty = setting.pick(EMPTY, 0.5)
    empty_files = made_up_data.make(setting.work, files, steps, grid, empty=empty)
    run(note_script(empty_files, store))
    without_empty, empty_seen = counts(store), run(in_child("missing_chunks", store, empty_files))["said"]
    stacks = {TODAY: [sys.executable, EXPERIMENTS / "note_script.py"]}
    if python := os.environ.get("CMIP6ZARR_PYTHON_2020"):
        stacks[THEN] = [python, EXPERIMENTS / "note_script_2020.py"]
    courses = {
        stack: [watched([*script, folder, store], store) for _ in range(setting.pick(3, 1))]
        for stack, script in stacks.items()
    }
    stopped = killed([*stacks[TODAY], folder, store], store, share * due["ta"])
    return {
        "note": said,
        "files": files,
        "steps": steps,
        "due": due,
        "whole": whole,
        "subset": {"files": fewer, "counts": subset},
        "empty": {"chunks": int(empty * due["ta"]), "counts": without_empty, "seen": empty_seen},
        "courses": {stack: thinned(of_stack[0]) for stack, of_stack in courses.items()},
        "at_share": {stack: [at(course, share, due) for course in of_stack] for stack, of_stack in courses.items()},
        "killed": stopped,
        "seen": run(in_child("missing_chunks", store, folder))["said"],
    }


def at(course: list, share: float, due: dict) -> dict[str, int]:
    """Return what there was of each array when there was a share of `ta`."""
    row = next(row for row in course if row[1] >= share * due["ta"])
    return dict(zip(due, row[1:], strict=True))


def thinned(course: list, points: int = 80) -> list:
    """Return some of the points of a course, the last among them."""
    return [*course[:: -(-len(course) // points)], course[-1]]


def opens(store: str, without: set[str]) -> bool:
    """Say whether plain xarray opens a store without some of its variables."""
    import xarray as xr

    try:
        xr.open_zarr(store, consolidated=False, drop_variables=without)
    except ValueError:
        return False
    return True


def main(argv: list[str]) -> None:
    """Print what plain xarray reads from a store, against the files that it was made of, as JSON."""
    import warnings

    import numpy as np
    import xarray as xr

    warnings.filterwarnings("ignore")
    # One at a time: where xarray meets the hole after it has decoded the metadata, its error names no variable.
    names = list(xr.open_zarr(argv[0], consolidated=False, decode_cf=False).variables)
    left_out = [name for name in names if not opens(argv[0], {*names} - {name})]
    opened = xr.open_zarr(argv[0], consolidated=False, drop_variables=left_out)
    made = opened["ta"].values
    exact = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "exact"}
    with xr.open_mfdataset(sorted(Path(argv[1]).glob("*.nc")), **exact) as source:
        due = source["ta"].values
    differing = ~((made == due) | (np.isnan(made) & np.isnan(due)))
    lost = int(differing.any(axis=(1, 2, 3)).sum())
    print(json.dumps({"steps": len(made), "steps_lost": lost, "undecodable": left_out}))


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    note, here = figures["note"], figures["due"]
    due, found = note["due"], note["found"]
    agree = [name for name, extra in note["uncut_extra"].items() if extra == note["extra"] == note["root_extra"]]
    begun = math.ceil(found["ta"] / note["per_file"])
    empty, seen = figures["empty"], figures["seen"]
    gib = 2**30 / 1e9
    return {
        "steps": str(note_listing.STEPS),
        "rule": str(note_listing.RULE),
        "due": str(due["ta"]),
        "listed": str(note_listing.LISTED["ta"]),
        "uncut": str(len(note["uncut_extra"])),
        "uncut_agree": str(len(agree)),
        "uncut_names": codes(agree),
        "found": str(found["ta"]),
        "missing": str(due["ta"] - found["ta"]),
        "missing_said": str(due["ta"] - note_listing.LISTED["ta"]),
        "whole_files": str(note["whole_files"]),
        "per_file": str(note["per_file"]),
        "left_over": str(note["left_over"]),
        "found_lat": str(found["lat_bnds"]),
        "found_lon": str(found["lon_bnds"]),
        "shows": "fits" if begun == found["lat_bnds"] else "does not fit",
        "begun": str(begun),
        "files": str(note["files"]),
        "short": str(begun * note["per_file"] - found["ta"]),
        "percent": number(100 * found["ta"] / due["ta"], 1),
        "stacks": listed(list(figures["at_share"])),
        "not_tried": "" if THEN in figures["at_share"] else f" ({THEN} were not tried)",
        "verdict": verdict(figures),
        "empty_chunks": str(empty["chunks"]),
        "empty_absent": str(here["ta"] - empty["counts"]["ta"]),
        "empty_lost": f"{empty['seen']['steps_lost'] or 'none'} of {empty['seen']['steps']} steps",
        "opens": "opens without an error"
        if not seen["undecodable"]
        else f"opens only without {codes(seen['undecodable'])}, of which chunks are missing",
        "lost": f"{seen['steps_lost']} of {seen['steps']} steps",
        "chunk_mib": number(note_listing.TA_KIB / 1024 / found["ta"], 1),
        "complete_gb": number(note["complete_gb"], 0),
        "listed_gb": number(note["listed_gb"], 0),
        "netcdf_gb": str(note_listing.NETCDF_GB),
        "growth": number(note["complete_gb"] / note_listing.NETCDF_GB),
        "growth_listed": number(note["listed_gb"] / note_listing.NETCDF_GB),
        "growth_gib": number(note["complete_gb"] / note_listing.NETCDF_GB / gib),
        "growth_listed_gib": number(note["listed_gb"] / note_listing.NETCDF_GB / gib),
        "our_files": str(figures["files"]),
        "our_steps": str(figures["steps"]),
        "note": table(
            ["in the note", "files listed", "chunks", "due", "missing", "% there"],
            [
                [f"`{name}`", *map(str, (note_listing.LISTED[name], found[name], due[name], due[name] - found[name])),
                 number(percent(found, due, name))]
                for name in due
            ],
        ),
        "tried": table(
            ["here", *(text for name in here for text in (f"chunks of `{name}`", "%"))],
            [
                [name, *(text for n in here for text in (str(row[n]), number(percent(row, here, n), 1)))]
                for name, row in {"due": here, **tried(figures)}.items()
            ],
        ),
    }  # fmt: skip


def percent(counted: dict, due: dict, name: str) -> float:
    """Return how much of an array's chunks there are."""
    return 100 * counted[name] / due[name]


def bounds_at_share(figures: dict) -> list[float]:
    """Return the per cent of each bounds array that there was at the note's share of `ta`, over all runs."""
    rows = [row for of_stack in figures["at_share"].values() for row in of_stack]
    return [percent(row, figures["due"], name) for row in rows for name in ("lat_bnds", "lon_bnds")]


def verdict(figures: dict) -> str:
    """Return which story the order of writing speaks for: the second needs bounds at the note's share of the field."""
    wanted = percent(figures["note"]["found"], figures["note"]["due"], "ta")
    shares = bounds_at_share(figures)
    like = sum(abs(share - wanted) < NEAR for share in shares)
    ends = sum(share < 2 * NEAR or share > 100 - NEAR for share in shares)
    told = f"was within {NEAR} points of that in {like} of {len(shares)} cases, and whole or hardly begun in {ends}"
    return f"{told}: this speaks {'against the second story, and for the first' if not like else 'for neither story'}"


def tried(figures: dict) -> dict[str, dict]:
    """Return the chunks of each array in each of our own runs."""
    return {
        "whole": figures["whole"],
        f"{figures['subset']['files']} of {figures['files']} files": figures["subset"]["counts"],
        f"{figures['empty']['chunks']} chunks all fill": figures["empty"]["counts"],
        "killed at the note's share": figures["killed"],
        **{
            f"{stack}, at the note's share, {number}": row
            for stack, rows in figures["at_share"].items()
            for number, row in enumerate(rows, 1)
        },
    }


def draw(figures: dict, axes) -> None:
    """Draw how field and bounds grow, with each set of packages."""
    for (stack, whole), line in zip(figures["courses"].items(), ("-", ":"), strict=False):
        course = [row for row in whole if any(row[1:])]
        for index, (name, color) in enumerate(zip(figures["due"], ("C0", "C1", "C2"), strict=True), 1):
            shares = [100 * row[index] / figures["due"][name] for row in course]
            start, end = course[0][0], course[-1][0]
            spent = [100 * (row[0] - start) / (end - start) for row in course]
            label = f"{name}, {'today' if stack == TODAY else 'June 2020'}"
            axes.step(spent, shares, line, where="post", color=color, label=label)
    axes.set_xlabel("% of the time that the script takes to write")
    axes.set_ylabel("% of the chunks there")


if __name__ == "__main__":
    main(sys.argv[1:])
