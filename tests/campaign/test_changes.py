"""What has changed between two catalogues, and what becomes of the stores."""

import json

import polars as pl
import pytest
from builders import FACETS, dataset_id
from campaigns import ROW, leave

import catalogue
from cmip6zarr.campaign import changes
from cmip6zarr.catalogue import esm

ID = dataset_id()
NEWER = dataset_id(version="v20210101")


def write(path, rows, **more):
    """Write the table of a catalogue of {dataset: files, each a name or (name, size)}."""
    told = [(f, (file, None) if isinstance(file, str) else file) for f, files in rows.items() for file in files]
    table = [(*name.split("."), f"/d/{file}", size) for name, (file, size) in told]
    kinds = [*((facet, pl.String) for facet in FACETS), ("path", pl.String), ("size", pl.Int64)]
    pl.DataFrame(table, kinds, orient="row").with_columns(**more).write_csv(path)
    return path


@pytest.fixture
def compare(tmp_path):
    """Return what has changed between two tables of files, and perhaps what the new one says of all rows."""

    def run(old, new, **more):
        before, now = write(tmp_path / "old.csv", old), write(tmp_path / "new.csv", new, **more)
        found = changes.compare(esm.read_rows(before), esm.read_rows(now))
        return {row["dataset"]: row for row in found.to_dicts()}

    return run


OTHER = {dataset_id(variable_id="pr"): ["pr.nc"]}
CHANGED = {
    "a file more": ({ID: ["a.nc"]}, {ID: ["a.nc", "b.nc"]}, (1, 0, 0)),
    "a file less": ({ID: ["a.nc", "b.nc"]}, {ID: ["b.nc"]}, (0, 1, 0)),
    "another size": ({ID: [("a.nc", 1)]}, {ID: [("a.nc", 2)]}, (0, 0, 1)),
}


def test_equal_catalogues_have_no_changes(compare):
    """Nor does the order of rows, a row that is there twice, or a size that only one list tells."""
    assert compare({ID: ["a.nc", "b.nc"]} | OTHER, OTHER | {ID: ["b.nc", ("a.nc", 3), ("a.nc", 3)]}) == {}


@pytest.mark.parametrize(("old", "new", "counts"), CHANGED.values(), ids=CHANGED)
def test_files_that_changed_are_counted(compare, old, new, counts):
    """Those that came, those that went, and those of which the list says something else."""
    row = compare(old | OTHER, new | OTHER)[ID]
    assert (row["change"], *(row[f"files_{word}"] for word in ("new", "gone", "changed"))) == ("changed", *counts)


def test_checksums_are_compared(tmp_path):
    """Another checksum is another file, however it is spelled."""
    one = {"checksum": pl.lit("A" * 64)}
    for name, sums in {
        "old": one,
        "same": {"checksum": pl.lit("a" * 64)},
        "new": {"checksum": pl.lit("b" * 64)},
    }.items():
        write(tmp_path / f"{name}.csv", {ID: ["a.nc"]}, **sums)
    old, same, new = (esm.read_rows(tmp_path / f"{name}.csv") for name in ("old", "same", "new"))
    assert changes.compare(old, same).is_empty()
    assert changes.compare(old, new)["files_changed"].to_list() == [1]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {ID: ["a.nc"]}, {ID: ("new", None)}),
        ({ID: ["a.nc"]}, {}, {ID: ("gone", None)}),
        ({ID: ["a.nc"]}, {NEWER: ["b.nc"]}, {ID: ("superseded", NEWER), NEWER: ("new", None)}),
        ({ID: ["a.nc"]}, {ID: ["a.nc"], NEWER: ["b.nc"]}, {ID: ("superseded", NEWER), NEWER: ("new", None)}),
        ({NEWER: ["a.nc"]}, {ID: ["a.nc"]}, {NEWER: ("superseded", ID), ID: ("new", None)}),
    ],
    ids=["new", "gone", "newer instead", "newer beside", "back to an older one"],
)
def test_datasets_that_came_and_went(compare, old, new, expected):
    """The new list decides: of the versions that it has the newest takes the place of all others."""
    found = compare(old | OTHER, new | OTHER)
    assert {name: (row["change"], row["newer"]) for name, row in found.items()} == expected


def test_what_the_list_calls_latest_is_it(compare):
    """The date of a version need not be later than that of the one before."""
    latest = pl.col("version").eq("v20200101") & pl.col("variable_id").eq("tas")
    found = compare({NEWER: ["a.nc"]}, {ID: ["a.nc"], NEWER: ["a.nc"]}, latest=latest)
    assert (found[NEWER]["change"], found[NEWER]["newer"]) == ("superseded", ID)


def test_a_list_may_know_of_a_newer_version_elsewhere(compare):
    """What it says is not the latest is superseded, by what it does not say; of others nothing is said."""
    found = compare({ID: ["a.nc"]} | OTHER, {ID: ["a.nc"]} | OTHER, latest=pl.col("variable_id").ne("tas"))
    assert {name: (row["change"], row["newer"]) for name, row in found.items()} == {ID: ("superseded", None)}


def test_a_retracted_version_takes_no_place(compare):
    """The one before it is not superseded by what the archive has taken back."""
    both = {ID: ["a.nc"], NEWER: ["b.nc"]}
    found = compare(both, both, retracted=pl.col("version").eq("v20210101"))
    assert {name: row["change"] for name, row in found.items()} == {NEWER: "retracted"}


@pytest.mark.parametrize("said", ["True", "true", "1", "1.0"])
def test_retracted_datasets_come_first(compare, said):
    """Whatever else has changed of them; a list that says it of none says it of none."""
    found = compare({ID: ["a.nc"]}, {ID: ["b.nc"], NEWER: ["c.nc"]}, retracted=pl.lit(said))
    assert [row["change"] for row in found.values()] == ["retracted", "retracted"]
    found = compare({ID: ["a.nc"]}, {ID: ["a.nc"]}, retracted=pl.lit("False"))
    assert found == {}


def test_command_tells_stores_and_what_to_do(tmp_path, capsys):
    """As text, as a table and as JSON; ids of the lists name the stores of the results."""
    old, new = write(tmp_path / "old.csv", {ID: ["a.nc"]}), write(tmp_path / "new.csv", {NEWER: ["a.nc"]})
    store = {
        "store": "/s/tas.zarr",
        "zarr_format": 3,
        "let_pass": {"findings": 0, "files_left_out": 0, "steps_missing": 0},
    }
    store["let_pass"]["kinds"] = {}
    leave(tmp_path, "size_report", ID, **ROW | store)
    given = ["changes", str(old), str(new), "--results", str(tmp_path)]
    assert catalogue.main([*given, "--table", str(tmp_path / "changes.tsv")]) == 0
    said = capsys.readouterr().out
    assert f"superseded  1, 1 with a store. {changes.CHANGES['superseded']}\n  {ID}, now {NEWER}\n" in said
    assert "gone        0, 0 with a store\n" in said
    table = pl.read_csv(tmp_path / "changes.tsv", separator="\t")
    assert (table.columns, table["store"].to_list()) == (list(changes.COLUMNS), ["/s/tas.zarr", None])
    assert catalogue.main([*given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["counts"]["new"], told["datasets"][0]["what_to_do"]) == (1, changes.CHANGES["superseded"])


def test_hostile_rows_are_not_shown(compare, tmp_path, capsys):
    """A row whose id could leave its folder, or move a cursor, is none of a dataset."""
    assert list(compare({}, {ID: ["a.nc"], ID.replace("MODEL-A", "MODEL/A"): ["a.nc"]})) == [ID]
    assert catalogue.main(["changes", str(tmp_path / "old.csv"), str(tmp_path / "none.csv")]) == 1
    assert "there is no file" in capsys.readouterr().err
