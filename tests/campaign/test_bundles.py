"""Many datasets in one job: each by itself, and only what is left to do."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import chain
import pytest
import xarray as xr
from builders import dataset_id, make_catalogue, make_dataset
from hypothesis import given
from hypothesis import strategies as st
from repository import REPOSITORY

import bundle as script
from cmip6zarr.campaign import bundles
from cmip6zarr.catalogue import drs, esm
from cmip6zarr.catalogue.dataset import Dataset, hand_over
from cmip6zarr.job import cli, in_progress, receipts

NAMES = [dataset_id(source_id=f"MODEL-{letter}") for letter in "ABCD"]
RULES = ("inventory", "convert", "verify", "size_report")


def configuration(**change):
    """Return a configuration with bundles of three."""
    return chain.configuration(**{"bundle": {"datasets": 3, "gib": 1}} | change)


def made(folder):
    """Return the configuration of a catalogue of three datasets, all in a folder."""
    for name in NAMES[:3]:
        make_dataset(folder / "data", files=2, steps=3, source_id=name.split(".")[3])
    listed = make_catalogue(folder / "data", folder / "catalogue.json")
    places = {"catalogue": str(listed), "results": str(folder / "results"), "store_root": str(folder / "stores")}
    return configuration(**places)


@pytest.fixture
def campaign(tmp_path):
    """The configuration of a catalogue of three datasets."""
    return made(tmp_path)


def the_bundle(config):
    """Return the one bundle of a configuration's catalogue, and hand it over as the controller does."""
    rows = esm.read_catalogue(config["catalogue"]).datasets
    (one,) = bundles.bundles(rows, config)
    hand_over(config["results"], rows.values())
    bundles.hand_over(config["results"], [one])
    return one


def run(config, name=None, attempt=1):
    """Run bundle.py as a process; return its exit code and what it said of each dataset."""
    command = [sys.executable, REPOSITORY / "scripts" / "bundle.py", name or the_bundle(config).id]
    command += ["--results", config["results"], "--config", json.dumps(config), "--attempt", attempt]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    return done.returncode, dict(line.split(": ")[::-1] for line in done.stdout.splitlines()), done.stderr


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A configuration, and what `run` returned of its bundle; beside its results and stores lie copies of both."""
    config = made(tmp_path_factory.mktemp("first"))
    said = run(config)
    for key in ("results", "store_root"):
        shutil.copytree(config[key], f"{config[key]}.copy")
    return config, said


@pytest.fixture
def finished(first_run):
    """The configuration of a catalogue whose bundle has been run once."""
    config, _ = first_run
    for key in ("results", "store_root"):
        shutil.rmtree(config[key])
        shutil.copytree(f"{config[key]}.copy", config[key])
    return config


def written(config):
    """Return when each receipt was written."""
    return {path: path.stat().st_mtime_ns for rule in RULES for path in Path(config["results"], rule).glob("*.json")}


def test_every_dataset_is_verified_with_receipts_of_its_own(first_run, finished):
    """A bundle leaves for each dataset what the rules leave, stores that open, and its own receipt last."""
    assert first_run[1] == (0, dict.fromkeys(NAMES[:3], "verified"), "")
    assert len(written(finished)) == 3 * 4
    receipt = receipts.read(finished["results"], "bundle", the_bundle(finished).id)
    assert receipt["datasets"] == dict.fromkeys(NAMES[:3], "verified")
    for name in NAMES[:3]:
        with xr.open_zarr(Path(finished["store_root"], drs.store_folder(name))) as store:
            assert store["tas"].shape == (6, 3, 4)


def test_second_run_does_nothing(finished, monkeypatch):
    """Receipts that hold are not written again, and no process is started to find that out."""
    before = written(finished)
    monkeypatch.setattr(multiprocessing, "get_context", None)
    words = [the_bundle(finished).id, "--results", finished["results"], "--config", json.dumps(finished)]
    assert script.main(words) == 0
    assert written(finished) == before
    receipts.path_of(finished["results"], "size_report", NAMES[0]).unlink()
    with pytest.raises(TypeError):  # where a receipt is missing, a process would be started
        script.main(words)


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


def test_native_is_copied_and_proven_by_streams_in_a_bundle(campaign):
    """Preset native and its proof go through a bundle as others do; another proof is made without converting again."""
    config = campaign | {"codec": "native", "verify": "streams", "chunks": {"time": 1}}
    assert run(config) == (0, dict.fromkeys(NAMES[:3], "verified"), "")
    before = written(config)
    for name in NAMES[:3]:
        converted, proven, sized = (receipts.read(config["results"], rule, name) for rule in RULES[1:])
        assert (converted["reader"]["tas"], proven["mode"], proven["sealed"]) == ("copied", "streams", True)
        assert (sized["verified"], sized["arrays"]["tas"]["copied"]) == ("streams", True)
    assert run(config | {"verify": "full"})[0] == 0
    again = {path.parent.name for path, time in written(config).items() if before[path] != time}
    assert again == {"verify", "size_report"}
    assert receipts.read(config["results"], "verify", NAMES[0])["mode"] == "full"


def test_refusal_is_an_answer(campaign, tmp_path):
    """A refused dataset does not fail its bundle, and is not asked again."""
    broken = next((tmp_path / "data").glob("**/MODEL-B/**/*.nc"))
    broken.write_text("no NetCDF")
    assert run(campaign)[:2] == (0, dict.fromkeys(NAMES[:3], "verified") | {NAMES[1]: "refused"})
    record = receipts.path_of(campaign["results"], "failed", NAMES[1])
    before = record.stat().st_mtime_ns
    assert run(campaign)[0] == 0
    assert record.stat().st_mtime_ns == before
    assert run(campaign | {"rerun": "refused"})[0] == 0
    assert record.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"codec": "fast"}, ("convert", "verify", "size_report")),
        ({"chunk_mib": 1}, ("convert", "verify", "size_report")),
        ({"verify": "checksums"}, ("verify", "size_report")),
        ({"memory_mib": 512, "threads": 2}, ()),
    ],
)
def test_only_what_is_asked_anew_is_done_again(finished, change, again):
    """Another codec converts again, another way to verify verifies again, other memory or threads do nothing."""
    before = written(finished)
    assert run(finished | change)[0] == 0
    touched = {path.parent.name for path, time in written(finished).items() if before[path] != time}
    assert touched == set(again)


@pytest.fixture
def arguments(campaign):
    """What bundle.py is told of the campaign's bundle."""
    return script.parse([the_bundle(campaign).id, "--results", campaign["results"], "--config", json.dumps(campaign)])


def end_by(number):
    """Return what stands in for the work on a dataset: a convert that has begun and is ended by a signal."""

    def take(row, todo, results):
        words = dict(todo)["convert"]
        in_progress.begin(results, "convert", row.id, words[words.index("--bundle") + 1])
        os.kill(os.getpid(), number)

    return take


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (signal.SIGKILL, "memory", "SIGKILL, which is what comes of too little memory."),
        (signal.SIGUSR1, "bug", "SIGUSR1."),
    ],
)
def test_process_that_is_killed_is_recorded(arguments, monkeypatch, number, kind, said):
    """A dataset whose process dies is a failure with rule and signal in its record; the next try does not skip it."""
    monkeypatch.setattr(script, "take", end_by(number))
    assert script.outcome(Dataset(NAMES[0], ("a.nc",)), arguments) == "failed"
    record = receipts.read(arguments.results, "failed", NAMES[0])
    assert (record["rule"], record["class"]) == ("convert", kind)
    assert record["message"] == f"The process of convert was ended by {said}"
    assert in_progress.settle(arguments.results, {NAMES[0]}) == []
    again = cli.parser("", "size_report").parse_args([NAMES[0], "--results", arguments.results, "--attempt", "2"])
    assert cli.answer("convert", again) is None


def test_job_that_is_asked_to_end_leaves_its_note(arguments, monkeypatch):
    """When all of a job is ended nothing is said of the dataset at work: its note is there for the campaign."""
    monkeypatch.setattr(script, "take", end_by(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        script.outcome(Dataset(NAMES[0], ("a.nc",)), arguments)
    assert ended.value.code == 1
    assert receipts.read(arguments.results, "running", NAMES[0])["bundle"] == arguments.bundle
    assert not receipts.path_of(arguments.results, "failed", NAMES[0]).exists()


def test_next_try_does_not_ask_again_what_was_answered(campaign):
    """After an answer for good another try of the job leaves the dataset alone, and another run does not."""
    broken = campaign | {"memory_mib": 1}
    assert run(broken)[1] == dict.fromkeys(NAMES[:3], "failed")
    log = Path(campaign["results"], "logs", "convert", f"{NAMES[0]}.log")
    assert "is not tried again" not in log.read_text()
    assert run(campaign, attempt=2)[1] == dict.fromkeys(NAMES[:3], "failed")
    assert "is not tried again" in log.read_text()
    assert run(campaign)[0] == 0


def test_rerun_of_a_class_of_failure(campaign):
    """`rerun` with a class works on the datasets that have failed so, and leaves the others of the bundle alone."""
    ours = Path(campaign["store_root"], drs.store_folder(NAMES[1]))
    ours.mkdir(parents=True)
    run(campaign)
    receipts.path_of(campaign["results"], "verify", NAMES[0]).unlink()
    assert run(campaign | {"rerun": "memory"})[:2] == (0, {})
    ours.rmdir()
    assert run(campaign | {"rerun": "store"})[:2] == (0, {NAMES[1]: "verified"})
    assert not receipts.path_of(campaign["results"], "verify", NAMES[0]).exists()


def test_bundle_of_another_catalogue_is_told(campaign):
    """An id that was not handed over, or of other datasets, is an error, and nothing is written."""
    code, outcomes, said = run(campaign, "000000-0123456789ab")
    assert (code, outcomes) == (1, {})
    assert "not the file of a bundle" in said
    assert not Path(campaign["results"]).exists()
    bundle = the_bundle(campaign)
    hand_over(campaign["results"], [Dataset(NAMES[0], ("/other.nc",))])
    code, outcomes, said = run(campaign, bundle.id)
    assert (code, outcomes) == (1, {})
    assert "catalogue: found other datasets" in said
    assert "another configuration" in run(campaign | {"codec": "fast"}, bundle.id)[2]
    assert written(campaign) == {}


ROWS = st.lists(st.tuples(st.integers(1, 12), st.none() | st.integers(0, 2**31)), max_size=30)


@given(ROWS, st.integers(1, 6), st.floats(0.1, 1.5))
def test_bundles_hold_every_dataset_once_and_few_bytes(sizes, most, gib):
    """Every dataset is in one bundle, in order; a bundle has few datasets, and few bytes unless it has one dataset."""
    rows = {}
    for i, (files, source_bytes) in enumerate(sizes):
        rows[f"d{i}"] = Dataset(f"{'x.' * 9}d{i}", tuple(map(str, range(files))), source_bytes)
    made = bundles.bundles(rows, configuration(bundle={"datasets": most, "gib": gib}))
    assert [name for bundle in made for name in bundle.datasets] == [row.id for row in rows.values()]
    weights = {row.id: row.source_bytes for row in rows.values()}
    weights |= {row.id: len(row.files) * 100 * 2**20 for row in rows.values() if row.source_bytes is None}
    for bundle in made:
        assert len(bundle.datasets) <= most
        assert bundle.source_bytes == sum(weights[name] for name in bundle.datasets)
        assert bundle.source_bytes <= gib * 2**30 or len(bundle.datasets) == 1
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
