"""The demo's real datasets become stores in a bucket, in each form, and a reader that shares nothing with us agrees."""

import pytest
import yaml
from chain import run_convert, run_inventory, run_verify
from repository import REPOSITORY

import demo
from cmip6zarr.catalogue import drs, esm
from cmip6zarr.job import receipts
from s3.reading import compare
from s3.test_convert import FORMS

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """The demo's catalogue, and the datasets of it that the demo converts."""
    folder = tmp_path_factory.mktemp("demo")
    assert demo.main([str(folder)]) == 0
    select = yaml.safe_load((REPOSITORY / "config" / "demo.yaml").read_text())["select"]
    return folder / "catalogue.json", list(esm.read_catalogue(folder / "catalogue.json", select).datasets)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_demo_in_a_bucket(listed, bucket, form, tmp_path):
    """Each dataset that the demo converts is proven and sealed, and holds what its files hold, bit for bit."""
    path, names = listed
    assert len(names) == 21
    for name in names:
        assert run_inventory(name, path, tmp_path) == 0
        assert run_convert(tmp_path, drs.store_place(f"s3://{bucket}/demo", name), *form, dataset=name) == 0
        assert run_verify(tmp_path, dataset=name) == 0
        facts = receipts.read(tmp_path, "inventory", name)
        paths = [file["path"] for file in facts["files"]]
        compare(receipts.read(tmp_path, "convert", name)["store"], paths, facts["time"]["variable"])
