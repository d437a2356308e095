"""What HDF5 holds beyond what the netCDF library tells: refused by name, or dropped by policy and told."""

import os
from types import SimpleNamespace

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from builders import make_dataset
from chain import ID, run_convert, run_verify, take

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import DatasetError, Refused
from cmip6zarr.restore import source_files
from cmip6zarr.source import hdf5_contents, headers, inventory, netcdf_c
from cmip6zarr.store import zarr_store

TEXT_AND_NUMBER = np.dtype([("name", h5py.string_dtype()), ("n", "i4")])


def changed(folder, change):
    """Write a dataset of one file, change it by h5py, and return its path."""
    (path,) = make_dataset(folder, files=1)
    with h5py.File(path, "a") as file:
        change(file)
    return path


def refusal_of(path, **policy):
    """Return the refusal of the inventory of a file."""
    with pytest.raises(Refused) as refusal:
        inventory.take_inventory(Dataset(ID, (str(path),)), policy)
    assert refusal.value.message.startswith(f"{path}: ")
    return refusal.value


def variable(dtype, **settings):
    """Return a change that adds the variable `v` along latitude."""

    def change(file):
        file.create_dataset("v", (3,), dtype, **settings).dims[0].attach_scale(file["lat"])

    return change


def attribute(value, holder="tas"):
    """Return a change that adds the attribute `a`."""
    return lambda file: file[holder].attrs.create("a", value)


def bitfield(file):
    h5py.h5d.create(file.id, b"v", h5py.h5t.STD_B8LE, h5py.h5s.create_simple((3,)))


def short_integer(file):
    kind = h5py.h5t.STD_I32LE.copy()
    kind.set_size(3)
    h5py.h5d.create(file.id, b"v", kind, h5py.h5s.create_simple((3,)))


def named_compound(file):
    """Add a compound attribute whose type has a name of its own."""
    file["range_t"] = np.dtype([("min", "f4"), ("max", "f4")])
    attribute = h5py.h5a.create(file["tas"].id, b"a", file["range_t"].id, h5py.h5s.create_simple((1,)))
    attribute.write(np.ones(1, [("min", "f4"), ("max", "f4")]))


def reference(file):
    file["tas"].attrs["a"] = file["lat"].ref


UNFIT = {
    "compound-with-text": (variable(TEXT_AND_NUMBER), "variable 'v' (compound)"),
    "complex": (variable("c8"), "variable 'v' (compound)"),
    "opaque": (variable("V8"), "variable 'v' (opaque)"),
    "references": (variable(h5py.ref_dtype), "variable 'v' (reference)"),
    "bool": (variable(bool), "variable 'v' (enum)"),
    "sequences": (variable(h5py.vlen_dtype("i4")), "variable 'v' (sequences)"),
    "arrays": (variable(np.dtype(("i4", (2,)))), "variable 'v' (arrays)"),
    "float16": (variable("f2"), "variable 'v' (float of 16 bits)"),
    "long-double": (variable(np.longdouble), "variable 'v' (float of "),
    "bits": (bitfield, "variable 'v' (bits)"),
    "integer-of-three-bytes": (short_integer, "variable 'v' (integer of "),
    "no-values": (lambda file: file.create_dataset("v", data=h5py.Empty("f4")), "variable 'v' (no values at all)"),
    "bool-attribute": (attribute(True), "attribute 'tas:a' (enum)"),
    "global-bool-attribute": (attribute(False, "/"), "attribute ':a' (enum)"),
    "complex-attribute": (attribute(1 + 2j), "attribute 'tas:a' (compound)"),
    "compound-attribute": (named_compound, "attribute 'tas:a' (compound)"),
    "reference-attribute": (reference, "attribute 'tas:a' (reference)"),
    "opaque-attribute": (attribute(np.void(b"abc")), "attribute 'tas:a' (opaque)"),
    "float16-attribute": (attribute(np.float16(1)), "attribute 'tas:a' (float of 16 bits)"),
    "two-dimensional-attribute": (attribute(np.ones((2, 2))), "attribute 'tas:a' (2 dimensions)"),
    "hidden-by-its-name": (lambda file: file["tas"].attrs.create("NAME", "x"), "attribute 'tas:NAME' (not listed"),
    "named-number": (lambda file: file.__setitem__("t", np.dtype("f4")), "'t' (a named type"),
}


@pytest.mark.parametrize(("change", "said"), UNFIT.values(), ids=UNFIT)
def test_what_no_store_can_hold_is_refused(tmp_path, change, said):
    """Each variable, attribute or type that would be lost is named with its type; a file of several may be left out."""
    path = changed(tmp_path, change)
    refusal = refusal_of(path)
    assert refusal.kind == "unseen"
    assert said in refusal.message
    assert "policy.unseen to drop" in refusal.remedy
    (other,) = make_dataset(tmp_path, files=1, start=4)
    facts = inventory.take_inventory(Dataset(ID, (str(other), str(path))), {"unseen": "leave_out"})
    assert [file.path for file in facts.left_out] == [str(path)]


DROPPED = ("compound-with-text", "opaque", "references", "bool-attribute", "complex-attribute", "global-bool-attribute")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", DROPPED)
def test_what_is_dropped_is_told(tmp_path, kind, zarr_format):
    """By policy the store is made without it: a finding names it, all else is there, and restore refuses the file."""
    change, said = UNFIT[kind]
    path = changed(tmp_path, change)
    facts = take([path], tmp_path, unseen="drop")
    (finding,) = facts["findings"]
    assert (finding["kind"], finding["policy"], finding["file"]) == ("unseen", "drop", str(path))
    assert said in finding["message"]
    store = tmp_path / "s.zarr"
    assert run_convert(tmp_path, store, "--zarr-format", zarr_format) == 0
    assert run_verify(tmp_path) == 0
    with xr.open_zarr(store) as found, xr.open_dataset(path) as expected:
        xr.testing.assert_identical(found.load(), expected.drop_vars("v", errors="ignore").load())
    with pytest.raises(DatasetError, match="holds what its store does not") as error:
        restored(store, tmp_path)
    assert said in error.value.message


def restored(store, folder):
    """Restore the first file of a store into another folder."""
    from cmip6zarr.store import provenance

    facts = provenance.read(store)
    return source_files.restore(source_files.open_arrays(store, facts), facts, 0, folder / "restored")


def test_what_hdf5_and_netcdf_write_for_themselves_is_no_finding(tmp_path):
    """A file of netCDF's own, with a dimension without variable and a variable named as one, is a sound source."""
    (path,) = make_dataset(tmp_path, files=1)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createDimension("alone", 2)
        nc.createVariable("bnds", "f4", ("lat", "bnds"))[:] = 1
        nc.createVariable("text", str, ("lat",))[:] = np.array(["a", "b", "c"], object)
        nc.createVariable("letters", "S1", ("lat",))[:] = np.array([b"a", b"b", b"c"])
    header = headers.read_header(path)
    assert header.unseen == []
    assert {"bnds", "text", "letters"} < header.variables.keys()
    assert take([path], tmp_path)["findings"] == []


def external_storage(outside):
    def change(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_external(os.fsencode(outside), 0, 24)
        h5py.h5d.create(file.id, b"v", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((3,)), properties)

    return change


def virtual(outside):
    def change(file):
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(os.fspath(outside), "x", (3,))
        file.create_virtual_dataset("v", layout)

    return change


def link_outside(outside):
    return lambda file: file.__setitem__("v", h5py.ExternalLink(os.fspath(outside), "/x"))


def link_through_a_link(outside):
    def change(file):
        file["a"] = h5py.SoftLink("/v")
        file["v"] = h5py.ExternalLink(os.fspath(outside), "/x")

    return change


@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(external_storage, "'v' has external storage", id="external-storage"),
        pytest.param(virtual, "'v' is a virtual dataset", id="virtual"),
        pytest.param(link_outside, "is a link to '/x' in another file", id="link"),
        pytest.param(link_through_a_link, "is a link to '/x' in another file", id="link-to-a-link"),
    ],
)
def test_what_reaches_outside_of_the_file_is_refused(tmp_path, change, said, is_pipe):
    """Values in other files are named and never looked for, not even where that is a pipe that would hang."""
    outside = tmp_path / "outside"
    os.mkfifo(outside) if is_pipe else outside.write_bytes(bytes(24))
    refusal = refusal_of(changed(tmp_path, change(outside)))
    assert refusal.kind == "structure"
    assert said in refusal.message
    assert str(outside) in refusal.message


def test_link_that_leads_nowhere_is_refused(tmp_path):
    """A link whose target is not there is named; one to a variable of the file is that variable again."""
    refusal = refusal_of(changed(tmp_path, lambda file: file.__setitem__("v", h5py.SoftLink("/gone"))))
    assert "'v' is a link to '/gone'" in refusal.message
    with h5py.File(tmp_path / "ours.nc", "w") as file:
        file["x"] = np.arange(3.0)
        file["v"] = h5py.SoftLink("/x")
    assert hdf5_contents.contents_of(tmp_path / "ours.nc").variables.keys() == {"x", "v"}


def test_filter_without_a_plugin_is_refused(tmp_path):
    """The filter is told by number and name; the same values, written with deflate as the remedy says, convert."""
    values = np.arange(3, dtype="f4")
    path = changed(tmp_path, variable("f4", data=values, chunks=(3,), compression="lzf"))
    refusal = refusal_of(path)
    assert refusal.kind == "unreadable"
    assert "variable 'v' is compressed by the HDF5 filter 32000 (lzf)" in refusal.message
    assert "HDF5_PLUGIN_PATH" in refusal.remedy
    with h5py.File(path, "a") as file:
        del file["v"]
        variable("f4", data=values, chunks=(3,), compression="gzip")(file)
    take([path], tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_verify(tmp_path) == 0


def test_filters_that_the_library_has_are_no_refusal(tmp_path):
    """Deflate, shuffle and checksum are there in every build."""
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as nc:
        assert [netcdf_c.has_filter(nc._grpid, number) for number in (1, 2, 3, 32000)] == [True, True, True, False]


def grown(path, dims, written, last):
    """Add `v` to a file, of which only `written` is written; an unlimited dimension grows to `last` afterwards."""
    with netCDF4.Dataset(path, "a") as nc:
        nc.createDimension("obs", None)
        v = nc.createVariable("v", "f4", dims, fill_value=np.float32(-1))
        v[written] = np.full((written[0].stop, written[-1].stop), 7)
        nc.createVariable("q", "i4", ("obs",))[0:last] = 5


def test_variable_shorter_than_two_unlimited_dimensions_is_refused(tmp_path):
    """Where the netCDF library returns memory as it was, both extents are told; written whole, it converts."""
    (path,) = make_dataset(tmp_path, files=1)
    grown(path, ("time", "obs"), np.s_[0:2, 0:3], 6)
    refusal = refusal_of(path)
    assert refusal.kind == "structure"
    assert "variable 'v' is shorter than its dimensions: found [2, 3] values, expected [4, 6]" in refusal.message
    with netCDF4.Dataset(path, "a") as nc:
        nc["v"][0:4, 0:6] = np.full((4, 6), 7)
    take([path], tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_verify(tmp_path) == 0


def test_variable_shorter_along_its_last_axis_is_refused(tmp_path):
    """One unlimited dimension is enough, if it is not the first."""
    (path,) = make_dataset(tmp_path, files=1)
    grown(path, ("lat", "obs"), np.s_[0:3, 0:3], 6)
    assert "found [3, 3] values, expected [3, 6]" in refusal_of(path).message


def test_variable_shorter_along_its_first_axis_is_filled_up(tmp_path):
    """What was never written behind the values is fill, for the netCDF library and in the store."""
    (path,) = make_dataset(tmp_path, files=1)
    grown(path, ("obs", "lat"), np.s_[0:2, 0:3], 6)
    take([path], tmp_path)
    store = tmp_path / "s.zarr"
    assert run_convert(tmp_path, store) == 0
    assert run_verify(tmp_path) == 0
    with zarr_store.quiet(), xr.open_zarr(store, mask_and_scale=False) as found:
        assert found["v"].values.tolist() == [[7] * 3] * 2 + [[-1] * 3] * 4


def test_signature_is_found_behind_a_user_block(tmp_path):
    """HDF5 may begin at 512 bytes and the doublings of that; other files are not opened by it."""
    for size in (0, 512, 2048):
        path = tmp_path / f"{size}.nc"
        with h5py.File(path, "w", userblock_size=size) as file:
            file["x"] = np.arange(3.0)
        assert hdf5_contents.is_hdf5(path)
    with netCDF4.Dataset(tmp_path / "classic.nc", "w", format="NETCDF3_CLASSIC"):
        pass
    assert not hdf5_contents.is_hdf5(tmp_path / "classic.nc")


def test_refusal_says_all_at_once():
    """Files with several kinds of it name each."""
    held = SimpleNamespace(unfit="opaque", attributes={"a": "", "b": "enum"})
    found = hdf5_contents.Contents({"v": held}, {"c": "compound"})
    assert hdf5_contents.told(found.unfit()) == [
        "variable 'v' (opaque)",
        "attribute ':c' (compound)",
        "attribute 'v:b' (enum)",
    ]
    assert found.beyond({}, ["c"]) == {("v", ""): "not listed by the netCDF library"}
