"""Stores in a bucket whose datasets are withdrawn: unsealed with their published copies, and sealed again."""

import polars as pl
import pytest
from builders import make_catalogue, make_dataset
from chain import ID, run_campaign, run_convert, run_inventory, run_verify

import publish
import size_report
from cmip6zarr.campaign import withdrawn
from cmip6zarr.job import receipts
from cmip6zarr.store import audit, backend, zarr_store

pytestmark = pytest.mark.s3


@pytest.mark.parametrize("zarr_format", [3, 2])
def test_unsealed_and_sealed_again(bucket, tmp_path, zarr_format):
    """Both do not open any more, and have all their objects; proven, and published again, they are as they were."""
    homes = store, copy = [backend.at(f"s3://{bucket}/{root}/tas.zarr") for root in ("stores", "public")]
    make_dataset(tmp_path / "in")
    catalogue, results = make_catalogue(tmp_path / "in"), tmp_path / "results"
    assert run_inventory(ID, catalogue, results) == 0
    assert run_convert(results, store, "--zarr-format", zarr_format) == 0

    def prove():
        assert run_verify(results) == 0
        assert size_report.main([ID, "--results", str(results)]) == 0
        assert publish.main([ID, "--results", str(results), "--to", str(copy)]) == 0

    prove()
    before = [home.list() for home in homes]
    withdrawn.keep(results, pl.DataFrame([(ID, "retracted", None, True)], withdrawn.FOUND, orient="row"))
    assert run_campaign(catalogue, results, "--unseal") == 0
    for home, objects in zip(homes, before, strict=True):
        assert not zarr_store.is_sealed(home)
        assert sum(home.list().values()) == sum(objects.values())
        assert not audit.problems(home)
    assert [receipts.find(results, rule, ID) for rule in ("verify", "publish")] == [None, None]
    prove()
    assert [home.list() for home in homes] == before
    assert all(zarr_store.is_sealed(home) for home in homes)
