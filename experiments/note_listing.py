"""The listing in the note of June 2020, and what follows from it: arithmetic, nothing is run."""

import math
import statistics

# What the note says: steps in all, steps in a file, chunk rule, and its listing, files by folder, KiB of `ta`.
STEPS, FILE_STEPS, RULE = 36360, 180, 4
LISTED = {"lat": 4, "lon": 4, "plev": 4, "time": 5, "time_bnds": 5, "lon_bnds": 189, "lat_bnds": 192, "ta": 8506}
LISTED_ROOT, TA_KIB, NETCDF_GB = 8912, 429258345, 320
# Chunks that zarr 2.4 makes of an array that nobody has cut: see `guessed`.
UNCUT = {"lat": (768,), "lon": (1024,), "plev": (8,), "time": (STEPS,), "time_bnds": (STEPS, 2)}
ITEMSIZE = 8
METADATA = 2
"""`.zarray` and `.zattrs`, or `.zgroup` and `.zattrs`, in each folder of a Zarr v2 store."""


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
