"""Stores of every preset and layout, read by the readers of Zarr that there are: docs/readers.md says the truth."""

import os
import shutil
from pathlib import Path

import matrix
import pytest
from read_array import READERS
from repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "readers.md"
pytestmark = pytest.mark.readers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The stores, and the values that all readers must find."""
    return matrix.make_stores(tmp_path_factory.mktemp("readers"))


@pytest.mark.parametrize("reader", [*READERS, "zarrita"])
def test_table_is_true(made, reader):
    """Each reader reads the stores that the page says it reads, equal to the source, and no others."""
    if reader == "zarrita" and not Path(matrix.NODE, "node_modules").is_dir():
        reason = "zarrita is not installed; it needs node and npm: `make test-readers`"
        pytest.fail(reason) if os.environ.get("CMIP6ZARR_REQUIRE_READERS") else pytest.skip(reason)
    assert matrix.row(reader, *made) in PAGE.read_text().splitlines()


def test_other_values_are_told(made, tmp_path):
    """Other values than those of the source are no entry of the table, and what cannot be decoded is not read."""
    stores, values = made
    store = stores["balanced", "v2"]
    with pytest.raises(AssertionError, match="zarr_python reads other values"):
        matrix.row("zarr_python", {("balanced", "v2"): store}, values[::-1])
    broken = shutil.copytree(store, tmp_path / "broken.zarr")
    next(broken.glob("tas/0.*")).write_bytes(b"\2\1\0")
    assert matrix.read("zarr_python", broken) is None


def test_words_of_a_cell():
    """A cell says yes, no, or which presets a reader does not read."""
    every = dict.fromkeys(matrix.PRESETS, True)
    some = every | {"fast": False, "small": False}
    said = [matrix.words(read.items()) for read in (every, dict.fromkeys(every, False), some)]
    assert said == ["yes", "no", "not `fast`, `small`"]
