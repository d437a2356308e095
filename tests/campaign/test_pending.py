"""What is left to do: found from receipts, whatever was changed, and no more than a batch of it."""

import os
from pathlib import Path

import polars as pl
import pytest
from builders import dataset_id
from chain import configuration
from inventories import make_file, make_inventory

from cmip6zarr.campaign import bundles, finished, outdated, pending
from cmip6zarr.catalogue import drs, row_files
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import receipts, request
from cmip6zarr.job.request import RULES
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import LeftOut

NAMES = [dataset_id(source_id=f"MODEL-{letter}") for letter in "ABCDE"]
ROWS = {name: Dataset(name, ("a.nc", "b.nc")) for name in NAMES}
NO_BUNDLES = {"datasets": 0, "gib": 20}


@pytest.fixture
def config(tmp_path):
    """A configuration under which all of ROWS have been finished."""
    config = configuration(results=str(tmp_path), store_root=str(tmp_path / "stores"), bundle=NO_BUNDLES)
    for row in ROWS.values():
        finish(config, row)
    return config


def finish(config, row, rules=RULES, **facts):
    """Leave the receipts of rules for a dataset, and a store, as if they had been run under this configuration."""
    asked = request.asked(config, row)
    root(config, row.id).parent.mkdir(parents=True, exist_ok=True)
    root(config, row.id).touch()
    for rule in rules:
        leave(config, rule, row.id, asked=asked.get(rule, {}), **facts)


def leave(config, rule, name, **facts):
    receipts.write(path(config, rule, name), {"dataset": name} | facts)


def leave_inventory(config, row, **fields):
    """Leave the receipt of an inventory that was asked for as it is now."""
    told = to_json(make_inventory(dataset=row.id, row=row.digest, **fields))
    leave(config, "inventory", row.id, **told | {"asked": request.asked(config, row)["inventory"]})


def root(config, name):
    """Return where the root metadata of a sealed store lie."""
    return Path(drs.store_place(config["store_root"], name), "zarr.json")


def mark(config):
    return Path(config["results"], pending.MARK)


def path(config, rule, name):
    return receipts.path_of(config["results"], rule, name)


def keep(config):
    table = pending.remaining(ROWS, config).table
    if table is not None:
        finished.keep(config["results"], table)


def left(config, rows=ROWS, **change):
    """Return the letters of the datasets that are left for this run, and the number of those left for later ones."""
    found = pending.remaining(rows, config | change)
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
    monkeypatch.setattr(request, "RECIPE", request.RECIPE + 1)
    assert left(config) == ("ABCDE", 0)


def test_how_a_job_is_run_leaves_nothing(config):
    """Memory, threads, policy, bundles and numbers that are written in another way are no reason."""
    same = {"memory_mib": 512, "threads": 2, "policy": {"gap": "allow"}, "chunk_mib": 32.0}
    assert left(config, **same) == ("", 0)


def test_changed_row_is_left(config):
    """A dataset with another list of files is left, alone."""
    assert left(config, ROWS | {NAMES[1]: Dataset(NAMES[1], ("a.nc",))}) == ("B", 0)


@pytest.mark.parametrize("rule", RULES)
def test_receipt_that_is_gone_or_changed(config, rule):
    """A dataset one of whose receipts is gone, edited, cut off or another's is left, also when all was well before."""
    assert left(config) == ("", 0)
    path(config, rule, NAMES[0]).unlink()
    edited, cut, foreign = (path(config, rule, name) for name in NAMES[1:4])
    edited.write_text(edited.read_text().replace("MODEL-B", "MODEL-X"))
    cut.write_text(cut.read_text()[:-3])
    foreign.write_text(path(config, rule, NAMES[4]).read_text())
    for _ in range(2):  # as read, and as kept
        keep(config)
        assert left(config) == ("ABCD", 0)
        assert set(pending.remaining(ROWS, config).again) == {edited, cut, foreign, mark(config)}


@pytest.mark.parametrize(
    ("change", "rule"), [({"codec": "fast"}, "convert"), ({"verify": "checksums"}, "verify"), ({}, "inventory")]
)
def test_receipts_that_do_not_say_what_is_asked(config, change, rule):
    """They are made again, and no others, whoever has made them; bundles look for themselves."""
    rows = ROWS if change else ROWS | {NAMES[0]: Dataset(NAMES[0], ("a.nc",))}
    found = pending.remaining(rows, config | change)
    untrue = [path(config, rule, name) for name in (NAMES if change else NAMES[:1])]
    assert found.again == (*untrue, mark(config))
    bundled = config | change | {"bundle": {"datasets": 2, "gib": 20}}
    assert not {path(config, rule, name) for name in NAMES} & set(pending.remaining(rows, bundled).again)


def test_receipts_are_read_once(config, monkeypatch):
    """What was read is kept: only receipts that have changed since are read again."""
    keep(config)
    table = Path(config["results"], finished.TABLE)
    before = table.stat().st_mtime_ns
    read = []
    find = receipts.find
    monkeypatch.setattr(receipts, "find", lambda results, rule, name: read.append(name) or find(results, rule, name))
    assert left(config) == ("", 0)
    assert (read, table.stat().st_mtime_ns) == ([], before)
    finish(config, ROWS[NAMES[2]], note="again")
    assert left(config) == ("", 0)
    assert set(read) == {NAMES[2]}


def test_receipts_of_many_datasets_are_read_by_processes(config, monkeypatch):
    """They say the same as where one process reads them, in the same order; none of them is this one."""
    path(config, "verify", NAMES[1]).write_text("{}")
    alone = finished.table(config["results"])[0]
    assert alone["made_of"].null_count() == 1
    monkeypatch.setattr(finished, "AT_ONCE", 2)
    monkeypatch.setattr(finished, "fingerprint", lambda _: str(os.getpid()))
    shared = finished.table(config["results"])[0]
    assert shared.drop("made_of").equals(alone.drop("made_of"))
    assert shared["made_of"].is_null().equals(alone["made_of"].is_null())
    assert str(os.getpid()) not in shared["made_of"]


@pytest.mark.parametrize("content", [b"", b"PAR1 no more", None], ids=["empty", "cut", "other"])
def test_table_that_cannot_be_used_is_made_again(config, content):
    """A table that is damaged, or of another version, is no reason to do anything again."""
    table = Path(config["results"], finished.TABLE)
    if content is None:
        pl.DataFrame({"dataset": NAMES}).write_parquet(table)
    else:
        table.write_bytes(content)
    assert left(config) == ("", 0)
    keep(config)
    assert pl.read_parquet(table).schema == finished.SCHEMA


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
    assert pending.remaining(ROWS, config | {"batch": 2}).unfinished == 2
    assert pending.remaining(ROWS, config | {"batch": 2, "rerun": "memory"}).unfinished == 3


def test_refused_datasets_are_left_alone(config):
    """A refusal is an answer, unless it is asked for again, or the policy is another."""
    path(config, "inventory", NAMES[0]).unlink()
    files = row_files.seen(ROWS[NAMES[0]].files)
    leave(config, "failed", NAMES[0], row=ROWS[NAMES[0]].digest, policy={}, files=files, **{"class": "refused"})
    assert left(config) == ("", 0)
    found = pending.remaining(ROWS, config)
    assert (found.unasked, found.unfinished) == ((NAMES[0],), 1)
    assert left(config, rerun="refused") == left(config, policy={"gap": "allow"}) == ("A", 0)


def test_bundles_with_work_are_left(config):
    """A bundle is done again if one of its datasets is left, and its own receipt is void; others stay out."""
    Path(config["results"], pending.MARK).touch()
    bundled = config | {"bundle": {"datasets": 2, "gib": 20}}
    assert pending.remaining(ROWS, bundled) == pending.Remaining()
    for name in NAMES[2:]:
        path(config, "verify", name).unlink()
    _, second, third = bundles.bundles(ROWS, bundled)
    found = pending.remaining(ROWS, bundled)
    assert (found.datasets, found.bundles, found.later) == ((), (second, third), 0)
    assert found.again == (path(config, "bundle", second.id), path(config, "bundle", third.id), mark(config))
    found = pending.remaining(ROWS, bundled | {"batch": 1})
    assert (found.bundles, found.later) == ((second,), 1)


def test_mark_that_is_older_than_a_receipt_is_void(config):
    """The tables are made again where a run was killed between the last receipt and them."""
    end = mark(config)
    end.touch()
    assert pending.remaining(ROWS, config).again == ()
    youngest = max(path(config, "size_report", name).stat().st_mtime_ns for name in NAMES)
    os.utime(end, ns=(youngest - 1, youngest - 1))
    assert pending.remaining(ROWS, config).again == (end,)
    end.unlink()
    assert pending.remaining(ROWS, config).again == (end,)


def test_mark_is_void_where_something_is_left(config):
    """Whether a run does what is left must not depend on what Snakemake remembers of the run before."""
    end = mark(config)
    end.touch()
    receipt = path(config, "convert", NAMES[0])
    receipt.unlink()
    assert pending.remaining(ROWS, config).again == (end,)


def test_store_that_is_gone_or_unsealed(config):
    """A store that is not there is converted again, and one that is not sealed is verified again."""
    mark(config).touch()
    root(config, NAMES[0]).unlink()
    root(config, NAMES[1]).rename(root(config, NAMES[1]).with_name("zarr.json.unsealed"))
    assert left(config) == ("AB", 0)
    untrue = (path(config, "convert", NAMES[0]), path(config, "verify", NAMES[1]))
    assert pending.remaining(ROWS, config).again == (*untrue, mark(config))
    path(config, "verify", NAMES[1]).unlink()  # converted, and not verified yet
    assert pending.remaining(ROWS, config).again == (*untrue[:1], mark(config))


def test_results_whose_name_could_be_a_pattern(config):
    """Stars and brackets in the name of the results are letters."""
    odd = config | {"results": config["results"] + "/r*s[1]?", "store_root": config["results"] + "/s*"}
    for row in ROWS.values():
        finish(odd, row)
    keep(odd)
    assert left(odd) == ("", 0)
    assert pl.read_parquet(Path(odd["results"], finished.TABLE), glob=False).height == len(ROWS)


def test_nothing_is_written(config):
    """To say what is left changes nothing on disk, also where the table of finished datasets is out of date."""
    before = sorted(Path(config["results"]).rglob("*"))
    found = pending.remaining(ROWS, config)
    assert sorted(Path(config["results"]).rglob("*")) == before
    finished.keep(config["results"], found.table)
    assert pl.read_parquet(Path(config["results"], finished.TABLE)).equals(found.table)


@pytest.mark.parametrize("replaced", [False, True], ids=["by name", "by pattern"])
def test_sources_that_changed_after_the_store_was_sealed(config, tmp_path, replaced):
    """A file that was written again, or came to those of a pattern, is named; one as old or gone is not."""
    folder = tmp_path / "sources"
    folder.mkdir()
    files = [folder / f"{name}.nc" for name in "abc"]
    for file in files:
        file.touch()
    row = Dataset(NAMES[0], (f"{folder}/*.nc",) if replaced else tuple(map(str, files)))
    rows = ROWS | {row.id: row}
    used = tuple(make_file(**row_files.look(str(file)), start=n) for n, file in enumerate(files[:2]))
    left_out = LeftOut(path=str(files[2]), kind="empty", message="")
    finish(config, row)
    leave_inventory(config, row, files=used, left_out=(left_out,))
    assert pending.remaining(rows, config).changed == {}
    files[0].write_text("longer")
    files[2].write_text("left out before, and now")
    files[1].unlink()
    expected = [f"{files[0]} has changed"]
    if replaced:
        (folder / "d.nc").touch()
        expected.insert(0, f"{folder}/d.nc is new")
    found = pending.remaining(rows, config)
    assert found.changed == {row.id: expected}
    assert found.names == ()
    assert outdated.told(found.changed).startswith(f"1 sealed stores have other sources now: {row.id} ({expected[0]}")


def test_files_whose_status_alone_has_changed(config, tmp_path):
    """Another mode is no other content."""
    file = tmp_path / "a.nc"
    file.touch()
    row = Dataset(NAMES[0], (str(file),))
    finish(config, row)
    leave_inventory(config, row, files=(make_file(**row_files.look(str(file))),))
    file.chmod(0o600)
    assert pending.remaining(ROWS | {row.id: row}, config).changed == {}


def test_refused_for_a_mode_that_was_corrected(config, tmp_path):
    """What could not be read is asked again when it may be, though its size and time stay."""
    file = tmp_path / "a.nc"
    file.touch(mode=0o000)
    rows = ROWS | {NAMES[0]: Dataset(NAMES[0], (str(file),))}
    files = row_files.seen([str(file)])
    leave(config, "failed", NAMES[0], row=rows[NAMES[0]].digest, policy={}, files=files, **{"class": "refused"})
    path(config, "verify", NAMES[0]).unlink()
    assert left(config, rows) == ("", 0)
    file.chmod(0o644)
    assert left(config, rows) == ("A", 0)


def test_fingerprints_last():
    """That of what was asked before an option came is the same as then, and another where the option is used."""
    convert = {"recipe": 1, "store": "s", "zarr_format": 3, "chunks": "auto", "chunk_mib": 32, "shard_mib": 0}
    asked = {"inventory": {"digest": "d"}, "convert": convert | {"codec": "fast"}, "verify": {"mode": "full"}}
    assert finished.fingerprint(asked) == "773fc4018d5adc25"
    asked["convert"]["origin"] = True
    assert finished.fingerprint(asked) != "773fc4018d5adc25"


def test_what_is_to_do_is_told_with_its_reasons(config):
    """New datasets, those that failed, those whose receipts do not hold, later ones and refused ones are counted."""
    assert pending.told(pending.remaining(ROWS, config), 5, config["results"]) == "To do: 0 of 5 datasets."
    for rule in RULES:
        path(config, rule, NAMES[0]).unlink()
    path(config, "verify", NAMES[1]).unlink()
    leave(config, "failed", NAMES[2], **{"class": "bug"})
    path(config, "convert", NAMES[2]).unlink()
    said = pending.told(pending.remaining(ROWS, config | {"batch": 2}), 5, config["results"])
    assert said == (
        "To do: 3 of 5 datasets (1 new, 1 failed before, 1 again, for a row, a setting or a receipt has changed)"
        "; 1 of them in later runs."
    )
    left = pending.Remaining(names=(NAMES[0],), unasked=(NAMES[3],))
    assert pending.told(left, 5, config["results"]).endswith(
        "; 1 were refused, or failed otherwise, and are not tried."
    )
