"""Which campaign a report is of: what the last run was told, and how paths are kept short."""

import os

import polars as pl
import yaml
from campaigns import NAMES, make_campaign
from repository import REPOSITORY

from cmip6zarr.campaign import last_run, listed
from cmip6zarr.report import about, report

SCHEMA = yaml.safe_load((REPOSITORY / "config" / "config.schema.yaml").read_text())
CONFIG = {key: told["default"] for key, told in SCHEMA["properties"].items()}


def test_report_says_which_campaign_it_is(tmp_path):
    """Title, catalogue, selection, settings, version, host, time and command are those of the last run, as text."""
    told = {"title": "<b>Ours", "select": {"source_id": ["A", "B"]}, "chunks": {"time": 4}, "policy": {"gap": "allow"}}
    told |= {
        "exclude": [{"source_id": "C", "table_id": "day"}],
        "settings": [{"select": {"table_id": "fx"}, "codec": "fast"}],
    }
    last_run.keep(tmp_path, ["--cores", "2"], CONFIG | told, "v1")
    listed.keep(tmp_path, [], {"row 3: <i>": 2})
    said = about.about(tmp_path, (0, 60))
    assert said["title"] == "<b>Ours"
    assert said["brief"] == "demo/catalogue.json · Zarr v3, balanced, chunks time: 4, verify full · cmip6-zarr v1"
    facts = dict(said["facts"])
    assert facts["Selection"] == "source_id: A, B"
    assert facts["Excluded"] == "(source_id: C; table_id: day)"
    assert facts["Left aside"] == "2 rows: row 3: <i>"
    assert facts["Settings of table_id: fx"] == "Zarr v3, fast, chunks time: 4, verify full"
    assert facts["Policy"] == "gap: allow"
    assert facts["Time"] == "1970-01-01 00:00 to 1970-01-01 00:01 UTC"
    assert facts["Command"] == f"snakemake --cores 2, in {os.getcwd()}"  # noqa: PTH109
    assert "Published" not in facts
    text = report.write(*make_campaign(tmp_path, 3), tmp_path).read_text()
    assert "&lt;b&gt;Ours" in text
    assert "<b>Ours" not in text
    assert "<i>" not in text


def test_results_of_an_older_version(tmp_path):
    """Where no run has left its configuration the report says what the receipts know."""
    assert about.about(tmp_path, None) == {"title": "", "brief": "", "facts": [], "options": ""}


def test_store_in_a_bucket_is_opened_with_its_endpoint(tmp_path):
    """What opens a store is what the configuration says of the bucket; no key is among it."""
    listed.keep(tmp_path, [], {})
    last_run.keep(tmp_path, [], CONFIG | {"s3": {"endpoint_url": "https://o.store", "anonymous": True}}, "v1")
    expected = ", storage_options={'anon': True, 'endpoint_url': 'https://o.store'}"
    assert about.about(tmp_path, None)["options"] == expected


def test_paths_are_short_where_they_are_those_of_the_id():
    """The folders of the id are one letter; any other path is whole, and absolute."""
    folders = NAMES[0].replace(".", "/")
    paths = [f"s3://b/x/{folders}.zarr", f"stores/{folders}.zarr", "/elsewhere.zarr"]
    table = pl.DataFrame({"dataset": [NAMES[0]] * 3, "store": paths})
    here = os.getcwd()  # noqa: PTH109
    assert table.select(about.short("store", ".zarr"))["store"].to_list() == [
        "s3://b/x/%",
        f"{here}/stores/%",
        "/elsewhere.zarr",
    ]
