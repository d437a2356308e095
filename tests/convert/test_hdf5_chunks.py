"""The direct reader against the netCDF library: any layout, any slab, the same bits."""

import ctypes
from pathlib import Path

import h5py
import imagecodecs
import netCDF4
import numpy as np
import pytest
from builders import make_dataset
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from inventories import make_file, make_inventory, make_variable
from numcodecs.shuffle import Shuffle

from cmip6zarr.convert import hdf5_chunks, hdf5_layout
from cmip6zarr.convert.reader import Reader
from cmip6zarr.core import chunks
from cmip6zarr.core.errors import DatasetError

DTYPES = ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


@st.composite
def layouts(draw):
    """Draw shape, chunks (None: contiguous), dtype, byte order, filters, how much is written, and a region to read."""
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    return {
        "shape": shape,
        "chunks": draw(st.none() | st.tuples(*(st.integers(1, size) for size in shape))),
        "dtype": draw(st.sampled_from(DTYPES)),
        "endian": draw(st.sampled_from(["little", "big"])),
        "compression": draw(st.sampled_from(["zlib", "zlib", "zstd"])),
        "level": draw(st.sampled_from([0, 1, 5, 9])),
        "shuffle": draw(st.booleans()),
        "fletcher32": draw(st.sampled_from([False, False, False, True])),
        "written": draw(st.integers(0, shape[0])),
        "region": tuple(
            slice(a, b)
            for a, b in (sorted(draw(st.tuples(st.integers(0, n - 1), st.integers(1, n)))) for n in shape)
            if a < b
        ),
    }


def write(path, layout) -> None:
    """Write one variable of random bits; rows from `written` on are left out, and so are fill, or not allocated."""
    shape = layout["shape"]
    dtype = np.dtype(layout["dtype"]).newbyteorder({"little": "<", "big": ">"}[layout["endian"]])
    bits = np.random.default_rng(7).integers(0, 256, int(np.prod(shape)) * dtype.itemsize, "u1")
    with netCDF4.Dataset(path, "w") as nc:
        for i, size in enumerate(shape):
            nc.createDimension(f"d{i}", size)
        filters = {}
        if layout["chunks"]:
            filters = {"chunksizes": layout["chunks"], "fletcher32": layout["fletcher32"]}
            if layout["level"]:
                filters |= {
                    "compression": layout["compression"],
                    "complevel": layout["level"],
                    "shuffle": layout["shuffle"],
                }
        else:
            filters = {"contiguous": True}
        dims = [f"d{i}" for i in range(len(shape))]
        variable = nc.createVariable("v", dtype, dims, endian=layout["endian"], fill_value=7, **filters)
        variable.set_auto_maskandscale(False)
        values = bits.view(dtype).reshape(shape)
        if layout["written"]:
            variable[: layout["written"]] = values[: layout["written"]]


def both_ways(path, region, name="v") -> tuple[np.ndarray, np.ndarray, bool]:
    """Return a region as the direct reader and as the netCDF library read it, and whether the direct one could."""
    with netCDF4.Dataset(path) as nc:
        nc.set_auto_maskandscale(False)
        expected = np.asarray(nc[name][region])
    expected = expected.astype(expected.dtype.newbyteorder("<"))
    layout = hdf5_layout.layouts(str(path)).get(name)
    if layout is None:
        return expected, expected, False
    found = np.empty(expected.shape, layout.dtype.newbyteorder("<"))
    for _, fill in hdf5_chunks.jobs(str(path), layout, region, found, tuple(r.start for r in region)):
        fill()
    return found, expected, True


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=layouts())
def test_direct_reader_returns_what_the_library_returns(tmp_path, layout):
    """A random slab of a random layout has the same bits both ways; few are left to the library.

    Those have a checksum filter, or chunks at an edge that happen to have the size of unfiltered ones.
    """
    assume(len(layout["region"]) == len(layout["shape"]))
    path = tmp_path / "v.nc"
    path.unlink(missing_ok=True)
    hdf5_layout.layouts.cache_clear()
    write(path, layout)
    found, expected, direct = both_ways(path, layout["region"])
    assert found.tobytes() == expected.tobytes()
    # Fletcher-32 alone is of the stored bytes in either order of the filters.
    checked = layout["chunks"] and layout["fletcher32"] and layout["level"]
    ragged = layout["chunks"] and any(size % n for size, n in zip(layout["shape"], layout["chunks"], strict=True))
    assert not (direct and checked)
    assert direct or checked or ragged


def test_jobs_cover_the_region_once_and_name_their_part(tmp_path):
    """What each job says that it fills is what it fills; together it is all."""
    write(
        tmp_path / "v.nc",
        {
            "shape": [9, 8],
            "chunks": (2, 3),
            "dtype": "f4",
            "endian": "little",
            "compression": "zlib",
            "level": 1,
            "shuffle": True,
            "fletcher32": False,
            "written": 9,
        },
    )
    layout = hdf5_layout.layouts(str(tmp_path / "v.nc"))["v"]
    region = (slice(1, 8), slice(2, 7))
    filled = np.zeros((9, 8), int)
    for part, fill in hdf5_chunks.jobs(str(tmp_path / "v.nc"), layout, region, np.empty((7, 5), "f4"), (1, 2)):
        fill()
        filled[part] += 1
    assert (filled[region] >= 1).all()
    filled[region] = 0
    assert not filled.any()


def test_a_job_has_no_more_chunks_than_may_be_held(tmp_path):
    """However small the chunks are, a job notes no more of them than the memory that is planned has room for."""
    steps = 3 * hdf5_chunks.CHUNKS_HELD + 5
    with h5py.File(tmp_path / "v.nc", "w") as file:
        file.create_dataset("v", data=np.arange(steps, dtype="<i2"), chunks=(1,))
    layout, found = hdf5_layout.layouts(str(tmp_path / "v.nc"))["v"], np.empty(steps, "<i2")
    sizes = []
    for (part,), fill in hdf5_chunks.jobs(str(tmp_path / "v.nc"), layout, (slice(0, steps),), found, (0,)):
        fill()
        sizes.append(part.stop - part.start)
    assert sizes == [hdf5_chunks.CHUNKS_HELD] * 3 + [5]
    assert found.tolist() == np.arange(steps, dtype="<i2").tolist()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda f: f.create_dataset("v", data=np.arange(8.0), chunks=(4,), scaleoffset=2), "scale-offset"),
        (lambda f: f.create_dataset("v", data=np.arange(8.0), chunks=(4,), compression="lzf"), "another compressor"),
        (lambda f: f.create_dataset("v", data=np.array([b"a", b"b"], "S1")), "characters"),
        (lambda f: f.create_dataset("v", data=np.array([True, False])), "an enumeration"),
        (lambda f: f.create_dataset("v", data=["text"], dtype=h5py.string_dtype()), "texts"),
        (lambda f: f.__setitem__("v", h5py.ExternalLink("v.nc", "/x")), "a link out of the file"),
        (lambda f: f.__setitem__("v", h5py.SoftLink("/x")), "a link"),
    ],
)
def test_what_it_does_not_know_is_left_to_the_library(tmp_path, make, why):
    """Filters and types beyond plain numbers, shuffle and deflate have no layout."""
    with h5py.File(tmp_path / "v.nc", "w") as file:
        make(file)
    assert hdf5_layout.layouts(str(tmp_path / "v.nc")) == {}, why


def write_unfiltered_edges(path, values, chunks):
    """Write `v` so that the chunks at its edge, which are not full, are stored without its filters."""
    with h5py.File(path, "w", libver="latest") as file:
        options = {"chunks": chunks, "compression": 4, "shuffle": True}
        dataset = file.create_dataset("v", values.shape, values.dtype, maxshape=(None, *values.shape[1:]), **options)
        properties = dataset.id.get_create_plist()
        del file["v"]
        loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
        (library,) = {path for path in loaded if "h5py" in path and "libhdf5-" in path}
        set_options = ctypes.CDLL(library).H5Pset_chunk_opts
        set_options.argtypes = [ctypes.c_int64, ctypes.c_uint]
        assert set_options(properties.id, 2) == 0
        space = h5py.h5s.create_simple(values.shape, (h5py.h5s.UNLIMITED, *values.shape[1:]))
        h5py.Dataset(h5py.h5d.create(file.id, b"v", h5py.h5t.py_create(values.dtype), space, properties))[...] = values


def test_chunks_that_may_be_unfiltered_are_left_to_the_library(tmp_path):
    """Chunks at an edge that HDF5 stored without filters, with no word of it in their masks, are not read here."""
    values = np.arange(48, dtype="f4").reshape(4, 3, 4)
    write_unfiltered_edges(tmp_path / "v.nc", values, (3, 2, 3))
    assert hdf5_layout.layouts(str(tmp_path / "v.nc")) == {}
    write_unfiltered_edges(tmp_path / "whole.nc", values, (2, 3, 4))
    layout = hdf5_layout.layouts(str(tmp_path / "whole.nc"))["v"]
    found = np.empty(values.shape, "f4")
    for _, fill in hdf5_chunks.jobs(
        str(tmp_path / "whole.nc"), layout, tuple(slice(0, n) for n in values.shape), found, (0, 0, 0)
    ):
        fill()
    assert (found == values).all()


def test_chunks_are_found_in_whatever_order_hdf5_lists_them():
    """The places of chunks come back by the indices of their first values, none for a chunk that was never written."""
    index = hdf5_layout.Index((6, 4), (1, 2))
    starts = [(step, column) for column in (0, 2) for step in range(5)]
    for number, start in enumerate(starts):
        index.add(start, (number, 10 * number, 0))
    index.sort()
    assert [index.get(start) for start in starts] == [(number, 10 * number, 0) for number in range(len(starts))]
    assert index.get((5, 0)) is None
    assert index.get((5, 2)) is None


def test_a_chunk_that_skipped_its_filters_is_read_as_it_is(tmp_path):
    """The filter mask of a chunk is obeyed: writers may leave out deflate where it does not help."""
    values = np.arange(16, dtype="f4")
    with h5py.File(tmp_path / "v.nc", "w") as file:
        dataset = file.create_dataset("v", (16,), "f4", chunks=(16,), compression=1, shuffle=True)
        dataset.id.write_direct_chunk((0,), values.tobytes(), filter_mask=0b11)
    layout = hdf5_layout.layouts(str(tmp_path / "v.nc"))["v"]
    found = np.empty(16, "f4")
    for _, fill in hdf5_chunks.jobs(str(tmp_path / "v.nc"), layout, (slice(0, 16),), found, (0,)):
        fill()
    assert (found == values).all()


@pytest.mark.parametrize("shuffle", [True, False])
def test_zstd_is_read_past_the_library(tmp_path, shuffle):
    """Chunks of zstd have a layout, and the bits that the library reads; a stream that is none is an error."""
    values, path = np.arange(64, dtype="f4").reshape(8, 8), tmp_path / "v.nc"
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((8, 8))
        if shuffle:
            properties.set_shuffle()
        properties.set_filter(hdf5_layout.ZSTD, h5py.h5z.FLAG_OPTIONAL, (3,))
        dataset = h5py.h5d.create(file.id, b"v", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((8, 8)), properties)
        raw = Shuffle(4).encode(values) if shuffle else values.tobytes()
        dataset.write_direct_chunk((0, 0), imagecodecs.zstd_encode(raw))
    whole = (slice(0, 8), slice(0, 8))
    found, expected, direct = both_ways(path, whole)
    assert direct
    assert found.tobytes() == expected.tobytes() == values.tobytes()
    layout = hdf5_layout.layouts(str(path))["v"]
    flip(path, layout.index.get((0, 0))[0], 0)  # in the number that begins a frame
    ((_, fill),) = hdf5_chunks.jobs(str(path), layout, whole, found, (0, 0))
    with pytest.raises(RuntimeError, match="descriptor"):
        fill()


def damaged(tmp_path, damage) -> list:
    """Return the jobs of a deflated file after its first chunk has been damaged."""
    path = tmp_path / "v.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=np.random.default_rng(1).random((64, 64)), chunks=(64, 64), compression=1)
    layout = hdf5_layout.layouts(str(path))["v"]
    offset, size, _ = layout.index.get((0, 0))
    damage(path, offset, size)
    variables = {"v": make_variable(("y", "x"), (64, 64), "float64")}
    inventory = make_inventory(files=(make_file(str(path), steps=64),), variables=variables)
    array = chunks.Array("v", (64, 64), ("y", "x"), 8, native=((64, 64),))
    slab = (slice(0, 64), slice(0, 64))
    return list(Reader(inventory).jobs(array, slab, np.empty((64, 64))))


def cut_off(path, offset, size):
    """End the file in the middle of a chunk."""
    with path.open("r+b") as file:
        file.truncate(offset + size // 2)


def flip(path, offset, size):
    """Flip one bit in the middle of a chunk."""
    with path.open("r+b") as file:
        file.seek(offset + size // 2)
        byte = file.read(1)[0]
        file.seek(offset + size // 2)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(("damage", "found"), [(cut_off, "the file ends at byte"), (flip, "BAD_DATA")])
def test_damaged_chunks_name_file_and_variable(tmp_path, damage, found):
    """A chunk that is cut off or does not inflate is an error of class source that says where it is."""
    (_, fill), *_ = damaged(tmp_path, damage)
    with pytest.raises(DatasetError) as error:
        fill()
    assert error.value.kind == "source"
    assert all(word in str(error.value) for word in ("v.nc", "'v'", found))


@pytest.mark.parametrize("error", [RuntimeError("bad coordinate offset"), KeyError("v"), OSError("truncated")])
def test_file_whose_chunks_cannot_be_listed_is_left_to_the_library(tmp_path, monkeypatch, error):
    """What h5py raises over a damaged index is no layout: the netCDF library reads the file, or says what is wrong."""
    (path,) = make_dataset(tmp_path, files=1)

    def raises(_):
        raise error

    hdf5_layout.layouts.cache_clear()
    monkeypatch.setattr(hdf5_layout, "layout_of", raises)
    assert hdf5_layout.layouts(str(path)) == {}
    hdf5_layout.layouts.cache_clear()
