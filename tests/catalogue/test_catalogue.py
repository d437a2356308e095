"""Real and made-up catalogues in, datasets out; trees of files in, catalogues out; and the command line of both."""

import csv
import gzip
import importlib.util
import io
import json
import os
import re
import sys
from pathlib import Path

import intake_esm
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import catalogue as cli
from cmip6zarr.catalogue import drs, lines, projects
from cmip6zarr.catalogue.build import Assets, build, write
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.catalogue.esm import CatalogueError, read_catalogue
from cmip6zarr.catalogue.listing import MOST_FOLDERS
from cmip6zarr.core.errors import DatasetError

ID = "CMIP6.CMIP.MOHC.UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn.v20190406"
NAMES = tuple(projects.built_in("cmip6").facets)
FACETS = dict(zip(NAMES, ID.split("."), strict=True))
FOLDER = "/data/" + ID.replace(".", "/")
FIRST, SECOND = (
    f"{FOLDER}/tas_Amon_UKESM1-0-LL_historical_r1i1p1f2_gn_{d}.nc" for d in ("185001-194912", "195001-201412")
)
ROW = FACETS | {"path": FIRST}
CMIP5 = {
    "product_id": "output1",
    "institute": "MOHC",
    "model": "HadGEM2-ES",
    "experiment": "rcp85",
    "ensemble_member": "r1i1p1",
    "mip_table": "Amon",
    "variable": "tas",
    "version": "20120928",
    "path": "/data/cmip5/output1/MOHC/HadGEM2-ES/rcp85/mon/atmos/Amon/r1i1p1/v20120928/tas/tas.nc",
}
CMIP5_ID = "CMIP5.output1.MOHC.HadGEM2-ES.rcp85.r1i1p1.Amon.tas.na.v20120928"
NETCDF = {"assets": {"column_name": "path", "format": "netcdf"}}
# What an intake-esm JSON begins with, open to what a test adds.
NO_ASSETS = b'{"esmcat_version": "0.1.0", "attributes": []'
DESCRIBED = NO_ASSETS + b', "assets": {"column_name": "path", "format": "netcdf"}'


def row(**changes):
    """One row of a catalogue; a value of None takes the column out."""
    return {name: value for name, value in (ROW | changes).items() if value is not None}


def table(*rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read(folder, *rows, select=None):
    """Read rows from a CSV, without JSON."""
    path = folder / "table.csv"
    path.write_text(table(*rows), encoding="utf-8")
    return read_catalogue(path, select)


def described(folder, **json_values):
    path = folder / "catalogue.json"
    path.write_text(json.dumps({"esmcat_version": "0.1.0", "attributes": []} | json_values))
    return path


def ids(catalogue):
    return list(catalogue.datasets)


def refused(path, select=None):
    """Return the message with which a catalogue is refused."""
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(path, select)
    message = str(caught.value)
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


# Real catalogues


@pytest.mark.parametrize(
    ("name", "rows", "datasets", "files", "left_aside"),
    [
        ("cmip6-netcdf.json", 59, 59, 59, {}),
        ("cmip6-netcdf-noagg.json", 59, 59, 59, {}),
        ("cmip6-netcdf-test.csv", 59, 59, 59, {}),
        ("glade-cmip6-netcdf.csv", 21, 7, 21, {}),
        ("cmip6-bcc-mixed-formats.json", 4, 2, 2, {"format zarr": 2}),
        ("cmip6-bcc-mixed-formats.csv", 4, 2, 2, {"format zarr": 2}),
    ],
)
def test_real_catalogues(real_data, name, rows, datasets, files, left_aside):
    catalogue = read_catalogue(real_data / "catalogs/intake-esm" / name)
    assert (catalogue.rows, len(catalogue.datasets), catalogue.left_aside) == (rows, datasets, left_aside)
    assert sum(len(dataset.files) for dataset in catalogue.datasets.values()) == files
    assert ids(catalogue) == sorted(catalogue.datasets)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "intake-esm/pangeo-gcp-subset.json",
            "none of its rows is a NetCDF file on this file system: {'format zarr': 3502}",
        ),
        (
            "intake-esm/pangeo-gcp-subset.csv.gz",
            "no column path or nc_path or location; its columns are ['activity_id'",
        ),
        ("intake-esm/cmip6-zarr-consolidated-stores.csv", "{'format zarr': 30}"),
        ("intake-esm/access-columns-with-lists.json", "no grid_label; its columns are ['filename'"),
        ("intake-esm/catalog-dict-records.json", "no source_id or model"),
        (
            "intake-esm/pangeo-cmip6-zarr.json",
            "on the network: download 'gs://cmip6/cmip6-zarr-consolidated-stores.csv'",
        ),
        ("ceda-intake/cmip6/ceda-intake-cmip6-posix-nc.json", "download 'https://raw.githubusercontent.com/cedadev"),
        ("ceda-zarr/ceda-zarr-cmip6.json", "on the network"),
        ("ceda-zarr/ceda-zarr-cmip6-jasmin.json", "on the network"),
        ("ncar/pangeo-cmip6.json", "on the network"),
        ("ncar/glade-cmip6.json", "there is no file"),
    ],
)
def test_real_catalogues_without_netcdf(real_data, name, message):
    assert message in refused(real_data / "catalogs" / name)


def test_relative_paths_are_relative_to_where_one_is(real_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalogue = read_catalogue(real_data / "catalogs/intake-esm/cmip6-netcdf.json")
    name = "CMIP6.CMIP.BCC.BCC-ESM1.piControl.r1i1p1f1.Amon.tasmax.gn.v20181214"
    [file] = catalogue.datasets[name].files
    assert file.startswith(f"{Path.cwd()}/tests/sample_data/cmip/CMIP6/CMIP/BCC/BCC-ESM1/piControl/")


@pytest.mark.parametrize("column", ["location", "nc_path"])
def test_ceda_has_a_row_and_a_glob_per_dataset(real_data, tmp_path, column):
    published = json.loads((real_data / "catalogs/ceda-intake/cmip6/ceda-intake-cmip6-posix-nc.json").read_text())
    published["assets"]["column_name"] = column  # older tables of CEDA have `location`
    (tmp_path / "ceda.csv").write_text(table(FACETS | {"dsid": ID, column: f"{FOLDER}/*.nc"}))
    path = described(tmp_path, **published | {"catalog_file": "ceda.csv"})
    assert read_catalogue(path).datasets == {ID: Dataset(ID, (f"{FOLDER}/*.nc",))}


def test_column_that_the_json_names_must_be_there(tmp_path):
    """Another column is not taken for it, though it would serve: what the catalogue calls its files is not there."""
    (tmp_path / "t.csv").write_text(table(row()))
    path = described(tmp_path, assets={"column_name": "paht", "format": "netcdf"}, catalog_file="t.csv")
    assert "it has no column paht; its columns are " in refused(path)


def test_ncar_has_a_row_per_file_in_a_compressed_table(real_data, tmp_path):
    (tmp_path / "glade-cmip6.json").write_bytes((real_data / "catalogs/ncar/glade-cmip6.json").read_bytes())
    rows = [row(mip_era=None, dcpp_init_year="", time_range="", path=path) for path in (SECOND, FIRST)]
    (tmp_path / "glade-cmip6.csv.gz").write_bytes(gzip.compress(table(*rows).encode()))
    assert read_catalogue(tmp_path / "glade-cmip6.json").datasets == {ID: Dataset(ID, (FIRST, SECOND))}


# Forms


def test_a_dataset_has_facets_and_a_digest():
    dataset = Dataset(ID, (FIRST,))
    assert dataset.facets == FACETS
    assert re.fullmatch("[0-9a-f]{16}", dataset.digest)
    assert dataset.digest == Dataset(ID, (FIRST,)).digest
    others = [(ID, (SECOND,)), (ID, (FIRST, SECOND)), (ID + "1", (FIRST,)), (ID, ())]
    assert len({dataset.digest} | {Dataset(*other).digest for other in others}) == 5


def test_the_digest_follows_the_list_of_files_only(tmp_path):
    def digest(*rows):
        return read(tmp_path, *rows).datasets[ID].digest

    before = digest(row(), row(path=SECOND))
    assert digest(row(path=SECOND, time_range="x"), row(), row()) == before
    assert digest(row(), row(path=SECOND), row(source_id="OTHER")) == before
    assert digest(row()) != before


@pytest.mark.parametrize(
    ("sizes", "source_bytes"),
    [
        (("5", "7"), 12),
        (("5", "7.0"), 12),
        (("5", ""), None),
        (("5", "7 MB"), None),
        (("5", "-7"), None),
        (("5", "inf"), None),
        (("0", "0"), 0),
    ],
)
def test_sizes_are_added_where_all_are_told(tmp_path, sizes, source_bytes):
    rows = [row(size=sizes[0]), row(path=SECOND, size=sizes[1]), row(size=sizes[0])]
    assert read(tmp_path, *rows).datasets == {ID: Dataset(ID, (FIRST, SECOND), source_bytes)}
    assert Dataset(ID, (FIRST,), 5).digest == Dataset(ID, (FIRST,)).digest


@pytest.mark.parametrize("absolute", [True, False])
def test_catalog_file_is_beside_the_json_or_absolute(tmp_path, absolute):
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub/t.csv"
    file.write_text(table(row()))
    for name in (str(file), f"file://{file}") if absolute else ("sub/t.csv", "./sub/t.csv"):
        assert ids(read_catalogue(described(tmp_path, **NETCDF, catalog_file=name))) == [ID]


def test_a_table_beside_the_json_goes_before_one_where_one_is(tmp_path, monkeypatch):
    """`ESMCatalogModel.load` itself would take the table of that name in the current folder."""
    path = described(tmp_path, **NETCDF, catalog_file="t.csv")
    (tmp_path / "t.csv").write_text(table(row()))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/t.csv").write_text(table(row(table_id="day")))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ids(read_catalogue(path)) == [ID]


def test_a_table_needs_no_intake_esm(tmp_path, monkeypatch):
    """Its import takes longer than a small table."""
    monkeypatch.setitem(sys.modules, "intake_esm.cat", None)
    assert ids(read(tmp_path, row())) == [ID]
    with pytest.raises(ImportError):
        read_catalogue(described(tmp_path, **NETCDF, catalog_file="table.csv"))


@pytest.mark.parametrize("folder", ["run[1]", "a*b?", "x::y"])
def test_folders_of_catalogues_may_have_any_name(tmp_path, folder):
    """What fsspec takes for patterns and chains of protocols are letters."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "t.csv").write_text(table(row()))
    assert ids(read_catalogue(described(tmp_path / folder, **NETCDF, catalog_file="t.csv"))) == [ID]


def test_catalog_dict_is_inline(tmp_path):
    records = [row(version=20190406, dcpp_init_year=float("nan")), row(path=SECOND, notes=["a", "b"])]
    path = described(tmp_path, **NETCDF, catalog_dict=records, catalog_file=None)
    assert read_catalogue(path).datasets == {ID: Dataset(ID, (FIRST, SECOND))}


def test_a_parquet_may_have_types(tmp_path):
    rows = pl.DataFrame([row(version=20190406.0), row(path=SECOND, version=20190406.0)])
    rows = rows.with_columns(
        pl.col("source_id").cast(pl.Categorical), dcpp_init_year=None, variables=[["ta", "tas"]] * 2
    )
    rows.write_parquet(tmp_path / "t.parquet")
    assert read_catalogue(tmp_path / "t.parquet").datasets == {ID: Dataset(ID, (FIRST, SECOND))}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_may_come_from_a_spreadsheet(tmp_path, end):
    text = table(row(), row(path=SECOND, notes='"quoted", and\nbroken')).replace("\r\n", end)
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert ids(read_catalogue(tmp_path / "t.csv")) == [ID]


@pytest.mark.parametrize(
    ("told", "column"), [(True, "kind"), (True, "format"), (False, "format"), (False, "data_format")]
)
def test_mixed_formats_are_told_apart(tmp_path, told, column):
    """By the column that the JSON names, or by the columns that a table without a JSON may have."""
    kinds = ["netcdf", "NetCDF4", "nc", "zarr", "reference", "zarr", "\x1b[2J"]
    (tmp_path / "t.csv").write_text(table(*(row(path=f"/{n}.nc") | {column: kind} for n, kind in enumerate(kinds))))
    assets = {"column_name": "path", "format_column_name": column}
    path = described(tmp_path, assets=assets, catalog_file="t.csv") if told else tmp_path / "t.csv"
    catalogue = read_catalogue(path)
    assert catalogue.datasets[ID].files == ("/0.nc", "/1.nc", "/2.nc")
    assert catalogue.left_aside == {"format ??2J": 1, "format reference": 1, "format zarr": 2}


def test_remote_and_missing_paths_are_left_aside(tmp_path):
    remote = ["gs://a/b.nc", "s3://a/b.nc", "https://a/b.nc", "simplecache::s3://a/b.nc"]
    catalogue = read(tmp_path, row(), row(path=""), *(row(path=path) for path in remote))
    assert (catalogue.rows, catalogue.left_aside) == (6, {"no path": 1, "remote file": 4})
    assert catalogue.datasets[ID].files == (FIRST,)


def test_repeated_rows_are_dropped(tmp_path):
    catalogue = read(tmp_path, row(), row(path=SECOND), row(), row(path=f"file://{SECOND}"))
    assert (catalogue.rows, catalogue.datasets[ID].files) == (4, (FIRST, SECOND))


@pytest.mark.parametrize(
    ("version", "path", "expected"),
    [
        ("20180701", FIRST, "v20180701"),
        ("20180701.0", FIRST, "v20180701"),
        ("v20180701", FIRST, "v20180701"),
        ("latest", FIRST, "latest"),
        ("", FIRST, "v20190406"),
        (None, FIRST, "v20190406"),
        (None, f"{FOLDER}/tas/tas.nc", "v20190406"),
        (None, f"{FOLDER}/*.nc", "v20190406"),
        (None, "/data/v2/CMIP6/CMIP/latest/tas.nc", "latest"),
        (None, "/data/v2/CMIP6/CMIP/tas.nc", "latest"),
        (None, "tas.nc", "latest"),
    ],
)
def test_versions(tmp_path, version, path, expected):
    [dataset] = read(tmp_path, row(version=version, path=path)).datasets.values()
    assert dataset.facets["version"] == expected


@pytest.mark.parametrize("column", ["dcpp_init_year", "dcpp_start_year"])
@pytest.mark.parametrize(
    ("year", "member", "expected"),
    [
        ("1960", "r1i1p1f1", "s1960-r1i1p1f1"),
        ("1960.0", "r1i1p1f1", "s1960-r1i1p1f1"),
        ("s1960", "r1i1p1f1", "s1960-r1i1p1f1"),
        ("1960", "s1960-r1i1p1f1", "s1960-r1i1p1f1"),
        ("", "r1i1p1f1", "r1i1p1f1"),
        ("nan", "s1960-r1i1p1f1", "s1960-r1i1p1f1"),
    ],
)
def test_the_start_year_of_a_decadal_prediction_is_part_of_its_member(tmp_path, column, year, member, expected):
    [dataset] = read(tmp_path, row(member_id=member, **{column: year})).datasets.values()
    assert dataset.facets["member_id"] == expected


def test_without_a_column_the_path_says_the_start_year(tmp_path):
    rows = (
        row(member_id="r1i1p1f1", path=f"/data/tas_Amon_X_dcppA-hindcast_s{y}-r1i1p1f1_gn.nc") for y in (1960, 1961)
    )
    members = [dataset.facets["member_id"] for dataset in read(tmp_path, *rows).datasets.values()]
    assert members == ["s1960-r1i1p1f1", "s1961-r1i1p1f1"]


@pytest.mark.parametrize(
    ("path", "expected"), [(FIRST, "CMIP6"), ("/badc/cmip5/data/x.nc", "CMIP5"), ("/data/cmip/x.nc", "CMIP6")]
)
def test_the_era_may_be_in_the_path(tmp_path, path, expected):
    [dataset] = read(tmp_path, row(mip_era=None, path=path)).datasets.values()
    assert dataset.facets["mip_era"] == expected


@pytest.mark.parametrize(
    "names",
    [{}, {"product_id": "product", "ensemble_member": "ensemble", "mip_table": "cmor_table"}],
)
def test_cmip5_catalogues_have_names_of_their_own(tmp_path, names):
    catalogue = read(tmp_path, {names.get(name, name): value for name, value in CMIP5.items()})
    assert catalogue.datasets == {CMIP5_ID: Dataset(CMIP5_ID, (CMIP5["path"],))}


def test_cmip5_names_with_a_grid_are_not_cmip5(tmp_path):
    assert ids(read(tmp_path, CMIP5 | {"grid_label": "gr"}))[0].endswith(".gr.v20120928")


def test_many_rows(tmp_path):
    with (tmp_path / "t.csv").open("w") as file:
        file.write(",".join((*NAMES, "path")) + "\n")
        for n in range(200_000):
            name = ID.replace("r1i", f"r{n % 20_000}i")
            file.write(f"{name.replace('.', ',')},/data/{name.replace('.', '/')}/{n:06}.nc\n")
    catalogue = read_catalogue(tmp_path / "t.csv")
    assert (catalogue.rows, len(catalogue.datasets)) == (200_000, 20_000)
    dataset = catalogue.datasets[ID.replace("r1i", "r7i")]
    assert [int(Path(file).stem) for file in dataset.files] == list(range(7, 200_000, 20_000))
    assert ids(catalogue) == sorted(catalogue.datasets)


# Select


MEMBERS = [row(), row(member_id="r2i1p1f2"), row(member_id="r3i1p1f2", table_id="day"), row(path="gs://x/y.nc")]


@pytest.mark.parametrize(
    ("select", "members"),
    [
        (None, [1, 2, 3]),
        ({}, [1, 2, 3]),
        ({"member_id": "r2i1p1f2"}, [2]),
        ({"member_id": ["r2i1p1f2", "r3i1p1f2", "r9i1p1f2"]}, [2, 3]),
        ({"member_id": ["r2i1p1f2", "r3i1p1f2"], "table_id": "day"}, [3]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 9, "table_id": "day"}, [3]),
    ],
)
def test_select(tmp_path, select, members):
    catalogue = read(tmp_path, *MEMBERS, select=select)
    assert [int(dataset.facets["member_id"][1]) for dataset in catalogue.datasets.values()] == members
    assert (catalogue.rows, catalogue.left_aside) == (4, {"remote file": 1})


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ([{"table_id": "day"}], ["Amon"]),
        ([{"table_id": ["day", "fx"], "variable_id": "tas"}], ["Amon"]),
        ([{"table_id": "day", "variable_id": "pr"}], ["Amon", "day"]),
        ([{"table_id": "day", "variable_id": "pr"}, {"table_id": "Amon"}], ["day"]),
    ],
)
def test_exclude(tmp_path, exclude, left):
    """What has all facets of one of the selections is left out, even a row that could not be used."""
    (tmp_path / "t.csv").write_text(table(row(), row(table_id="day"), row(table_id="day", variable_id="p r")))
    exclude = [*exclude, {"variable_id": "p r"}]
    catalogue = read_catalogue(tmp_path / "t.csv", exclude=exclude)
    assert sorted(dataset.facets["table_id"] for dataset in catalogue.datasets.values()) == left
    assert catalogue.left_aside == {}


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        ([{"table_id": ["Amon", "day"]}], "exclude: nothing is left of what select finds"),
        ([{"tabel_id": "day"}], "exclude knows no facet 'tabel_id'; it knows mip_era"),
    ],
)
def test_exclude_says_why_nothing_is_left(tmp_path, exclude, message):
    """A selection that leaves nothing, or is of what is no facet, is refused."""
    (tmp_path / "t.csv").write_text(table(row(), row(table_id="day")))
    with pytest.raises(CatalogueError, match=message):
        read_catalogue(tmp_path / "t.csv", exclude=exclude)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ({"model": "x"}, "select knows no facet 'model'; it knows mip_era, activity_id"),
        ({"table_id": "Omon"}, "select: no table_id is ['Omon']; some that are there: ['Amon', 'day']"),
        ({"table_id": []}, "select: no table_id is []"),
        ({"table_id": "day", "member_id": "r1i1p1f2"}, "no dataset has all of {'table_id': ['day']"),
        ({"limit": 0}, "limit is 0; expected a number"),
        ({"limit": "all"}, "limit is 'all'; expected a number"),
    ],
)
def test_select_says_why_it_finds_nothing(tmp_path, select, message):
    (tmp_path / "t.csv").write_text(table(*MEMBERS))
    assert message in refused(tmp_path / "t.csv", select)


def test_select_leaves_out_what_could_not_be_read(tmp_path):
    rows = (row(), row(table_id="../day"))
    assert ids(read(tmp_path, *rows, select={"table_id": "Amon"})) == [ID]


# Errors


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "cannot be read: empty CSV"),
        ("t.csv", table(row()).splitlines()[0].encode(), "it has no rows"),
        (
            "t.csv",
            table(row(grid_label=None, experiment_id=None)).encode(),
            "it has no column experiment_id or experiment,",
        ),
        (
            "t.csv",
            table(row(grid_label=None)).encode(),
            "no column grid_label; its columns are ['mip_era', 'activity_id'",
        ),
        ("t.csv", table(row(path=None)).encode(), "it has no column path or nc_path or location;"),
        ("t.csv", table(row()).encode() + b"a,b,c,d,e,f,g,h,i,j,k,l,m\n", "cannot be read: found more fields"),
        ("t.csv", table(row()).encode() + b'"torn', "cannot be read: could not parse"),
        ("t.csv", table(row(path="/é.nc")).encode("latin-1"), "cannot be read: invalid utf-8"),
        ("t.csv.gz", gzip.compress(table(*[row()] * 999).encode())[:-99], "cannot be read: "),
        ("t.parquet", b"PAR1 and so on", "cannot be read: parquet: File out of specification"),
        ("t.xlsx", b"PK", "'t.xlsx' is of an unknown kind: expected .json, .csv, .csv.gz or .parquet"),
        ("t.json", b"{", "not accept it: Invalid JSON: EOF while parsing an object at line 1 column 1; correct it, or"),
        ("t.json", b"\xff", "not accept it: Invalid JSON: "),
        ("t.json", b"[" * 100_000, "not accept it: Invalid JSON: recursion limit exceeded"),
        ("t.json", b"[]", "not accept it: Input should be an object; correct it, or name its table"),
        ("t.json", b"{}", "not accept it: esmcat_version: Field required"),
        ("t.json", NO_ASSETS + b"}", "not accept it: assets: Field required"),
        ("t.json", NO_ASSETS + b', "assets": "path"}', "not accept it: assets: Input should be an object"),
        ("t.json", NO_ASSETS + b', "assets": {}}', "not accept it: assets.column_name: Field required"),
        ("t.json", DESCRIBED + b"}", 'it has no "catalog_file", and no rows in "catalog_dict"'),
        ("t.json", DESCRIBED + b', "catalog_dict": []}', 'no rows in "catalog_dict"'),
        ("t.json", DESCRIBED + b', "catalog_dict": [7]}', "not accept it: catalog_dict.0: Input should be an object"),
        ("t.json", DESCRIBED + b', "catalog_dict": [{"path": "\\ud800"}]}', "not accept it: Invalid JSON: "),
        ("t.json", DESCRIBED + b', "catalog_file": 7}', "not accept it: catalog_file: Input should be a valid string"),
        ("t.json", DESCRIBED + b', "catalog_file": "gone.csv"}', "gone.csv': correct the path, or download the table"),
        (
            "t.json",
            DESCRIBED + b', "catalog_file": "s3://b/c.csv"}',
            "its table is on the network: download 's3://b/c.csv'",
        ),
    ],
)
def test_unreadable_catalogues(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert message in refused(tmp_path / name)


def test_no_catalogue_at_all(tmp_path):
    assert "No such file" in refused(tmp_path / "gone.json")
    assert "there is no file" in refused(tmp_path / "gone.csv")
    assert "there is no file" in refused(tmp_path)


def test_a_format_column_must_be_there(tmp_path):
    (tmp_path / "t.csv").write_text(table(row()))
    path = described(tmp_path, assets={"column_name": "path", "format_column_name": "kind"}, catalog_file="t.csv")
    assert "it has no column kind; its columns are" in refused(path)


def test_a_dataset_is_files_or_one_pattern(tmp_path):
    """One that is both is left out and named; the others are not stopped by it."""
    mixed, other = (row(), row(path=f"{FOLDER}/*.nc")), row(table_id="day")
    with pytest.raises(CatalogueError, match=r"and also .*expected files, or one glob pattern"):
        read(tmp_path, *mixed)
    catalogue = read(tmp_path, *mixed, other)
    assert ids(catalogue) == [ID.replace("Amon", "day")]
    assert [("one glob pattern" in reason, number) for reason, number in catalogue.left_aside.items()] == [(True, 2)]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("source_id", "../../etc", "source_id is '../../etc', expected letters, digits, - and _ only"),
        ("source_id", "ACCESS1.0", "source_id is 'ACCESS1.0'"),
        ("variable_id", "tas;rm -rf ~", "variable_id is 'tas;rm -rf ~'"),
        ("variable_id", "['tas', 'pr']", "variable_id is \"['tas', 'pr']\""),
        ("member_id", "\x1b[2Jr1", r"member_id is '\x1b[2Jr1'"),
        ("table_id", "Amon\n", r"table_id is 'Amon\n'"),
        ("grid_label", "", "grid_label is None"),
        ("dcpp_init_year", "1960.5", "member_id is 's1960.5-r1i1p1f2'"),
        ("path", "/data/a\nb.nc", r"path is '/data/a\nb.nc', expected no control characters"),
        ("path", "/data/a\0b.nc", r"path is '/data/a\x00b.nc'"),
    ],
)
def test_hostile_values_are_named(tmp_path, column, value, shown):
    """A row that could not be part of a file name is refused by its number, and stops no other dataset."""
    hostile, sound = row(dcpp_init_year="") | {column: value}, row(dcpp_init_year="", table_id="day")
    (tmp_path / "t.csv").write_text(table(hostile, hostile))
    assert f"row 1: {shown}" in refused(tmp_path / "t.csv")
    catalogue = read(tmp_path, sound, hostile, row(dcpp_init_year="", table_id="3hr"))
    assert ids(catalogue) == [ID.replace("Amon", "3hr"), ID.replace("Amon", "day")]
    ((reason, number),) = catalogue.left_aside.items()
    assert (reason.startswith(f"row 2: {shown}"), number) == (True, 1)


def test_dataset_with_a_bad_row_is_left_out_whole(tmp_path):
    """The files of its other rows would be a part of it that nobody would see to be one."""
    catalogue = read(tmp_path, row(), row(path="/data/a\nb.nc"), row(table_id="day"))
    assert ids(catalogue) == [ID.replace("Amon", "day")]


@pytest.mark.parametrize("wrong", [{"member_id": ""}, {"member_id": "r1 i1"}, {"version": "v/1"}])
def test_dataset_that_lacks_the_file_of_a_bad_row_is_left_out(tmp_path, wrong):
    """Where a row does not say of which dataset it is, those that have its folder and a name like it are left out."""
    other = row(table_id="day", path=f"{FOLDER}/tas_day_UKESM1-0-LL_historical_r1i1p1f2_gn_18500101-18501231.nc")
    catalogue = read(tmp_path, row(), row(**wrong, path=SECOND), other, row(variable_id="pr", path="/data/pr.nc"))
    assert ids(catalogue) == [ID.replace("Amon.tas", "Amon.pr"), ID.replace("Amon", "day")]
    assert [*catalogue.left_aside.values()] == [1, 1]
    assert f"other rows of {ID}, which may lack the file of such a row" in catalogue.left_aside
    listed_again = read(tmp_path, row(), row(path=SECOND), row(**wrong, path=SECOND))
    assert ids(listed_again) == [ID]


@pytest.mark.parametrize("characters", [drs.MOST_ID_BYTES, drs.MOST_ID_BYTES + 1, 254, 255, 256, 300, 5000])
def test_an_id_that_fits_in_no_file_name_is_refused_by_row(tmp_path, characters):
    """It is named with its length; the remedy, a select of others or a shorter name, works."""
    long = row(source_id=FACETS["source_id"] + "x" * (characters - len(ID)))
    catalogue = read(tmp_path, row(), long)
    if characters <= drs.MOST_ID_BYTES:
        (name,) = set(catalogue.datasets) - {ID}
        for end in (".json.1234567.part", ".published.writer.json.1234567.part", ".log", ".svg.1234567.part"):
            (tmp_path / f"{name}{end}").touch()
        assert drs.store_folder(name)
        return
    assert ids(catalogue) == [ID]
    assert list(catalogue.left_aside) == [
        f"row 2: id has {characters} characters, expected at most {drs.MOST_ID_BYTES}, to fit into a file name; "
        "correct it, or leave it out by exclude"
    ]
    assert read(tmp_path, row(), long, select={"source_id": FACETS["source_id"]}).left_aside == {}
    with pytest.raises(ValueError, match="at most 200 characters"):
        drs.store_folder(".".join(long[facet] for facet in NAMES))


LONG = "x" * (lines.MOST_ROW_BYTES + 1)


@pytest.mark.parametrize("end", [".csv", ".csv.gz"])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        (table(row(), row(path="/" + LONG), row()), 3),
        (LONG + table(row()), 1),
        (table(row()) + '"open' + "\nand lines\n" * 10**5 + LONG, 3),
        (table(row(), *[row()] * 9999) + '"open' + table(row()) * 9999, 10002),
        (table(row(path="/a\nb")) + table(row(path="/" + LONG)), 5),
    ],
    ids=["long path", "long header", "quote never closed", "quote late", "after a quoted line break"],
)
def test_overlong_row_is_refused_by_line(tmp_path, end, text, line):
    """It is found in pieces, before anything holds it whole."""
    path = tmp_path / f"t{end}"
    path.write_bytes(text.encode() if end == ".csv" else gzip.compress(text.encode(), 1))
    assert f"{path.name}: the row that begins in line {line} has more than 1048576 bytes" in refused(path)


def test_long_rows_take_no_memory(tmp_path, monkeypatch):
    """A line of 1 GB is known to be too long after its first pieces."""
    read_bytes = []

    class Endless:
        def read(self, size):
            read_bytes.append(size)
            return b"x" * size

    assert lines.first_overlong(Endless()) == 1
    assert sum(read_bytes) <= 2 * lines.MOST_ROW_BYTES
    monkeypatch.setattr("cmip6zarr.catalogue.esm.MOST_JSON_BYTES", 10)
    assert "put the rows into a table" in refused(described(tmp_path, **NETCDF, catalog_dict=[row()]))


@given(st.lists(st.sampled_from(['"', "\n", "x", "xx", ","]), max_size=60), st.integers(1, 9))
def test_rows_are_cut_as_one_reads_them(parts, most):
    """However pieces fall, the first row that is too long is the one that reading byte by byte finds."""
    text, quoted, line, start, length, expected = "".join(parts), False, 1, 1, 0, None
    for character in text:
        quoted ^= character == '"'
        line += character == "\n"
        if character == "\n" and not quoted:
            start, length = line, 0
        else:
            length += 1
            if length > most:
                expected = start
                break
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MOST_ROW_BYTES", most)
        assert lines.first_overlong(io.BytesIO(text.encode())) == expected


@given(st.dictionaries(st.sampled_from([*ROW, "dcpp_init_year", "format"]), st.text(), min_size=1))
def test_no_value_leads_to_a_bad_id_or_path(tmp_path_factory, values):
    assets = {"column_name": "path", "format_column_name": "format"}
    records = [row(format="netcdf") | values]
    path = described(tmp_path_factory.getbasetemp(), assets=assets, catalog_dict=records)
    try:
        datasets = read_catalogue(path).datasets
    except CatalogueError as error:
        assert str(error).isprintable()
    else:
        for name, dataset in datasets.items():
            assert re.fullmatch(drs.DATASET_PATTERN, name)
            assert all(file.startswith("/") and not re.search(r"[\x00-\x1f\x7f]", file) for file in dataset.files)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = ["assets", "catalog_dict", "catalog_file", "column_name", "format", "format_column_name", *ROW]


@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.dictionaries(st.sampled_from(KEYS), JSON)))
def test_any_json_is_read_or_refused(tmp_path_factory, values):
    assert refused(described(tmp_path_factory.getbasetemp(), **values))


# Building


@pytest.mark.parametrize(
    ("tree", "rows", "datasets", "left_aside"),
    [
        ("CMIP6", 75, 27, {}),
        ("esmvaltool/CMIP6", 104, 13, {}),
        ("intake-esm/CMIP6", 22, 22, {}),
        ("ref/CMIP6", 3, 3, {}),
        ("cmip5", 31, 3, {}),
        (".", 235, 68, {"outside any DRS folder": 35}),
    ],
)
def test_build_reads_real_trees(real_data, tmp_path, tree, rows, datasets, left_aside):
    built, aside = build([real_data / tree])
    assert (built.height, {why.partition(": ")[0]: n for why, n in aside.items()}) == (rows, left_aside)
    write(built, tmp_path / "x.json")
    catalogue = read_catalogue(tmp_path / "x.json")
    assert (catalogue.rows, len(catalogue.datasets), catalogue.left_aside) == (rows, datasets, {})
    assert all(Path(file).is_file() for dataset in catalogue.datasets.values() for file in dataset.files)


def test_build_reads_the_sample_package(tmp_path):
    package = importlib.util.find_spec("esmvaltool_sample_data")
    if package is None:
        pytest.skip("the package esmvaltool_sample_data is not installed")
    built, _ = build(package.submodule_search_locations)
    write(built, tmp_path / "x.json")
    assert (built.height, len(read_catalogue(tmp_path / "x.json").datasets)) == (326, 76)


def test_build_has_the_columns_of_ncar(real_data):
    rows, _ = build([real_data / "CMIP6/DCPP/MOHC"])
    assert rows.columns == [*NAMES, "dcpp_init_year", "time_range", "path", "size"]
    assert rows.row(0, named=True) == {
        "mip_era": "CMIP6",
        "activity_id": "DCPP",
        "institution_id": "MOHC",
        "source_id": "HadGEM3-GC31-MM",
        "experiment_id": "dcppA-hindcast",
        "member_id": "s2004-r3i1p1f2",
        "table_id": "Amon",
        "variable_id": "pr",
        "grid_label": "gn",
        "version": "v20200417",
        "dcpp_init_year": 2004,
        "time_range": "200411-200412",
        "path": rows["path"].min(),
        "size": Path(rows["path"].min()).stat().st_size,
    }


def test_build_lists_a_link_to_nowhere_without_a_size(tmp_path):
    (tmp_path / FOLDER[1:]).mkdir(parents=True)
    (tmp_path / FIRST[1:]).symlink_to("nowhere")
    assert build([tmp_path])[0]["size"].to_list() == [None]


def test_build_of_overlapping_roots_lists_a_file_once(real_data):
    once, again = (build([real_data / tree for tree in trees])[0] for trees in (["ref"], ["ref/CMIP6", "ref", "ref"]))
    assert once.equals(again)


def test_build_says_where_it_found_nothing(tmp_path):
    with pytest.raises(CatalogueError, match="gone: there is no such folder"):
        build([tmp_path / "gone"])
    (tmp_path / "tas.nc").touch()
    with pytest.raises(CatalogueError, match=r"no NetCDF file lies in a DRS folder.*: outside any DRS folder: 1 in /"):
        build([tmp_path])


def test_build_takes_the_newest_versions_alone(tmp_path):
    """By their number, and not by their spelling; how many were older is told."""
    place = tmp_path / "CMIP6/CMIP/A/B/historical/r1i1p1f1/Amon/tas/gn"
    for version in ("v9", "v20180101", "v20190319"):
        (place / version).mkdir(parents=True)
        (place / version / "tas_Amon_B_historical_r1i1p1f1_gn_185001-185012.nc").touch()
    rows, aside = build([tmp_path], latest=True)
    assert (rows["version"].to_list(), aside) == (["v20190319"], {"files of 2 older versions": 2})
    assert build([tmp_path])[0].height == 3


def test_intake_esm_keys_are_dataset_ids(real_data, tmp_path):
    rows, _ = build([real_data / "CMIP6", real_data / "cmip5"])
    write(rows, tmp_path / "x.json")
    opened = intake_esm.core.esm_datastore(str(tmp_path / "x.json"))
    assert sorted(opened.keys()) == ids(read_catalogue(tmp_path / "x.json"))
    assert len(opened.df) == rows.height


def test_intake_esm_opens_a_catalogue_of_stores(tmp_path):
    rows = pl.DataFrame([row(path=None, zstore="/stores/x.zarr", time_range=None)])
    write(rows, tmp_path / "x.json", Assets(description="Stores", column="zstore", format="zarr3"))
    opened = intake_esm.core.esm_datastore(str(tmp_path / "x.json"))
    assert list(opened.keys()) == [ID]
    assert opened.esmcat.assets.format.value == "zarr3"
    assert refused(tmp_path / "x.json").endswith("{'format zarr3': 1}")


def test_write_leaves_no_half_catalogue(tmp_path, monkeypatch):
    rows = pl.DataFrame([row()])
    write(rows, tmp_path / "new/x.json")
    before = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert sorted(before) == ["x.csv", "x.json"]

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match=r"cannot be written: No space .*x\.csv"):
        write(pl.DataFrame([row(path=SECOND)]), tmp_path / "new/x.json")
    assert {name: (tmp_path / "new" / name).read_bytes() for name in before} == before


def test_write_wants_a_json(tmp_path):
    with pytest.raises(CatalogueError, match=r"x\.csv: expected a name that ends in \.json"):
        write(pl.DataFrame([row()]), tmp_path / "x.csv")


# The command line


def test_build_and_show(real_data, tmp_path, capsys):
    out = str(tmp_path / "x.json")
    assert cli.main(["build", str(real_data / "CMIP6"), str(real_data / "other"), "--out", out]) == 0
    said = capsys.readouterr().out
    assert "rows        75\nleft aside  35 (outside any DRS folder: 18 in " in said
    assert "other/cesm-le, 4 in " in said
    assert said.count(" in ") == MOST_FOLDERS + 1
    assert cli.main(["show", out, "--select", "table_id=SImon", "source_id=CanESM5,CESM2"]) == 0
    shown = capsys.readouterr().out
    assert "rows        75\ndatasets    2\n" in shown
    assert "  CMIP6.CMIP.CCCma.CanESM5.historical.r1i1p1f1.SImon.siconc.gn.latest\n" in shown
    assert cli.main(["show", out]) == 0
    assert capsys.readouterr().out.endswith("  ...\n")


def test_errors_are_one_message(tmp_path, capsys):
    assert cli.main(["show", str(tmp_path / "gone.json")]) == 1
    assert cli.main(["build", str(tmp_path), "--out", str(tmp_path / "x.json")]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err.count("catalogue: ")) == ("", 2, 2)


@pytest.mark.parametrize("argv", [[], ["show"], ["build", "."], ["show", "x.json", "--select", "tas"], ["make"]])
def test_usage(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
