"""Why is the Zarr store bigger than the NetCDF files?

Run as a program (`python -m questions.size`) it compresses fields: with a NetCDF file of the made-up dataset and the
folder of real files or nothing.
"""

import json
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

import data
from child import interleave, run
from setting import Setting, in_child, note_script
from words import number, smaller, table

CMOR, NOTE, V3, BALANCED = "shuffle + deflate 1", "Blosc lz4-5", "zstd, no shuffle", "Blosc zstd-1, 8 MiB blocks"
SAID = {
    CMOR: "what CMOR writes; the same two codecs in Zarr",
    NOTE: "the note; Zarr v2's default",
    V3: "Zarr v3's default",
    BALANCED: "preset `balanced`",
    "Blosc lz4-5, 8 MiB blocks": "the note with larger blocks",
    "Blosc zstd-1": "Blosc's own block size",
    "pcodec-6": "half of preset `small`",
}
SHAPES = {
    "1 step, 1 level": (1, 1, 0, 0),
    "1 step": (1, 0, 0, 0),
    "4 steps": (4, 0, 0, 0),
    "16 steps": (16, 0, 0, 0),
    "all steps, 1 level, 1/16 of the map": (0, 1, -4, -4),
}
"""Chunks of the made-up field (steps, levels, latitudes, longitudes): 0 is all of an axis, -4 a quarter."""


def measure(setting: Setting) -> dict:
    """Compress fields with each codec and in each shape, and look at what else the note's script writes."""
    folder = data.make(setting.work, *setting.pick((3, 16, (384, 512)), (1, 4, (12, 16))))
    store = setting.work / "size.zarr"
    interleave({"note": note_script(folder, store)}, 1, warm=False)
    arrays = defaultdict(lambda: [0, 0])
    for path in store.rglob("*"):
        if path.is_file():
            name = path.relative_to(store).parts[0] if path.parent != store else ""
            arrays[name][0] += 1
            arrays[name][1] += path.stat().st_size
    netcdf = sum(path.stat().st_size for path in folder.glob("*.nc"))
    arguments = [sorted(folder.glob("*.nc"))[0], setting.real_data or ""]
    return run(in_child("size", *arguments))["said"] | {"netcdf_bytes": netcdf, "arrays": arrays}


def codecs() -> dict[str, list]:
    """Return what to compress with: chains of numcodecs."""
    from numcodecs import Blosc, PCodec, Shuffle, Zlib, Zstd

    mib, shuffle, bits = 2**20, Blosc.SHUFFLE, Blosc.BITSHUFFLE
    return {
        CMOR: [Shuffle(4), Zlib(1)],
        "shuffle + deflate 9": [Shuffle(4), Zlib(9)],
        NOTE: [Blosc("lz4", 5, shuffle)],
        "Blosc lz4-5, 8 MiB blocks": [Blosc("lz4", 5, shuffle, 8 * mib)],
        V3: [Zstd(0)],
        "shuffle + zstd 1": [Shuffle(4), Zstd(1)],
        "Blosc zstd-1": [Blosc("zstd", 1, shuffle)],
        "Blosc zstd-1, 256 KiB blocks": [Blosc("zstd", 1, shuffle, mib // 4)],
        "Blosc zstd-1, 1 MiB blocks": [Blosc("zstd", 1, shuffle, mib)],
        BALANCED: [Blosc("zstd", 1, shuffle, 8 * mib)],
        "Blosc zstd-3": [Blosc("zstd", 3, shuffle)],
        "Blosc zstd-3, 8 MiB blocks": [Blosc("zstd", 3, shuffle, 8 * mib)],
        "Blosc zstd-3, bitshuffle": [Blosc("zstd", 3, bits)],
        "pcodec-6": [PCodec(6)],
    }


def encoded(chain: list, values):
    """Return values compressed by a chain of codecs that knows the size of their elements."""
    from numcodecs import Shuffle

    for codec in chain:
        values = (Shuffle(values.dtype.itemsize) if isinstance(codec, Shuffle) else codec).encode(values)
    return values


def blocks(values, shape):
    """Yield the chunks of an array, each contiguous."""
    import numpy as np

    from cmip6zarr import chunks

    for region in chunks.regions(tuple(slice(0, n) for n in values.shape), shape):
        yield np.ascontiguousarray(values[region])


def compress(values, shapes: dict[str, tuple]) -> dict[str, dict]:
    """Return bytes, and seconds of compressing and of both ways, of a field with every codec, in chunks of `shapes`."""
    import numpy as np

    results = {}
    for chain in codecs().values():  # what is used for the first time is slow
        encoded(chain, np.zeros(2**16, "f4"))
    for name, chain in codecs().items():
        if name == "pcodec-6" and (values.dtype.itemsize == 1 or values.dtype.kind not in "fiu"):
            continue
        start, size, parts = time.perf_counter(), 0, []
        for block in blocks(values, shapes[CMOR if name.startswith("shuffle + deflate") else "else"]):
            parts.append((encoded(chain, block), block.dtype))
            size += len(parts[-1][0])
        encoding = time.perf_counter() - start
        start = time.perf_counter()
        for part, dtype in parts:
            decode(chain, part, dtype)
        results[name] = {"bytes": size, "encode_s": encoding, "decode_s": time.perf_counter() - start}
    return results


def decode(chain: list, part, dtype) -> None:
    """Take values back through a chain of codecs."""
    from numcodecs import Shuffle

    for codec in reversed(chain):
        part = (Shuffle(dtype.itemsize) if isinstance(codec, Shuffle) else codec).decode(part)


def main(argv: list[str]) -> None:
    """Print the figures of all fields as JSON."""
    import h5py
    import netCDF4
    import numpy as np

    import sizes
    from cmip6zarr import chunks

    with netCDF4.Dataset(argv[0]) as nc:
        nc.set_auto_maskandscale(False)
        field = nc["ta"][...]
    with h5py.File(argv[0]) as hdf5:
        hdf5_bytes = hdf5["ta"].id.get_storage_size()
    step = (1, *field.shape[1:])
    made_up = compress(field, {CMOR: step, "else": (min(4, len(field)), *field.shape[1:])})
    shaped = {}
    for name, shape in SHAPES.items():
        cut = tuple(n if c == 0 else n // -c if c < 0 else min(c, n) for c, n in zip(shape, field.shape, strict=True))
        of_shape = {c: sum(len(encoded(codecs()[c], b)) for b in blocks(field, cut)) for c in (CMOR, NOTE, BALANCED)}
        shaped[name] = of_shape | {"chunk_bytes": int(np.prod(cut)) * field.dtype.itemsize}
    real, grown = [], []
    if argv[1]:
        for _, _, values in sizes.fields(Path(argv[1])):
            cut = chunks.fit(values.shape, values.dtype.itemsize, 32 * chunks.MIB, tuple(range(values.ndim)))
            steps = (1, *values.shape[1:]) if values.ndim > 2 else values.shape
            packed = compress(values, {CMOR: steps, "else": cut})
            real.append({name: {"bytes": one["bytes"]} for name, one in packed.items()})
        grown = growth(Path(argv[1]))
    print(
        json.dumps(
            {
                "raw_bytes": field.nbytes,
                "hdf5_bytes": hdf5_bytes,
                "made_up": made_up,
                "shapes": shaped,
                "real": real,
                "grown": grown,
            }
        )
    )


def growth(root: Path) -> list[dict]:
    """Return, for each folder of CMIP6 files that xarray opens as one, raw bytes in the files and as opened.

    Of variables without time, which the first file has once, and of all.
    """
    import warnings

    import xarray as xr

    warnings.filterwarnings("ignore")
    found = []
    for folder in sorted({path.parent for path in root.joinpath("CMIP6").rglob("*.nc")}):
        paths = sorted(folder.glob("*.nc"))
        if len(paths) < 2:
            continue
        try:
            with xr.open_mfdataset(paths) as opened, xr.open_dataset(paths[0]) as first:
                static = [n for n, v in first.variables.items() if "time" not in v.dims and n in opened.variables]
                if "time" in opened.dims:
                    before, after = (sum(d.variables[n].nbytes for n in static) for d in (first, opened))
                    gained = sum("time" in opened.variables[n].dims for n in static)
                    rest = opened.nbytes - after
                    found.append({"gained": gained, "static_bytes": before, "opened_bytes": after, "rest_bytes": rest})
        except (ValueError, TypeError, OSError, xr.AlignmentError, xr.MergeError):
            continue  # what xarray cannot open as one is another matter
    return found


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
        "store": number(total / figures["netcdf_bytes"]),
        "difference": number((total - figures["netcdf_bytes"]) / mib, 1),
        "bounds": number(bounds / mib, 3),
        "small_blocks": smaller(shares(figures, "Blosc zstd-1")[0], 1, 0.005),
        "large_blocks": smaller(shares(figures, BALANCED)[0], 1, 0.005),
        "best": min(figures["made_up"], key=lambda name: figures["made_up"][name]["bytes"]),
        "real": real_words(figures),
        "codecs": table(
            ["codec", "", "made-up field", "real fields", "median one", "compress MiB/s", "decompress MiB/s"], rows
        ),
        "shapes": table(["chunk of the made-up field", "MiB", CMOR, NOTE, BALANCED], shaped),
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
        f"(median field {number(note[2])}) and `balanced` {number(own[1])} ({number(own[2])}). Of "
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
    axes.legend(loc="lower right")


if __name__ == "__main__":
    main(sys.argv[1:])
