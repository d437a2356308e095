"""Compress fields with many codecs, and look at what xarray makes of variables without time.

Called with a NetCDF file of the made-up dataset and the folder of real files or nothing. Prints figures as JSON, for
`questions/store_size.py`.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import xarray as xr
from numcodecs import Blosc, PCodec, Shuffle, Zlib, Zstd

import preset_sizes
from cmip6zarr.core import chunks
from questions.store_size import BALANCED, CMOR, LARGE_BLOCKS, NOTE, V3

SHAPES = {
    "1 step, 1 level": (1, 1, 0, 0),
    "1 step": (1, 0, 0, 0),
    "4 steps": (4, 0, 0, 0),
    "16 steps": (16, 0, 0, 0),
    "all steps, 1 level, 1/16 of the map": (0, 1, -4, -4),
}
"""Chunks of the made-up field (steps, levels, latitudes, longitudes): 0 is all of an axis, -4 a quarter."""


def codecs() -> dict[str, list]:
    """Return what to compress with: chains of numcodecs."""
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
        LARGE_BLOCKS: [Blosc("zstd", 1, shuffle, 8 * mib)],
        BALANCED: [Blosc("zstd", 2, shuffle, 8 * mib)],
        "Blosc zstd-3": [Blosc("zstd", 3, shuffle)],
        "Blosc zstd-3, 8 MiB blocks": [Blosc("zstd", 3, shuffle, 8 * mib)],
        "Blosc zstd-3, bitshuffle": [Blosc("zstd", 3, bits)],
        "pcodec-6": [PCodec(6)],
    }


def encoded(chain: list, values):
    """Return values compressed by a chain of codecs that knows the size of their elements."""
    for codec in chain:
        values = (Shuffle(values.dtype.itemsize) if isinstance(codec, Shuffle) else codec).encode(values)
    return values


def blocks(values, shape):
    """Yield the chunks of an array, each contiguous."""
    for region in chunks.regions(tuple(slice(0, n) for n in values.shape), shape):
        yield np.ascontiguousarray(values[region])


def compress(values, shapes: dict[str, tuple]) -> dict[str, dict]:
    """Return bytes, and seconds of compressing and of both ways, of a field with every codec, in chunks of `shapes`."""
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
    for codec in reversed(chain):
        part = (Shuffle(dtype.itemsize) if isinstance(codec, Shuffle) else codec).decode(part)


def main(argv: list[str]) -> None:
    """Print the figures of all fields as JSON."""
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
        for _, _, values in preset_sizes.fields(Path(argv[1])):
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


if __name__ == "__main__":
    main(sys.argv[1:])
