"""The catalogue of stores: what is in it, what intake-esm opens as one, and where it opens from."""

import json

import intake
import numpy as np
import polars as pl
import pytest
import xarray as xr
from builders import dataset_id

from cmip6zarr.campaign import finished, stores
from cmip6zarr.catalogue import drs
from cmip6zarr.store import backend, zarr_store


def sized(root, *ids, **columns):
    """Return the table SIZED of some datasets, with nothing known of them but what is given."""
    rows = [{"dataset": name, "store": drs.store_place(str(root), name), "zarr_format": 3, **columns} for name in ids]
    table = pl.DataFrame([{name: row.get(name) for name in finished.SIZED} for row in rows], finished.SIZED)
    return table.with_columns(latest=True, retracted=False)


def make_store(root, name, value):
    """Make a store of two steps of the variable that its id names."""
    with zarr_store.quiet():
        fields = {name.split(".")[7]: ("time", [value, value + 1.0]), "lat_bnds": (("lat", "bnds"), [[0, 1]])}
        made = xr.Dataset(fields, {"time": [0, 1], "lat": [0.5]})
        made.to_zarr(drs.store_place(str(root), name), zarr_format=3, consolidated=True)


def opened(path, **how):
    return intake.open_esm_datastore(str(path)).to_dataset_dict(progressbar=False, **how)


def test_variables_and_members_are_opened_as_one(tmp_path):
    """Keys are those of a run's table and grid; variables stand side by side, members along a dimension."""
    ids = [dataset_id(member_id=f"r{n}i1p1f1", variable_id=name) for n in (1, 2) for name in ("tas", "pr")]
    for value, name in enumerate(ids):
        make_store(tmp_path, name, value)
    stores.put(stores.table(sized(tmp_path, *ids)), backend.at(tmp_path / "catalogue"))
    [(key, found)] = opened(tmp_path / "catalogue" / "stores.json").items()
    assert key == "CMIP6.CMIP.ZZZ.MODEL-A.historical.Amon.gn"
    assert found["member_id"].values.tolist() == ["r1i1p1f1", "r2i1p1f1"]
    np.testing.assert_array_equal(found["tas"], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(found["pr"], [[1, 2], [3, 4]])
    assert found["lat_bnds"].dims == ("lat", "bnds")
    each = opened(tmp_path / "catalogue" / "stores.json", aggregate=False)
    assert len(each) == len(ids)


def test_versions_of_a_dataset_are_not_joined(tmp_path):
    """Where a dataset has two versions they have two keys; variables of two versions are joined where it has one."""
    two = [dataset_id(version=version) for version in ("v1", "v2")]
    assert stores.assets(stores.table(sized(tmp_path, *two))).keys[-1] == "version"
    other = [dataset_id(), dataset_id(variable_id="pr", version="v2")]
    assert "version" not in stores.assets(stores.table(sized(tmp_path, *other))).keys


def test_what_cmip7_tells_apart_is_not_joined(tmp_path):
    """Mean and maximum of one variable have two keys, and so has each dataset of a catalogue of two projects."""
    begin, end = "MIP-DRS7.CMIP7.CMIP.ORG.M.historical.r1i1p1f1.glb.day.tas", "g1.v20200101"
    ids = [f"{begin}.{suffix}.{end}" for suffix in ("tavg-h2m-hxy-u", "tmax-h2m-hxy-u")]
    keys = stores.assets(stores.table(sized(tmp_path, *ids))).keys
    assert "branding_suffix" in keys
    assert not {"variable_id", "variant_label", "version"} & set(keys)
    mixed = stores.assets(stores.table(sized(tmp_path, *ids, dataset_id())))
    assert (mixed.keys, mixed.aggregations) == (("dataset_id",), ())


def test_catalogue_beside_stores_goes_with_them(tmp_path, monkeypatch):
    """After the folder has been moved its catalogue opens the stores, from within it."""
    before, after = tmp_path / "before", tmp_path / "after"
    make_store(before, dataset_id(), 5)
    rows = stores.table(sized(before, dataset_id()), root=str(before))
    stores.put(rows, backend.at(before / "catalogue"))
    before.rename(after)
    monkeypatch.chdir(after)
    [found] = opened("catalogue/stores.json").values()
    assert found["tas"].values.ravel().tolist() == [5, 6]


@pytest.mark.parametrize("root", ["/data/stores", "s3://bucket/stores/"])
def test_stores_that_are_served_have_public_addresses(root):
    """Below a public URL stores are where their ids say, and are of a version that http can open by name."""
    rows = stores.table(sized(root, dataset_id()), root=root, public_url="https://host/cmip6/")
    assert rows["zstore"].to_list() == [f"https://host/cmip6/{drs.store_folder(dataset_id())}"]
    assert rows["format"].to_list() == ["zarr3"]


def test_columns_that_people_search_by(tmp_path):
    """What attributes say is in columns of their own, unless the id has it."""
    told = {"frequency": "mon", "realm": "atmos", "long_name": "Air <b>", "units": "K", "steps": 12, "findings": 1}
    row = stores.table(sized(tmp_path, dataset_id(), **told)).row(0, named=True)
    assert {name: row[name] for name in told} == told
    cmip7 = "MIP-DRS7.CMIP7.CMIP.ORG.M.historical.r1i1p1f1.glb.day.tas.tavg-h2m-hxy-u.g1.v20200101"
    row = stores.table(sized(tmp_path, cmip7, frequency="mon")).row(0, named=True)
    assert row["frequency"] == "day"


def test_many_stores_have_a_table_in_parquet(tmp_path, monkeypatch):
    """From a number of stores on the JSON names a table of parquet, which has the same rows as the CSV."""
    monkeypatch.setattr(stores, "MANY", 2)
    for number, kind in ((1, "csv"), (2, "parquet")):
        ids = [dataset_id(member_id=f"r{n}i1p1f1") for n in range(number)]
        home = backend.at(tmp_path / str(number))
        stores.put(stores.table(sized(tmp_path, *ids)), home)
        described = json.loads((tmp_path / str(number) / "stores.json").read_text())
        assert described["catalog_file"] == f"stores.{kind}"
        listing = intake.open_esm_datastore(str(tmp_path / str(number) / "stores.json"))
        assert len(listing.search(latest="true", zarr_format="3").df) == number
    tables = [pl.read_csv(tmp_path / "2" / "stores.csv"), pl.read_parquet(tmp_path / "2" / "stores.parquet")]
    assert tables[0]["zstore"].to_list() == tables[1]["zstore"].to_list()
