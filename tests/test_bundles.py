"""Many datasets in one job: each by itself, and only what is left to do."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import chain
import pytest
import xarray as xr
from builders import dataset_id, make_catalogue, make_dataset
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

import bundle as script
from cmip6zarr import bundles, catalogue, drs, receipts
from cmip6zarr.catalogue import Dataset

NAMES = [dataset_id(source_id=f"MODEL-{letter}") for letter in "ABCD"]
RULES = ("inventory", "convert", "verify", "size_report")


def configuration(**change):
    """Return a configuration with bundles of three."""
    return chain.configuration(**{"bundle": {"datasets": 3, "files": 10}} | change)


@pytest.fixture
def campaign(tmp_path):
    """The configuration of a catalogue of three datasets."""
    for name in NAMES[:3]:
        make_dataset(tmp_path / "data", files=2, steps=3, source_id=name.split(".")[3])
    listed = make_catalogue(tmp_path / "data", tmp_path / "catalogue.json")
    places = {"catalogue": str(listed), "results": str(tmp_path / "results"), "store_root": str(tmp_path / "stores")}
    return configuration(**places)


def the_bundle(config):
    """Return the one bundle of a configuration's catalogue."""
    (one,) = bundles.bundles(catalogue.read_catalogue(config["catalogue"]).datasets, config)
    return one


def run(config, name=None):
    """Run bundle.py as a process; return its exit code and what it said of each dataset."""
    command = [sys.executable, REPOSITORY / "scripts" / "bundle.py", name or the_bundle(config).id]
    command += ["--results", config["results"], "--config", json.dumps(config)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    return done.returncode, dict(line.split(": ")[::-1] for line in done.stdout.splitlines()), done.stderr


def written(config):
    """Return when each receipt was written."""
    return {path: path.stat().st_mtime_ns for rule in RULES for path in Path(config["results"], rule).glob("*.json")}


def test_every_dataset_is_verified_with_receipts_of_its_own(campaign):
    """A bundle leaves for each dataset what the rules leave, stores that open, and its own receipt last."""
    assert run(campaign) == (0, dict.fromkeys(NAMES[:3], "verified"), "")
    assert len(written(campaign)) == 3 * 4
    receipt = receipts.read(campaign["results"], "bundle", the_bundle(campaign).id)
    assert receipt["datasets"] == dict.fromkeys(NAMES[:3], "verified")
    for name in NAMES[:3]:
        with xr.open_zarr(Path(campaign["store_root"], drs.store_folder(name))) as store:
            assert store["tas"].shape == (6, 3, 4)


def test_second_run_does_nothing(campaign):
    """Receipts that hold are not written again."""
    run(campaign)
    before = written(campaign)
    assert run(campaign)[0] == 0
    assert written(campaign) == before


def test_failing_dataset_leaves_its_neighbours_complete(campaign):
    """One dataset fails, the others are done; when it is mended, a new run does it alone."""
    ours = Path(campaign["store_root"], drs.store_folder(NAMES[1]))
    ours.mkdir(parents=True)  # none of ours, so convert must not touch it
    code, outcomes, said = run(campaign)
    assert (code, outcomes) == (1, dict.fromkeys(NAMES[:3], "verified") | {NAMES[1]: "failed"})
    assert "1 of 3 datasets failed" in said
    assert receipts.read(campaign["results"], "failed", NAMES[1])["class"] == "store"
    assert not receipts.path_of(campaign["results"], "bundle", the_bundle(campaign).id).exists()
    before = written(campaign)
    ours.rmdir()
    assert run(campaign)[0] == 0
    assert {path.stem for path, time in written(campaign).items() if before.get(path) != time} == {NAMES[1]}


def test_refusal_is_an_answer(campaign, tmp_path):
    """A refused dataset does not fail its bundle, and is not asked again."""
    broken = next((tmp_path / "data").glob("**/MODEL-B/**/*.nc"))
    broken.write_text("no NetCDF")
    assert run(campaign)[:2] == (0, dict.fromkeys(NAMES[:3], "verified") | {NAMES[1]: "refused"})
    record = receipts.path_of(campaign["results"], "failed", NAMES[1]).stat().st_mtime_ns
    assert run(campaign)[0] == 0
    assert receipts.path_of(campaign["results"], "failed", NAMES[1]).stat().st_mtime_ns == record


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"codec": "fast"}, ("convert", "verify", "size_report")),
        ({"chunk_mib": 1}, ("convert", "verify", "size_report")),
        ({"verify": "checksums"}, ("verify", "size_report")),
        ({"memory_mib": 512, "threads": 2, "scheduler": "threads"}, ()),
    ],
)
def test_only_what_is_asked_anew_is_done_again(campaign, change, again):
    """Another codec converts again, another way to verify verifies again, other memory or threads do nothing."""
    run(campaign)
    before = written(campaign)
    assert run(campaign | change)[0] == 0
    touched = {path.parent.name for path, time in written(campaign).items() if before[path] != time}
    assert touched == set(again)


def test_process_that_is_killed_takes_no_neighbour_along(campaign, monkeypatch):
    """A dataset whose process dies is a failure with the signal in its record; the others are done."""
    for number, kind in ((signal.SIGKILL, "memory"), (signal.SIGUSR1, "bug")):
        monkeypatch.setattr(script, "take", lambda *_, number=number: os.kill(os.getpid(), number))
        row = Dataset(NAMES[0], ("a.nc",))
        assert script.outcome(row, campaign, campaign["results"]) == "failed"
        record = receipts.read(campaign["results"], "failed", NAMES[0])
        assert (record["class"], record["message"]) == (kind, f"The process of the dataset was ended by {number.name}.")


def test_bundle_of_another_catalogue_is_told(campaign):
    """An id that is none of the catalogue's bundles is an error, and nothing is written."""
    code, outcomes, said = run(campaign, "000000-0123456789ab")
    assert (code, outcomes) == (1, {})
    assert "no bundle of" in said
    assert not Path(campaign["results"]).exists()


ROWS = st.lists(st.integers(1, 12), max_size=30)


@given(ROWS, st.integers(1, 6), st.integers(1, 15))
def test_bundles_hold_every_dataset_once_and_few_files(counts, most, most_files):
    """Every dataset is in one bundle, in order; a bundle has few datasets, and few files unless it has one dataset."""
    rows = {f"d{i}": Dataset(f"{'x.' * 9}d{i}", tuple(map(str, range(n)))) for i, n in enumerate(counts)}
    config = configuration(bundle={"datasets": most, "files": most_files})
    made = bundles.bundles(rows, config)
    assert [name for bundle in made for name in bundle.datasets] == [row.id for row in rows.values()]
    files = {row.id: len(row.files) for row in rows.values()}
    for bundle in made:
        assert len(bundle.datasets) <= most
        assert sum(files[name] for name in bundle.datasets) <= most_files or len(bundle.datasets) == 1
    assert len({bundle.id for bundle in made}) == len(made)


@pytest.mark.parametrize(
    "change", [{"codec": "fast"}, {"zarr_format": 2}, {"store_root": "x"}, {"policy": {"gap": "allow"}}]
)
def test_id_changes_with_what_is_asked(change):
    """Another configuration or another list of files is another bundle; other memory is not."""
    rows = {NAMES[0]: Dataset(NAMES[0], ("a.nc",))}
    one, same, other, longer = (
        bundles.bundles(files, configuration(**more))[0].id
        for files, more in (
            (rows, {}),
            (rows, {"memory_mib": 5000}),
            (rows, change),
            ({NAMES[0]: Dataset(NAMES[0], ("a.nc", "b.nc"))}, {}),
        )
    )
    assert one == same
    assert len({one, other, longer}) == 3
