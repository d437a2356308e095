"""Faults of encoding and writing: metadata of arrays, bytes of objects, and where they are put."""

import struct
from dataclasses import replace

import numpy as np

from .declared import fault

ENCODING, CODECS, SHARDS = "cmip6zarr.convert.encoding", "cmip6zarr.convert.codecs", "cmip6zarr.convert.shards"
FORMATS = ("plain", "v2")
INDEX = struct.Struct("<QQ")


@fault("encoding", f"{ENCODING}:fill_value", *FORMATS, says="tas.*_FillValue")
def fill_value_lost(fill_value, variable):
    """`_FillValue` is lost."""


@fault("encoding", f"{ENCODING}:fill_value", *FORMATS, says="tas.*_FillValue")
def other_fill_value(fill_value, variable):
    """`_FillValue` is the next number."""
    fill = fill_value(variable)
    return np.nextafter(fill, fill.dtype.type(0)) if isinstance(fill, np.floating) else fill


@fault("encoding", "zarr:Group.create_array", "plain", says="tas.*(fill|_FillValue)")
def fill_value_of_the_array(create_array, group, name, **settings):
    """The array's own fill value is zero, though `_FillValue` is another."""
    fill = settings["fill_value"]
    return create_array(group, name, **settings | {"fill_value": np.float32(0) if name == "tas" else fill})


@fault("encoding", f"{ENCODING}:attributes", "plain", says="tas.*_FillValue")
def fill_value_in_the_other_byte_order(attributes, variable, zarr_format):
    """`_FillValue` is spelled in the other byte order."""
    found = attributes(variable, zarr_format)
    if isinstance(found.get("_FillValue"), str):
        found["_FillValue"] = "QFIAAAAAAAA="
    return found


@fault("encoding", f"{ENCODING}:attributes", *FORMATS, says="tas.*missing_value")
def missing_value_dropped(attributes, variable, zarr_format):
    """`missing_value` is dropped."""
    found = attributes(variable, zarr_format)
    found.pop("missing_value", None)
    return found


@fault("encoding", f"{ENCODING}:attributes", *FORMATS, says="bounds")
def bounds_renamed(attributes, variable, zarr_format):
    """A coordinate names other bounds."""
    found = attributes(variable, zarr_format)
    return {name: "bnds" if name == "bounds" else value for name, value in found.items()}


@fault("encoding", f"{ENCODING}:plain", "kinds", "kinds v2", says="packed.*scale_factor")
def attribute_rounded(plain, attribute):
    """Numbers in attributes are rounded to whole ones."""
    value = plain(attribute)
    return round(value) if isinstance(value, float) and abs(value) < 1 else value


@fault("encoding", f"{ENCODING}:dtype_of", "v2", says="tas|lat")
def big_endian_array(dtype_of, variable):
    """Metadata say big-endian, and the bytes are little-endian."""
    return dtype_of(variable).newbyteorder(">")


@fault("encoding", f"{ENCODING}:create_array", *FORMATS, says="tas")
def dimension_names_swapped(create_array, group, name, variable, *args):
    """The names of two dimensions are swapped in the array's metadata."""
    return create_array(group, name, replace(variable, dims=variable.dims[::-1]), *args)


@fault("encoding", f"{ENCODING}:create_array", *FORMATS, says="tas|time|shape")
def array_too_long(create_array, group, name, variable, *args):
    """The array has one index more along its first axis than the files."""
    shape = tuple(n + (axis == 0) for axis, n in enumerate(variable.shape))
    return create_array(group, name, replace(variable, shape=shape), *args)


@fault("encoding", f"{ENCODING}:create_array", *FORMATS, says="tas")
def attributes_of_another_variable(create_array, group, name, variable, *args):
    """A field has no attributes but its name."""
    attributes = {"long_name": ["char", name]} if name == "tas" else variable.attributes
    return create_array(group, name, replace(variable, attributes=attributes), *args)


@fault("encoding", f"{CODECS}:Form.encode_values", "kinds", "kinds v2", says="f4-bits|f8-bits")
def sign_of_zero_lost(encode_values, form, values, raw):
    """-0.0 becomes 0.0."""
    return encode_values(form, values + 0.0 if values.dtype.kind == "f" else values, raw)


@fault("encoding", f"{CODECS}:Form.encode_values", "kinds", "kinds v2", says="f4-bits|f8-bits")
def payload_of_nan_lost(encode_values, form, values, raw):
    """Every NaN becomes the usual one."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type("nan"), values)
    return encode_values(form, values, raw)


@fault("encoding", f"{CODECS}:Form.encode_values", *FORMATS, says="tas")
def fill_becomes_nan(encode_values, form, values, raw):
    """Fill values become NaN, as a mask that is applied and filled again makes them."""
    if values.dtype == "f4":
        values = np.where(values == np.float32(1e20), np.float32("nan"), values)
    return encode_values(form, values, raw)


@fault("encoding", f"{CODECS}:Form.encode_values", *FORMATS, says="tas")
def mantissa_rounded(encode_values, form, values, raw):
    """The last bit of every number is cut."""
    if values.dtype == "f4":
        values = (np.ascontiguousarray(values).view("u4") & 0xFFFFFFFE).view("f4")
    return encode_values(form, values, raw)


@fault("encoding", f"{CODECS}:Form.encode_values", *FORMATS, says="tas")
def transposed(encode_values, form, values, raw):
    """Latitudes and longitudes of a chunk are transposed."""
    if values.ndim == 3:
        values = values.swapaxes(1, 2)
    return encode_values(form, values, raw)


@fault("encoding", f"{CODECS}:Form.encode_values", *FORMATS, says="tas|time")
def last_partial_chunk_cut(encode_values, form, values, raw):
    """The last step of a chunk at the edge of the array is cut."""
    cut = values.ndim and values.shape[0] < form.chunks[0]
    return encode_values(form, values[:-1] if cut else values, raw)


@fault("encoding", f"{CODECS}:Form.encode_values", *FORMATS, says="tas|time")
def partial_chunk_at_the_wrong_end(encode_values, form, values, raw):
    """A chunk at the edge of the array is filled up before its values, not behind them."""
    if values.ndim and values.shape[0] < form.chunks[0]:
        values = np.concatenate([np.zeros((form.chunks[0] - len(values), *values.shape[1:]), values.dtype), values])
    return encode_values(form, values, raw)


@fault(
    "encoding",
    f"{ENCODING}:form_of",
    *FORMATS,
    says="",
    listed="what a chunk holds beyond the edge of the array is read by nobody",
)
def beyond_the_edge(form_of, array, codec):
    """What lies beyond the edge of the array is another number."""
    return replace(form_of(array, codec), beyond=array.dtype.type(b"x" if array.dtype.kind == "S" else 7))


@fault("encoding", f"{CODECS}:checksum", "plain", "shards", says="tas|lat")
def checksum_wrong(checksum, data):
    """Chunks carry the checksum of something else."""
    return checksum(bytes(data) + b"x")


def with_index(parts: list, change) -> list:
    """Return the parts of a shard with its index, a list of (offset, bytes), changed, and the right checksum of it."""
    from cmip6zarr.convert import codecs

    *chunks, table, _ = parts
    entries = change(list(INDEX.iter_unpack(table)))
    table = b"".join(INDEX.pack(*entry) for entry in entries)
    return [*chunks, table, codecs.checksum(table)]


@fault("encoding", f"{CODECS}:Form.encode", "shards", says="tas")
def shard_index_off_by_one(encode, form, *args):
    """The index of a shard begins one chunk too late."""
    parts = encode(form, *args)
    return with_index(parts, lambda index: index[1:] + index[:1]) if form.shards != form.chunks else parts


@fault("encoding", f"{CODECS}:Form.encode", "shards", says="tas")
def offset_in_a_shard(encode, form, *args):
    """A chunk of a shard is said to begin one byte later."""
    parts = encode(form, *args)
    if form.shards == form.chunks:
        return parts
    return with_index(parts, lambda index: [(index[0][0] + 1, index[0][1]), *index[1:]])


@fault("encoding", f"{CODECS}:Form.encode", "shards", says="tas")
def chunk_of_a_shard_absent(encode, form, *args):
    """A chunk of a shard is called absent, which reads as fill."""
    parts = encode(form, *args)
    return with_index(parts, lambda index: [(2**64 - 1,) * 2, *index[1:]]) if form.shards != form.chunks else parts


@fault("encoding", f"{CODECS}:Blosc.encode_shuffled", "streamed", "streamed v2", says="tas")
def itemsize_of_a_frame(encode_shuffled, codec, blocks, values_bytes, itemsize):
    """A frame says that its values are half as long."""
    return encode_shuffled(codec, blocks, values_bytes, itemsize // 2)


@fault("encoding", f"{CODECS}:Blosc.encode_shuffled", "streamed", "streamed v2", says="tas")
def frame_cut(encode_shuffled, codec, *args):
    """The last bytes of a frame are missing."""
    return encode_shuffled(codec, *args)[:-3]


@fault("writing", f"{SHARDS}:Target.key", *FORMATS, says="tas")
def keys_swapped(key, target, region):
    """Two chunks have each other's keys."""
    first = region[0]
    if target.array.path == "tas" and first.start < 2 * target.form.shards[0]:
        start = target.form.shards[0] - first.start // target.form.shards[0] * target.form.shards[0]
        region = (slice(start, start + 1), *region[1:])
    return key(target, region)


@fault("writing", f"{SHARDS}:Target.key", *FORMATS, says="tas|chunk")
def key_off_by_one(key, target, region):
    """Every chunk has the key of the next one along time."""
    if region and target.array.path == "tas":
        step = target.form.shards[0]
        region = (slice(region[0].start + step, region[0].stop + step), *region[1:])
    return key(target, region)


@fault("writing", f"{SHARDS}:Target.missing", "plain", "shards", says="chunk")
def last_shard_called_kept(missing, target, regions):
    """The last shard is taken for one that an earlier run has written."""
    found = list(missing(target, regions))
    return iter(found[:-1])


@fault("writing", f"{SHARDS}:Target.put", *FORMATS, says="tas|chunk")
def object_of_another_array(put, target, region, encode_chunk):
    """Chunks of one field are written to the other."""
    if target.array.path == "tas":
        target = replace(target, array=target.array.store_path and sibling(target.array, "tos"))
    return put(target, region, encode_chunk)


def sibling(array, name: str):
    """Return an array as it would be with another path, as far as its keys need it."""
    from types import SimpleNamespace

    return SimpleNamespace(path=name, metadata=array.metadata, dtype=array.dtype)


@fault("writing", "cmip6zarr.store.backend:Folder.put", *FORMATS, says="chunk|zarr cannot read it")
def object_cut(put, folder, key, parts):
    """Objects lose their last bytes when they are written, and the ledger has the checksum of what is there."""
    data = b"".join(map(bytes, parts))
    return put(folder, key, [data[:-5]])


@fault("writing", "cmip6zarr.store.backend:Folder.put", "plain", says="stray")
def stray_object(put, folder, key, parts):
    """Beside each chunk another object is left."""
    parts = [bytes(part) for part in parts]
    put(folder, f"{key}.stray", parts)
    return put(folder, key, parts)


@fault("writing", f"{SHARDS}:overlap", "one file of many chunks", says="tas|time|lat")
def written_before_read(overlap, a, b):  # noqa: ARG001
    """Shards do not wait for the values that they hold."""
    return False


@fault("writing", f"{SHARDS}:write_texts", "kinds", "kinds v2", says="text")
def text_lost(write_texts, reader, cut, array):
    """The last text of an array is lost."""
    write_texts(reader, cut, array)
    if array.ndim and array.size:
        array[-1] = ""


@fault("writing", f"{SHARDS}:all_of", "plain", says="chunk")
def task_dropped(all_of, tasks):
    """The last task of every graph is not done."""
    some = list(tasks)
    return all_of(some[:-1] if len(some) > 1 else some)


@fault("writing", "cmip6zarr.store.zarr_store:chunk_key", "plain", says="chunk|tas")
def chunk_key_swapped(chunk_key, array, index):
    """Keys have their indices in the other order."""
    return chunk_key(array, index[::-1])


@fault("writing", "cmip6zarr.store.zarr_store:expected_chunks", "plain", says="chunk|values compared")
def expected_chunks_forgotten(expected_chunks, array):
    """The last chunk of every array is not expected."""
    return expected_chunks(array)[:-1]
