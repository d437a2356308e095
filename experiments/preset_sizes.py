"""Sizes of real fields: each codec preset against shuffle + deflate 1, which is what CMOR writes.

Called with a folder of NetCDF files; takes every field of numbers with a whole grid (no coordinates, no bounds, nothing
that was never written), cut in single steps for deflate, as CMOR does, and in chunks of 32 MiB for Zarr.
"""

import sys
import time
import zlib
from pathlib import Path

import netCDF4
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from cmip6zarr.convert import codecs
from cmip6zarr.convert.hdf5_chunks import Shuffle
from cmip6zarr.core import chunks

LEAST_GRID = 10_000  # points of the last two axes: what is smaller was cut out of a grid


def fields(root: Path):
    """Yield (file name, variable, raw values) of the fields below a folder, each distinct content once."""
    seen = set()
    for path in sorted(root.rglob("*.nc")):
        with netCDF4.Dataset(path) as nc:
            nc.set_auto_maskandscale(False)
            attributes = [variable.__dict__ for variable in nc.variables.values()]
            keys = ("bounds", "coordinates")
            others = {word for a in attributes for key in keys for word in str(a.get(key, "")).split()}
            for name, variable in nc.variables.items():
                grid = int(np.prod(variable.shape[-2:]))
                if name in others or not LEAST_GRID <= grid <= 10**6 or np.dtype(variable.dtype).kind not in "fiu":
                    continue
                values = np.ascontiguousarray(variable[...])
                key = hash(values.tobytes())
                if key not in seen and (values != values.flat[0]).any():
                    seen.add(key)
                    yield path.name, name, values


def deflated(values: np.ndarray) -> int:
    """Return the bytes of shuffle + deflate 1, one step of the first axis at a time (all of a field of two axes)."""
    steps = values if values.ndim > 2 else values[None]
    shuffle = Shuffle(values.dtype.itemsize)
    return sum(len(zlib.compress(shuffle.encode(np.ascontiguousarray(step)), 1)) for step in steps)


def packed(values: np.ndarray, preset: codecs.Preset, source_bytes: int) -> tuple[int, float]:
    """Return the bytes of the codec that a preset takes, in chunks of at most 32 MiB, and its CPU seconds."""
    cut = chunks.fit(values.shape, values.dtype.itemsize, 32 * chunks.MIB, tuple(range(values.ndim)))
    blocks = [np.ascontiguousarray(values[b]) for b in chunks.regions(tuple(slice(0, n) for n in values.shape), cut)]
    tried = []
    for codec in preset.codecs:
        if codec.fits(values.dtype):
            start = time.thread_time()
            size = sum(len(codec.encode(block)) for block in blocks)
            tried.append((size, time.thread_time() - start))
            if size <= source_bytes and not preset.smallest:
                return tried[-1]
    return min(tried)


def main() -> None:
    """Print the table."""
    found = [values for _, _, values in fields(Path(sys.argv[1]))]
    source = np.array([deflated(values) for values in found])
    columns = {"raw": [(values.nbytes, 0.0) for values in found], "shuffle + deflate 1": [(n, 0.0) for n in source]}
    for name, preset in codecs.PRESETS.items():
        if name != "native":  # which is that of balanced for what cannot be copied
            columns[name] = [packed(values, preset, n) for values, n in zip(found, source, strict=True)]
    head = ["", "MiB", "of shuffle + deflate 1", "median field", "biggest field", "CPU s of compressing"]
    print(f"{len(found)} real fields\n\n| {' | '.join(head)} |\n| {' | '.join(['---'] * len(head))} |")
    for name, rows in columns.items():
        sizes, seconds = np.transpose(rows)
        ratios = sizes / source
        figures = [sizes.sum() / 2**20, sizes.sum() / source.sum(), np.median(ratios), ratios.max()]
        words = [f"{figures[0]:.2f}", *(f"{figure:.3f}" for figure in figures[1:]), f"{seconds.sum():.2f}"]
        print(f"| {name} | {' | '.join(words[:-1])} | {words[-1] if seconds.any() else ''} |")


if __name__ == "__main__":
    main()
