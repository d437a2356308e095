"""What is left to do: found from receipts, whatever was changed, and no more than a batch of it."""

import os
from pathlib import Path

import polars as pl
import pytest
from builders import dataset_id
from chain import configuration

from cmip6zarr import bundles, receipts, remaining
from cmip6zarr.catalogue import Dataset

NAMES = [dataset_id(source_id=f"MODEL-{letter}") for letter in "ABCDE"]
ROWS = {name: Dataset(name, ("a.nc", "b.nc")) for name in NAMES}
NO_BUNDLES = {"datasets": 0, "gib": 20}


@pytest.fixture
def config(tmp_path):
    """A configuration under which all of ROWS have been finished."""
    config = configuration(results=str(tmp_path), bundle=NO_BUNDLES)
    for row in ROWS.values():
        finish(config, row)
    return config


def finish(config, row, rules=remaining.RULES, **facts):
    """Leave the receipts of rules for a dataset, as if they had been run under this configuration."""
    asked = bundles.asked(config, row)
    for rule in rules:
        leave(config, rule, row.id, asked=asked.get(rule, {}), **facts)


def leave(config, rule, name, **facts):
    receipts.write(path(config, rule, name), {"dataset": name} | facts)


def path(config, rule, name):
    return receipts.path_of(config["results"], rule, name)


def left(config, rows=ROWS, **change):
    """Return the letters of the datasets that are left for this run, and the number of those left for later ones."""
    found = remaining.remaining(rows, config | change)
    return "".join(name.split(".")[3][-1] for name in found.datasets), found.later


def test_nothing_is_left_of_finished_datasets(config):
    """Datasets with receipts that say what is asked are finished; without receipts all are left."""
    assert left(config) == ("", 0)
    assert left(config | {"results": config["results"] + "/none"}) == ("ABCDE", 0)


@pytest.mark.parametrize(
    "change",
    [
        {"codec": "fast"},
        {"zarr_format": 2},
        {"chunks": {"time": 1}},
        {"chunk_mib": 16},
        {"shard_mib": 64},
        {"store_root": "elsewhere"},
        {"verify": "checksums"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_asked_anew_is_left(config, change):
    """Each option of which a store is made, or proven, leaves all datasets to do."""
    assert left(config, **change) == ("ABCDE", 0)


def test_raised_recipe_leaves_all(config, monkeypatch):
    """So does a new recipe."""
    monkeypatch.setattr(bundles, "RECIPE", bundles.RECIPE + 1)
    assert left(config) == ("ABCDE", 0)


def test_how_a_job_is_run_leaves_nothing(config):
    """Memory, threads, policy, bundles and numbers that are written in another way are no reason."""
    same = {"memory_mib": 512, "threads": 2, "scheduler": "threads", "policy": {"gap": "allow"}, "chunk_mib": 32.0}
    assert left(config, **same) == ("", 0)


def test_changed_row_is_left(config):
    """A dataset with another list of files is left, alone."""
    assert left(config, ROWS | {NAMES[1]: Dataset(NAMES[1], ("a.nc",))}) == ("B", 0)


@pytest.mark.parametrize("rule", remaining.RULES)
def test_receipt_that_is_gone_or_changed(config, rule):
    """A dataset one of whose receipts is gone, edited, cut off or another's is left, also when all was well before."""
    assert left(config) == ("", 0)
    path(config, rule, NAMES[0]).unlink()
    edited, cut, foreign = (path(config, rule, name) for name in NAMES[1:4])
    edited.write_text(edited.read_text().replace("MODEL-B", "MODEL-X"))
    cut.write_text(cut.read_text()[:-3])
    foreign.write_text(path(config, rule, NAMES[4]).read_text())
    for _ in range(2):  # as read, and as kept
        assert left(config) == ("ABCD", 0)
        assert set(remaining.remaining(ROWS, config).again) == {edited, cut, foreign}


@pytest.mark.parametrize(
    ("change", "rule"), [({"codec": "fast"}, "convert"), ({"verify": "checksums"}, "verify"), ({}, "inventory")]
)
def test_receipts_that_do_not_say_what_is_asked(config, change, rule):
    """They are made again, and no others, whoever has made them; bundles look for themselves."""
    rows = ROWS if change else ROWS | {NAMES[0]: Dataset(NAMES[0], ("a.nc",))}
    found = remaining.remaining(rows, config | change)
    assert found.again == tuple(path(config, rule, name) for name in (NAMES if change else NAMES[:1]))
    bundled = config | change | {"bundle": {"datasets": 2, "gib": 20}}
    assert remaining.remaining(rows, bundled).again == ()


def test_receipts_are_read_once(config, monkeypatch):
    """What was read is kept: only receipts that have changed since are read again."""
    left(config)
    table = Path(config["results"], remaining.TABLE)
    before = table.stat().st_mtime_ns
    read = []
    find = receipts.find
    monkeypatch.setattr(receipts, "find", lambda results, rule, name: read.append(name) or find(results, rule, name))
    assert left(config) == ("", 0)
    assert (read, table.stat().st_mtime_ns) == ([], before)
    finish(config, ROWS[NAMES[2]], note="again")
    assert left(config) == ("", 0)
    assert set(read) == {NAMES[2]}


@pytest.mark.parametrize("content", [b"", b"PAR1 no more", None], ids=["empty", "cut", "other"])
def test_table_that_cannot_be_used_is_made_again(config, content):
    """A table that is damaged, or of another version, is no reason to do anything again."""
    table = Path(config["results"], remaining.TABLE)
    if content is None:
        pl.DataFrame({"dataset": NAMES}).write_parquet(table)
    else:
        table.write_bytes(content)
    assert left(config) == ("", 0)
    assert pl.read_parquet(table).schema == remaining.SCHEMA


def test_batch_takes_the_next_ones(config):
    """A run takes so many; when they are done the next run takes the next, and those that failed come last."""
    for name in NAMES:
        path(config, "size_report", name).unlink()
    assert left(config, batch=2) == ("AB", 3)
    finish(config, ROWS[NAMES[1]])
    leave(config, "failed", NAMES[0], **{"class": "memory"})
    assert left(config, batch=2) == ("CD", 2)
    assert left(config, batch=4) == ("CDEA", 0)
    assert left(config, batch=2, rerun="memory") == ("A", 0)
    assert left(config, batch=2, rerun="node") == ("", 0)


def test_refused_datasets_are_left_alone(config):
    """A refusal is an answer, unless it is asked for again, or the policy is another."""
    path(config, "inventory", NAMES[0]).unlink()
    leave(config, "failed", NAMES[0], row=ROWS[NAMES[0]].digest, policy={}, **{"class": "refused"})
    assert left(config) == ("", 0)
    assert left(config, rerun="refused") == left(config, policy={"gap": "allow"}) == ("A", 0)


def test_bundles_with_work_are_left(config):
    """A bundle is done again if one of its datasets is left, and its own receipt is void; others stay out."""
    Path(config["results"], remaining.MARK).touch()
    bundled = config | {"bundle": {"datasets": 2, "gib": 20}}
    assert remaining.remaining(ROWS, bundled) == remaining.Remaining()
    for name in NAMES[2:]:
        path(config, "verify", name).unlink()
    _, second, third = bundles.bundles(ROWS, bundled)
    found = remaining.remaining(ROWS, bundled)
    assert (found.datasets, found.bundles, found.later) == ((), (second, third), 0)
    ends = (Path(config["results"], remaining.MARK), Path(config["results"], "campaign.done"))
    assert found.marks == (path(config, "bundle", second.id), path(config, "bundle", third.id), *ends)
    found = remaining.remaining(ROWS, bundled | {"batch": 1})
    assert (found.bundles, found.later) == ((second,), 1)


def test_mark_that_is_older_than_a_receipt_is_void(config):
    """The tables are made again where a run was killed between the last receipt and them."""
    mark = Path(config["results"], remaining.MARK)
    mark.touch()
    assert remaining.remaining(ROWS, config).marks == ()
    youngest = max(path(config, "size_report", name).stat().st_mtime_ns for name in NAMES)
    os.utime(mark, ns=(youngest - 1, youngest - 1))
    ends = (mark, mark.with_name("campaign.done"))
    assert remaining.remaining(ROWS, config).marks == ends
    mark.unlink()
    assert remaining.remaining(ROWS, config).marks == ends
