"""CMIP7: ESGF's two files through tree and mapfile, and a twin of each real CMIP6 dataset that the table maps."""

from pathlib import Path

import netCDF4
import numpy as np
import polars as pl
import pytest
from builders import dataset_id, make_dataset
from chain import run_convert, run_inventory, run_verify
from cmip7_twins import Renamed, renamed, twin, words_of
from real_datasets import DATASETS

import catalogue as cli
from cmip6zarr.catalogue.build import build, write
from cmip6zarr.catalogue.esm import read_catalogue
from cmip6zarr.job import receipts

PAIR = "MIP-DRS7.CMIP7.CMIP.MOHC.UKESM1-0-LL.1pctCO2.r1i1p1f3.glb.mon.tas.tavg-h2m-hxy-u.g99.v20260123"
MOST_FILES = 8
"""Of a dataset: what more of them would show, the originals have shown."""

NAMES = {
    *(
        "Amon.o3",
        "Amon.pr",
        "Amon.rlds",
        "Amon.rlus",
        "Amon.ta",
        "Amon.tas",
        "AERmon.o3",
        "SImon.siconc",
        "Amon.tasmax",
    ),
    *("Omon.tos", "Omon.msftmz", "Ofx.areacello", "Lmon.gpp", "fx.areacella"),
}
"""Of the real datasets' variables, those that the table maps."""


def convert(dataset: str, listed: Path, results: Path, **policy) -> int:
    """Take a dataset of a catalogue through inventory, convert and verify; return the exit code of the inventory."""
    code = run_inventory(dataset, listed, results, **policy)
    if code == 0:
        assert run_convert(results, results / "s.zarr", dataset=dataset) == 0
        assert run_verify(results, dataset=dataset) == 0
    return code


@pytest.mark.parametrize("how", ["tree", "mapfile"])
def test_pair_of_esgf_converts(real_cmip7, tmp_path, how):
    """Of a tree, and of its mapfile with sizes and checksums taken out: those are of files that were not cut."""
    if how == "tree":
        argv = [str(real_cmip7)]
    else:
        [published] = real_cmip7.glob("*.map")
        lines = [" | ".join(line.split(" | ")[:2]) for line in published.read_text().splitlines()]
        (tmp_path / "x.map").write_text("\n".join(lines))
        argv = ["--mapfiles", str(tmp_path / "x.map"), "--moved", f"$TEST_DATA={real_cmip7}"]
    assert cli.main(["build", *argv, "--out", str(tmp_path / "x.json")]) == 0
    assert convert(PAIR, tmp_path / "x.json", tmp_path) == 0
    assert len(receipts.read(tmp_path, "inventory", PAIR)["files"]) == 2


@pytest.mark.parametrize("sizes", [True, False])
def test_pair_of_esgf_through_its_own_mapfile(real_cmip7, tmp_path, sizes):
    """Its sizes are of files that were not cut, its checksums of those that are here.

    So by its sizes the pair is refused, before it is read; without them it is what was published.
    """
    [published] = real_cmip7.glob("*.map")
    text = published.read_text()
    (tmp_path / "x.map").write_text(text if sizes else text.replace(" | 134894358", ""))
    argv = ["--mapfiles", str(tmp_path / "x.map"), "--moved", f"$TEST_DATA={real_cmip7}"]
    assert cli.main(["build", *argv, "--out", str(tmp_path / "x.json")]) == 0
    assert convert(PAIR, tmp_path / "x.json", tmp_path) == (3 if sizes else 0)
    if sizes:
        record = receipts.read(tmp_path, "failed", PAIR)
        assert (record["class"], record["kind"]) == ("refused", "checksum")
        assert "_185001-185002.nc: found 121013 bytes, expected 134894358 as published" in record["message"]
        assert "c251811ba162f72fb8d84736565c97205d70f307ad994fc2824dfec526156060" in record["message"]
    else:
        assert receipts.read(tmp_path, "verify", PAIR)["files_as_published"] == 2


@pytest.fixture(scope="session")
def table(real_cmip7):
    return renamed(real_cmip7)


def key_of(real) -> str:
    words = real.id.split(".")
    return f"{words[6]}.{words[7]}"


MAPPED = [real for real in DATASETS if key_of(real) in NAMES]


def test_all_that_the_table_maps_has_a_twin(table):
    assert {key_of(real) for real in DATASETS} & table.keys() == NAMES
    assert len(MAPPED) == 37


@pytest.mark.filterwarnings("ignore:variable .* has multiple fill values")
@pytest.mark.parametrize("real", MAPPED, ids=lambda real: real.id)
def test_twin_is_as_its_original(real, table, real_data, tmp_path):
    """It converts, or is refused for the same reason."""
    said = table[key_of(real)]
    facets = words_of(real.id, said)
    sources = sorted((real_data / real.folder).glob(real.files))
    for source in sources if real.refused else sources[:MOST_FILES]:
        twin(source, tmp_path / "nc", facets, said, real.id.split(".")[7])
    rows, aside = build([tmp_path / "nc"])
    write(rows, tmp_path / "x.json")
    assert aside == {}
    [dataset] = read_catalogue(tmp_path / "x.json").datasets
    assert dataset == ".".join(facets.values())
    code = convert(dataset, tmp_path / "x.json", tmp_path / "results")
    assert code == (3 if real.refused else 0)
    if real.refused:
        assert f"policy.{real.refused}" in receipts.read(tmp_path / "results", "failed", dataset)["remedy"]


def test_mean_maximum_and_minimum_stay_three(table, real_data, tmp_path):
    """Three datasets of tree and catalogue; put into one row, they are refused with both values."""
    real = next(real for real in DATASETS if real.folder.startswith("CMIP6/CMIP/MPI-M/ICON"))
    [source] = (real_data / real.folder).glob("*.nc")
    paths = []
    for variable in ("tas", "tasmax", "tasmin"):
        said = table[f"Amon.{variable}"]
        paths.append(twin(source, tmp_path / "nc", words_of(real.id, said), said, "tas"))
    rows, _ = build([tmp_path / "nc"])
    write(rows, tmp_path / "x.json")
    datasets = read_catalogue(tmp_path / "x.json").datasets
    suffixes = [row.facets["branding_suffix"] for row in datasets.values()]
    assert suffixes == ["tavg-h2m-hxy-u", "tmaxavg-h2m-hxy-u", "tminavg-h2m-hxy-u"]
    assert {row.facets["variable_id"] for row in datasets.values()} == {"tas"}
    dataset, first = next(iter(datasets.items()))
    write(rows.with_columns(branding_suffix=pl.lit(first.facets["branding_suffix"])), tmp_path / "one.json")
    with netCDF4.Dataset(paths[1], "a") as nc:
        nc["time"][:] = nc["time"][:] + 31
    assert run_inventory(dataset, tmp_path / "one.json", tmp_path / "one") == 3
    message = receipts.read(tmp_path / "one", "failed", dataset)["message"]
    assert "branding_suffix is 'tm" in message
    assert "expected 'tavg-h2m-hxy-u'" in message or "expected 'tmin" in message


def made(root: Path, branding: str, frequency: str = "mon", member: str = "r1i1p1f1", **how) -> tuple[list[Path], str]:
    """Write made-up files of CMIP7 below `root`, and return them and the id of their dataset."""
    said = Renamed("tas", branding, "glb", frequency, "atmos")
    facets = words_of(dataset_id(), said) | {"variant_label": member}
    paths = [twin(path, root / "nc", facets, said) for path in make_dataset(root / "old", **how)]
    return paths, ".".join(facets.values())


def listed(root: Path, left_out: list[Path]) -> Path:
    """Return the catalogue of the files below `root` but some."""
    for path in left_out:
        path.unlink()
    rows, aside = build([root / "nc"])
    assert aside == {}
    write(rows, root / "x.json")
    return root / "x.json"


@pytest.mark.parametrize(
    ("branding", "frequency", "refused"),
    [("tavg-h2m-hxy-u", "mon", True), ("tclm-h2m-hxy-u", "mon", False), ("tclmdc-h2m-hxy-u", "1hr", False)],
)
def test_steps_of_a_climatology_do_not_follow(tmp_path, branding, frequency, refused):
    """Its id says that it is one; of a mean the same steps have a gap."""
    paths, dataset = made(tmp_path, branding, frequency)
    code = convert(dataset, listed(tmp_path, [paths[1]]), tmp_path)
    assert code == (3 if refused else 0)
    if refused:
        assert "policy.gap" in receipts.read(tmp_path, "failed", dataset)["remedy"]


def test_steps_within_an_hour_only_increase(tmp_path):
    """`subhr` says of no step how long it is: 20 minutes here, an hour left out."""
    paths, dataset = made(tmp_path, "tpt-h2m-hs-u", "subhr", files=1, steps=6)
    with netCDF4.Dataset(paths[0], "a") as nc:
        nc["time"][:] = np.array([0, 20, 40, 60, 140, 160]) / 1440
    assert convert(dataset, listed(tmp_path, []), tmp_path) == 0


def test_decadal_prediction(tmp_path):
    """The start stands in the second index of the member, and is the column `dcpp_init_year` of the catalogue."""
    _, dataset = made(tmp_path, "tavg-h2m-hxy-u", member="r1i196011ap1f1")
    rows, _ = build([tmp_path / "nc"])
    assert set(rows["dcpp_init_year"]) == {1960}
    assert convert(dataset, listed(tmp_path, []), tmp_path) == 0


@pytest.mark.parametrize(
    ("calendar", "units", "start"),
    [
        ("noleap", "days since -6000-01-01", -7850 * 12),
        ("360_day", "days since -21000-01-01", -22850 * 12),
        ("proleptic_gregorian", "days since 0000-01-01", -1851 * 12),
    ],
)
def test_time_of_the_past(tmp_path, calendar, units, start):
    """Years before the first, which no datetime64 of nanoseconds has."""
    _, dataset = made(tmp_path, "tavg-h2m-hxy-u", calendar=calendar, units=units, start=start)
    assert convert(dataset, listed(tmp_path, []), tmp_path) == 0
    assert receipts.read(tmp_path, "inventory", dataset)["time"]["start"].startswith("-")
