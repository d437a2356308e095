"""Raw bits in, raw bits out."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from builders import make_dataset
from chain import ID, run_convert, run_verify, take, write
from kinds import FILL, VARIABLES, source

from cmip6zarr.convert.codecs import PRESETS
from cmip6zarr.convert.reader import Reader
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.plan import planning
from cmip6zarr.store import backend, zarr_store

BOTH = pytest.mark.parametrize("zarr_format", [2, 3])


def stored(path, name):
    """Return what a file stores of a variable."""
    with netCDF4.Dataset(path) as nc:
        nc.set_auto_maskandscale(False)
        nc.set_auto_chartostring(False)
        return np.asarray(nc[name][...]), nc[name].dimensions


def whole(paths, name):
    """Return what all files store of a variable, one after another in time, little-endian."""
    values, dims = stored(paths[0], name)
    if "time" in dims:
        values = np.concatenate([stored(path, name)[0] for path in paths], dims.index("time"))
    return values.astype(values.dtype.newbyteorder("<"))


@BOTH
@pytest.mark.parametrize("name", VARIABLES)
def test_every_bit_of_a_variable_is_kept(tmp_path, name, zarr_format):
    """Each kind of variable has in the store the bits and the dimensions that it has in the files."""
    paths = source(tmp_path, [name])
    write(take(paths, tmp_path), tmp_path / "s.zarr", zarr_format, {"time": 2})
    with zarr_store.quiet():
        array = zarr_store.open_unsealed(tmp_path / "s.zarr")[name]
        found = np.asarray(array[...])
    expected = whole(paths, name)
    assert found.shape == expected.shape
    if VARIABLES[name][0] is str:
        assert found.tolist() == expected.tolist()
    else:
        assert (found.dtype, found.tobytes()) == (expected.dtype, expected.tobytes())
    dims = array.attrs["_ARRAY_DIMENSIONS"] if zarr_format == 2 else list(array.metadata.dimension_names or [])
    assert dims == list(VARIABLES[name][1])


@BOTH
@pytest.mark.filterwarnings("ignore:variable .* has multiple fill values")
def test_xarray_reads_the_store_as_the_files(tmp_path, zarr_format):
    """xarray decodes the sealed store of one file as it decodes the file itself.

    In Zarr v3 it cannot decode a fill value of characters: without one the store opens at least.
    """
    variables = {name: v for name, v in VARIABLES.items() if zarr_format == 2 or name != "character-fill"}
    paths = source(tmp_path, variables)[:1]
    write(take(paths, tmp_path), tmp_path / "s.zarr", zarr_format)
    zarr_store.seal(tmp_path / "s.zarr", zarr_format)
    times = xr.coders.CFDatetimeCoder(use_cftime=True)
    with zarr_store.quiet(), xr.open_dataset(paths[0], decode_times=times) as expected:
        xr.testing.assert_identical(xr.open_zarr(tmp_path / "s.zarr", decode_times=times).load(), expected.load())


ATTRIBUTES = {
    "text": "K",
    "empty": "",
    "non_ascii": "M\N{EN DASH}µ\n",
    "texts": ["one", "två"],
    **{kind: np.dtype(kind).type(7) for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")},
    "largest": np.uint64(2**64 - 1),
    "numbers": np.array([1.5, -2], "f4"),
    "nothing": np.array([], "f8"),
    "nan": np.float64("nan"),
    "infinite": np.array([np.inf, 1]),
}


@BOTH
def test_attributes_of_all_types_are_kept(tmp_path, zarr_format):
    """Attributes of the dataset and of a variable have the values that they have in the first file."""
    (path,) = make_dataset(tmp_path, files=1, attributes=ATTRIBUTES, field_attributes=ATTRIBUTES)
    write(take([path], tmp_path), tmp_path / "s.zarr", zarr_format)
    group = zarr_store.open_unsealed(tmp_path / "s.zarr")
    for attributes in (dict(group.attrs), dict(group["tas"].attrs)):
        for name, value in ATTRIBUTES.items():
            np.testing.assert_array_equal(attributes[name], value, strict=False)
    with netCDF4.Dataset(path) as nc:
        assert sorted(group.attrs) == sorted(nc.ncattrs())


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_many_slabs_and_threads_write_the_same_objects(tmp_path, monkeypatch, zarr_format, threads):
    """Slabs of few chunks, in this thread or in several, write the same bytes as one slab does."""
    facts = take(make_dataset(tmp_path, steps=5, lat=60, lon=50), tmp_path)
    one, many = tmp_path / "one.zarr", tmp_path / "many.zarr"
    write(facts, one, zarr_format, {"time": 2, "lat": 32})
    monkeypatch.setattr(planning, "LEAST_SLAB_BYTES", 1)
    cuts = write(facts, many, zarr_format, {"time": 2, "lat": 32}, threads=threads).cuts
    assert len(list(next(cut for cut in cuts if cut.array.name == "tas").slabs())) > 4
    assert zarr_store.list_objects(one).keys() == zarr_store.list_objects(many).keys()
    assert all((one / key).read_bytes() == (many / key).read_bytes() for key in zarr_store.list_objects(one))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("zarr_format", "shard_mib", "shards"), [(2, 0, 15), (3, 0, 15), (3, 0.1, 8)])
def test_every_preset_keeps_bits_in_chunks_and_shards(tmp_path, preset, zarr_format, shard_mib, shards):
    """Whatever the codecs, in single chunks or two in a shard, the store is proven and has the planned objects."""
    take(make_dataset(tmp_path, steps=20, lat=60, lon=50), tmp_path)
    options = ("--zarr-format", zarr_format, "--codec", preset, "--shard-mib", shard_mib, "--chunks", '{"time": 4}')
    assert run_convert(tmp_path, tmp_path / "s.zarr", *options) == 0
    assert run_verify(tmp_path) == 0
    assert receipts.read(tmp_path, "verify", ID)["chunks_expected"] == shards + 6
    with zarr_store.quiet():
        assert zarr.open_group(tmp_path / "s.zarr", mode="r")["tas"].chunks == (4, 60, 50)


@BOTH
def test_every_planned_chunk_is_written(tmp_path, zarr_format):
    """Chunks that hold nothing but fill are written too, so that an absent one is a lost one."""
    paths = source(tmp_path, ["fill", "static", "scalar", "texts", "no-length"])
    for path in paths:
        with netCDF4.Dataset(path, "a") as nc:
            nc["fill"][:] = FILL
            nc["static"][:] = 0
    plan = write(take(paths, tmp_path), tmp_path / "s.zarr", zarr_format, {"time": 1})
    written = [key for key in zarr_store.list_objects(tmp_path / "s.zarr") if zarr_store.is_chunk(key)]
    assert len(written) == plan.objects == 5 + 4


def test_static_variables_stay_static(tmp_path):
    """What does not depend on time in the files does not in the store."""
    write(take(make_dataset(tmp_path), tmp_path), tmp_path / "s.zarr")
    group = zarr_store.open_unsealed(tmp_path / "s.zarr")
    assert {name: array.shape for name, array in group.arrays()} == {
        "time": (12,),
        "time_bnds": (12, 2),
        "lat": (3,),
        "lat_bnds": (3, 2),
        "lon": (4,),
        "lon_bnds": (4, 2),
        "tas": (12, 3, 4),
    }


@pytest.mark.parametrize("seal", [False, True], ids=["unsealed", "sealed"])
def test_store_of_ours_is_replaced(tmp_path, seal):
    """A store that an earlier run wrote, sealed or not, is replaced whole."""
    path = tmp_path / "s.zarr"
    write(take(make_dataset(tmp_path), tmp_path), path, 2)
    if seal:
        zarr_store.seal(path, 2)
    (path / "stray").touch()
    write(take(make_dataset(tmp_path, files=1), tmp_path), path, 3)
    assert zarr_store.open_unsealed(path)["tas"].shape == (4, 3, 4)
    assert not [key for key in zarr_store.list_objects(path) if "zgroup" in key or key == "stray"]


def test_foreign_folder_is_not_touched(tmp_path):
    """A folder at the store's place that has no provenance of ours beside it is an error and stays as it is."""
    path = tmp_path / "s.zarr"
    path.mkdir()
    (path / "precious").write_text("data")
    with pytest.raises(DatasetError, match="which would make it ours, does not") as error:
        write(take(make_dataset(tmp_path), tmp_path), path)
    assert error.value.kind == "store"
    assert [file.name for file in path.iterdir()] == ["precious"]
    assert not backend.at(path).beside(zarr_store.PROVENANCE).exists()


def test_provenance_lies_beside_the_store(tmp_path):
    """What the store's attributes do not say, file by file, is kept beside it."""
    facts = take(make_dataset(tmp_path), tmp_path)
    write(facts, tmp_path / "s.zarr")
    kept = json.loads(backend.at(tmp_path / "s.zarr").beside(zarr_store.PROVENANCE).read_text())
    files = [{key: file[key] for key in file if key not in ("inode", "ctime_ns")} for file in facts["files"]]
    assert (kept["dataset"], kept["files"]) == (facts["dataset"], files)
    assert [row["attribute"] for row in kept["differing_attributes"]] == ["tracking_id"]


def test_source_that_changed_since_the_inventory_is_caught(tmp_path):
    """A file that changed is an error before the store there is touched."""
    paths, path = make_dataset(tmp_path), tmp_path / "s.zarr"
    facts = take(paths, tmp_path)
    write(facts, path)
    zarr_store.seal(path, 3)
    paths[1].touch()
    with pytest.raises(DatasetError, match="has changed since the inventory") as error:
        write(facts, path)
    assert (error.value.kind, zarr_store.is_sealed(path)) == ("source", True)


def test_source_that_changes_while_it_is_read_is_caught(tmp_path, monkeypatch):
    """A file that changes after its values have been read is an error too."""
    paths, jobs = make_dataset(tmp_path), Reader.jobs

    def touching(self, *where):
        Path(paths[0]).touch()
        return jobs(self, *where)

    facts = take(paths, tmp_path)
    monkeypatch.setattr(Reader, "jobs", touching)
    with pytest.raises(DatasetError, match="has changed since the inventory"):
        write(facts, tmp_path / "s.zarr")


def test_fields_are_what_the_chunk_rule_is_for(tmp_path):
    """Bounds, series and static variables are not cut by the rule."""
    plan = write(take(make_dataset(tmp_path), tmp_path), tmp_path / "s.zarr", rule={"time": 4})
    assert [cut.array.name for cut in plan.cuts if cut.array.field] == ["tas"]
    assert {cut.array.name: cut.chunks for cut in plan.cuts}["time_bnds"] == (12, 2)
    assert isinstance(plan, planning.Plan)
