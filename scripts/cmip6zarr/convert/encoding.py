"""What a NetCDF variable becomes in Zarr: dtype, fill value, attributes, and the array that has them.

The choices make plain `xarray.open_zarr` decode what `xarray.open_dataset` decodes from the source, in both formats.
"""

import base64
import struct
from typing import Any, Literal

import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec

from cmip6zarr.convert.codecs import Blosc, Form, Pcodec
from cmip6zarr.core.files import JSON
from cmip6zarr.model.inventory import Attribute, Attributes, Variable
from cmip6zarr.source.attributes import untyped
from cmip6zarr.source.fill_values import fill_of

TEXT = np.dtype(object)
"""The dtype of texts of variable length in memory."""

SEPARATOR = "/"
"""Between the numbers in the key of a chunk of Zarr v3, as is its default; dots are that of v2.

There are readers that look for slashes only, and take all else for chunks that are not there. Stores that were made
before have dots, and are read as their metadata say.
"""


def plain(attribute: Attribute) -> Any:
    """Return a typed attribute as JSON has it: text, number, list; the type of a number is lost."""
    value = untyped(attribute)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def fill_value(variable: Variable) -> np.generic | str | None:
    """Return `_FillValue` in the variable's dtype (a numpy scalar or text), or None if it has none."""
    attribute = variable.attributes.get("_FillValue")
    return None if attribute is None else fill_of(attribute, variable.dtype)


def attributes(variable: Variable, zarr_format: int) -> JSON:
    """Return the attributes of a variable's array.

    Zarr v2 keeps `_FillValue` as the array's fill value and dimension names as an attribute. In v3 `_FillValue` is an
    attribute, spelled as xarray reads it (floats as base64 of a little-endian double, so that NaN has a spelling).
    """
    plains = {name: plain(value) for name, value in variable.attributes.items() if name != "_FillValue"}
    fill = fill_value(variable)
    if zarr_format == 2:
        return plains | {"_ARRAY_DIMENSIONS": list(variable.dims)}
    if fill is None:
        return plains
    if isinstance(fill, np.floating):
        return plains | {"_FillValue": base64.standard_b64encode(struct.pack("<d", float(fill))).decode()}
    if isinstance(fill, bytes | str):
        # xarray cannot open a store that has one of characters or texts; the array's own fill value has it.
        return plains
    return plains | {"_FillValue": fill.item()}


def dtype_of(name: str) -> np.dtype:
    """Return the dtype in memory of a variable whose dtype has a name: little-endian, TEXT for texts of any length."""
    return TEXT if name == "str" else np.dtype(name).newbyteorder("<")


def create_group(store: Store, attributes: Attributes, zarr_format: Literal[2, 3], more: JSON) -> zarr.Group:
    """Create the group of a dataset with these attributes, and `more`, at the root of a store."""
    plains = {name: plain(value) for name, value in attributes.items()}
    return zarr.create_group(store, zarr_format=zarr_format, attributes=plains | more)


def create_array(
    group: zarr.Group,
    name: str,
    variable: Variable,
    chunks: tuple[int, ...],
    shards: tuple[int, ...],
    codec: Blosc | Pcodec,
) -> zarr.Array[Any]:
    """Create the array of a variable; every chunk of it will be written: an absent one is a lost one."""
    dtype, fill, zarr_format = dtype_of(variable.dtype), fill_value(variable), group.metadata.zarr_format
    text = dtype == TEXT
    if zarr_format == 2:
        own = {"compressors": codec.v2(), "fill_value": fill}
        dtype = dtype.newbyteorder(">") if isinstance(codec, Blosc) and codec.big else dtype
    else:
        own = codec.v3(np.dtype("u1") if text else dtype)
        own["compressors"] += [Crc32cCodec()] * has_crc32c(codec, shards != chunks)
        own |= {
            "dimension_names": variable.dims,
            "fill_value": fill if fill is not None else "" if text else dtype.type(),
            "chunk_key_encoding": {"name": "default", "separator": SEPARATOR},
            "shards": shards if shards != chunks else None,
        }
    return group.create_array(
        name,
        shape=variable.shape,
        dtype=str if text else dtype,
        chunks=chunks,
        attributes=attributes(variable, zarr_format),
        config={"write_empty_chunks": True},
        **own,
    )


def has_crc32c(codec: Blosc | Pcodec, sharded: bool) -> bool:
    """Tell whether chunks of Zarr v3 end with a checksum; those in shards do, since they are read without the rest."""
    return codec.crc32c or sharded


def form_of(array: zarr.Array[Any], codec: Blosc | Pcodec) -> Form:
    """Return how blocks of an array of numbers or characters become objects."""
    beyond = array.dtype.type() if array.fill_value is None else array.fill_value
    checksum = array.metadata.zarr_format == 3 and has_crc32c(codec, array.shards is not None)
    return Form(array.chunks, array.shards or array.chunks, beyond, codec, checksum)
