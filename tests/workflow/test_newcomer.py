"""The way of a newcomer: what README.md tells to type, in its order, on small files."""

import re

import clones
import netCDF4
import pytest
import xarray as xr
from builders import dataset_id, make_dataset
from pages import blocks, here, type_in
from repository import REPOSITORY

from cmip6zarr.catalogue import drs

pytestmark = pytest.mark.workflow

GAP = dataset_id(source_id="MODEL-E")
"""The dataset of the archive whose files leave out a year."""
RESTORED = dataset_id(version="v20191226")
"""The one that README.md restores."""


def test_what_readme_tells_to_type(tmp_path, tmp_path_factory, monkeypatch):
    """The demo, its stores, an archive of five datasets, one refused, a policy, the profile, and files restored."""
    clone = clones.demo(tmp_path_factory.getbasetemp()).copy(tmp_path / "clone")
    monkeypatch.chdir(clone.folder)
    archive = tmp_path / "data" / "cmip6"
    for letter in "BCD":
        make_dataset(archive, files=1, source_id=f"MODEL-{letter}")
    originals = make_dataset(archive, files=2, version="v20191226")
    for start in (0, 12):
        make_dataset(archive, files=1, steps=6, start=start, source_id="MODEL-E")

    page = blocks(REPOSITORY / "README.md")
    make_demo, build, convert, again, lotus, restore = [block.text for block in page if block.language == "sh"]
    settings, policy = [here(block.text, tmp_path) for block in page if block.language == "yaml"]
    [recipe] = re.findall(r"^demo:.*\n\t\$\(BIN\)/(.*)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert "3 datasets: 3 verified" in type_in(clone, make_demo.replace("make demo", recipe))
    told: dict = {}
    for block in page:
        if block.language == "python":
            exec(block.text, told)  # noqa: S102  what is run is a page of this repository

    assert re.search(r"rows +7\b", type_in(clone, build))
    (clone.folder / "mine.yaml").write_text(settings)
    said = type_in(clone, convert, expect=1)
    assert "5 datasets to do, of 5" in said
    assert re.search(rf"refused: gap: .*\b6 steps left out.*-> .*policy.*gap.*\[{re.escape(GAP)}\]", said)
    assert "5 datasets: 4 verified, 1 refused" in said, said
    with (clone.folder / "mine.yaml").open("a") as file:
        file.write(policy)
    said = type_in(clone, again)
    assert re.findall(r"\d/\d (verified.*): (.*)", said) == [("verified, with findings", GAP)]
    assert "5 datasets: 5 verified (1 with findings)" in said
    assert "5 datasets: 5 verified" in type_in(clone, lotus)

    with xr.open_zarr(drs.store_place(str(tmp_path / "data" / "zarr"), GAP)) as opened:
        assert opened["tas"].sizes["time"] == 12
    type_in(clone, restore)
    for original in originals:
        with netCDF4.Dataset(original) as one, netCDF4.Dataset(tmp_path / "data" / "restored" / original.name) as other:
            assert (one["tas"][:] == other["tas"][:]).all()
            assert one.__dict__ == other.__dict__
