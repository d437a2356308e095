"""Checksums of files on their way from lists and tables to the file that the controller hands to a job."""

import json

import polars as pl
import pytest
from builders import FACETS, dataset_id

from cmip6zarr.catalogue.build import build, write
from cmip6zarr.catalogue.dataset import Dataset, Published, hand_over, handed_over, path_of
from cmip6zarr.catalogue.esm import CatalogueError, read_catalogue

ID = dataset_id()
SUM, MD5 = "ab" * 32, "cd" * 16
PATH = f"/data/{ID.replace('.', '/')}/tas_Amon_MODEL-A_historical_r1i1p1f1_gn_185001-185004.nc"
LINE = f"{ID} | {PATH} | 1234 | checksum={SUM} | checksum_type=SHA256"


def table(folder, *rows, **types):
    """Return a parquet of files of the default dataset."""
    each = [FACETS | {"path": f"/d/{number}.nc"} | row for number, row in enumerate(rows)]
    names = dict.fromkeys(name for row in each for name in row)
    columns = {name: pl.Series([row.get(name) for row in each], dtype=types.get(name)) for name in names}
    pl.DataFrame(columns).write_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def published(folder, *rows, **types):
    """Return what has been published of the files of the one dataset of a table."""
    [dataset] = read_catalogue(table(folder, *rows, **types)).datasets.values()
    return dataset.published


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"checksum": SUM, "checksum_type": "SHA256", "size": 12}, Published("SHA256", SUM, 12)),
        ({"checksum": SUM.upper(), "checksum_type": "sha-256"}, Published("SHA256", SUM)),
        ({"checksum": MD5, "checksum_type": "md5"}, Published("MD5", MD5)),
        ({"checksum": f" {SUM}"}, Published("SHA256", SUM)),
        ({"checksum": MD5, "size": -1}, Published("MD5", MD5)),
        ({"checksum": f"1220{SUM}"}, Published("SHA256", SUM)),
        ({"checksum": f"d50110{MD5}", "checksum_type": "multihash"}, Published("MD5", MD5)),
        ({"file:checksum": f"1220{SUM}", "file:size": 12}, Published("SHA256", SUM, 12)),
        ({"checksum": [SUM], "checksum_type": ["SHA256"]}, Published("SHA256", SUM)),
    ],
)
def test_a_checksum_is_read_in_the_forms_of_archives(tmp_path, row, expected):
    assert published(tmp_path, row) == (expected,)


def test_a_file_may_have_none(tmp_path):
    """None of all files is as if there were no column; a size alone is no more than a figure."""
    types = {"checksum": pl.String}
    assert published(tmp_path, {"checksum": SUM}, {}, {"checksum": ""}) == (Published("SHA256", SUM), None, None)
    [dataset] = read_catalogue(table(tmp_path, {"checksum": "nan", "size": 12}, **types)).datasets.values()
    assert dataset == Dataset(ID, ("/d/0.nc",), 12)
    assert published(tmp_path, {"size": 12}) == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"checksum": "ab"},
            "checksum is 'ab', expected 64 hexadecimal digits of SHA256, 32 hexadecimal digits of MD5",
        ),
        ({"checksum": "xy" * 32}, "expected 64 hexadecimal digits"),
        ({"checksum": SUM, "checksum_type": "MD5"}, "or a multihash of these as checksum_type is 'MD5'"),
        ({"checksum": "ab" * 64, "checksum_type": "SHA512"}, "checksum_type is 'SHA512', expected one of SHA256, MD5"),
        ({"checksum": "1220ab"}, "checksum is '1220ab'"),
        ({"checksum": "\x1b[2J"}, r"checksum is '\x1b[2J'"),
        (
            {"checksum": SUM, "path": "/d/*.nc"},
            "checksum is that of '/d/*.nc', expected that of a file, and no pattern",
        ),
        ({"checksum": [SUM, MD5]}, f"checksum is '{SUM} {MD5}'"),
    ],
)
def test_a_checksum_that_is_none_is_named_by_its_row(tmp_path, row, message):
    """The dataset is left out, whole; another one is not."""
    other = FACETS | {"variable_id": "pr"}
    kept = table(
        tmp_path, {"checksum": None}, row, other, checksum=pl.List(pl.String) if type(row["checksum"]) is list else None
    )
    catalogue = read_catalogue(kept)
    assert list(catalogue.datasets) == [dataset_id(variable_id="pr")]
    [told] = catalogue.left_aside
    assert told.startswith("row 2: ")
    assert message in told
    assert told.endswith("; correct it, or leave it empty")
    assert told.isprintable()


def test_one_file_has_one_checksum(tmp_path):
    twice = [{"path": "/d/a.nc", "checksum": each} for each in (SUM, SUM.upper())]
    assert published(tmp_path, *twice) == (Published("SHA256", SUM),)
    twice[1]["checksum"] = None
    with pytest.raises(CatalogueError, match=r"lists '/d/a.nc' twice, with two checksums; correct one"):
        published(tmp_path, *twice)


def test_checksums_stay_with_their_files_whatever_the_order_of_rows(tmp_path):
    """Paths of any length, alike in their first or in their last letters, are in order of the alphabet."""
    paths = ["/", "/d/é.nc", f"/d/{'e' * 40}_b.nc", f"/d/{'e' * 40}_a.nc", f"/f/{'e' * 40}_a.nc", f"/d/{'e' * 28}.nc"]
    rows = [{"path": path, "checksum": f"{number:032}", "size": number} for number, path in enumerate(paths)]
    [dataset] = read_catalogue(table(tmp_path, *rows, rows[1])).datasets.values()
    expected = sorted((path, Published("MD5", f"{number:032}", number)) for number, path in enumerate(paths))
    assert list(zip(dataset.files, dataset.published, strict=True)) == expected
    assert dataset.source_bytes == sum(range(len(paths)))


def test_a_digest_follows_published_checksums():
    """And is what it was where there are none: stores that were sealed stay finished."""
    assert Dataset(ID, ("/d/a.nc",)).digest == "45c2edc8e2e99ddc"
    digests = {
        Dataset(ID, ("/d/a.nc",), published=said).digest
        for said in ((), (Published("MD5", MD5),), (Published("MD5", MD5, 12),), (Published("SHA256", SUM),))
    }
    assert len(digests) == 4


def test_a_job_is_handed_what_was_published(tmp_path):
    row = Dataset(ID, ("/d/a.nc", "/d/b.nc"), published=(Published("MD5", MD5, 12), None))
    plain = Dataset(dataset_id(variable_id="pr"), ("/d/c.nc",))
    hand_over(tmp_path, [row, plain])
    assert handed_over(tmp_path, ID, row.digest) == row
    assert handed_over(tmp_path, plain.id, plain.digest) == plain
    assert "published" not in json.loads(path_of(tmp_path, plain.id).read_text())


def test_a_list_says_more_than_a_tree(tmp_path):
    """Of a file that a mapfile and an item list, the checksum is kept whichever comes first; two are named."""
    item = {"id": ID, "assets": {"a": {"href": PATH, "file:checksum": f"1220{SUM}"}}}
    (tmp_path / "items.json").write_text(json.dumps(item))
    (tmp_path / "x.map").write_text(f"{ID} | {PATH}\n{LINE}\n")
    rows, _ = build((), [tmp_path / "x.map"], [tmp_path / "items.json"])
    assert rows.select("path", "checksum", "checksum_type").rows() == [(PATH, SUM, "SHA256")]
    (tmp_path / "x.map").write_text(f"{LINE}\n{LINE.replace(SUM, 'cd' * 32)}\n")
    rows, aside = build((), [tmp_path / "x.map"])
    assert rows["checksum"].to_list() == [SUM]
    assert aside == {f"{PATH}: listed with two, the first was taken": 1}
    write(rows, tmp_path / "x.json")
    [dataset] = read_catalogue(tmp_path / "x.json").datasets.values()
    assert dataset.published == (Published("SHA256", SUM, 1234),)
