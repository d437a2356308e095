"""What a NetCDF file says of itself."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import netCDF4
import numpy as np
import pytest

from cmip6zarr.core import chunks
from cmip6zarr.core.errors import Refused
from cmip6zarr.source import attributes, headers, netcdf3_size
from cmip6zarr.source.hdf5_contents import Contents

NUMBERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4_CLASSIC", "NETCDF4")


def file(path, *changes, format="NETCDF4"):
    """Write a file with a time dimension of two steps, make the changes, and return its path."""
    with netCDF4.Dataset(path, "w", format=format) as nc:
        nc.createDimension("time", None)
        nc.createDimension("x", 3)
        nc.createVariable("time", "f8", ("time",))[:] = [1, 2]
        for change in changes:
            change(nc)
    return path


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("K", id="text"),
        pytest.param("", id="empty"),
        pytest.param("\N{EN DASH} µ\n", id="non-ascii"),
        pytest.param(["one", "två"], id="texts"),
        *(pytest.param(np.dtype(kind).type(1), id=kind) for kind in NUMBERS),
        pytest.param(np.int64(-(2**63)), id="least-i8"),
        pytest.param(np.uint64(2**64 - 1), id="largest-u8"),
        pytest.param(np.float32(1e20), id="not-a-short-decimal"),
        pytest.param(np.float64(-0.0), id="minus-zero"),
        *(pytest.param(np.float64(word), id=word) for word in ("nan", "inf", "-inf")),
        pytest.param(np.array([1, 2], "i2"), id="array"),
        pytest.param(np.array([1.5, np.nan, -np.inf], "f4"), id="array-with-nan"),
        pytest.param(np.array([], "f8"), id="empty-array"),
    ],
)
def test_attribute_survives_json_with_its_type(value):
    """An attribute comes back from JSON with its type and bits, as numbers that JSON cannot hold do too."""
    back = attributes.untyped(json.loads(json.dumps(attributes.typed(value), allow_nan=False)))
    assert type(back) is type(value)
    if isinstance(value, np.generic | np.ndarray):
        assert (back.dtype, back.shape, back.tobytes()) == (value.dtype, value.shape, value.tobytes())
    else:
        assert back == value


def test_attribute_of_other_byte_order_has_the_same_type():
    """Byte order is no part of an attribute's type."""
    assert attributes.typed(np.array([1, 2], ">i4")) == ["int32", [1, 2]]


@pytest.mark.parametrize("format", FORMATS)
def test_header_is_read_from_every_format(tmp_path, format):
    """All formats of NetCDF tell dimensions, variables and attributes with their types."""

    def change(nc):
        nc.title = "t"
        tas = nc.createVariable("tas", "f4", ("time", "x"), fill_value=np.float32(1e20))
        tas.units, tas.valid_range = "K", np.array([1, 2], "f4")

    path = file(tmp_path / "x.nc", change, format=format)
    header = headers.read_header(path)
    assert (header.path, header.bytes, header.mtime_ns) == (str(path), path.stat().st_size, path.stat().st_mtime_ns)
    assert (header.dims, header.unlimited, header.attributes) == (
        {"time": 2, "x": 3},
        ["time"],
        {"title": ["char", "t"]},
    )
    tas = header.variables["tas"]
    assert (tas.dtype, tas.dims, tas.shape) == ("float32", ["time", "x"], [2, 3])
    assert tas.attributes == {
        "_FillValue": ["float32", float(np.float32(1e20))],
        "units": ["char", "K"],
        "valid_range": ["float32", [1.0, 2.0]],
    }


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        *((kind, np.dtype(kind).name) for kind in NUMBERS),
        ("S1", "S1"),
        (str, "str"),
    ],
)
def test_dtype_has_the_name_of_numpy(tmp_path, dtype, name):
    """Numbers have their numpy name, characters and texts one of their own."""
    path = file(tmp_path / "x.nc", lambda nc: nc.createVariable("v", dtype, ("x",)))
    assert headers.read_header(path).variables["v"].dtype == name


def test_byte_order_is_no_part_of_a_dtype(tmp_path):
    """A big-endian variable has the dtype of a little-endian one."""
    path = file(tmp_path / "x.nc", lambda nc: nc.createVariable("v", ">f4", ("x",), endian="big"))
    assert headers.read_header(path).variables["v"].dtype == "float32"


@pytest.mark.parametrize(
    ("settings", "chunks", "filters"),
    [
        pytest.param({"contiguous": True}, None, [], id="contiguous"),
        pytest.param({"chunksizes": (3,)}, [3], [], id="chunks"),
        pytest.param({"zlib": True, "shuffle": True}, [3], ["shuffle", "zlib"], id="deflate"),
        pytest.param({"zlib": True, "shuffle": False}, [3], ["zlib"], id="deflate-alone"),
        pytest.param({"fletcher32": True, "chunksizes": (2,)}, [2], ["fletcher32"], id="checksum"),
    ],
)
def test_layout_is_what_hdf5_has(tmp_path, settings, chunks, filters):
    """Native chunks and the filters that are on are told; a contiguous variable has none."""
    path = file(tmp_path / "x.nc", lambda nc: nc.createVariable("v", "f4", ("x",), **settings))
    variable = headers.read_header(path).variables["v"]
    assert (variable.chunks, variable.filters) == (chunks, filters)


def test_header_is_fit_for_json(tmp_path):
    """A header as JSON comes back the same."""
    header = headers.read_header(file(tmp_path / "x.nc"))
    assert json.loads(json.dumps(asdict(header), allow_nan=False)) == asdict(header)


def test_groups_are_refused(tmp_path):
    """A file with groups is refused, with their names."""
    path = file(tmp_path / "x.nc", lambda nc: nc.createGroup("g"))
    with pytest.raises(Refused) as refusal:
        headers.read_header(path)
    assert (refusal.value.kind, refusal.value.message) == (
        "structure",
        f"{path}: has groups ['g']; CMIP6 files have none.",
    )


@pytest.mark.parametrize("name", ["..", "../", "a/b", ".z", "a\\b", "a\nb", "\x7f", "a ", "zarr.json", "ä" * 128])
def test_name_that_no_array_can_have_is_refused(tmp_path, name):
    """A name that leaves its folder, hides, or is Zarr's own is refused, with the file."""
    path = file(tmp_path / "x.nc", lambda nc: nc.createVariable("v", "f4", ("x",)))
    with headers.open_raw(path) as nc:
        variable = SimpleNamespace(name=name, dtype=nc["v"].dtype, datatype=nc["v"].datatype)
        with pytest.raises(Refused, match="name that no array") as refusal:
            headers.variable_header(path, nc, variable, Contents(), {})
    assert refusal.value.message.startswith(f"{path}: variable {name!r}")


@pytest.mark.parametrize("name", ["a", "_a", "0a", "höhe", "温度", "🌡", "a b", "a;b&c|$(d)", "zarr.json5"])
def test_name_that_netcdf_allows_is_read(tmp_path, name):
    """What netCDF writes is a name of an array too."""
    path = file(tmp_path / "x.nc", lambda nc: nc.createVariable(name, "f4", ("x",)))
    assert name in headers.read_header(path).variables


def test_values_are_read_as_stored(tmp_path):
    """Reading masks nothing, scales nothing and joins no characters."""

    def change(nc):
        packed = nc.createVariable("packed", "i2", ("x",), fill_value=np.int16(-1))
        packed.setncatts({"scale_factor": 0.5, "add_offset": 10.0, "valid_max": np.int16(1), "_Unsigned": "true"})
        packed.set_auto_maskandscale(False)
        packed[:] = [-1, 0, 2]
        letters = nc.createVariable("letters", "S1", ("x",))
        letters._Encoding = "utf-8"
        letters.set_auto_chartostring(False)
        letters[:] = np.array([b"a", b" ", b""])

    with headers.open_raw(file(tmp_path / "x.nc", change)) as nc:
        packed, letters = nc["packed"][:], nc["letters"][:]
    assert (type(packed), packed.dtype, packed.tolist()) == (np.ndarray, np.dtype("i2"), [-1, 0, 2])
    assert (letters.dtype, letters.tolist()) == (np.dtype("S1"), [b"a", b" ", b""])


def test_values_that_cannot_be_read_are_a_refusal(tmp_path):
    """What the library raises while values are read becomes the refusal of the file."""
    said = r"the netCDF library cannot read it: NetCDF: HDF error \(.*x\.nc\)"
    with pytest.raises(Refused, match=said) as refusal, headers.reading(tmp_path / "x.nc"):
        raise RuntimeError("NetCDF: HDF error")
    assert refusal.value.kind == "unreadable"
    assert refusal.value.remedy.startswith("Fetch the file again")


def static(nc):
    nc.createVariable("fixed", "i2", ("x",))[:] = [1, 2, 3]


def odd_records(nc):
    nc.createVariable("odd", "i1", ("time", "x"))[:] = 1


def described(nc):
    nc.setncatts({f"a{kind}": np.array([1, 2, 3], kind) for kind in ("i1", "i2", "i4", "f4", "f8")} | {"t": "text"})


@pytest.mark.parametrize("format", FORMATS[:3])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param((), id="one-record-variable"),
        pytest.param((odd_records, static), id="padded-records"),
        pytest.param((described, static, odd_records), id="attributes"),
    ],
)
def test_classic_file_that_is_cut_off_is_refused(tmp_path, format, changes):
    """A classic file is refused where it is one byte of values short, though the library would read zeros there."""
    path = file(tmp_path / "x.nc", *changes, format=format)
    assert headers.read_header(path)
    whole, expected = path.read_bytes(), netcdf3_size.expected_bytes(path)
    assert 0 <= len(whole) - expected < 4  # the padding of the last value
    path.write_bytes(whole[: expected - 1])
    with pytest.raises(Refused) as refusal:
        headers.read_header(path)
    assert refusal.value.kind == "unreadable"
    assert f"{path}: is cut off: found {expected - 1} bytes, expected {expected}" in refusal.value.message


@pytest.mark.parametrize("length", [4, 20, 60])
def test_classic_header_that_is_cut_off_is_refused(tmp_path, length):
    """A classic file that ends within its header is refused."""
    path = file(tmp_path / "x.nc", format="NETCDF3_CLASSIC")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Refused, match="cut off") as refusal:
        headers.read_header(path)
    assert refusal.value.kind == "unreadable"


def test_file_without_records_is_whole(tmp_path):
    """A classic file with no record yet needs no bytes for any."""
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as nc:
        nc.createDimension("time", None)
        nc.createVariable("time", "f8", ("time",))
    assert netcdf3_size.expected_bytes(path) <= path.stat().st_size
    assert headers.read_header(path).dims == {"time": 0}


def test_other_files_have_no_classic_size(tmp_path):
    """NetCDF-4 checks its own size, so nothing is expected of it."""
    assert netcdf3_size.expected_bytes(file(tmp_path / "x.nc")) is None


@pytest.mark.parametrize("held", [1, 4, 1000])
def test_many_chunks_are_read_in_pieces(tmp_path, monkeypatch, held):
    """A file is closed after so many chunks, since the library keeps memory for each; values are the same."""

    def change(nc):
        nc.createVariable("v", "i4", ("time", "x"), chunksizes=(2, 2))[:11] = np.arange(33).reshape(11, 3)

    path = file(tmp_path / "x.nc", change)
    header, opened, open_raw = headers.read_header(path), [], headers.open_raw
    monkeypatch.setattr(chunks, "CHUNKS_HELD", held)
    monkeypatch.setattr(headers, "open_raw", lambda path: opened.append(path) or open_raw(path))
    assert headers.read_whole(header, "v").tolist() == np.arange(33).reshape(11, 3).tolist()
    assert len(opened) == {1: 6, 4: 3, 1000: 1}[held]
