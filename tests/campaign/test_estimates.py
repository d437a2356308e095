"""What a campaign will take: the plans that convert would make, sums of a sample, limits told before they are met."""

import json
import os
from pathlib import Path

import pytest
from builders import dataset_id, make_catalogue, make_dataset
from chain import configuration, run_convert, run_inventory

import plan as script
from cmip6zarr.campaign import bundles, estimates, forecast
from cmip6zarr.catalogue import drs, esm
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import receipts, request, slurm

NAMES = [dataset_id(source_id=f"MODEL-{letter}") for letter in "ABC"]


@pytest.fixture
def campaign(tmp_path):
    """The configuration of a catalogue of three datasets, and its rows."""
    for name in NAMES:
        make_dataset(tmp_path / "data", files=2, steps=3, source_id=name.split(".")[3])
    listed = make_catalogue(tmp_path / "data", tmp_path / "catalogue.json")
    places = {"catalogue": str(listed), "results": str(tmp_path / "results"), "store_root": str(tmp_path / "stores")}
    config = configuration(**places, bundle={"datasets": 0, "gib": 20})
    return config, esm.read_catalogue(listed).datasets


def told(capsys, config, **change):
    """Run plan.py; return what it printed."""
    assert script.main(["--config", json.dumps(config | change)]) == 0
    return capsys.readouterr().out


def source_bytes(row):
    return sum(Path(path).stat().st_size for path in row.files)


def inventory(config, name, **policy):
    assert run_inventory(name, config["catalogue"], config["results"], **policy) == 0


def test_stores_in_a_bucket_have_uploads_in_their_plan_and_no_disk(campaign, capsys, monkeypatch):
    """The plan is that of convert for a bucket; no file system is asked for the room of what does not lie on it."""
    config, rows = campaign
    inventory(config, NAMES[0])

    def asked(_):
        raise AssertionError("a file system was asked")

    bucket = config | {"store_root": "s3://bucket/stores"}
    here, there = (estimates.look(rows[NAMES[0]], each, estimates.assumed(each)) for each in (config, bucket))
    assert there.planned_bytes > here.planned_bytes
    monkeypatch.setattr(os, "statvfs", asked)
    assert "under s3://bucket/stores" in told(capsys, bucket)
    with pytest.raises(AssertionError, match="was asked"):
        told(capsys, config)


def test_objects_are_those_that_convert_writes(campaign, tmp_path):
    """With an inventory objects and memory are what convert plans and writes, for both formats."""
    config, rows = campaign
    inventory(config, NAMES[0])
    for zarr_format in (2, 3):
        store = tmp_path / f"v{zarr_format}.zarr"
        assert run_convert(config["results"], store, "--zarr-format", zarr_format, dataset=NAMES[0]) == 0
        made = receipts.read(config["results"], "convert", NAMES[0])
        asked = config | {"zarr_format": zarr_format}
        seen = estimates.look(rows[NAMES[0]], asked, estimates.assumed(asked))
        there = list(tmp_path.glob(f"v{zarr_format}.zarr/**/*"))
        assert seen.objects == made["objects"] == sum(path.is_file() for path in there)
        beside = list(tmp_path.glob(f"v{zarr_format}.zarr.*"))
        assert seen.inodes == len(there) + 1 + len(beside)
        assert seen.planned_bytes // 2**20 == made["planned_mib"]
        assert (seen.by_inventory, seen.source_bytes) == (True, source_bytes(rows[NAMES[0]]))


def test_without_inventory_sizes_of_files_are_all_there_is(campaign):
    """Then objects are guessed from bytes; where chunks have a length in steps nobody knows, and it is said."""
    config, rows = campaign
    figures = estimates.assumed(config)
    seen = estimates.look(rows[NAMES[0]], config, figures)
    assert (seen.by_inventory, seen.source_bytes) == (False, source_bytes(rows[NAMES[0]]))
    assert seen.raw_bytes == round(2.5 * seen.source_bytes)
    assert seen.objects == 1 + estimates.OTHER_ARRAYS + 8
    assert estimates.look(rows[NAMES[0]], config | {"chunks": {"time": 1}}, figures).objects is None


def test_inventory_of_other_files_counts_for_nothing(campaign):
    """An inventory of what the row was before is not taken."""
    config, rows = campaign
    inventory(config, NAMES[0])
    row = Dataset(NAMES[0], rows[NAMES[0]].files[:1])
    assert estimates.look(row, config, estimates.assumed(config)).by_inventory is False


def test_what_would_fail_is_said(campaign, capsys):
    """A plan that cannot be made is told before anything runs; so are files that are not there."""
    config, rows = campaign
    inventory(config, NAMES[0])
    Path(rows[NAMES[1]].files[0]).unlink()
    said = told(capsys, config, memory_mib=64)
    assert f"WARNING: {NAMES[0]} cannot be converted: " in said
    assert "raise memory_mib to" in said
    assert f"WARNING: 1 of 6 files are not there, such as {rows[NAMES[1]].files[0]}:" in said
    assert "cannot be converted" not in told(capsys, config)


def test_fields_that_native_would_copy_are_told(campaign, capsys):
    """With preset native the plan names the fields that would be compressed anew, each with the reason."""
    config, _ = campaign
    for name in NAMES[:2]:
        inventory(config, name)
    said = told(capsys, config, codec="native", chunks={"time": 2})
    assert "copied as they are   2 of the 2 fields of datasets with inventories" in said
    make_dataset(
        Path(config["catalogue"]).parent / "data", files=2, steps=3, source_id="MODEL-B", filters={}, chunks=(1, 3, 4)
    )
    inventory(config, NAMES[1])
    said = told(capsys, config, codec="native")
    assert "copied as they are   1 of the 2 fields" in said
    assert f"compressed anew      tas of {NAMES[1]}: its filters are none" in said
    assert "copied as they are" not in told(capsys, config)


def test_a_sample_stands_for_all(campaign, monkeypatch):
    """Where not all datasets are looked at, sums are those of the sample, file by file."""
    config, rows = campaign
    figures = estimates.assumed(config)
    all_of_them = forecast.forecast(list(rows.values()), [], config, {None: figures})
    monkeypatch.setattr(estimates, "MOST_LOOKED_AT", 2)
    some = forecast.forecast(list(rows.values()), [], config, {None: figures})
    assert (all_of_them.looked_at, some.looked_at, some.datasets, some.files) == (3, 2, 3, 6)
    assert some.source_bytes == pytest.approx(all_of_them.source_bytes, rel=0.01)
    assert some.objects == all_of_them.objects
    assert sum(some.jobs.values()) == 12


def test_jobs_are_those_of_bundles(campaign):
    """With bundles there are as many jobs as bundles, and the start of each dataset costs less."""
    config, rows = campaign
    alone = forecast.forecast(list(rows.values()), [], config, {None: estimates.assumed(config)})
    bundled = config | {"bundle": {"datasets": 2, "gib": 20}}
    some = bundles.bundles(rows, bundled)
    together = forecast.forecast(list(rows.values()), some, bundled, {None: estimates.assumed(bundled)})
    assert together.jobs == {("bundle", slurm.memory_mb("bundle", 1024), "short"): 2}
    assert {job.rule for job in alone.jobs} == {"inventory", "convert", "verify", "size_report"}
    assert alone.cpu_hours > 4 * together.cpu_hours


def test_each_entry_of_settings_is_told_and_reckoned_with(campaign, capsys):
    """What each entry makes of how many datasets is told, and bytes, memory and jobs are those of its settings."""
    config, rows = campaign
    for name in NAMES:
        inventory(config, name)
    own = {"codec": "small", "memory_mib": 4096, "chunks": {"time": 1}}
    entries = [{"select": {"source_id": "MODEL-A"}, **own}]
    said = told(capsys, config, settings=entries)
    assert "1 of source_id: MODEL-A: Zarr v3, small, chunks time: 1, verify full, 4096 MiB of memory\n" in said
    assert "2 of others: Zarr v3, balanced, chunks of 32 MiB, verify full, 1024 MiB of memory\n" in said
    assert said.count("Reckoned by") == 2
    figures = {None: estimates.assumed(config), 0: estimates.assumed(config | own)}
    by_entry = forecast.forecast(list(rows.values()), [], config | {"settings": entries}, figures)
    whole = [
        forecast.forecast(list(rows.values()), [], c, {None: estimates.assumed(c)}) for c in (config, config | own)
    ]
    assert by_entry.stored_bytes == pytest.approx((2 * whole[0].stored_bytes + whole[1].stored_bytes) / 3)
    assert by_entry.objects == pytest.approx((2 * whole[0].objects + whole[1].objects) / 3)
    assert by_entry.cpu_hours == pytest.approx((2 * whole[0].cpu_hours + whole[1].cpu_hours) / 3)
    converting = {job.mem_mb: number for job, number in by_entry.jobs.items() if job.rule == "convert"}
    assert sorted(converting.values()) == [1, 2]
    assert max(converting) - min(converting) == 4096 - 1024
    bundled = config | {"settings": entries, "bundle": {"datasets": 2, "gib": 20}}
    some = forecast.forecast(list(rows.values()), bundles.bundles(rows, bundled), bundled, figures)
    assert sorted(job.mem_mb for job in some.jobs) == [slurm.memory_mb("bundle", most) for most in (1024, 4096)]


def finish(config, row, **facts):
    for rule in ("inventory", "convert", "verify", "size_report"):
        asked = {"dataset": row.id, "asked": request.asked(config, row).get(rule, {}), "cpu_seconds": 10.0}
        receipts.write(receipts.path_of(config["results"], rule, row.id), asked | facts)
    root = Path(drs.store_place(config["store_root"], row.id), "zarr.json")
    root.parent.mkdir(parents=True)
    root.touch()


def test_own_receipts_replace_the_benchmark(campaign):
    """Bytes and CPU seconds come from finished datasets, once there are enough."""
    config, _ = campaign
    rows = [Dataset(dataset_id(member_id=f"r{i}i1p1f1"), ("a.nc",)) for i in range(estimates.LEAST_FINISHED)]
    for row in rows:
        finish(config, row, netcdf_bytes=1000, raw_bytes=4000, zarr_bytes=500)
    names = [row.id for row in rows]
    assert estimates.measured(config, names[:-1]) == estimates.assumed(config)
    figures = estimates.measured(config, names)
    assert (figures.raw_per_source, figures.stored_per_source) == (4, 0.5)
    assert figures.cpu_seconds(4000 * 20, 20) == pytest.approx(20 * 40)
    assert "20 finished datasets" in figures.source


def test_limits_are_warned_of(campaign, capsys, monkeypatch):
    """Each limit of a file system is met by some campaign, and told with what to do; a wider one is silent."""
    config, _ = campaign
    for name in NAMES:
        inventory(config, name)
    monkeypatch.setattr(forecast, "FOLDER_FILES", 2)
    said = told(capsys, config, chunks={"time": 1})
    assert "Each folder of receipts would hold 3 files, of at most 2" in said
    assert "a folder of its store would hold 6 files, of at most 2" in said
    assert "100% of the objects would be smaller than 64,000 bytes" in said
    monkeypatch.setattr(forecast, "FOLDER_FILES", 3)
    monkeypatch.setattr(estimates, "SMALL_FILE_BYTES", 1)
    assert "WARNING" not in told(capsys, config)


def test_room_on_the_disk_is_looked_at(campaign, capsys, monkeypatch):
    """Stores that the file system has no room for, in bytes or files, are told."""
    config, _ = campaign
    monkeypatch.setattr(estimates, "STORED_PER_SOURCE", dict.fromkeys(estimates.STORED_PER_SOURCE, 1e12))
    assert "has room for" in told(capsys, config)


def test_finished_datasets_are_not_counted(campaign, capsys):
    """Only what is left is planned; where all is done, that is all there is to say."""
    config, rows = campaign
    for row in list(rows.values())[:2]:
        finish(config, row)
    assert "1 datasets to do, of 3" in told(capsys, config)
    finish(config, rows[NAMES[2]])
    assert told(capsys, config) == "0 datasets to do, of 3; the others are finished or were refused.\n"
