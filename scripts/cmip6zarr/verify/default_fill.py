"""Values of netCDF's default fill that no attribute declares: netCDF4 may mask them, readers of Zarr see numbers."""

from collections.abc import Iterable

import numpy as np

from cmip6zarr.verify.tally import Tally

# NC_FILL_* of netcdf.h. Bytes and characters have every value as data, and no fill by default.
DEFAULT_FILL = {
    "int16": -32767,
    "uint16": 65535,
    "int32": -2147483647,
    "uint32": 4294967295,
    "int64": -9223372036854775806,
    "uint64": 18446744073709551614,
    "float32": float.fromhex("0x1.ep+122"),
    "float64": float.fromhex("0x1.ep+122"),
}


def undeclared_fill(dtype: np.dtype, declared: Iterable[float | np.generic]) -> np.generic | None:
    """Return the default fill that values of a dtype may hold without a word, None if there is none.

    `declared` are the numbers of `_FillValue` and `missing_value`. Of integers the default is as good as another number
    where they declare one of their own; no float of that size is data.
    """
    dtype, numbers = np.dtype(dtype).newbyteorder("="), list(declared)
    if dtype.name not in DEFAULT_FILL:
        return None
    fill: np.generic = dtype.type(DEFAULT_FILL[dtype.name])
    return None if any(number == fill for number in numbers) or (numbers and dtype.kind != "f") else fill


def count(values: np.ndarray, declared: Iterable[float | np.generic]) -> int:
    """Return how many of the raw values of a variable are the default fill, and no attribute says so."""
    fill = undeclared_fill(values.dtype, declared) if values.dtype.kind in "iuf" else None
    return 0 if fill is None else int(np.count_nonzero(values == fill))


def note(tally: Tally) -> None:
    """Note a finding for each variable of which values are the default fill, with their number in all files."""
    for name in sorted({name for name, _ in tally.default_fill}):
        numbers = {path: number for (other, path), number in tally.default_fill.items() if other == name}
        path, total = next(iter(numbers)), sum(numbers.values())
        files = "1 file" if len(numbers) == 1 else f"{len(numbers)} files"
        message = (
            f"{path}: {name!r}: {total} values in {files} are netCDF's default fill, which neither "
            "_FillValue nor missing_value declares: netCDF4 may mask them, readers of the store see numbers."
        )
        tally.note("default_fill", "accept", message, file=path, variable=name, values=total)
