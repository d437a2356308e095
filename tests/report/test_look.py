"""A look at a store: what is read, where north is, what is no value; and the picture of it."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
import zarr
from builders import make_dataset
from chain import leave_receipts, run_verify, take
from chain import write as write_store
from inventories import make_inventory, make_time, make_variable

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.model.as_json import from_json
from cmip6zarr.model.inventory import Inventory
from cmip6zarr.report import picture, quicklook
from cmip6zarr.store import zarr_store

DAYS = ["char", "days since 2000-01-01"]
FILL = np.float32(1e20)


def make_group(variables, chunks=None):
    """Return an open store and its inventory of {name: (dims, values, typed attributes)}; `chunks` of the last one."""
    variables = {"time": (("time",), np.arange(100.0), {"units": DAYS})} | variables
    group, told = zarr.create_group(zarr.storage.MemoryStore()), {}
    for name, (dims, values, attributes) in variables.items():
        last = name == list(variables)[-1]
        values = np.asarray(values)
        array = group.create_array(
            name, shape=values.shape, dtype=values.dtype, chunks=(last and chunks) or values.shape
        )
        array[...] = values
        told[name] = make_variable(
            dims, values.shape, str(values.dtype), raw_bytes=values.nbytes, attributes=attributes
        )
    return group, make_inventory(variables=told, time=make_time())


def north(lat=("lat",), lon=("lon",), latitudes=(-60.0, 0.0, 60.0), longitudes=(0.0, 90.0, 180.0, 270.0)):
    """Return coordinates: latitude and longitude."""
    return {
        "lat": (lat, latitudes, {"units": ["char", "degrees_north"]}),
        "lon": (lon, longitudes, {"units": ["char", "degrees_east"]}),
    }


def seen(field, dims=("time", "lat", "lon"), coordinates=None, attributes=None, chunks=None):
    """Look at a field among its coordinates."""
    found = north() if coordinates is None else coordinates
    group, inventory = make_group(found | {"tas": (dims, field, attributes or {})}, chunks)
    return quicklook.take(group, inventory, "tas")


STEPS = np.arange(9, dtype="f4")[:, None, None]
ROWS = np.arange(3, dtype="f4")[:, None]


def test_first_middle_and_last_step_are_drawn():
    """Three maps, of the first, the middle and the last step; the mean of all steps where they are few."""
    found = seen(STEPS + np.zeros((9, 3, 4), "f4"))
    assert {step: set(m.ravel()) for step, m in found.maps.items()} == {0: {0.0}, 4: {4.0}, 8: {8.0}}
    assert found.middle == "1850-01-05"
    assert [list(run) for run in found.means] == [list(range(9))]
    assert list(found.means[0].values()) == pytest.approx(range(9))


@pytest.mark.parametrize("day", [1e30, np.nan])
def test_middle_step_without_a_date_is_a_number(day):
    """A time that is no date has no place in a caption: it says which step it is."""
    days = {"time": (("time",), [0.0, day, 2.0], {"units": DAYS})}
    found = seen(STEPS[:3] + np.zeros((3, 3, 4), "f4"), coordinates=north() | days)
    assert found.middle == ""
    assert "step 2 of 3" in picture.svg(found, "2000-01-01 12:00", "2001-01-01 00:00")


@pytest.mark.parametrize("latitudes", [(-60.0, 0.0, 60.0), (60.0, 0.0, -60.0)], ids=["ascending", "descending"])
def test_north_is_up(latitudes):
    """The first row of a map is the northernmost, however latitudes are ordered."""
    field = np.broadcast_to(np.array(latitudes, "f4")[:, None], (2, 3, 4))
    found = seen(field, coordinates=north(latitudes=latitudes))
    assert found.maps[0][:, 0].tolist() == [60, 0, -60]


def test_mean_is_weighted_by_area():
    """A cell at 60 degrees counts half as much as one at the equator; one without a value not at all."""
    field = np.zeros((1, 3, 4), "f4")
    field[0, 0], field[0, 1, 0] = 4, FILL
    found = seen(field, attributes={"_FillValue": ["float32", float(FILL)]})
    assert found.weighted
    assert found.means == [{0: pytest.approx(4 * 4 * 0.5 / (4 * 0.5 + 3 + 4 * 0.5))}]
    assert np.isnan(found.maps[0][1, 0])


def test_packed_numbers_are_unpacked():
    """Scale and offset, fill value, and integers that are meant without sign."""
    field = np.array([[[1, -1, 3, 4]] * 3] * 2, "i2")
    told = {"scale_factor": ["float64", 0.5], "add_offset": ["float32", 10], "missing_value": ["int16", [3]]}
    found = seen(field, attributes=told)
    assert str(found.maps[0][0].tolist()) == "[10.5, 9.5, nan, 12.0]"
    found = seen(field, attributes=told | {"_Unsigned": ["char", "true"]})
    assert found.maps[0][0][1] == 10 + 65535 / 2


@pytest.mark.parametrize(
    "told",
    [
        {"scale_factor": ["char", "two"], "missing_value": ["char", "none"]},
        {"scale_factor": ["float64", [1, 2]], "missing_value": ["string", ["a"]]},
    ],
)
def test_attributes_that_are_no_numbers_change_nothing(told):
    """What should be a number and is none is left aside."""
    field = np.ones((2, 3, 4), "f4")
    field[0, 2, 0] = FILL
    found = seen(field, attributes={"_FillValue": ["float32", float(FILL)]} | told)
    assert str(found.maps[0].tolist()) == str([[np.nan, 1.0, 1.0, 1.0], [1.0] * 4, [1.0] * 4])


def test_one_level_is_shown():
    """Of a field with levels the first is shown, and the look says so."""
    field = np.zeros((2, 5, 3, 4), "f4")
    field[:, 1:] = 7
    found = seen(field, ("time", "plev", "lat", "lon"))
    assert found.firsts == {"plev": 5}
    assert not any(m.any() for m in found.maps.values())


@pytest.mark.parametrize("dims", [("cell",), ("j", "i")], ids=["unstructured", "curvilinear"])
def test_cells_are_drawn_where_they_lie(dims):
    """Cells with a place each are put there: the mean of a pixel's cells, north up, whatever their order."""
    lat, lon = (a.ravel() for a in np.meshgrid(np.linspace(-89, 89, 80), np.linspace(0, 359, 80), indexing="ij"))
    order = np.random.default_rng(1).permutation(lat.size)
    shape = (lat.size,) if dims == ("cell",) else (80, 80)
    lat, lon = lat[order].reshape(shape), lon[order].reshape(shape)
    found = seen(lat[None].astype("f4"), ("time", *dims), north(dims, dims, lat, lon))
    drawn = found.maps[0]
    assert drawn.shape == (20, 40)
    assert np.isfinite(drawn).all()
    assert (np.diff(drawn.mean(1)) < 0).all()
    assert not found.weighted


def test_cells_without_a_place_are_left_out():
    """A missing latitude is no place; its cell counts in the mean."""
    lat = np.array([0.0, 1e20, np.nan])
    found = seen(np.array([[1, 2, 6]], "f4"), ("time", "cell"), north(("cell",), ("cell",), lat, np.zeros(3)))
    assert np.nanmax(found.maps[0]) == 1
    assert found.means == [{0: 3}]


@pytest.mark.parametrize(
    ("values", "positive", "first"),
    [([1e5, 5e4, 1e3], "down", 2), ([0, 50, 500], "down", 0), ([0, 50, 500], "up", 2)],
    ids=["pressure", "depth", "height"],
)
def test_section_has_its_top_in_the_first_row(values, positive, first):
    """Without longitudes the last two axes are drawn as they are, what is higher above."""
    axis = {"plev": (("plev",), np.array(values, "f8"), {"positive": ["char", positive]})}
    field = np.broadcast_to(ROWS, (2, 3, 4))
    found = seen(
        field, ("time", "plev", "lat"), axis | {"lat": north()["lat"]} | {"lat": (("lat",), np.arange(4.0), {})}
    )
    assert found.maps[0][0, 0] == first


def test_axes_in_another_order():
    """Longitude before latitude, and time last, are turned round."""
    field = np.moveaxis(STEPS + 10 * ROWS + np.zeros(4, "f4"), (0, 1, 2), (2, 1, 0))
    found = seen(field, ("lon", "lat", "time"))
    assert found.maps[8].shape == (3, 4)
    assert found.maps[8][:, 0].tolist() == [28, 18, 8]


def test_series_has_no_map():
    """A series has a course and no maps; a single value of no time is a mean of one."""
    found = seen(np.arange(5.0), ("time",), {})
    assert (found.maps, found.means) == ({}, [{n: float(n) for n in range(5)}])
    assert seen(np.float64(3), (), {}).means == [{0: 3.0}]


def test_static_field_is_one_map():
    """A field without time has one map and no steps."""
    found = seen(np.ones((3, 4), "f4"), ("lat", "lon"))
    assert (list(found.maps), found.steps) == ([0], 0)


def test_main_variable_is_never_text_nor_bounds():
    """Texts, bounds, coordinates and what is empty are not chosen, even if they are the largest or named."""
    variables = {
        "time": (("time",), np.arange(900.0), {"bounds": ["char", "time_bnds"]}),
        "time_bnds": (("time", "two"), np.zeros((900, 2)), {}),
        "region": (("time", "n"), np.full((900, 9), b"x", "S1"), {}),
        "none": (("time", "n"), np.zeros((900, 0)), {}),
        "height": ((), np.float64(2), {}),
        "lat2d": (("time", "n"), np.zeros((900, 9)), {}),
        "tas": (("time",), np.zeros(900, "f4"), {"coordinates": ["char", "height lat2d"]}),
    }
    _, inventory = make_group({n: v for n, v in variables.items() if n != "none"})
    inventory.variables["none"] = make_variable(("time", "n"), (900, 0))
    inventory.variables["region"] = replace(inventory.variables["region"], dtype="S1")
    for main in ("tas", "time_bnds", "region", "none", "lat2d"):
        assert quicklook.variable_of(inventory, main) == "tas"
    few = {n: inventory.variables[n] for n in ("time", "time_bnds", "region")}
    assert quicklook.take(None, replace(inventory, variables=few), "region") == "It has no field of numbers."


def test_too_large_chunks_are_not_read(monkeypatch):
    """Where a step takes too many chunks, or too large ones, nothing is read, and the look says why."""
    assert "too much for a look" in seen(np.zeros((1, 3, 4), "f4"), chunks=(1, 1, 2))
    monkeypatch.setattr(quicklook, "MOST_CHUNK_BYTES", 40)
    assert "too much for a look" in seen(np.zeros((1, 3, 4), "f4"))


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A sealed store of 60 steps, one in a chunk, and the keys of all chunks that are read of it from now on."""
    facts = take(make_dataset(tmp_path / "data", steps=20), tmp_path)
    write_store(facts, tmp_path / "s.zarr", rule={"time": 1})
    leave_receipts(tmp_path, facts, tmp_path / "s.zarr", 3)
    assert run_verify(tmp_path) == 0
    keys = []

    class Counted(zarr.storage.LocalStore):
        async def get(self, key, prototype, byte_range=None):
            keys.extend([key] if zarr_store.is_chunk(key) else [])
            return await super().get(key, prototype, byte_range)

    monkeypatch.setattr(zarr_store, "open_store", lambda path: Counted(path, read_only=True))
    return from_json(Inventory, facts), zarr_store.open_sealed(tmp_path / "s.zarr"), keys


def test_few_chunks_are_read(counted):
    """Of a store with a chunk for each step five are read, and three coordinates: as many as the look says."""
    inventory, group, keys = counted
    found = quicklook.take(group, inventory, "tas")
    fields = [f"tas/c/{n}/0/0" for n in (0, 15, 30, 45, 59)]
    assert sorted(keys) == ["lat/c/0", "lon/c/0", *fields, "time/c/0"]
    assert found.chunks_read == len(keys)
    assert list(found.maps) == [0, 30, 59]


@pytest.mark.parametrize("rot", [lambda p: p.unlink(), lambda p: p.write_bytes(b"rot")], ids=["missing", "rotten"])
def test_chunk_that_cannot_be_read_is_told(counted, tmp_path, rot):
    """A look at a chunk that is missing or has rotted fails as verify would, and not as a bug."""
    inventory, group, _ = counted
    rot(tmp_path / "s.zarr" / "tas" / "c/30/0/0")
    with pytest.raises(DatasetError) as caught:
        quicklook.take(group, inventory, "tas")
    assert caught.value.kind == "chunks"
    assert "tas" in caught.value.message


def drawn(found):
    return picture.svg(found, "2000-01-01 12:00", "2001-01-01 00:00")


def test_picture_is_sound_xml_whatever_the_units():
    """Units and names are text: they are escaped, cut, and freed of what XML cannot hold."""
    hostile = '</text><script>alert("1")</script>\x00\x0b&\ud800' + "x" * 90
    found = seen(np.ones((3, 2, 3, 4), "f4"), ("time", hostile, "lat", "lon"), attributes={"units": ["char", hostile]})
    root = ET.fromstring(drawn(found))
    assert {element.tag.split("}")[1] for element in root.iter()} == {
        "svg",
        "style",
        "text",
        "image",
        "rect",
        "polyline",
    }
    assert any("<script>" in (element.text or "") for element in root.iter())


def test_map_that_is_alone_fills_the_picture():
    """One step has one map, with what is said of it beside; two or three maps share the width."""
    for steps, widths in ((1, [480, 228]), (2, [354, 354, 208]), (3, [232, 232, 232, 208])):
        found = seen(np.arange(steps * 12, dtype="f4").reshape(steps, 3, 4))
        images = [element for element in ET.fromstring(drawn(found)).iter() if element.tag.endswith("image")]
        assert [int(image.get("width")) for image in images] == widths
        edges = [float(image.get("x")) + float(image.get("width")) for image in images]
        assert max(edges) == picture.WIDTH


def test_picture_of_no_values():
    """A field without any value is drawn empty, and its mean said to be none."""
    text = drawn(seen(np.full((3, 3, 4), np.nan, "f4")))
    assert "none with a value" in text
    assert "<polyline" not in text
    assert "nan" not in re.sub('base64,[^"]*', "", text)


def test_colours_meet_at_zero_where_signs_differ():
    """The span of colours has zero in its middle for both signs, and in one end if there is hardly one of them."""
    assert picture.span(np.linspace(-2, 4, 1001)) == pytest.approx((-3.94, 3.94))
    assert picture.span(np.linspace(-0.1, 9.9, 1001))[0] == 0
    assert picture.span(np.full(9, 5.0)) == (4.5, 5.5)
    assert picture.span(np.full(9, np.nan)) == (0, 1)


@pytest.mark.parametrize(("field", "stops"), [(ROWS * 0, picture.RISING), (ROWS - 1, picture.SIGNED)])
def test_field_that_is_the_same_everywhere_has_no_signs(monkeypatch, field, stops):
    """Its scale is about its value, and may have both signs; its colours are those of a field of one."""
    taken, colours = [], picture.colours
    monkeypatch.setattr(picture, "colours", lambda stops: taken.append(stops) or colours(stops))
    drawn(seen(np.broadcast_to(field, (9, 3, 4))))
    assert taken == [stops]


def test_no_value_is_transparent():
    """Pixels without a value have no colour; the others have those of the ends."""
    table = picture.colours(picture.RISING)
    painted = picture.painted(np.array([[np.nan, -9, 9]]), 0, 1, table)
    assert painted[0, 0, 3] == 0
    assert painted[0, 1:].tolist() == [[0x1D, 0x11, 0x47, 255], [0xFD, 0xF6, 0xB8, 255]]


@pytest.mark.parametrize(
    ("dtype", "fill"), [("f4", 9.969209968386869e36), ("f8", 9.969209968386869e36), ("i2", -32767), ("i4", -2147483647)]
)
def test_default_fill_is_no_value(dtype, fill):
    """netCDF's default fill is no value, though no attribute says so; beside another fill value an integer is one."""
    field = np.ones((2, 3, 4), dtype)
    field[0, 2, 0] = fill
    found = seen(field)
    assert np.isnan(found.maps[0][0, 0])
    assert np.count_nonzero(np.isnan(found.maps[0])) == 1
    assert found.means[0] == {0: 1.0, 1: 1.0}
    if np.dtype(dtype).kind == "i":
        declared = {"_FillValue": [np.dtype(dtype).name, -1]}
        assert seen(field, attributes=declared).maps[0][0, 0] == fill
