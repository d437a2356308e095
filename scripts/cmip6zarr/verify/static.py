"""Do the variables without time hold in every file what they hold in the store?"""

import numpy as np

from cmip6zarr.verify.header import Variable
from cmip6zarr.verify.tally import bits
from cmip6zarr.verify.values import missing_numbers


def drift(found: np.ndarray, expected: np.ndarray, variable: Variable, tolerance: float) -> str | None:
    """Return None if each number of two arrays of one shape is the same within a tolerance, else what is not.

    The tolerance is relative to the value's own magnitude, or to the median magnitude where the value is smaller.
    Texts, integers, missing numbers, NaN and infinities must be equal. A float32 and a float64 may differ by the
    rounding of float32.
    """
    if found.dtype.kind != "f" or expected.dtype.kind != "f":
        return "found texts or integers that differ, expected them equal"
    missing = missing_numbers(variable)
    numbers = np.isfinite(found) & np.isfinite(expected) & ~np.isin(found, missing) & ~np.isin(expected, missing)
    others = found[~numbers], expected[~numbers].astype(found.dtype)
    if (bits(others[0]) != bits(others[1])).any():
        return "found missing values at other places, expected them at the same"
    if found.dtype.itemsize != expected.dtype.itemsize:
        tolerance = max(tolerance, float(np.finfo("f4").eps))
    a, b = (x[numbers].astype("f8") for x in (found, expected))
    if not a.size:
        return None
    magnitude = np.maximum(np.abs(a), np.abs(b))
    limit = tolerance * np.maximum(magnitude, max(np.median(np.abs(a)), np.median(np.abs(b))))
    beyond = np.abs(a - b) > limit
    if not beyond.any():
        return None
    worst = int(np.argmax(np.where(beyond, np.abs(a - b), -1)))
    return (
        f"found {a[worst]!r}, expected {b[worst]!r} within {limit[worst]:.3g}; {int(beyond.sum())} of {a.size} values "
        "differ by more"
    )
