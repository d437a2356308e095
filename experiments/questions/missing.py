"""What became of the chunk files that the note's listing does not have?

Run as a program (`python -m questions.missing STORE FOLDER`) it tells what plain xarray makes of a store with holes.
"""

import json
import math
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import data
from child import run
from setting import Setting, in_child, note_script
from words import codes, number, table

# What the note says: steps in all, steps in a file, chunk rule, and its listing, files by folder, KiB of `ta`.
STEPS, FILE_STEPS, RULE = 36360, 180, 4
LISTED = {"lat": 4, "lon": 4, "plev": 4, "time": 5, "time_bnds": 5, "lon_bnds": 189, "lat_bnds": 192, "ta": 8506}
LISTED_ROOT, TA_KIB, NETCDF_GB = 8912, 429258345, 320
# Chunks that zarr 2.4 makes of an array that nobody has cut: see `guessed`.
UNCUT = {"lat": (768,), "lon": (1024,), "plev": (8,), "time": (STEPS,), "time_bnds": (STEPS, 2)}
ITEMSIZE = 8
METADATA = 2
"""`.zarray` and `.zattrs`, or `.zgroup` and `.zattrs`, in each folder of a Zarr v2 store."""
EMPTY = 0.065
"""Share of chunks that are nothing but fill in the second experiment."""


def guessed(shape: tuple[int, ...], itemsize: int) -> int:
    """Return into how many chunks zarr 2.4 cuts an array by itself: the rule of `guess_chunks` in its zarr/util.py."""
    cut = list(shape)
    target = 2**18 * 2 ** math.log10(math.prod(shape) * itemsize / 2**20)
    target = min(max(target, 2**17), 2**26)
    axis = 0
    while math.prod(cut) > 1:
        size = math.prod(cut) * itemsize
        if (size < target or abs(size - target) / target < 0.5) and size < 2**26:
            break
        cut[axis % len(cut)] = -(-cut[axis % len(cut)] // 2)
        axis += 1
    return math.prod(-(-n // c) for n, c in zip(shape, cut, strict=True))


def arithmetic() -> dict:
    """Return what follows from the note's own figures."""
    uncut = {name: LISTED[name] - METADATA - guessed(shape, ITEMSIZE) for name, shape in UNCUT.items()}
    extra = statistics.mode(uncut.values())
    found = {name: LISTED[name] - METADATA - extra for name in ("ta", "lat_bnds", "lon_bnds")}
    files = STEPS // FILE_STEPS
    per_file = FILE_STEPS // RULE
    chunk_bytes = TA_KIB * 1024 / found["ta"]
    return {
        "uncut_extra": uncut,
        "extra": extra,
        "root_extra": LISTED_ROOT - sum(LISTED.values()) - METADATA,
        "found": found,
        "files": files,
        "due": {"ta": STEPS // RULE, "lat_bnds": files, "lon_bnds": files},
        "per_file": per_file,
        "whole_files": found["ta"] // per_file,
        "left_over": found["ta"] % per_file,
        "listed_gb": TA_KIB * 1024 / 1e9,
        "complete_gb": chunk_bytes * (STEPS // RULE) / 1e9,
    }


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


def killed(folder: Path, store: Path, share: float, due: int) -> dict[str, int]:
    """Kill the note's script when it has written a share of its chunks, and return what there is."""
    shutil.rmtree(store, ignore_errors=True)
    process = subprocess.Popen([str(word) for word in note_script(folder, store).command], stdout=subprocess.DEVNULL)
    while process.poll() is None and chunks_in(store, "ta") < share * due:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return counts(store)


def measure(setting: Setting) -> dict:
    """Write whole, kill, write empty chunks, take files away; count each time, and ask plain xarray what it sees."""
    files, steps, grid = setting.pick((40, 60, (24, 32)), (4, 8, (6, 8)))
    folder, store = data.make(setting.work, files, steps, grid), setting.work / "missing.zarr"
    due = {"ta": files * steps // RULE, "lat_bnds": files, "lon_bnds": files}
    run(note_script(folder, store))
    whole = counts(store)
    said = arithmetic()
    share = said["found"]["ta"] / said["due"]["ta"]
    kills = [killed(folder, store, share, due["ta"]) for _ in range(setting.pick(5, 1))]
    seen = run(in_child("missing", store, folder))["said"]
    fewer = setting.work / "fewer" / "nc"
    shutil.rmtree(fewer, ignore_errors=True)
    fewer.mkdir(parents=True)
    for path in sorted(folder.glob("*.nc"))[: round(share * files)]:
        (fewer / path.name).symlink_to(path)
    run(note_script(fewer, store))
    subset = counts(store)
    empty = setting.pick(EMPTY, 0.5)
    empty_files = data.make(setting.work, files, steps, grid, empty=empty)
    run(note_script(empty_files, store))
    return {
        "note": said,
        "files": files,
        "steps": steps,
        "due": due,
        "whole": whole,
        "killed": kills,
        "seen": seen,
        "subset": {"files": round(share * files), "counts": subset},
        "empty": {"chunks": int(empty * files * steps / RULE), "counts": counts(store)},
        "empty_seen": run(in_child("missing", store, empty_files))["said"],
    }


def main(argv: list[str]) -> None:
    """Print what plain xarray reads from a store, against the files that it was made of, as JSON."""
    import warnings

    import numpy as np
    import xarray as xr

    warnings.filterwarnings("ignore")
    opened, left_out = None, []
    while opened is None:
        try:
            opened = xr.open_zarr(argv[0], consolidated=False, drop_variables=left_out)
        except ValueError as error:  # names the variable that could not be decoded
            left_out.append(re.search(r"variable '(\w+)'", "".join(getattr(error, "__notes__", [])) + str(error))[1])
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
    killed_at = [100 * row["ta"] / here["ta"] for row in figures["killed"]]
    apart = [abs(percent(row, here, name) - percent(row, here, "ta")) for row in figures["killed"] for name in here]
    lag = [percent(row, here, "lon_bnds") < percent(row, here, "lat_bnds") for row in figures["killed"]]
    empty, seen, empty_seen = figures["empty"], figures["seen"], figures["empty_seen"]
    subset = figures["subset"]
    gib = 2**30 / 1e9
    return {
        "steps": str(STEPS),
        "rule": str(RULE),
        "due": str(due["ta"]),
        "listed": str(LISTED["ta"]),
        "uncut": str(len(note["uncut_extra"])),
        "uncut_agree": str(len(agree)),
        "uncut_names": codes(agree),
        "found": str(found["ta"]),
        "missing": str(due["ta"] - found["ta"]),
        "missing_said": str(due["ta"] - LISTED["ta"]),
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
        "killed": f"{min(killed_at):.1f} to {max(killed_at):.1f} %",
        "apart": number(max(apart), 1),
        "lag": f"and in {sum(lag)} of {len(lag)} that were killed `lon_bnds` lags behind `lat_bnds`, as it does there",
        "subset_files": str(subset["files"]),
        "subset_ta": f"{subset['counts']['ta']} chunks of `ta`",
        "subset_lat": f"{subset['counts']['lat_bnds']} of `lat_bnds`",
        "empty_chunks": str(empty["chunks"]),
        "empty_absent": str(here["ta"] - empty["counts"]["ta"]),
        "empty_lost": f"{empty_seen['steps_lost'] or 'none'} of {empty_seen['steps']} steps differ from the source",
        "opens": "opens without an error"
        if not seen["undecodable"]
        else f"opens as soon as {codes(seen['undecodable'])}, of which nothing was written yet, is left out",
        "lost": f"{seen['steps_lost']} of {seen['steps']} steps",
        "chunk_mib": number(TA_KIB / 1024 / found["ta"], 1),
        "complete_gb": number(note["complete_gb"], 0),
        "listed_gb": number(note["listed_gb"], 0),
        "netcdf_gb": str(NETCDF_GB),
        "growth": number(note["complete_gb"] / NETCDF_GB),
        "growth_listed": number(note["listed_gb"] / NETCDF_GB),
        "growth_gib": number(note["complete_gb"] / NETCDF_GB / gib),
        "growth_listed_gib": number(note["listed_gb"] / NETCDF_GB / gib),
        "our_files": str(figures["files"]),
        "our_steps": str(figures["steps"]),
        "note": table(
            ["in the note", "files listed", "chunks", "due", "missing", "% there"],
            [
                [f"`{name}`", *map(str, (LISTED[name], found[name], due[name], due[name] - found[name])),
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


def tried(figures: dict) -> dict[str, dict]:
    """Return the chunks of each array in each of our own runs."""
    return {
        "whole": figures["whole"],
        **{f"killed, {number}": row for number, row in enumerate(figures["killed"], 1)},
        f"{figures['subset']['files']} of {figures['files']} files": figures["subset"]["counts"],
        f"{figures['empty']['chunks']} chunks all fill": figures["empty"]["counts"],
    }


def draw(figures: dict, axes) -> None:
    """Draw how much of each array there is, in the note and in our own runs."""
    note, here = figures["note"], figures["due"]
    rows = {"the note's listing": [percent(note["found"], note["due"], name) for name in here]}
    rows |= {name: [percent(row, here, n) for n in here] for name, row in tried(figures).items()}
    for index, (marker, name) in enumerate(zip("o^v", here, strict=True)):
        axes.plot([row[index] for row in rows.values()], range(len(rows)), marker, label=name, alpha=0.8)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel("% of the chunks due")
    axes.legend()


if __name__ == "__main__":
    main(sys.argv[1:])
