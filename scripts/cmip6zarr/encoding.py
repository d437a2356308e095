"""What a NetCDF variable becomes in Zarr: dtype, fill value, attributes, codecs.

The choices make plain `xarray.open_zarr` decode what `xarray.open_dataset` decodes from the source, in both formats.
"""

import base64
import struct

import numcodecs
import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from .headers import untyped

# Blosc's (inner codec, level, block bytes). Measured on 55 whole-grid fields of real models, relative to what CMOR
# writes (shuffle + deflate 1): balanced 0.95 of the size, fast 1.16. Blosc's automatic block size would make balanced
# 1.06: it is the block size that loses to deflate, not zstd. For lz4 the automatic one (0) is best.
CODECS = {"balanced": ("zstd", 1, 8 * 2**20), "fast": ("lz4", 5, 0)}


def plain(attribute: list):
    """Return a typed attribute as JSON has it: text, number, list; the type of a number is lost."""
    value = untyped(attribute)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def fill_value(variable: dict):
    """Return `_FillValue` in the variable's dtype (a numpy scalar or text), or None if it has none."""
    if "_FillValue" not in variable["attributes"]:
        return None
    value = untyped(variable["attributes"]["_FillValue"])
    if variable["dtype"] == "S1":
        return np.bytes_(value)
    return value if variable["dtype"] == "str" else np.dtype(variable["dtype"]).type(value)


def attributes(variable: dict, zarr_format: int) -> dict:
    """Return the attributes of a variable's array.

    Zarr v2 keeps `_FillValue` as the array's fill value and dimension names as an attribute. In v3 `_FillValue` is an
    attribute, spelled as xarray reads it (floats as base64 of a little-endian double, so that NaN has a spelling).
    """
    plains = {name: plain(value) for name, value in variable["attributes"].items() if name != "_FillValue"}
    fill = fill_value(variable)
    if zarr_format == 2:
        return plains | {"_ARRAY_DIMENSIONS": variable["dims"]}
    if fill is None:
        return plains
    if isinstance(fill, np.floating):
        return plains | {"_FillValue": base64.standard_b64encode(struct.pack("<d", float(fill))).decode()}
    if isinstance(fill, bytes):
        return plains | {"_FillValue": base64.standard_b64encode(fill).decode()}
    return plains | {"_FillValue": fill.item() if isinstance(fill, np.generic) else fill}


def create_array(group: zarr.Group, name: str, variable: dict, chunks: tuple[int, ...], codec: str) -> zarr.Array:
    """Create the array of a variable, with every chunk to be written: an absent chunk of ours is a lost one."""
    dtype, fill, zarr_format = variable["dtype"], fill_value(variable), group.metadata.zarr_format
    cname, level, block_bytes = CODECS[codec]
    kind = np.dtype("S1" if dtype == "str" else dtype)
    if zarr_format == 2:
        compressors = numcodecs.Blosc(cname, level, numcodecs.Blosc.SHUFFLE, block_bytes)
        own = {"compressors": compressors, "fill_value": fill}
    else:
        blosc = BloscCodec(cname=cname, clevel=level, shuffle="shuffle", typesize=kind.itemsize, blocksize=block_bytes)
        own = {
            "compressors": [blosc, Crc32cCodec()],
            "dimension_names": variable["dims"],
            "fill_value": fill if fill is not None else "" if dtype == "str" else kind.type(),
        }
    return group.create_array(
        name,
        shape=variable["shape"],
        dtype=str if dtype == "str" else kind.newbyteorder("<"),
        chunks=chunks,
        attributes=attributes(variable, zarr_format),
        config={"write_empty_chunks": True},
        **own,
    )
