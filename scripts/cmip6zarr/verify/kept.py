"""Does the provenance give back values of a file that are not those of the store: drifting statics, converted times?"""

import base64
import zlib
from fractions import Fraction

import numpy as np
from zarr.types import AnyArray

from cmip6zarr.model.provenance import Provenance
from cmip6zarr.verify.readers import Readers
from cmip6zarr.verify.source import Files
from cmip6zarr.verify.tally import Tally, bits
from cmip6zarr.verify.values import Part, missing_numbers


def compare_kept(told: Provenance, files: Files, tally: Tally) -> None:
    """Compare the values of static variables that the provenance, `told`, keeps because another file has others."""
    first = files.sources[0]
    for row in told.kept:
        name, kept = row.variable, row.kept
        variable = first.header.variables[name]
        if kept is None or files.time_name in variable.dims or name in told.files[row.files[0]].moves:
            continue
        whole = tuple(slice(0, size) for size in variable.shape)
        for number in row.files:
            with first, files.sources[number] as other:
                ours, theirs = first.read(name, whole), other.read(name, whole)
            words = f"provenance of {other.header.path}: values of {name!r}"
            if isinstance(kept, list):
                tally.same(words, kept, theirs.reshape(-1).tolist())
            elif ours.dtype == theirs.dtype and (octets(ours) ^ mask(kept)).tobytes() != octets(theirs).tobytes():
                tally.wrong(f"{words}: found others than in the file")


def compare_converted(told: Provenance, arrays: dict[str, AnyArray], files: Files, tally: Tally) -> None:
    """Compare times that were converted to another clock with what the provenance, `told`, makes of those in the store.

    Where it keeps None nothing is given back, and nothing compared.
    """
    for number, (source, file) in enumerate(zip(files.sources, told.files, strict=True)):
        kept = {row.variable: row.kept for row in told.kept if number in row.files}
        with source:
            for name, conversion in file.moves.items():
                flips = kept.get(name, "")
                if isinstance(flips, str):
                    part = Part(arrays[name], Readers(files.sources), number, file, files.time_name)
                    compare_times(part, conversion, flips, files.memory_bytes, tally)
                elif flips is not None:
                    tally.wrong(f"provenance of {file.path}: {name!r}: found texts kept, expected bytes or none")


def compare_times(part: Part, conversion: tuple[str, str], flips: str, memory_bytes: int, tally: Tally) -> None:
    """Compare the times of a file with what `conversion` and `flips` of the provenance make of those in the store.

    The store has a number `n` of a file as `n * scale + offset`, rounded. The file has `(n - offset) / scale`, rounded,
    with the bits reversed that `flips` has; none if it is empty.
    """
    variable, (scale, offset) = part.variable, map(Fraction, conversion)
    reversed_bits = mask(flips).reshape(*variable.shape, variable.itemsize) if flips else None
    missing = missing_numbers(variable)
    for region in part.blocks(memory_bytes):
        place = part.in_file(region)
        expected = part.source.read(part.name, place)
        found = back(np.asarray(part.array[region or ...]), scale, offset, missing, expected)
        if reversed_bits is not None:
            found = octets(found) ^ octets(reversed_bits[place])
            found = found.view(expected.dtype.newbyteorder("<")).reshape(expected.shape)
        if wrong := int(np.count_nonzero(bits(found) != bits(expected))):
            message = f"provenance of {part.source.header.path}: {wrong} times of {part.name!r} come back as others"
            tally.wrong(message, wrong)


def back(
    values: np.ndarray, scale: Fraction, offset: Fraction, missing: list[np.generic], like: np.ndarray
) -> np.ndarray:
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
