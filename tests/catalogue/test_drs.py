"""Dataset ids, folders and file names."""

import re
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.catalogue import drs, projects

CMIP6 = projects.built_in("cmip6")
KNOWN = projects.known()
ID = "CMIP6.CMIP.MOHC.UKESM1-0-LL.historical.r1i1p1f2.Amon.tas.gn.v20190406"
FOLDER = "/data/CMIP6/DCPP/MOHC/HadGEM3-GC31-MM/dcppA-hindcast/s2004-r3i1p1f2/Amon/pr/gn/v20200417"
CMIP5_FOLDER = "/data/CMIP5/cmip5/output1/MOHC/HadGEM2-ES/rcp85/mon/atmos/Amon/r1i1p1/v20120928/tas"


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(*roots):
    return [(path.removeprefix(f"{roots[0]}/"), facets) for path, facets in drs.tree(roots, KNOWN)]


def test_store_folder_is_the_id_in_folders():
    assert drs.store_folder(ID) == "CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/v20190406.zarr"


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "CMIP6.CMIP",
        ID + ".more",
        ID + "\n",
        "\n" + ID,
        ID.replace("tas", ".."),
        ID.replace("tas", "../tas"),
        ID.replace("tas", "ta's"),
        ID.replace("tas", "ta s"),
        ID.replace("tas", "$(ls)"),
        ID.replace("tas", "tås"),
        ID.replace("tas", "tas٣"),  # a digit, but none of ours
        ID.replace("tas", ""),
    ],
)
def test_store_folder_refuses_what_is_no_id(hostile):
    with pytest.raises(ValueError, match="is not a dataset id: expected words such as mip_era"):
        drs.store_folder(hostile)


@given(st.lists(st.text(min_size=1), min_size=9, max_size=11).map(".".join) | st.text())
def test_store_folder_never_leaves_its_root(text):
    try:
        folder = drs.store_folder(text)
    except ValueError as error:
        assert str(error).isprintable()
    else:
        assert re.fullmatch(r"([A-Za-z0-9_-]+/){2,}[A-Za-z0-9_-]+\.zarr", folder)


@given(st.lists(st.text(ascii_letters + digits + "_-", min_size=1, max_size=18), min_size=10, max_size=10))
def test_store_folder_takes_every_id(words):
    assert drs.store_folder(".".join(words)) == "/".join(words) + ".zarr"


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (FOLDER, "CMIP6.DCPP.MOHC.HadGEM3-GC31-MM.dcppA-hindcast.s2004-r3i1p1f2.Amon.pr.gn.v20200417"),
        # NCAR's extra folder
        (FOLDER + "/pr", "CMIP6.DCPP.MOHC.HadGEM3-GC31-MM.dcppA-hindcast.s2004-r3i1p1f2.Amon.pr.gn.v20200417"),
        (CMIP5_FOLDER, "CMIP5.output1.MOHC.HadGEM2-ES.rcp85.r1i1p1.Amon.tas.na.v20120928"),
        (FOLDER + "/tas", None),  # a folder that is not the variable's
        (FOLDER.replace("/gn", ""), None),
        (FOLDER.replace("v20200417", "files/d20200417"), None),
        (FOLDER.replace("/data", "/da\nta"), None),
        (FOLDER.replace("/data", "/data*"), None),
        (CMIP5_FOLDER.removesuffix("/tas"), None),
        ("/CMIP6", None),
    ],
)
def test_folder_facets(folder, expected):
    facets = drs.folder_facets(folder, KNOWN)
    assert (facets and ".".join(facets.values())) == expected
    assert not facets or tuple(facets) == tuple(CMIP6.facets)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tas_Amon_X_historical_r1i1p1f1_gn_185001-201412.nc", "185001-201412"),
        ("ps_3hr_X_piControl_r1i1p1f1_gn_252601010300-252701010000.nc", "252601010300-252701010000"),
        ("co3_Oyr_X_esmControl_r1i1p1_2078-2100.nc", "2078-2100"),
        ("o3_AERmon_X_historical_r1i1p1f1_gn_185001.nc", "185001"),  # one date is not legal, but occurs
        ("o3_AERmon_X_historical_r1i1p1f1_gn_185001_zm.nc", None),
        ("tas_Amon_X_historical_r1i1p1f1_gn_198101-200512-clim.nc", "198101-200512-clim"),
        ("orog_fx_X_historical_r0i0p0.nc", None),
    ],
)
def test_time_range(name, expected):
    assert CMIP6.time_range(name) == expected


def test_tree_counts_what_it_cannot_name(tmp_path):
    version = "CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/v20190406"
    files(tmp_path, f"{version}/tas.nc", f"{version}/tas\n.nc", f"{version}/tas*.nc", f"{version}/tas.nc.tmp", "tas.nc")
    assert [(path, facets if isinstance(facets, str) else facets["version"]) for path, facets in found(tmp_path)] == [
        ("tas.nc", "outside any DRS folder"),
        (f"{version}/tas\n.nc", "unsafe file name"),
        (f"{version}/tas*.nc", "unsafe file name"),
        (f"{version}/tas.nc", "v20190406"),
    ]


def test_tree_walks_every_folder_once_and_under_its_own_name(tmp_path):
    grid = tmp_path / "CMIP6/CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn"
    files(grid, "v20190406/tas.nc")
    (grid / "latest").symlink_to("v20190406")
    (grid / "loop").symlink_to(tmp_path)
    (grid / "README").symlink_to("v20190406/tas.nc")
    (grid / "v20190406/tas_2.nc").symlink_to("tas.nc")
    paths = [path for path, _ in found(tmp_path, grid)]
    assert sorted(path.rpartition("/gn/")[2] for path in paths) == ["v20190406/tas.nc", "v20190406/tas_2.nc"]


def test_tree_writes_paths_without_detours(tmp_path, monkeypatch):
    files(tmp_path, "tree/tas.nc", "here/tas.nc")
    monkeypatch.chdir(tmp_path / "here")
    assert [path for path, _ in drs.tree([".", "../tree"], KNOWN)] == [
        f"{tmp_path}/here/tas.nc",
        f"{tmp_path}/tree/tas.nc",
    ]


def test_tree_follows_links_to_other_disks(tmp_path):
    member = "CMIP/MOHC/UKESM1-0-LL/historical/r1i1p1f2/Amon/tas/gn/v20190406"
    files(tmp_path / "disk2", f"{member}/tas.nc")
    (tmp_path / "disk1").mkdir()
    (tmp_path / "disk1/CMIP6").symlink_to(tmp_path / "disk2")
    [(path, facets)] = found(tmp_path / "disk1")
    assert (path, facets["institution_id"]) == (f"CMIP6/{member}/tas.nc", "MOHC")


def test_tree_reports_folders_that_it_cannot_list(tmp_path):
    (tmp_path / "self").symlink_to("self")
    assert found(tmp_path) == [("self", "unreadable folder")]
