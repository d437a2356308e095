"""The commands of the documents that need a bucket: run as a reader types them, on a real S3 server."""

import shutil

import clones
import pytest
from clones import read_rows
from pages import blocks, type_in
from repository import REPOSITORY

pytestmark = pytest.mark.s3


def test_commands_of_the_pages(bucket, server, tmp_path, tmp_path_factory, monkeypatch):
    """Publish the demo, convert it into a bucket, audit, restore, read, and ask the bucket."""

    def on_this_server(text: str) -> str:
        keys = server.environment()
        text = text.replace("mybucket", bucket).replace("https://my-tenancy-o.s3.jc.rl.ac.uk", server.endpoint)
        text = text.replace("s3={…}", f"s3={{endpoint_url: {server.endpoint}}}").replace(
            "s3://BUCKET", f"s3://{bucket}"
        )
        text = text.replace("CMIP6/CMIP/…/", "CMIP6/CMIP/CCCR-IITM/IITM-ESM/historical/r1i1p1f1/Amon/ta/gn/")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            text = text.replace(f"{name}=…", f"{name}={keys[name]}")
        return text

    clone = clones.demo(tmp_path_factory.getbasetemp()).copy(tmp_path / "clone")
    monkeypatch.chdir(clone.folder)
    pages = [REPOSITORY / "docs" / name for name in ("object-stores.md", "using-stores.md")]
    found = [
        block for page in pages for block in blocks(page) if "s3://" in block.text and "tests/s3" not in block.text
    ]
    convert, publish, audit_and_restore, ask = [on_this_server(b.text) for b in found if b.language == "sh"]
    type_in(clone, publish)
    assert len(read_rows(clone.results / "catalogue" / "published.json")) == 3
    shutil.rmtree(clone.results)
    assert "3 datasets: 3 verified" in type_in(clone, convert)
    type_in(clone, audit_and_restore)
    assert list((tmp_path / "data" / "restored").glob("ta_*.nc"))
    type_in(clone, ask)
    told: dict = {}
    for block in (block for block in found if block.language == "python"):
        exec(on_this_server(block.text), told)  # noqa: S102  what is run is a page of this repository
    assert told["catalogue"].df["zstore"].str.startswith(f"s3://{bucket}/cmip6/").all()
