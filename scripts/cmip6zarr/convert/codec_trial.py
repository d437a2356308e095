"""Choose a variable's codec by trying those of a preset on a few of its chunks."""

import time
from math import prod

import numpy as np

from cmip6zarr.convert.codecs import PRESETS, Blosc, Pcodec
from cmip6zarr.convert.reader import Reader
from cmip6zarr.core.files import JSON
from cmip6zarr.plan.planning import Cut

SAMPLES = 3  # chunks: at the beginning, in the middle and at the end
SAMPLE_BYTES = 4 * 2**20  # of each
SMALL_BYTES = 2**16  # an array for which no trial is worth its time


def choose(preset: str, reader: Reader, cut: Cut, dtype: np.dtype) -> tuple[Blosc | Pcodec, JSON]:
    """Return the codec of a preset for an array, by what it makes of sampled chunks, and the figures of the trial.

    Where native chunks are copied it is theirs. The figures are {codec: {bytes, raw_bytes, source_bytes, cpu_seconds}}
    of those that were tried, `source_bytes` what the samples take in the files, None where that is not known; they are
    empty where there is nothing to choose.
    """
    native = cut.array.native[0] if cut.array.not_copied is None else None
    if native is not None:
        return Blosc("zlib", 1, prod(native) * dtype.itemsize, shuffle=cut.array.shuffled, big=cut.array.big), {}
    smallest = PRESETS[preset].smallest
    candidates = [codec for codec in PRESETS[preset].codecs if codec.fits(dtype)]
    if len(candidates) == 1 or dtype.kind not in "fiu" or cut.array.bytes <= SMALL_BYTES:
        return candidates[0], {}
    places = sampled(cut)
    source_bytes = reader.stored_bytes(cut.array, places)
    if source_bytes is None and not smallest:
        return candidates[0], {}
    samples = [sample(reader, cut, region, dtype) for region in places]
    figures: JSON = {}
    for codec in candidates:
        start = time.thread_time()
        size = sum(len(codec.encode(values)) for values in samples)
        figures[codec.name] = {
            "bytes": size,
            "raw_bytes": sum(values.nbytes for values in samples),
            "source_bytes": source_bytes,
            "cpu_seconds": round(time.thread_time() - start, 3),
        }
        if source_bytes is not None and size <= source_bytes and not smallest:
            return codec, figures
    return min(candidates, key=lambda codec: figures[codec.name]["bytes"]), figures


def sampled(cut: Cut) -> list[tuple[slice, ...]]:
    """Return the regions that are tried: parts of a few chunks, spread over the first axis."""
    chunk, shape = list(cut.chunks), cut.array.shape
    for axis in range(len(chunk)):
        over = -(-int(np.prod(chunk)) * cut.array.itemsize // SAMPLE_BYTES)
        chunk[axis] = max(1, chunk[axis] // max(1, over))
    last = shape[0] - min(chunk[0], shape[0])
    starts = dict.fromkeys(last * i // (SAMPLES - 1) for i in range(SAMPLES))
    rest = [slice(0, min(n, size)) for n, size in zip(chunk[1:], shape[1:], strict=True)]
    return [(slice(start, start + min(chunk[0], shape[0])), *rest) for start in starts]


def sample(reader: Reader, cut: Cut, region: tuple[slice, ...], dtype: np.dtype) -> np.ndarray:
    """Return the values of a region of an array."""
    values = np.empty([axis.stop - axis.start for axis in region], dtype)
    for _, fill in reader.jobs(cut.array, region, values):
        fill()
    return values
