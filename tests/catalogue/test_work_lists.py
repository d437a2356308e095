"""Mapfiles and STAC items in, catalogues out; what they must not do; and ESGF's own mapfile of CMIP7."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import catalogue as cli
from cmip6zarr.catalogue import mapfiles, projects, stac
from cmip6zarr.catalogue.build import build, write
from cmip6zarr.catalogue.esm import CatalogueError, read_catalogue
from cmip6zarr.catalogue.lines import MOST_ROW_BYTES
from cmip6zarr.catalogue.listing import Listed, Reading

ID = "MIP-DRS7.CMIP7.CMIP.CCCma.CanESM5-1.1pctCO2.r1i1p2f1.glb.mon.pr.tavg-u-hxy-u.g120.v20190429"
FILE = "pr_tavg-u-hxy-u_mon_glb_g120_CanESM5-1_1pctCO2_r1i1p2f1_185001-190012.nc"
PATH = f"/data/{ID.replace('.', '/')}/{FILE}"
SUM = "ab" * 32
LINE = f"{ID} | {PATH} | 1234 | mod_time=1.5 | checksum={SUM} | checksum_type=SHA256"
READING = Reading(projects=projects.known())


def lines(folder: Path, *some: str | bytes) -> Path:
    path = folder / "x.map"
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in some))
    return path


def item(**change) -> dict:
    """Return a STAC item of ESGF-NG, of one file; a value of None takes a key out."""
    asset = {"href": PATH, "type": "application/netcdf", "file:size": 1234, "file:checksum": f"1220{SUM}"}
    properties = {"cmip7:region": "glb", "cmip7:variable_branding_suffix": "tavg-u-hxy-u", "cmip7:version": "20190429"}
    told = {"type": "Feature", "id": ID, "properties": properties, "assets": {"data0001": asset}} | change
    return {key: value for key, value in told.items() if value is not None}


def items(folder: Path, told) -> Path:
    path = folder / "x.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    return path


def only(read, path):
    """Return the one entry of a work list."""
    [entry] = read(path, READING)
    return entry


# Mapfiles


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        LINE.replace(".v20190429 |", "#20190429 |"),
        LINE.replace(".v20190429 |", "#v20190429 |"),
        LINE.replace(" | ", "|"),
        LINE.replace("SHA256", "sha-256"),
        LINE.replace(" | checksum_type=SHA256", ""),
        LINE.replace(SUM, SUM.upper()),
    ],
)
def test_a_line_is_a_file(tmp_path, line):
    entry = only(mapfiles.read, lines(tmp_path, "", "# a comment", line))
    assert (".".join(entry.facets.values()), entry.path, entry.size) == (ID, PATH, 1234)
    assert (entry.checksum, entry.checksum_type) == (SUM, "SHA256")


def test_a_line_may_have_a_path_alone(tmp_path):
    entry = only(mapfiles.read, lines(tmp_path, f"{ID} | {PATH}"))
    assert (entry.size, entry.checksum) == (None, None)


def test_ids_of_cmip5_have_no_variable(tmp_path):
    """The archive publishes all variables of a table at once: the name of the file says which it is."""
    folder = "/data/cmip5/output1/MOHC/HadGEM2-ES/rcp85/mon/atmos/Amon/r1i1p1/v20120928/tas"
    path = f"{folder}/tas_Amon_HadGEM2-ES_rcp85_r1i1p1_200512-203011.nc"
    published = "cmip5.output1.MOHC.HadGEM2-ES.rcp85.mon.atmos.Amon.r1i1p1#20120928"
    line = f"{published} | {path} | 1 | checksum={'0' * 32} | checksum_type=MD5"
    entry = only(mapfiles.read, lines(tmp_path, line))
    assert ".".join(entry.facets.values()) == "CMIP5.output1.MOHC.HadGEM2-ES.rcp85.r1i1p1.Amon.tas.na.v20120928"
    kind, message = only(mapfiles.read, lines(tmp_path, f"{published} | {folder}/tas.nc"))
    assert "line 1: file is 'tas.nc', expected a name of CMIP5 that says 'variable_id'" in message.replace('"', "")
    assert kind == "file is"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINE.replace("MIP-DRS7.", "", 1), "dataset id is '\"CMIP7.CMIP"),
        (LINE.replace("v20190429 |", "2019 |"), "one of a known project, with its version"),
        (LINE.replace("CanESM5-1.1pct", "../../etc.1pct"), "dataset id is"),
        (LINE.replace(".glb.mon.", ".glb'.mon."), "dataset id is"),
        (LINE.replace("/data/", "/data/../../etc/"), "expected no control characters, * or ?, and no .."),
        (LINE.replace("/data/", "data/"), "expected one that begins with /"),
        (LINE.replace("/data/", "$HOME/"), "expected one that begins with /"),
        (LINE.replace("/data/", "/da*ta/"), "no control characters, * or ?"),
        (LINE.replace("/data/", "/da\x1b[2Jta/"), "no control characters"),
        (LINE.replace("/data/", "https://node/data/"), "remote file"),
        (LINE.replace(".nc |", ".nc.part |"), "a name that ends in .nc"),
        (LINE.replace("/pr_tavg", "/pr_tmax"), f"a name of the dataset {ID}"),
        (LINE.replace("1234", "-1"), "size is \"'-1'\", expected a number of bytes"),
        (LINE.replace("1234", "9" * 99), "expected a number of bytes"),
        (LINE.replace(SUM, "xy" * 32), "64 hexadecimal digits of SHA256"),
        (LINE.replace(SUM, SUM[:-1]), "64 hexadecimal digits of SHA256"),
        (LINE.replace("SHA256", "CRC"), "checksum_type is"),
        (LINE + " | what", "line has"),
        (ID, "expected DATASET | PATH | SIZE"),
        ("", None),
        (LINE.encode() + b"\xff", "line is no text"),
        ("x" * (MOST_ROW_BYTES + 1), "line has too many bytes"),
        ("x" * (3 * MOST_ROW_BYTES), "line has too many bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_lines_are_refused_by_number(tmp_path, line, message):
    """They stop no other line, and the message is for a terminal."""
    found = list(mapfiles.read(lines(tmp_path, LINE, line, LINE), READING))
    assert [isinstance(entry, Listed) for entry in (found[0], found[-1])] == [True, True]
    told = [text for _, text in (entry for entry in found if not isinstance(entry, Listed))]
    if message is None:
        assert not told
        return
    [text] = told
    assert text.startswith("x.map: line 2: ")
    assert message.replace('"', "").replace("'", "") in text.replace('"', "").replace("'", "")
    assert text.isprintable()
    assert len(text) < 600


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_line_leads_out_of_its_folder(text):
    for line in (text, f"{ID} | {text}", f"{text} | {PATH}", LINE.replace("CanESM5-1", text)):
        try:
            entry = mapfiles.entry_of(line.encode("utf-8", "surrogatepass"), READING)
        except mapfiles.Unusable as error:
            assert str(error).isprintable()
        else:
            assert entry is None or (entry.path.startswith("/") and "/../" not in entry.path)


# STAC


@pytest.mark.parametrize(
    "told",
    [
        item(),
        {"type": "FeatureCollection", "features": [item()]},
        [item()],
        item(id=ID.replace("v2019", "2019")),
        item(properties=None),
    ],
)
def test_an_item_is_a_dataset(tmp_path, told):
    entry = only(stac.read, items(tmp_path, told))
    assert (".".join(entry.facets.values()), entry.path, entry.size) == (ID, PATH, 1234)
    assert (entry.checksum, entry.checksum_type) == (SUM, "SHA256")


def asset(**change) -> dict:
    told = item()["assets"]["data0001"] | change
    return item(assets={"a": {key: value for key, value in told.items() if value is not None}})


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (item(id=7), "item has the id 7, expected a text"),
        (item(id="../../x"), "dataset id is"),
        (item(assets=None), "item 1 has no assets"),
        (item(assets=[1]), "item 1 has no assets"),
        (7, "file has int, expected a STAC item"),
        ([7], "item 1 has no assets"),
        ("{", "file is no JSON"),
        ("[" * 100_000, "file is no JSON"),
        (asset(href=None), "asset has no href"),
        (asset(href="/data/../x.nc"), "no .."),
        (asset(href="https://node/x.nc"), "remote file"),
        (asset(type="application/vnd+zarr"), "asset is of type application/vnd+zarr"),
        (asset(**{"file:size": True}), "size is True"),
        (asset(**{"file:checksum": SUM}), "expected a multihash"),
        (asset(**{"file:checksum": "1220ab"}), "64 hexadecimal digits"),
        (item(properties={"cmip7:region": "nh"}), "property cmip7:region is nh, expected glb as in the id"),
        (item(properties={"cmip7:branding_suffix": "tmax-u-hxy-u"}), "expected tavg-u-hxy-u as in the id"),
        (item(properties={"cmip7:version": "20200101"}), "expected v20190429 as in the id"),
    ],
    ids=lambda value: str(value)[-50:],
)
def test_hostile_items_are_refused_by_place(tmp_path, told, message):
    _, text = only(stac.read, items(tmp_path, told))
    assert text.startswith("x.json: ")
    assert message in text.replace("'", "").replace('"', "")
    assert text.isprintable()


def test_a_replica_is_listed_once(tmp_path):
    assets = {name: item()["assets"]["data0001"] | {"href": f"/{name}/{FILE}"} for name in "ab"}
    first, (kind, _) = stac.read(items(tmp_path, item(assets=assets)), READING)
    assert (first.path, kind) == (f"/a/{FILE}", "replica")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["id", "assets", "properties", "features"]), JSON), JSON)
def test_any_json_is_read_or_refused(tmp_path_factory, change, value):
    folder = tmp_path_factory.getbasetemp()
    for told in (item() | change, asset(href=value), asset(**{"file:checksum": value, "file:size": value}), value):
        for entry in stac.read(items(folder, told), READING):
            assert isinstance(entry, Listed) or entry[1].isprintable()


def test_a_json_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(stac, "MOST_BYTES", 10)
    assert "expected at most 10" in only(stac.read, items(tmp_path, item()))[1]


# Together


def test_lists_and_trees_become_one_catalogue(tmp_path, capsys):
    """Sizes and checksums are those of the lists; a file in both is listed once; what is left aside is named."""
    (tmp_path / "maps").mkdir()
    lines(tmp_path / "maps", LINE, "what")
    other = "MIP-DRS7/CMIP7/CMIP/CCCma/CanESM5-1/1pctCO2/r1i1p2f1/glb/mon/pr/tmax-u-hxy-u/g120/v20190429"
    (tmp_path / other).mkdir(parents=True)
    (tmp_path / other / FILE.replace("tavg", "tmax")).write_bytes(b"x" * 7)
    argv = ["build", str(tmp_path), "--mapfiles", str(tmp_path / "maps"), "--stac", str(items(tmp_path, item()))]
    for table in ("csv", "parquet"):
        assert cli.main([*argv, "--table", table, "--out", str(tmp_path / "out" / f"{table}.json")]) == 0
        out = capsys.readouterr().out
        assert "rows        2\nleft aside  1 (x.map: line 2: line is 'what', expected DATASET" in out
        catalogue = read_catalogue(tmp_path / "out" / f"{table}.json")
        sizes = {name.split(".")[10]: row.source_bytes for name, row in catalogue.datasets.items()}
        assert sizes == {"tavg-u-hxy-u": 1234, "tmax-u-hxy-u": 7}
    rows, _ = build([tmp_path], [tmp_path / "maps"])
    assert rows["checksum"].to_list() == [SUM, None]


def test_a_file_of_two_datasets_is_taken_once(tmp_path):
    path = "/data/other.nc"
    rows, aside = build((), [lines(tmp_path, f"{ID} | {path}", f"{ID.replace('tavg', 'tmax')} | {path}")])
    assert rows["branding_suffix"].to_list() == ["tavg-u-hxy-u"]
    assert aside == {"/data/other.nc: listed for two datasets, the first was taken": 1}


def test_lists_that_are_not_there_are_refused(tmp_path, capsys):
    with pytest.raises(CatalogueError, match="there is no such file, and no folder with"):
        build((), [tmp_path / "gone.map"])
    with pytest.raises(CatalogueError, match="there is no such file, and no folder with"):
        build((), (), [tmp_path])
    assert cli.main(["build", "--out", "x.json"]) == 1
    assert "nothing to read" in capsys.readouterr().err


@pytest.mark.parametrize("moved", ["$TEST_DATA", "/data=", "=/data"])
def test_moved_needs_two_ends(moved, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["build", str(tmp_path), "--moved", moved, "--out", "x.json"])
    assert "is not FROM=TO" in capsys.readouterr().err


def test_real_mapfile_of_cmip7(real_cmip7, tmp_path):
    """ESGF's own: paths begin with a name that the site knows, which --moved says."""
    out = str(tmp_path / "x.json")
    moved = f"$TEST_DATA={real_cmip7}"
    assert cli.main(["build", "--mapfiles", str(real_cmip7), "--moved", moved, "--out", out]) == 0
    [dataset] = read_catalogue(out).datasets.values()
    assert (
        dataset.id == "MIP-DRS7.CMIP7.CMIP.MOHC.UKESM1-0-LL.1pctCO2.r1i1p1f3.glb.mon.tas.tavg-h2m-hxy-u.g99.v20260123"
    )
    assert all(Path(file).is_file() for file in dataset.files)
    rows, _ = build([real_cmip7])
    write(rows, tmp_path / "tree.json")
    assert read_catalogue(tmp_path / "tree.json").datasets[dataset.id].files == dataset.files
