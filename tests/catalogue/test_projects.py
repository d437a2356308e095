"""Projects as data: their files, the ids and folders in their words, and rows of catalogues of all of them."""

import hashlib
from pathlib import Path

import jsonschema
import polars as pl
import pytest
import yaml
from archives import CMIP7, REAL

from cmip6zarr.catalogue import build, drs, projects, templates
from cmip6zarr.catalogue.build import table, write
from cmip6zarr.catalogue.esm import CatalogueError, read_catalogue
from cmip6zarr.catalogue.listing import Listed
from cmip6zarr.catalogue.projects import ProjectError

KNOWN = projects.known()
BY_NAME = {project.name: project for project in KNOWN}
OWN = {
    "project": "Ours",
    "known_by": {"project_id": ["Ours", "ours-too"]},
    "facets": {
        "project_id": {"value": "OURS"},
        "model": {"columns": ["source_id"]},
        "variable_id": None,
        "version": None,
    },
    "folder": "<project_id>/<model>/<variable_id>/<version>",
    "file": "<variable_id>_<model>[_<time_range>]",
    "time_range": "[0-9]{4}",
    "run": ["model"],
    "kind": ["variable_id"],
    "identity": ["model", "realm"],
}


def own(place: Path, **change) -> str:
    """Write the file of a project that is not built in, and return its path."""
    path = place / "ours.yaml"
    path.write_text(
        yaml.safe_dump({key: value for key, value in (OWN | change).items() if value is not None}, sort_keys=False)
    )
    return str(path)


def listed(folder: Path, rows: pl.DataFrame) -> Path:
    write(rows, folder / "x.json")
    return folder / "x.json"


@pytest.mark.parametrize("word", projects.BUILT_IN)
def test_built_in_projects_are_as_the_schema_has_them(word):
    """Each is in the file of the first word of its ids, and names no facet that it has not."""
    project = projects.built_in(word)
    jsonschema.Draft202012Validator(yaml.safe_load(projects.SCHEMA.read_text())).validate(project.said)
    assert project.first_word == word
    assert {*project.brief, project.variable} <= project.facets.keys()
    for key in ("start", "climatology"):
        assert key not in project.said or project.said[key]["facet"] in project.facets


@pytest.mark.parametrize("name", REAL)
def test_folder_name_and_id_of_each_project(name):
    """A folder as archives have it, whose file is named as they name it, is the id; the dates are in the name."""
    folder, file, expected = REAL[name]
    facets = drs.folder_facets(folder, KNOWN)
    assert ".".join(facets.values()) == expected
    project = projects.of(expected)
    assert (project.name, project.words(expected)) == (name, facets)
    assert project.file.fullmatch(file)
    assert project.is_of(file, facets)
    assert file.endswith(f"_{project.time_range(file)}.nc")
    assert drs.is_id(expected)
    assert not drs.is_id(f"{expected}.more")
    assert drs.store_folder(expected) == expected.replace(".", "/") + ".zarr"


def test_file_of_another_dataset_in_a_folder_is_left_aside(tmp_path):
    """Mean, maximum and minimum of a variable differ in one word of the name; a name of no form is no contradiction."""
    folder, file, _ = REAL["CMIP7"]
    (tmp_path / folder[1:]).mkdir(parents=True)
    for name in (file, file.replace("tavg", "tmax"), "notes.nc"):
        (tmp_path / folder[1:] / name).touch()
    rows, aside = build.build([tmp_path])
    assert [Path(path).name for path in rows["path"]] == ["notes.nc", file]
    [(why, number)] = aside.items()
    assert (number, why.startswith("named as another dataset than its folder: 1 in /")) == (1, True)


def test_mixed_tree_is_one_catalogue(tmp_path):
    """Every project comes back from the table as it went in, under keys that are ids."""
    for folder, file, _ in REAL.values():
        (tmp_path / folder[1:]).mkdir(parents=True)
        (tmp_path / folder[1:] / file).touch()
    rows, aside = build.build([tmp_path])
    assert (rows.height, aside) == (len(REAL), {})
    catalogue = read_catalogue(listed(tmp_path, rows))
    assert sorted(catalogue.datasets) == sorted(name for *_, name in REAL.values())
    assert catalogue.left_aside == {}
    import intake_esm

    assert sorted(intake_esm.core.esm_datastore(str(tmp_path / "x.json")).keys()) == sorted(catalogue.datasets)
    assert list(read_catalogue(tmp_path / "x.json", {"branding_suffix": "tavg-u-hxy-u"}).datasets) == [CMIP7]
    assert len(read_catalogue(tmp_path / "x.json", {"variable_id": ["tas", "pr"]}).datasets) == 6


@pytest.mark.parametrize("name", REAL)
def test_tables_of_one_project_have_its_columns_alone(tmp_path, name):
    """As they were for CMIP6 and CMIP5; the parquet says the same as the CSV."""
    folder, file, expected = REAL[name]
    project = BY_NAME[name]
    rows = table([Listed(facets=project.words(expected), project=project, path=f"{folder}/{file}", size=1)])
    assert rows.columns == [*project.facets, "dcpp_init_year", "time_range", "path", "size"]
    assert list(read_catalogue(listed(tmp_path, rows)).datasets) == [expected]
    write(rows, tmp_path / "p.json", kind="parquet")
    assert (tmp_path / "p.parquet").is_file()
    assert read_catalogue(tmp_path / "p.json") == read_catalogue(tmp_path / "x.json")


def test_real_catalogues_are_read_as_before_there_were_projects(real_data, tmp_path, monkeypatch):
    """Ids, folders of stores and files of CMIP6 and CMIP5 are what they were, byte for byte."""
    monkeypatch.chdir("/")
    rows, _ = build.build([real_data])
    path = listed(tmp_path, rows)
    text = path.with_suffix(".csv").read_text().replace(str(real_data), "/data")
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "1c6b25ecb99f6339"
    lines = []
    for catalogue in [path, *sorted(p for p in (real_data / "catalogs").rglob("*") if p.is_file())]:
        try:
            datasets = read_catalogue(catalogue).datasets.values()
        except CatalogueError:
            continue
        lines += [" ".join((row.id, "", drs.store_folder(row.id), *row.files)) for row in datasets]
    text = "\n".join(lines).replace(str(real_data), "/data")
    assert (len(lines), hashlib.sha256(text.encode()).hexdigest()[:16]) == (256, "b7d151785bec05ee")


# How the project of a row is known


CMIP7_ROW = BY_NAME["CMIP7"].words(CMIP7) | {"path": "/data/a.nc"}


def read(folder: Path, *rows: dict, **options):
    pl.DataFrame(rows).write_csv(folder / "t.csv")
    return read_catalogue(folder / "t.csv", **options)


@pytest.mark.parametrize("gone", [["drs_specs"], ["drs_specs", "mip_era"], ["mip_era"]])
def test_rows_are_known_by_columns(tmp_path, gone):
    """A branding suffix tells CMIP7 where no column names it."""
    assert list(read(tmp_path, {k: v for k, v in CMIP7_ROW.items() if k not in gone}).datasets) == [CMIP7]


def test_rows_of_a_renamed_table_never_become_one_dataset(tmp_path):
    """CMIP7 in the columns of CMIP6 lacks the branding suffix: mean and maximum would be one. They are left aside."""
    renamed = {**CMIP7_ROW, "member_id": "r1i1p2f1", "table_id": "mon"}
    del renamed["branding_suffix"]
    with pytest.raises(CatalogueError, match=r"CMIP7 without a column branding_suffix or variable_branding_suffix': 2"):
        read(tmp_path, renamed, renamed | {"path": "/data/b.nc"})
    sound = {**renamed, "mip_era": "CMIP6", "drs_specs": ""}
    catalogue = read(tmp_path, renamed, sound)
    assert list(catalogue.datasets) == ["CMIP6.CMIP.CCCma.CanESM5-1.1pctCO2.r1i1p2f1.mon.pr.g120.v20190429"]
    assert list(catalogue.left_aside.values()) == [1]


def test_table_without_the_words_of_its_project_says_which(tmp_path):
    row = {k: v for k, v in CMIP7_ROW.items() if k != "region"}
    with pytest.raises(CatalogueError, match="its rows are of CMIP7, and it has no column region; its columns are"):
        read(tmp_path, row)


@pytest.mark.parametrize(
    ("facet", "value", "message"),
    [
        ("version", "2019", r"version is 'v2019', expected the pattern v\[0-9\]\{8\}"),
        ("version", "latest", "version is 'latest'"),
        ("variant_label", "s1960-r1i1p1f1", "variant_label is 's1960-r1i1p1f1'"),
        ("branding_suffix", "tavg_u", "branding_suffix is 'tavg_u'"),
        ("region", "", "region is None"),
        ("source_id", "../x", "source_id is '../x'"),
    ],
)
def test_ids_of_cmip7_are_exact(tmp_path, facet, value, message):
    with pytest.raises(CatalogueError, match=f"row 1: {message}"):
        read(tmp_path, CMIP7_ROW | {facet: value})


def test_version_may_come_without_its_letter(tmp_path):
    assert list(read(tmp_path, CMIP7_ROW | {"version": 20190429}).datasets) == [CMIP7]


def test_climatologies_of_cmip7_are_told_by_the_branding():
    assert BY_NAME["CMIP7"].is_climatology(CMIP7.replace("tavg", "tclm"))
    assert not BY_NAME["CMIP7"].is_climatology(CMIP7)
    assert not BY_NAME["CMIP6"].is_climatology(REAL["CMIP6"][2])


def test_rows_that_name_none_are_of_the_project_that_one_says(tmp_path):
    row = {k: v for k, v in BY_NAME["obs4MIPs"].words(REAL["obs4MIPs"][2]).items() if k != "activity_id"}
    row["path"] = "/data/a.nc"
    assert list(read(tmp_path, row, unnamed="obs4MIPs").datasets) == [REAL["obs4MIPs"][2]]
    with pytest.raises(CatalogueError, match="no column activity_id"):
        read(tmp_path, row)
    with pytest.raises(CatalogueError, match="project is 'CMIP8'; expected one of CMIP5, CMIP6"):
        read(tmp_path, row, unnamed="CMIP8")


# One's own


def test_a_project_of_ones_own(tmp_path):
    """Its ids, folders and rows are in its words, and its datasets know where its file is."""
    path = own(tmp_path)
    (tmp_path / "OURS/M1/tas/v1").mkdir(parents=True)
    (tmp_path / "OURS/M1/tas/v1/tas_M1_1850.nc").touch()
    known = projects.known([path])
    [(_, facets)] = drs.tree([tmp_path], known)
    assert ".".join(facets.values()) == "OURS.M1.tas.v1"
    row = {"project": "Ours-Too", "source_id": "M1", "variable_id": "tas", "version": "1", "path": "/a.nc"}
    [dataset] = read(tmp_path, row, own=[path]).datasets.values()
    assert (dataset.id, dataset.own, dataset.project.name) == ("OURS.M1.tas.v1", path, "Ours")
    assert dataset.project.identity == ("model", "realm")
    assert drs.is_id(dataset.id)
    rows = table([Listed(facets=dataset.facets, project=dataset.project, path="/a.nc", size=1)])
    assert rows["dataset_id"].to_list() == ["OURS.M1.tas.v1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"facets": {"a": {"value": "CMIP6"}, "variable_id": None, "model": None}}, "as those of a built-in project"),
        ({"facets": {"a": None, "variable_id": None, "model": None}}, "neither value nor default"),
        ({"facets": {"a/b": None}}, "facets: "),
        ({"facets": {"path": {"value": "x"}, "model": None, "variable_id": None}}, "facets: "),
        ({"run": ["source"]}, "'source' is no facet"),
        ({"folder": "<project_id>/<model>/<variable_id>"}, "folder lacks <version>"),
        ({"folder": "<project_id>/[<model>"}, "brackets do not match"),
        ({"folder": "<project_id:(>/<model>/<variable_id>/<version>"}, "unterminated subpattern"),
        ({"identity": None}, "'identity' is a required property"),
        ({"unknown": 1}, "Additional properties"),
    ],
    ids=str,
)
def test_wrong_files_of_projects_are_refused(tmp_path, change, message):
    with pytest.raises(ProjectError) as refusal:
        projects.load(own(tmp_path, **change))
    assert message in str(refusal.value)
    assert f"({tmp_path / 'ours.yaml'})" in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"[", b"\xff", b"!!python/object:os.system {}", b"a: &a [*a]"])
def test_files_that_are_no_projects_are_refused(tmp_path, content):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(ProjectError, match=r"x\.yaml"):
        projects.load(str(tmp_path / "x.yaml"))
    with pytest.raises(CatalogueError, match=r"x\.yaml"):
        read(tmp_path, CMIP7_ROW, own=[str(tmp_path / "x.yaml")])


@pytest.mark.parametrize("known_by", [{"mip_era": ["cmip6"]}, {"project_id": ["MIP-DRS7"]}])
def test_no_project_takes_the_rows_of_another(tmp_path, known_by):
    with pytest.raises(ProjectError, match="choose another"):
        projects.known([own(tmp_path, known_by=known_by)])


def test_templates_say_what_is_wrong_with_them():
    for wrong in ("<a", "[<a>", "a]b"):
        with pytest.raises(ValueError, match="brackets do not match"):
            templates.expression(wrong, {})
