"""Stores whose datasets a catalogue has withdrawn: which they are, how they are marked, unsealed, and sealed again."""

import fcntl
import json

import polars as pl
import pytest
import xarray as xr
from builders import FACETS, dataset_id, make_catalogue, make_dataset
from campaigns import HOSTILE, ROW, leave
from chain import configuration, run_campaign, run_convert, run_inventory, run_verify
from inventories import make_proof

import campaign as script
import size_report
import status
from cmip6zarr.campaign import listed, withdrawn
from cmip6zarr.catalogue import esm
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import to_json
from cmip6zarr.report.archive import archive
from cmip6zarr.store import ledger

OLD, NEW = dataset_id(), dataset_id(version="v20210101")
OTHER = dataset_id(variable_id="pr")


def write(path, *names, **said):
    """Write a catalogue of a file for each dataset, with what is said of all rows; return its path."""
    rows = [(*name.split("."), f"/d/{name}.nc") for name in names]
    pl.DataFrame(rows, [*FACETS, "path"], orient="row").with_columns(**said).write_csv(path)
    return path


def finish(results, *names):
    """Leave the receipts of sealed stores."""
    let_pass = {"findings": 0, "files_left_out": 0, "steps_missing": 0, "kinds": {}}
    for name in names:
        leave(results, "size_report", name, **ROW | {"dataset": name, "store": f"/s/{name}.zarr", "let_pass": let_pass})
        leave(results, "verify", name, **to_json(make_proof(dataset=name, store=f"/s/{name}.zarr")))


@pytest.fixture
def look(tmp_path):
    """Return which datasets are withdrawn, {id: (change, newer, unseal)}, and those that are left to a campaign."""

    def run(*names, select=None, exclude=(), how="mark", **said):
        path = write(tmp_path / "list.csv", *names, **said)
        config = {"catalogue": str(path), "results": str(tmp_path), "withdrawn": how, "select": select or {}}
        found = withdrawn.listing(configuration(**config, exclude=list(exclude)))
        return {name: tuple(row) for name, *row in found.withdrawn.iter_rows()}, list(found.datasets), found.left_aside

    return run


def test_nothing_is_withdrawn_of_what_is_listed(look, tmp_path, monkeypatch):
    """Then the catalogue is read once."""
    finish(tmp_path, OLD)
    monkeypatch.setattr(esm, "read_listed", None)
    assert look(OLD, OTHER) == ({}, [OTHER, OLD], {})


def test_stores_of_datasets_that_left_are_orphans(look, tmp_path):
    """What is listed and not selected has not left; without a store there is nothing to tell."""
    finish(tmp_path, OLD, OTHER)
    assert look(OTHER)[0] == {OLD: ("gone", None, False)}
    assert look(OLD, OTHER, select={"variable_id": "pr"})[0] == {}
    assert look(OLD, OTHER, select={"limit": 1})[0] == {}
    assert look(OLD, OTHER, exclude=[{"variable_id": "tas"}])[0] == {}
    assert look(dataset_id(variable_id="ua"), OTHER, select={"variable_id": "ua"})[0] == {OLD: ("gone", None, False)}


def test_older_versions_are_superseded(look, tmp_path):
    """Listed or not, selected or not: another version takes their place."""
    finish(tmp_path, OLD)
    expected = {OLD: ("superseded", NEW, False)}
    assert look(NEW)[0] == look(OLD, NEW)[0] == look(OLD, NEW, select={"version": "v20200101"})[0] == expected


def test_what_the_list_says_counts(look):
    """Of a dataset that has no store yet, too: it may have one when the run ends."""
    assert look(OLD, retracted=pl.lit("true"))[0] == {OLD: ("retracted", None, False)}
    assert look(OLD, latest=pl.lit("false"))[0] == {OLD: ("superseded", None, False)}


def test_unseal_leaves_them_out_of_the_campaign(look, tmp_path):
    """A retracted one at once, an older one when the store of the newer is sealed; what has no store is not made."""
    retracted = {"retracted": pl.col("version").eq("v20200101") & pl.col("variable_id").eq("tas")}
    found, names, left_aside = look(OLD, OTHER, how="unseal", **retracted)
    assert (found, names) == ({OLD: ("retracted", None, True)}, [OTHER])
    assert left_aside == {"retracted dataset, and withdrawn is unseal": 1}
    assert look(OLD, NEW, how="unseal")[1] == [NEW]
    finish(tmp_path, OLD)
    assert look(OLD, NEW, how="unseal")[:2] == ({OLD: ("superseded", NEW, False)}, [OLD, NEW])
    finish(tmp_path, NEW)
    assert look(OLD, NEW, how="unseal")[:2] == ({OLD: ("superseded", NEW, True)}, [NEW])
    assert look(OLD, NEW)[1] == [OLD, NEW]
    (tmp_path / "verify" / f"{NEW}.json").unlink()
    assert look(OLD, NEW, how="unseal")[0] == {OLD: ("superseded", NEW, False)}


def test_row_with_too_many_fields_withdraws_nothing(tmp_path):
    """What stands behind a comma too many would be taken for another column: the list is refused."""
    path = write(tmp_path / "ragged.csv", OLD, latest=pl.lit("true"), retracted=pl.lit("false"))
    path.write_text(path.read_text().replace(".nc", ",b.nc", 1))
    with pytest.raises(esm.CatalogueError, match="found more fields than defined"):
        esm.read_listed(path)


def test_orphans_and_what_no_version_follows_stay_sealed(look, tmp_path):
    """A list that was cut short must not close an archive."""
    finish(tmp_path, OLD, OTHER)
    found, names, _ = look(OTHER, how="unseal", latest=pl.lit("false"))
    assert found == {OLD: ("gone", None, False), OTHER: ("superseded", None, False)}
    assert names == [OTHER]


@pytest.fixture
def both(tmp_path):
    """Results in which two versions of a dataset are sealed, and their catalogue."""
    for version, steps in (("v20200101", 3), ("v20210101", 4)):
        make_dataset(tmp_path / "in", files=1, steps=steps, version=version)
    catalogue, results = make_catalogue(tmp_path / "in"), tmp_path / "results"
    for name in (OLD, NEW):
        assert run_inventory(name, catalogue, results) == 0
        assert run_convert(results, tmp_path / f"{name}.zarr", dataset=name) == 0
        assert run_verify(results, dataset=name) == 0
        assert size_report.main([name, "--results", str(results)]) == 0
    return results, catalogue


def end(results, catalogue, how):
    """End a run of a catalogue; return its exit code."""
    found = withdrawn.listing(configuration(catalogue=str(catalogue), results=str(results), withdrawn=how))
    listed.keep(results, found.datasets, found.left_aside)
    withdrawn.keep(results, found.withdrawn)
    return script.main(["--results", str(results), *(["--unseal"] if how == "unseal" else [])])


def stores(results):
    """Return {version: (latest, retracted)} of the catalogue of stores."""
    return {row["version"]: (row["latest"], row["retracted"]) for row in rows(results)}


def rows(results):
    return pl.read_csv(results / "catalogue" / "stores.csv").to_dicts()


def test_marked_in_the_catalogue_of_stores(both, capsys):
    """Both are in it, and still open; the end of the run, the table, the summary and the report name the older."""
    results, catalogue = both
    assert end(results, catalogue, "mark") == 0
    assert stores(results) == {"v20200101": (False, False), "v20210101": (True, False)}
    line = f"  1 stores of withdrawn datasets: 1 superseded ({results}/withdrawn.tsv)\n"
    assert line in capsys.readouterr().out
    (row,) = withdrawn.read(results).to_dicts()
    assert (row["dataset"], row["newer"], row["store"], row["sealed"]) == (
        OLD,
        NEW,
        f"{results.parent}/{OLD}.zarr",
        True,
    )
    assert status.main([str(results)]) == 0
    assert line in capsys.readouterr().out
    assert "now v20210101" in (results / "report.html").read_text()
    assert xr.open_zarr(row["store"]).sizes["time"] == 3


def test_unsealed_and_sealed_again(both):
    """No object goes; the store does not open, and is in no catalogue, until it is proven again."""
    results, catalogue = both
    store = results.parent / f"{OLD}.zarr"
    before = {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert end(results, catalogue, "unseal") == 0
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(store)
    after = {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert sorted(after.values()) == sorted(before.values())
    assert [row["version"] for row in rows(results)] == ["v20210101"]
    (row,) = withdrawn.read(results).to_dicts()
    assert (row["sealed"], row["what_to_do"]) == (False, withdrawn.UNSEALED)
    assert receipts.find(results, "verify", OLD) is None
    assert "unsealed" in (results / "report.html").read_text()

    # Twice is as good as once.
    assert end(results, catalogue, "unseal") == 0
    assert run_verify(results, dataset=OLD) == 0
    assert size_report.main([OLD, "--results", str(results)]) == 0
    assert end(results, catalogue, "mark") == 0
    assert xr.open_zarr(store).sizes["time"] == 3
    assert stores(results)["v20200101"] == (False, False)
    assert {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_store_that_somebody_works_on_stays(both, capsys):
    """The run says so and has failed: the next one tries again."""
    results, catalogue = both
    store = results.parent / f"{OLD}.zarr"
    with ledger.path_of(store).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert end(results, catalogue, "unseal") == 1
    said = capsys.readouterr().out
    assert f"{OLD} is not unsealed: " in said
    assert "another process is writing or verifying this store" in said
    assert xr.open_zarr(store).sizes["time"] == 3
    assert receipts.find(results, "verify", OLD)


def test_store_of_other_results_stays(both, capsys):
    """A receipt is no right to it: it may have been taken over since."""
    results, catalogue = both
    store = results.parent / f"{OLD}.zarr"
    book = ledger.path_of(store)
    book.write_text(book.read_text().replace(json.dumps(str(results)), json.dumps("/of/others")))
    assert end(results, catalogue, "unseal") == 1
    assert "was written for the results in /of/others" in capsys.readouterr().out
    assert xr.open_zarr(store).sizes["time"] == 3


def test_what_was_kept_must_be_as_it_was_written(both, capsys):
    """Nothing is unsealed by a file that somebody has edited, whose ids may lead anywhere."""
    results, catalogue = both
    assert end(results, catalogue, "mark") == 0
    path = results / "withdrawn.json"
    path.write_text(path.read_text().replace("false", "true").replace(OLD, "../../etc"))
    assert script.main(["--results", str(results), "--unseal"]) == 1
    assert f"({path}) -> Delete it; the next run makes it." in capsys.readouterr().err


def test_store_that_is_gone_is_no_fault(both):
    """Nothing is made where somebody has removed a store."""
    results, catalogue = both
    for path in (store := results.parent / f"{OLD}.zarr").parent.glob(f"{OLD}.zarr.*"):
        path.unlink()
    store.rename(store.with_name("elsewhere"))
    before = set(store.parent.iterdir())
    assert end(results, catalogue, "unseal") == 0
    assert set(store.parent.iterdir()) == before
    assert receipts.find(results, "verify", OLD) is None


def test_report_has_the_gravest_first(tmp_path):
    """A few stores of each change, whatever their paths say."""
    names = [dataset_id(variable_id=f"v{number}") for number in range(9)]
    what = ["gone", "superseded", "retracted"]
    found = pl.DataFrame([(n, what[i % 3], None, False) for i, n in enumerate(names)], withdrawn.FOUND, orient="row")
    withdrawn.write(tmp_path, found, pl.DataFrame({"dataset": names, "store": HOSTILE}))
    told = archive(tmp_path)
    assert [(group["change"], group["count"]) for group in told] == [
        ("retracted", 3),
        ("superseded", 3),
        ("no longer listed", 3),
    ]
    assert told[0]["stores"][0]["store"] == HOSTILE
    assert listed.withdrawn(tmp_path) == {"retracted": 3, "superseded": 3, "gone": 3}


def test_results_of_older_versions_tell_nothing(tmp_path):
    """Where no run has left a table there is none."""
    assert archive(tmp_path) == []
    assert listed.withdrawn(tmp_path) == {}
    assert withdrawn.kept(tmp_path).equals(withdrawn.NONE)
    assert run_campaign(write(tmp_path / "list.csv", OLD), tmp_path) == 0
    assert listed.withdrawn(tmp_path) == {}
