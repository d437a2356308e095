"""Does the provenance give back the values of a file that are not those of the store: drifting statics, moved times?"""

import base64
import zlib
from fractions import Fraction

import numpy as np

from cmip6zarr.verify.source import Source
from cmip6zarr.verify.tally import Tally, bits
from cmip6zarr.verify.values import blocks, missing_numbers


def compare_kept(told: dict, sources: list[Source], time_name: str | None, tally: Tally) -> None:
    """Compare the values of static variables that the provenance, `told`, keeps because another file has others."""
    first = sources[0]
    for row in told["kept"]:
        name, kept = row["variable"], row["kept"]
        variable = first.header.variables[name]
        if kept is None or time_name in variable.dims or name in told["files"][row["files"][0]]["moves"]:
            continue
        whole = tuple(slice(0, size) for size in variable.shape)
        for number in row["files"]:
            with first, sources[number] as other:
                ours, theirs = first.read(name, whole), other.read(name, whole)
            words = f"provenance of {other.header.path}: values of {name!r}"
            if isinstance(kept, list):
                tally.same(words, kept, theirs.reshape(-1).tolist())
            elif ours.dtype == theirs.dtype and (octets(ours) ^ mask(kept)).tobytes() != octets(theirs).tobytes():
                tally.wrong(f"{words}: found others than in the file")


def compare_moved(
    told: dict, arrays: dict, sources: list[Source], time_name: str | None, memory_bytes: int, tally: Tally
) -> None:
    """Compare times that were moved to another clock with what the provenance, `told`, makes of those in the store.

    The store has a number `n` of a file as `n * scale + offset`, rounded. The file has `(n - offset) / scale`, rounded,
    with the bits reversed that the provenance keeps. Where it keeps None nothing is given back, and nothing compared.
    """
    for number, (source, file) in enumerate(zip(sources, told["files"], strict=True)):
        kept = {row["variable"]: row["kept"] for row in told["kept"] if number in row["files"]}
        with source:
            for name, (scale, offset) in file["moves"].items():
                if kept.get(name, "") is None:
                    continue
                variable, array = source.header.variables[name], arrays[name]
                axis = variable.dims.index(time_name) if time_name in variable.dims else None
                shift = [file["start"] - file["skip"] if n == axis else 0 for n in range(array.ndim)]
                here = [slice(0, size) for size in variable.shape]
                if axis is not None:
                    here[axis] = slice(file["skip"], file["steps"])
                flips = None
                if name in kept:
                    flips = mask(kept[name]).reshape(*variable.shape, variable.itemsize)
                whole = tuple(slice(r.start + by, r.stop + by) for r, by in zip(here, shift, strict=True))
                missing = missing_numbers(variable)
                for region in blocks(array, variable, whole, axis, memory_bytes):
                    place = tuple(slice(r.start - by, r.stop - by) for r, by in zip(region, shift, strict=True))
                    expected = source.read(name, place)
                    found = back(np.asarray(array[region or ...]), Fraction(scale), Fraction(offset), missing, expected)
                    if flips is not None:
                        found = octets(found) ^ octets(flips[place])
                        found = found.view(expected.dtype.newbyteorder("<")).reshape(expected.shape)
                    if wrong := np.count_nonzero(bits(found) != bits(expected)):
                        message = f"provenance of {source.header.path}: {wrong} times of {name!r} come back as others"
                        tally.wrong(message, wrong)


def back(values: np.ndarray, scale: Fraction, offset: Fraction, missing: list, like: np.ndarray) -> np.ndarray:
    """Return numbers of the store as those of a file, in the dtype of `like`; missing ones and no numbers stay."""
    found = values.astype(like.dtype)
    for index, value in np.ndenumerate(values):
        if np.isfinite(value) and value not in missing:
            exact = (Fraction(value.item()) - offset) / scale
            found[index] = round(exact) if like.dtype.kind in "iu" else float(exact)
    return found


def mask(kept: str) -> np.ndarray:
    """Return the bytes of which the bits are to be reversed."""
    return np.frombuffer(zlib.decompress(base64.b64decode(kept)), "u1")


def octets(values: np.ndarray) -> np.ndarray:
    """Return the bytes of numbers or characters, little-endian."""
    return np.frombuffer(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes(), "u1")
