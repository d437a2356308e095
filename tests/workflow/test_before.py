"""What an earlier version has written is as good as new: receipts, stores, ledgers, provenances.

`before.zip` holds a campaign of one dataset as version 70b3702 left it, made by the tests' own builder.
"""

import os
import shutil
import time
import zipfile
from pathlib import Path

import clones
import pytest
from builders import make_dataset
from clones import RULES, A, chain
from same_files import assert_same

import restore
from cmip6zarr.catalogue import drs

pytestmark = pytest.mark.workflow


@pytest.fixture
def clone(tmp_path_factory, tmp_path):
    """A clone with that campaign, its files as old as they were."""
    clone = clones.checkout(tmp_path_factory.getbasetemp()).copy(tmp_path / "clone")
    shutil.rmtree(clone.catalogue.parent)
    with zipfile.ZipFile(Path(__file__).with_name("before.zip")) as held:
        held.extractall(clone.folder)
        for item in held.infolist():
            changed = time.mktime((*item.date_time, 0, 0, -1))
            os.utime(clone.folder / item.filename, (changed, changed))
    return clone


def test_store_of_an_earlier_version(clone, tmp_path):
    """It is finished for a rerun, sound for an audit, and its files come back from it."""
    assert {name for _, name in clone.plan()} <= {""}
    clone.snakemake()
    assert "audit: read 1 stores, 15 objects" in (said := clone.snakemake("audits"))
    assert "all sound" in said
    paths = make_dataset(tmp_path / "data", files=2, steps=3, units=["days since 1850-01-01", "hours since 1850-01-01"])
    assert restore.main([str(clone.stores / drs.store_folder(A)), "--all", "--to", str(tmp_path / "back")]) == 0
    for path in paths:
        found = tmp_path / "back" / path.name
        os.utime(path, ns=(0, found.stat().st_mtime_ns))
        assert_same(found, path)


def test_option_that_is_newer_than_the_store(clone):
    """An option that its receipts do not know counts as its default: to ask for more must be allowed."""
    said = clone.snakemake("--config", "origin=True", expect=1)
    assert "1 sealed stores would be written again: origin is True, and was False when they were made" in said
    assert "--config 'replace={origin: True}'" in said
    for allowed in ("true", "True"):
        config = ("--config", "origin=True", f"replace={{origin: {allowed}}}")
        assert clone.plan(*config) == chain(A, rules=RULES[1:])
