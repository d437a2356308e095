"""The campaign as a whole: states, tables, the catalogue of stores."""

import json
import os
import shutil

import intake_esm
import polars as pl
import pytest
import xarray as xr
from builders import make_catalogue, make_dataset
from campaigns import NAMES, ROW, leave
from chain import run_campaign, run_convert, run_inventory, run_verify
from inventories import make_inventory, make_proof

import campaign as script
import size_report
from cmip6zarr.campaign import findings, finished, listed, stores, tables
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import Finding, LeftOut
from cmip6zarr.store import backend, zarr_store

RECEIPT = ROW | {
    "store": "s3://bucket/s.zarr",
    "zarr_format": 3,
    "time_range": "185001-185012",
    "nc_path": "/archive",
    "verified": "full",
    "cpu_seconds": 0.1,
    "arrays": {"tas": {"objects": 3}, "lat": {"objects": 1}},
    "look": {"picture": "look/x.svg"},
    "findings": [{"kind": "bigger", "message": "The store is bigger."}],
    "let_pass": {"findings": 3, "files_left_out": 1, "steps_missing": 12, "kinds": {"gap": 2, "empty": 1}},
}
"""A size_report receipt, as far as the campaign reads it."""


def test_full_disk_is_told_in_a_line(tmp_path, capsys, monkeypatch):
    """Tables that cannot be written are a failure that names the file, without a traceback."""
    listed.keep(tmp_path / "r*sults", NAMES, {})

    def full(_):
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    assert script.main(["--results", str(tmp_path / "r*sults")]) == 1
    assert "sizes.tsv) -> Make room, then run again: it goes on where it was." in capsys.readouterr().err


def test_states_come_from_receipts(tmp_path):
    """A dataset is in the class of its failure, else verified if it has a size report, else waiting."""
    leave(tmp_path, "size_report", NAMES[0], **RECEIPT)
    leave(tmp_path, "failed", NAMES[1], **{"class": "refused"})
    leave(tmp_path, "size_report", NAMES[1], **RECEIPT)  # of a run before
    leave(tmp_path, "verify", NAMES[2])
    states, sized = tables.standings(NAMES, finished.table(tmp_path)[0], tmp_path)
    assert states == {name: tables.state(name, tmp_path) for name in NAMES}
    assert sized["dataset"].to_list() == NAMES[:1]
    assert list(states.values()) == ["verified, with findings", "refused", "waiting"]
    assert tables.counted(states) == "3 datasets: 1 verified (1 with findings), 1 refused, 1 waiting"
    leave(tmp_path, "size_report", NAMES[0], **RECEIPT | {"let_pass": to_json(findings.counts(None, None))})
    assert tables.state(NAMES[0], tmp_path) == "verified"


def test_receipts_of_older_versions_have_findings_too(tmp_path):
    """A size report that says nothing of findings is asked for by the receipts of inventory and verify."""
    leave(tmp_path, "size_report", NAMES[0], **{key: RECEIPT[key] for key in RECEIPT if key != "let_pass"})
    assert tables.state(NAMES[0], tmp_path) == "verified"
    found = Finding(kind="empty", policy="leave_out", message="a.nc", file="a.nc")
    inventory = make_inventory(dataset=NAMES[0], findings=(found,), left_out=None)
    receipts.write(receipts.path_of(tmp_path, "inventory", NAMES[0]), to_json(inventory))
    _, sized = tables.standings(NAMES[:1], finished.table(tmp_path)[0], tmp_path)
    assert sized.select("findings", "files_left_out", "steps_missing").row(0) == (1, 1, 0)


def test_stores_with_findings_are_named():
    """Those with most steps missing come first, a few of them; what was not read is told too."""
    rows = [
        dict.fromkeys(finished.SIZED)
        | {"dataset": f"d{n}", "findings": n % 2, "steps_missing": n, "let_pass": f"gap {n}", "verified": "full"}
        for n in range(150)
    ]
    table = pl.DataFrame(rows, finished.SIZED)
    lines = tables.with_findings(table)
    assert lines[0] == "  verified, with findings: d149: gap 149"
    assert (len(lines), lines[-1]) == (tables.MOST_PRINTED + 1, "  ... and 25 more")
    assert tables.with_findings(table.with_columns(findings=0, verified=pl.lit("checksums"))) == [
        "  verified by checksums alone, no value was compared: 150 stores"
    ]


def test_findings_of_both_rules_are_counted_once(tmp_path):
    """What inventory and verify both say of a file is one finding; the record goes away with the last."""
    one = {"kind": "encoding", "policy": "first", "message": "units differ", "file": "a.nc"}
    left_out = LeftOut(path="b.nc", kind="empty", message="")
    found = tuple(Finding(**each) for each in (one, one | {"kind": "gap", "steps_missing": 4}))
    inventory = make_inventory(findings=found, left_out=(left_out,))
    theirs = (one | {"message": "as verify says it"}, one | {"file": "c.nc"})
    verified = make_proof(findings=tuple(Finding(**each) for each in theirs))
    counted = findings.leave(tmp_path, NAMES[0], inventory, verified)
    kinds = {"encoding": 2, "gap": 1}
    assert to_json(counted) == {"findings": 3, "files_left_out": 1, "steps_missing": 4, "kinds": kinds}
    record = receipts.read(tmp_path, findings.FOLDER, NAMES[0])
    assert (record["findings"][2]["file"], record["left_out"]) == ("c.nc", [to_json(left_out)])
    assert not findings.leave(tmp_path, NAMES[0], make_inventory(), make_proof()).findings
    assert receipts.find(tmp_path, findings.FOLDER, NAMES[0]) is None


FILES = [{"path": "a.nc", "bytes": None, "mtime_ns": None, "ctime_ns": None}]
REFUSED = {"class": "refused", "row": Dataset(NAMES[0], ("a.nc",)).digest, "policy": {"gap": "allow"}, "files": FILES}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(REFUSED, True, id="same-row-and-policy"),
        pytest.param(REFUSED | {"row": "other"}, False, id="other-files"),
        pytest.param(REFUSED | {"files": [FILES[0] | {"bytes": 5, "mtime_ns": 1}]}, False, id="file-that-was-there"),
        pytest.param(REFUSED | {"files": []}, False, id="file-that-did-not-match"),
        pytest.param(REFUSED | {"policy": {}}, False, id="other-policy"),
        pytest.param(REFUSED | {"class": "source"}, False, id="failed"),
        pytest.param({"class": "refused"}, False, id="by-another-rule"),
    ],
)
def test_a_refusal_is_an_answer(tmp_path, record, expected):
    """A refusal holds while the files and the policy are the same; a failure never does."""
    datasets = {name: Dataset(name, ("a.nc",)) for name in NAMES[:2]}
    leave(tmp_path, "failed", NAMES[0], **record)
    leave(tmp_path, "failed", NAMES[2], **REFUSED)  # not in the catalogue any more
    assert tables.refused_before(datasets, tmp_path, {"gap": "allow"}) == ({NAMES[0]} if expected else set())


def test_nothing_was_refused_before_the_first_run(tmp_path):
    """Without records nothing is left out."""
    assert tables.refused_before({NAMES[0]: Dataset(NAMES[0], ("a.nc",))}, tmp_path / "none", {}) == set()


def test_size_table_has_a_row_per_dataset(tmp_path):
    """The size table is what the size reports say, with its types even where it is empty."""
    leave(tmp_path, "size_report", NAMES[0], **RECEIPT)
    _, sized = tables.standings(NAMES[:1], finished.table(tmp_path)[0], tmp_path)
    table = sized.select(*finished.COLUMNS)
    assert table.row(0, named=True) == ROW
    assert sized.row(0, named=True) == {name: RECEIPT.get(name) for name in finished.REPORTED} | {
        "findings": 3,
        "files_left_out": 1,
        "steps_missing": 12,
        "let_pass": "gap 2, empty 1; 1 file left out; 12 steps missing",
        "kinds": ["gap", "empty"],
        "chunk_objects": 4,
        "look": "look/x.svg",
    }
    empty = tables.standings([], finished.table(tmp_path)[0], tmp_path)[1].select(*finished.COLUMNS)
    assert (empty.schema, empty.height) == (table.schema, 0)
    assert tables.total(empty) == "0 stores from 0 files: 0 B -> 0 B in 0 objects"


def table(**change):
    return pl.DataFrame([ROW | change], finished.COLUMNS)


def test_total_is_one_line():
    """The total sums files, bytes and objects of all stores."""
    two = pl.concat([table(), table(files=1, netcdf_bytes=10_000, zarr_bytes=5_000, objects=1)])
    assert tables.total(two) == "2 stores from 4 files: 20 kB -> 30 kB (1.50) in 20 objects"


def test_stores_bigger_than_their_files_are_named():
    """Each store that grew is told with its reason, the one that grew most first; one that shrank is not."""
    small = table(netcdf_bytes=10, zarr_bytes=10)
    grown = [table(dataset=f"d{i}", netcdf_bytes=100, zarr_bytes=100 + i, ratio=1 + i / 100) for i in range(1, 60)]
    lines = tables.bigger(pl.concat([small, *grown]))
    assert lines[0] == f"  bigger than NetCDF (1.59): d59: {ROW['reason']}"
    assert (len(lines), lines[-1]) == (tables.MOST_PRINTED + 1, "  ... and 9 more")
    assert tables.bigger(small) == []


@pytest.mark.parametrize("width", [40, 120, 200])
def test_printed_table_fits_the_terminal(width):
    """Numbers and ids are always whole; the reason is cut to what is left of a line, but never to nothing."""
    lines = tables.printed(table(reason="because " * 30), width).splitlines()
    words = ["dataset", "files", "chunks", "NetCDF", "Zarr", "ratio", "objects", "MiB", "used", "why"]
    assert lines[0].split() == words
    cells = lines[1].split("  ")
    assert (cells[0], cells[-1][:8], lines[1][-1]) == (".".join(NAMES[0].split(".")[3:9]), "because ", "…")
    fixed = len(lines[1]) - len(cells[-1])
    assert len(lines[1]) <= max(width, fixed + 20)


def test_long_table_is_cut():
    """Of many datasets the first are printed, and how many more there are."""
    lines = tables.printed(pl.concat([table()] * (tables.MOST_PRINTED + 3)), 160).splitlines()
    assert (len(lines), lines[-1]) == (tables.MOST_PRINTED + 2, "... and 3 more")


@pytest.fixture
def halves(tmp_path):
    """A catalogue of two datasets: one verified, one refused."""
    make_dataset(tmp_path / "data")
    (path, *_) = make_dataset(tmp_path / "data", variable_id="pr", files=1)
    listed = make_catalogue(tmp_path / "data")
    path.write_text("")
    assert [run_inventory(name, listed, tmp_path) for name in NAMES[:2]] == [3, 0]
    run_convert(tmp_path, tmp_path / "s.zarr", dataset=NAMES[1])
    run_verify(tmp_path, dataset=NAMES[1])
    assert size_report.main([NAMES[1], "--results", str(tmp_path)]) == 0
    return listed


def test_summary_of_a_campaign(tmp_path, halves, capsys):
    """The summary writes the table and the catalogue of verified stores, and prints what became of all datasets."""
    assert run_campaign(halves, tmp_path) == 0
    printed = capsys.readouterr().out
    assert "1 stores from 3 files: " in printed
    assert "2 datasets: 1 refused, 1 verified" in printed
    line = next(line for line in printed.splitlines() if line.startswith("  refused: "))
    assert line.startswith("  refused: unreadable: the netCDF library cannot read it: ")
    path = next((tmp_path / "data").rglob("pr_*.nc"))
    assert line.endswith(f" ({path.name}) -> Fetch the file again. [{NAMES[0]}]")
    assert "/" not in line
    (told,) = pl.read_csv(tmp_path / "failed.tsv", separator="\t").iter_rows(named=True)
    assert [told[column] for column in ("dataset", "class", "kind", "where")] == [
        NAMES[0],
        "refused",
        "unreadable",
        path.name,
    ]
    sizes = pl.read_csv(tmp_path / "sizes.tsv", separator="\t")
    assert (sizes["dataset"].to_list(), sizes.columns) == ([NAMES[1]], list(finished.COLUMNS))
    (row,) = pl.read_csv(tmp_path / "catalogue" / "stores.csv").iter_rows(named=True)
    digest = receipts.read(tmp_path, "verify", NAMES[1])["store_digest"]
    assert (row["files_as_published"], row["store_digest"]) == (0, digest)
    assert (row["findings"], row["files_left_out"], row["steps_missing"]) == (0, 0, 0)
    assert (row["zstore"], row["variable_id"], row["zarr_format"]) == (f"local://{tmp_path / 's.zarr'}", "tas", 3)
    assert "<title>1 of 2 datasets verified" in (tmp_path / "report.html").read_text()
    seen = receipts.read(tmp_path, "size_report", NAMES[1])["look"]
    assert (seen["variable"], seen["chunks_read"]) == ("tas", 4)
    assert (tmp_path / seen["picture"]).read_text().startswith("<svg")
    described = json.loads((tmp_path / "catalogue" / "stores.json").read_text())
    assert described["assets"] == {"column_name": "zstore", "format": "zarr3"}


@pytest.mark.parametrize("kinds", [(3,), (2,), (2, 3)])
def test_intake_esm_opens_stores_of_each_version(tmp_path, kinds):
    """The format is that of all stores, or stands in a column; by either intake-esm opens them."""
    for name, kind in zip(NAMES, kinds, strict=False):
        with zarr_store.quiet():
            xr.Dataset({name.split(".")[7]: ("time", [1.0, kind])}).to_zarr(tmp_path / f"{name}.zarr", zarr_format=kind)
        leave(tmp_path, "size_report", name, **RECEIPT | {"store": str(tmp_path / f"{name}.zarr"), "zarr_format": kind})
    _, sized = tables.standings(NAMES[: len(kinds)], finished.table(tmp_path)[0], tmp_path)
    stores.put(stores.table(sized.with_columns(latest=True, retracted=False)), backend.at(tmp_path))
    listing = intake_esm.core.esm_datastore(str(tmp_path / "stores.json"))
    told = listing.esmcat.assets
    assert (told.format and told.format.value, told.format_column_name) == (
        (f"zarr{kinds[0]}", None) if len(kinds) == 1 else (None, "format")
    )
    [found] = listing.to_dataset_dict(progressbar=False).values()
    assert {name: found[name].values.ravel()[1] for name in found} == {
        name.split(".")[7]: kind for name, kind in zip(NAMES, kinds, strict=False)
    }


def test_summary_of_a_selection(tmp_path, halves, capsys):
    """What is not selected is not counted."""
    assert run_campaign(halves, tmp_path, variable_id="pr") == 0
    assert "1 datasets: 1 refused" in capsys.readouterr().out


def test_summary_before_any_run(tmp_path, halves, capsys):
    """Before anything ran, all datasets wait and the tables are empty."""
    assert run_campaign(halves, tmp_path / "none") == 0
    assert "2 datasets: 2 waiting" in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "none" / "catalogue" / "stores.csv").height == 0


def test_summary_without_a_run(tmp_path, capsys):
    """Where no run has begun there is nothing to sum up: exit code 1, and why."""
    assert script.main(["--results", str(tmp_path)]) == 1
    assert "catalogue: found no list of datasets, which a run leaves when it begins" in capsys.readouterr().err


@pytest.mark.parametrize("rule", ["failed", "size_report", "audit"])
def test_broken_receipt_ends_no_campaign(tmp_path, halves, capsys, rule):
    """A receipt that is cut off is told with its dataset; the tables are made of the others."""
    for path in (tmp_path / rule).glob("*.json"):
        path.write_text(path.read_text()[:-20])
    (tmp_path / "audit").mkdir(exist_ok=True)
    (tmp_path / "audit" / f"{NAMES[1]}.json").write_text("{")
    assert run_campaign(halves, tmp_path) == 0
    said = capsys.readouterr().out
    assert ("receipt" in said.split("2 datasets: ")[1].splitlines()[0]) == (rule != "audit")
    rows = {name: Dataset(name, ("a.nc",)) for name in NAMES[:2]}
    assert tables.refused_before(rows, tmp_path, {}) == set()


def test_store_is_listed_only_while_it_is_verified(tmp_path, halves):
    """A dataset whose size report is gone is not in the catalogue of stores."""
    shutil.rmtree(tmp_path / "size_report")
    assert run_campaign(halves, tmp_path) == 0
    assert pl.read_csv(tmp_path / "catalogue" / "stores.csv").height == 0
