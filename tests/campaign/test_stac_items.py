"""STAC items of sealed stores: by STAC's own schemas, what they say, and what reads them."""

import json
from pathlib import Path

import polars as pl
import pystac
import pytest
import xarray as xr
from builders import dataset_id, make_catalogue, make_dataset
from campaigns import HOSTILE, make_campaign
from chain import ID, run_campaign, run_convert, run_inventory, run_verify
from hypothesis import given
from hypothesis import strategies as st
from pystac.validation import validate_dict

import size_report
from cmip6zarr.campaign import finished, stac_items
from cmip6zarr.catalogue import projects, stac
from cmip6zarr.catalogue.listing import Reading

CMIP7 = "MIP-DRS7.CMIP7.CMIP.MOHC.UKESM1-0-LL.1pctCO2.r1i1p1f3.glb.mon.tas.tavg-h2m-hxy-u.g99.v20260123"
ROW = dict.fromkeys(finished.REPORTED) | {
    "dataset": dataset_id(),
    "store": "/stores/tas.zarr",
    "zarr_format": 3,
    "time_range": "1850-01-16 12:00/1850-12-16 12:00",
    "zarr_bytes": 4,
    "calendar": "360_day",
    "units": "K",
    "standard_name": "air_temperature",
    "frequency": "mon",
    "realm": "atmos land",
    "extent": [-180.0, -88.0, 180.0, 88.0],
    "verify_mtime_ns": 1_600_000_000 * 10**9,
    "latest": True,
    "retracted": False,
}


def collection(*rows) -> dict:
    """Return the ItemCollection of rows that differ from ROW."""
    table = pl.DataFrame([ROW | row for row in rows], finished.REPORTED | {"latest": bool, "retracted": bool})
    return json.loads(b"".join(stac_items.pieces(table)))


def check(item):
    """Raise unless an item is what STAC 1.1 says; extensions would have to be fetched."""
    assert pystac.Item.from_dict(item).to_dict(include_self_link=False)["id"] == item["id"]
    return validate_dict(item, extensions=[])


CHANGES = {
    "as it is": {},
    "no grid": {"extent": None},
    "across 180 E": {"extent": [170.0, -5.0, -170.0, 5.0]},
    "a place": {"extent": [10.0, 50.0, 10.0, 50.0]},
    "no time": {"time_range": None},
    "a day that is none": {"time_range": "0850-02-30 00:00/0851-02-30 00:00"},
    "year 0": {"time_range": "0000-01-16 00:00/0009-12-16 00:00"},
    "paleo": {"time_range": "12000-01-16 00:00/12009-12-16 00:00"},
    "bucket": {"store": "s3://bucket/CMIP6/tas.zarr", "zarr_format": 2},
    "hostile units": {"units": HOSTILE},
    "CMIP7": {"dataset": CMIP7},
    "no attributes": dict.fromkeys(("units", "standard_name", "frequency", "realm")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_items_are_what_stac_says(change):
    """Whatever the grid, the calendar, the project and the place of a store are."""
    (item,) = collection(change)["features"]
    assert check(item)
    assert ("bbox" in item) == bool(item["geometry"])


def test_schemas_refuse_what_is_no_item():
    """The check that the others make can fail."""
    (item,) = collection({})["features"]
    with pytest.raises(pystac.STACValidationError):
        validate_dict(item | {"properties": {}}, extensions=[])
    with pytest.raises(pystac.STACValidationError):
        validate_dict({key: item[key] for key in item if key != "bbox"}, extensions=[])


@given(
    st.tuples(*(st.floats(-180, 180) for _ in "we"), *(st.floats(-90, 90) for _ in "sn")),
    st.text("0123456789-: /", max_size=40),
)
def test_items_of_any_extent_and_dates_are_valid(extent, time_range):
    """Nothing that a receipt can say makes an item that is none."""
    west, east, south, north = extent
    change = {"extent": [west, min(south, north), east, max(south, north)], "time_range": time_range}
    assert check(collection(change)["features"][0])


def test_properties_are_those_of_esgf():
    """Facets, version without its v, dates, size; the word that CMIP7's items have another name for."""
    six, seven = (item["properties"] for item in collection({}, {"dataset": CMIP7})["features"])
    assert six["cmip6:source_id"] == "MODEL-A"
    assert six["cmip6:activity_id"] == ["CMIP"]
    assert (six["cmip6:variant_label"], six["cmip6:sub_experiment_id"]) == ("r1i1p1f1", "none")
    assert (six["version"], six["size"], six["project"]) == ("20200101", 4, "CMIP6")
    assert (six["cmip6:frequency"], six["cmip6:realm"]) == ("mon", ["atmos", "land"])
    assert six["cmip6:variable_cf_standard_name"] == "air_temperature"
    assert "cmip6:nominal_resolution" not in six
    assert (six["latest"], six["retracted"]) == (True, False)
    assert (six["start_datetime"], six["end_datetime"]) == ("1850-01-16T12:00:00Z", "1850-12-16T12:00:00Z")
    assert seven["cmip7:variable_branding_suffix"] == "tavg-h2m-hxy-u"
    assert (seven["cmip7:region"], seven["version"], seven["cmip7:variable_units"]) == ("glb", "20260123", "K")


def test_start_of_a_prediction_is_a_word_of_its_own():
    """In ESGF's items of CMIP6, beside the member that has both."""
    (item,) = collection({"dataset": dataset_id(member_id="s1960-r2i1p1f1")})["features"]
    words = ("member_id", "variant_label", "sub_experiment_id")
    assert [item["properties"][f"cmip6:{word}"] for word in words] == ["s1960-r2i1p1f1", "r2i1p1f1", "s1960"]


def test_geometry_is_where_the_cells_are():
    """180 E within it makes two polygons of it, as GeoJSON has them."""
    round_, across, place = (
        item["geometry"]
        for item in collection({}, {"extent": [170.0, -5.0, -170.0, 5.0]}, CHANGES["a place"])["features"]
    )
    assert round_["coordinates"][0][2] == [180.0, 88.0]
    assert [polygon[0][0][0] for polygon in across["coordinates"]] == [170.0, -180.0]
    assert place == {"type": "Point", "coordinates": [10.0, 50.0]}


def test_stores_without_a_proof_have_no_item():
    """One whose receipt of verify is gone may be anything."""
    assert len(collection({}, {"verify_mtime_ns": None})["features"]) == 1


def test_build_leaves_items_of_stores_aside(tmp_path):
    """They are no NetCDF files; an item that has both is taken for its files."""
    path = tmp_path / "stores.stac.json"
    told = collection({})
    path.write_text(json.dumps(told))
    reading = Reading(projects=projects.known())
    found = [("item of a Zarr store", "stores.stac.json: item 1 is of a Zarr store; expected NetCDF files")]
    assert list(stac.read(path, reading)) == found
    name = "tas_Amon_MODEL-A_historical_r1i1p1f1_gn_185001-185012.nc"
    told["features"][0]["assets"][name] = {"href": f"/d/{name}", "type": "application/netcdf"}
    path.write_text(json.dumps(told))
    assert f"/d/{name}" in [entry.path for entry in stac.read(path, reading) if not isinstance(entry, tuple)]


def test_items_of_a_campaign_open(tmp_path):
    """What an item says where the store is opens there, with the extent of its grid; `stac` asks for it."""
    make_dataset(tmp_path / "in", lat=4, lon=24)
    catalogue, results = make_catalogue(tmp_path / "in"), tmp_path / "results"
    assert run_inventory(ID, catalogue, results) == 0
    assert run_convert(results, tmp_path / "tas.zarr") == 0
    assert run_verify(results) == 0
    assert size_report.main([ID, "--results", str(results)]) == 0
    path = results / "catalogue/stores.stac.json"
    assert run_campaign(catalogue, results) == 0
    assert not path.exists()
    assert run_campaign(catalogue, results, "--stac") == 0
    (item,) = pystac.ItemCollection.from_file(str(path))
    store = item.assets["zarr"]
    opened = xr.open_dataset(store.href, engine="zarr", consolidated=store.extra_fields["zarr:consolidated"])
    assert opened["tas"].sizes["time"] == 12
    assert item.bbox == [-180.0, float(opened["lat"].min()), 180.0, float(opened["lat"].max())]
    assert json.loads(Path(item.assets["provenance"].href).read_text())["dataset"] == item.id == ID
    assert all(json.loads(line) for line in Path(item.assets["ledger"].href).read_text().splitlines())


def test_items_of_a_large_campaign(tmp_path):
    """Each verified dataset has one, whatever its findings say."""
    _, sized, _ = make_campaign(tmp_path, 60)
    stores = sized.with_columns(latest=True, retracted=False)
    found = json.loads(b"".join(stac_items.pieces(stores)))
    assert [item["id"] for item in found["features"]] == sized["dataset"].to_list()
    assert all(check(item) for item in found["features"][:5])
