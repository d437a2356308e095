"""Values of a store as numbers with their meaning: unpacked, NaN where there is none."""

from types import EllipsisType

import numpy as np
import zarr
from zarr.types import AnyArray

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.inventory import Attributes
from cmip6zarr.source.attributes import missing_values, untyped
from cmip6zarr.verify.default_fill import undeclared_fill

AGAIN = "Run again: the dataset will be converted again."


def array_in(group: zarr.Group, name: str) -> AnyArray:
    """Return an array of a store; raises DatasetError (`store`) where something else has its name."""
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise DatasetError("store", f"{group.store_path}: {name!r}: found a group, expected an array.", AGAIN)
    return found


def read_chunks(array: AnyArray, index: tuple[slice | int, ...] | EllipsisType) -> np.ndarray:
    """Return values of an array as they are stored; raises DatasetError (`chunks`) where zarr cannot read them."""
    try:
        return np.asarray(array[index])
    except (OSError, RuntimeError, ValueError) as error:
        message = f"{array.store_path}: zarr cannot read it: {error}."
        raise DatasetError("chunks", message, AGAIN) from error


def decode(values: np.ndarray, attributes: Attributes) -> np.ndarray:
    """Return stored numbers as what they mean by their typed attributes: float64, NaN where there is no value.

    What is netCDF's default fill is no value either, whether an attribute says so or not.
    """
    declared = list(missing_values(attributes))
    fill = undeclared_fill(values.dtype, declared)
    if str(untyped(attributes.get("_Unsigned", ["char", ""]))).lower() == "true":
        values = values.view(f"u{values.dtype.itemsize}")
    decoded = np.array(values, "f8")
    with np.errstate(all="ignore"):
        for missing in (*declared, *([] if fill is None else [fill])):
            decoded[np.isin(values, missing.astype(values.dtype))] = np.nan
        decoded = np.asarray(decoded * number(attributes, "scale_factor", 1) + number(attributes, "add_offset", 0))
    decoded[~np.isfinite(decoded)] = np.nan
    return decoded


def number(attributes: Attributes, name: str, default: float) -> float:
    """Return an attribute that should be a number, and the default where it is not."""
    value = untyped(attributes.get(name, ["float64", default]))
    return default if isinstance(value, str | list) or np.size(value) != 1 else float(np.ravel(value)[0])
