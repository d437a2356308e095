"""The floor: inflate, unshuffle, compress and write the same chunks, and nothing else.

Called with a folder of NetCDF files, a folder to write to, a codec preset and a number of threads. No plan, no checks,
no metadata, no coordinates: what is left is what libdeflate, Blosc and the page cache take.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from cmip6zarr.convert import codecs, hdf5_chunks, hdf5_layout

STEPS = 4
sources, target, preset, threads = (
    sorted(Path(sys.argv[1]).glob("*.nc")),
    Path(sys.argv[2]),
    sys.argv[3],
    int(sys.argv[4]),
)
codec = codecs.PRESETS[preset].codecs[0]
target.mkdir(parents=True, exist_ok=True)


def convert(task: tuple[int, int]) -> None:
    """Write STEPS time steps of one file as one object."""
    number, start = task
    layout = hdf5_layout.layouts(str(sources[number]))["ta"]
    region = (slice(start, start + STEPS), *(slice(0, size) for size in layout.shape[1:]))
    values = codecs.scratch.get("floor", STEPS * int(np.prod(layout.shape[1:])) * 4).view("f4")
    values = values.reshape(STEPS, *layout.shape[1:])
    for _, fill in hdf5_chunks.jobs(str(sources[number]), layout, region, values, (start, 0, 0, 0)):
        fill()
    (target / f"{number}.{start}").write_bytes(codec.encode(values))


tasks = [
    (n, s) for n, path in enumerate(sources) for s in range(0, hdf5_layout.layouts(str(path))["ta"].shape[0], STEPS)
]
with ThreadPoolExecutor(threads) as pool:
    list(pool.map(convert, tasks))
