"""Sizes of real fields: each codec preset against shuffle + deflate 1, which is what CMOR writes.

Called with a folder of NetCDF files; takes every field of numbers with a whole grid (no coordinates, no bounds, nothing
that was never written), cut in single steps for deflate, as CMOR does, and in chunks of 32 MiB for Zarr.
"""

import sys
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


def packed(values: np.ndarray, preset: str) -> int:
    """Return the bytes of a preset's best codec, in chunks of at most 32 MiB."""
    cut = chunks.fit(values.shape, values.dtype.itemsize, 32 * chunks.MIB, tuple(range(values.ndim)))
    blocks = list(chunks.regions(tuple(slice(0, n) for n in values.shape), cut))
    choices = [codec for codec in codecs.PRESETS[preset] if codec.fits(values.dtype)]
    return min(sum(len(codec.encode(np.ascontiguousarray(values[b]))) for b in blocks) for codec in choices)


def main() -> None:
    """Print the table."""
    names = ["raw", "shuffle + deflate 1", *codecs.PRESETS]
    rows = [
        [values.nbytes, deflated(values), *(packed(values, preset) for preset in codecs.PRESETS)]
        for _, _, values in fields(Path(sys.argv[1]))
    ]
    totals, base = np.sum(rows, axis=0), np.array(rows)[:, 1]
    print(f"{len(rows)} real fields\n\n| | MiB | of shuffle + deflate 1 | median field |\n| --- | --- | --- | --- |")
    for name, total, column in zip(names, totals, np.transpose(rows), strict=True):
        print(f"| {name} | {total / 2**20:.2f} | {total / base.sum():.3f} | {np.median(column / base):.3f} |")


if __name__ == "__main__":
    main()
