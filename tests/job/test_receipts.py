"""Receipts are whole or absent."""

import json

import pytest

from cmip6zarr.core import files
from cmip6zarr.core.errors import DatasetError, Refused
from cmip6zarr.job import receipts

ID = "CMIP6.CMIP.ZZZ.MODEL-A.historical.r1i1p1f1.Amon.tas.gn.v20200101"


def test_receipt_comes_back(tmp_path):
    """What is written is read, in a folder made for it, and nothing else is left there."""
    facts = {"dataset": ID, "text": "µ", "none": None, "number": 2**63, "list": [1.5, "a"]}
    path = receipts.path_of(tmp_path / "results", "verify", ID)
    receipts.write(path, facts)
    assert path == tmp_path / "results" / "verify" / f"{ID}.json"
    assert receipts.read(tmp_path / "results", "verify", ID) == facts
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("facts", [{"a": float("nan")}, {"a": float("inf")}, {"a": {1, 2}}], ids=["nan", "inf", "set"])
def test_what_json_cannot_hold_leaves_the_old_receipt(tmp_path, facts):
    """A receipt that cannot be written whole is not written, and the one before stays."""
    receipts.write(tmp_path / "x.json", {"old": True})
    with pytest.raises((ValueError, TypeError)):
        receipts.write(tmp_path / "x.json", facts)
    assert json.loads((tmp_path / "x.json").read_text())["old"] is True
    assert len(list(tmp_path.iterdir())) == 1


def test_crash_while_writing_leaves_the_old_receipt(tmp_path, monkeypatch):
    """A receipt that is killed half way is not seen under its name."""
    receipts.write(tmp_path / "x.json", {"old": True})
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(DatasetError, match=r"cannot be written: disk full \(.*x\.json\)"):
        receipts.write(tmp_path / "x.json", {"new": True})
    assert json.loads((tmp_path / "x.json").read_text())["old"] is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"store": "/etc"}',
        "[" * 10**5,
        '{"half": ',
        "\udcff".encode("utf-8", "surrogateescape"),
    ],
)
def test_receipt_that_is_not_whole_is_an_error(tmp_path, text):
    """A receipt that is empty, cut off or no text is an error that names it and what to do."""
    path = receipts.path_of(tmp_path, "convert", ID)
    path.parent.mkdir()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError) as error:
        receipts.read(tmp_path, "convert", ID)
    assert error.value.kind == "receipt"
    assert error.value.message.startswith(f"{path}: not a receipt: ")
    assert error.value.remedy == "Delete it; the next run makes it."


def test_errors_say_kind_and_remedy():
    """An error reads as kind, what, where and remedy, and a refusal is one of them."""
    refusal = Refused("gap", "/d/a.nc: a year is missing.", "Fetch it.")
    assert str(refusal) == "gap: a year is missing (/d/a.nc) -> Fetch it."
    assert isinstance(refusal, DatasetError)


def test_full_disk_leaves_no_part(tmp_path, monkeypatch):
    """Where the disk is full the receipt that was there stays, and nothing lies beside it."""
    files.write_text(tmp_path / "a.json", "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DatasetError, match=r"^space: cannot be written: No space left .* \(.*a\.json\) -> Make room"):
        files.write_text(tmp_path / "a.json", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "old")]


def test_a_receipt_that_is_not_there_is_said_to_be_so(tmp_path):
    """A missing receipt is no damaged one: there is nothing to delete."""
    with pytest.raises(DatasetError) as error:
        receipts.read(tmp_path, "convert", "a.b")
    assert error.value.message == f"{tmp_path / 'convert' / 'a.b.json'}: there is no receipt of convert for a.b."
    assert "Delete" not in error.value.remedy
