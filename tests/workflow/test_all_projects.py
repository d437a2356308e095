"""A dataset of every project, from a mixed tree to a sealed store, the catalogue of stores and their STAC items."""

import json

import intake_esm
import pystac
import pytest
import xarray as xr
from archives import REAL
from builders import make_dataset
from chain import configuration, run_campaign, run_convert, run_inventory, run_verify

import catalogue as cli
import restore
import size_report
from cmip6zarr.campaign import withdrawn
from cmip6zarr.catalogue import drs, projects
from cmip6zarr.store import audit, backend


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A folder in which a dataset of each project is in a tree, sealed, and in the tables."""
    at = tmp_path_factory.mktemp("projects")
    for folder, file, name in REAL.values():
        project = projects.of(name)
        variable = project.words(name)[project.variable]
        (source,) = make_dataset(at / "made", files=1, variable_id=variable, lat=4, lon=24)
        place = at / "in" / folder[1:] / file
        place.parent.mkdir(parents=True)
        source.rename(place)
    listed, results = at / "list.json", at / "results"
    assert cli.main(["build", str(at / "in"), "--out", str(listed)]) == 0
    for _, _, name in REAL.values():
        assert run_inventory(name, listed, results) == 0
        assert run_convert(results, drs.store_place(str(at / "stores"), name), dataset=name) == 0
        assert run_verify(results, dataset=name) == 0
        assert size_report.main([name, "--results", str(results)]) == 0
    assert run_campaign(listed, results, "--stac") == 0
    return at


@pytest.mark.parametrize("name", REAL)
def test_store_holds_the_file(campaign, name, tmp_path):
    """It opens with what the file has, nothing of it has rotted, and the file comes back."""
    folder, file, dataset = REAL[name]
    source, store = campaign / "in" / folder[1:] / file, drs.store_place(str(campaign / "stores"), dataset)
    with xr.open_zarr(store) as ours, xr.open_dataset(source) as theirs:
        xr.testing.assert_identical(ours.compute(), theirs.compute())
    assert not audit.problems(backend.at(store), dataset=dataset)
    assert restore.main([store, "--all", "--to", str(tmp_path)]) == 0
    with xr.open_dataset(tmp_path / file) as back, xr.open_dataset(source) as theirs:
        xr.testing.assert_identical(back.compute(), theirs.compute())


def test_catalogue_of_all(campaign):
    """One catalogue has them all, by their ids; its table is text to intake-esm, and is searched as text."""
    stores = intake_esm.core.esm_datastore(str(campaign / "results" / "catalogue" / "stores.json"))
    assert sorted(stores.keys()) == sorted(name for *_, name in REAL.values())
    assert len(stores.search(latest="true", retracted="false", findings="0").df) == len(REAL)
    assert len(stores.search(latest="false").df) == 0


def test_items_of_all(campaign):
    """Each is a STAC item, whose id and properties are in the words of its project."""
    told = json.loads((campaign / "results" / "catalogue" / "stores.stac.json").read_text())
    found = {item["properties"]["project"]: item for item in told["features"]}
    assert {name: item["id"] for name, item in found.items()} == {name: REAL[name][2] for name in REAL}
    for name, item in found.items():
        assert pystac.validation.validate_dict(item, extensions=[])
        variable = projects.of(item["id"]).variable
        assert item["properties"][f"{name.lower()}:{variable}"] == projects.of(item["id"]).words(item["id"])[variable]
        assert item["bbox"][0] == -180


def test_newer_versions_of_all(campaign, tmp_path):
    """Of every project the run that lists a newer version says that the older one is superseded."""
    for folder, file, name in REAL.values():
        version = projects.of(name).words(name)["version"]
        place = tmp_path / "in" / folder[1:].replace(version, "v20300101") / file
        place.parent.mkdir(parents=True)
        place.touch()
    assert cli.main(["build", str(tmp_path / "in"), "--out", str(tmp_path / "new.json")]) == 0
    config = configuration(catalogue=str(tmp_path / "new.json"), results=str(campaign / "results"))
    found = withdrawn.listing(config).withdrawn
    assert found["change"].unique().to_list() == ["superseded"]
    newer = {name: name.replace(projects.of(name).words(name)["version"], "v20300101") for *_, name in REAL.values()}
    assert dict(found.select("dataset", "newer").iter_rows()) == newer
