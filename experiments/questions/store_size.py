"""Why is the Zarr store bigger than the NetCDF files?"""

import statistics
import sys
from collections import defaultdict

import made_up_data
from command_cost import EXPERIMENTS, Case, run
from setting import Setting, note_script
from wording import number, smaller, table

CMOR, NOTE, V3 = "shuffle + deflate 1", "Blosc lz4-5", "zstd, no shuffle"
LARGE_BLOCKS, BALANCED = "Blosc zstd-1, 8 MiB blocks", "Blosc zstd-2, 8 MiB blocks"
SAID = {
    CMOR: "what CMOR writes; the same two codecs in Zarr",
    NOTE: "the note; Zarr v2's default",
    V3: "Zarr v3's default",
    BALANCED: "what preset `balanced` tries first",
    "Blosc lz4-5, 8 MiB blocks": "the note with larger blocks",
    "Blosc zstd-1": "Blosc's own block size",
    "pcodec-6": "half of preset `small`",
}


def measure(setting: Setting) -> dict:
    """Compress fields with each codec and in each shape, and look at what else the note's script writes."""
    folder = made_up_data.make(setting.work, *setting.pick((3, 16, (384, 512)), (1, 4, (12, 16))))
    store = setting.work / "size.zarr"
    run(note_script(folder, store))
    arrays = defaultdict(lambda: [0, 0])
    for path in store.rglob("*"):
        if path.is_file():
            name = path.relative_to(store).parts[0] if path.parent != store else ""
            arrays[name][0] += 1
            arrays[name][1] += path.stat().st_size
    netcdf = sum(path.stat().st_size for path in folder.glob("*.nc"))
    compress = [sys.executable, EXPERIMENTS / "codec_sizes.py", sorted(folder.glob("*.nc"))[0], setting.real_data or ""]
    return run(Case(compress))["said"] | {"netcdf_bytes": netcdf, "arrays": arrays}


def shares(figures: dict, name: str) -> tuple[float, float, float]:
    """Return the size with a codec over that with CMOR's: of the made-up field, of all real ones, of the median one."""
    made_up = figures["made_up"][name]["bytes"] / figures["made_up"][CMOR]["bytes"]
    pairs = [(field[name]["bytes"], field[CMOR]["bytes"]) for field in figures["real"] if name in field]
    if not pairs:
        return made_up, float("nan"), float("nan")
    return made_up, sum(a for a, _ in pairs) / sum(b for _, b in pairs), statistics.median(a / b for a, b in pairs)


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    mib, cmor = 2**20, figures["made_up"][CMOR]["bytes"]
    rows = []
    for name, measured in figures["made_up"].items():
        speeds = [number(figures["raw_bytes"] / mib / measured[key], 0) for key in ("encode_s", "decode_s")]
        rows.append([name, SAID.get(name, ""), *map(number, shares(figures, name)), *speeds])
    shaped = [
        [name, number(row["chunk_bytes"] / mib), *(number(row[codec] / cmor) for codec in (CMOR, NOTE, BALANCED))]
        for name, row in figures["shapes"].items()
    ]
    total = sum(size for _, size in figures["arrays"].values())
    arrays = [
        [f"`{name}`" if name else "root", str(count), number(size / mib, 3), number(100 * size / total)]
        for name, (count, size) in sorted(figures["arrays"].items())
    ]
    bounds = sum(figures["arrays"][name][1] for name in ("lat_bnds", "lon_bnds"))
    return {
        "note": number(shares(figures, NOTE)[0]),
        "v3": number(shares(figures, V3)[0]),
        "same": number(cmor / figures["hdf5_bytes"], 3),
        "format": "costs nothing" if abs(cmor / figures["hdf5_bytes"] - 1) < 0.005 else "counts too",
        "store": number(total / figures["netcdf_bytes"]),
        "difference": number((total - figures["netcdf_bytes"]) / mib, 1),
        "bounds": number(bounds / mib, 3),
        "small_blocks": smaller(shares(figures, "Blosc zstd-1")[0], 1, 0.005),
        "large_blocks": smaller(shares(figures, LARGE_BLOCKS)[0], 1, 0.005),
        "best": min(figures["made_up"], key=lambda name: figures["made_up"][name]["bytes"]),
        "real": real_words(figures),
        "codecs": table(
            ["codec", "", "synthetic field", "real fields", "median one", "compress MiB/s", "decompress MiB/s"], rows
        ),
        "shapes": table(["chunk of the synthetic field", "MiB", CMOR, NOTE, BALANCED], shaped),
        "arrays": table(["array of the note's store", "objects", "MiB", "% of the store"], arrays),
    }


def real_words(figures: dict) -> str:
    """Return the paragraph on real files."""
    if not figures["real"]:
        return "Real fields: not run, for want of a folder of them (`CMIP6ZARR_DATA`)."
    note, own = shares(figures, NOTE), shares(figures, BALANCED)
    gained = [row for row in figures["grown"] if row["gained"]]
    times = [(row["opened_bytes"] + row["rest_bytes"]) / (row["static_bytes"] + row["rest_bytes"]) for row in gained]
    text = (
        f"**Real files.** On {len(figures['real'])} fields of real models lz4 takes {number(note[1])} of CMOR's bytes "
        f"(median field {number(note[2])}) and zstd-2 in large blocks, which `balanced` tries first, {number(own[1])} "
        f"({number(own[2])}). Of "
        f"{len(figures['grown'])} real datasets of several files, `open_mfdataset` gives a time axis to variables that "
        f"have none in {len(gained)}"
    )
    if not gained:
        return f"{text}."
    return (
        f"{text}; before compression these become {number(statistics.median(times))} times as large in the median, and "
        f"{number(max(times), 1)} times at most."
    )


def draw(figures: dict, axes) -> None:
    """Draw the size with each codec."""
    names = list(figures["made_up"])
    columns = zip(*(shares(figures, name) for name in names), strict=True)
    labels = ("made-up field", "all real fields", "median real field")
    for offset, values, label in zip((-0.27, 0, 0.27), columns, labels, strict=True):
        axes.barh([i + offset for i in range(len(names))], [0 if v != v else v for v in values], 0.25, label=label)
    axes.axvline(1, color="#7d8590", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("size / shuffle + deflate 1")
    axes.invert_yaxis()
