"""What a store says of its origin is proven against its files; any other content is not sealed."""

import json

import pytest
import zarr
from builders import make_dataset
from chain import ID, accept, failed_verify, run_convert, take, writable

from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store

BOTH = pytest.mark.parametrize("zarr_format", [2, 3])


def convert(folder, *options):
    """Write the unsealed store `s.zarr` of three files, and leave its receipts."""
    take(make_dataset(folder), folder)
    assert run_convert(folder, folder / "s.zarr", *options) == 0


def spoil(store, change):
    """Change the attributes of an unsealed store, also where they are consolidated, as if convert had written them."""
    with zarr_store.quiet():
        group = writable(store)
        attributes = dict(group.attrs)
        change(attributes)
        group.attrs.put(attributes)
        zarr.consolidate_metadata(group.store)
    accept(store)


def told(change):
    """Return what changes what the attribute says."""

    def make(attributes):
        found = json.loads(attributes["cmip6_zarr"])
        change(found)
        attributes["cmip6_zarr"] = json.dumps(found)

    return make


def text(change):
    """Return what changes the text of the attribute."""
    return lambda attributes: attributes.update(cmip6_zarr=change(attributes["cmip6_zarr"]))


WRONG = {
    "one id": (told(lambda said: said["tracking_ids"].__setitem__(1, "hdl:21.14100/x")), "tracking_ids: found "),
    "ids in another order": (told(lambda said: said["tracking_ids"].reverse()), "tracking_ids: found "),
    "an id less": (told(lambda said: said["tracking_ids"].pop()), "tracking_ids: found "),
    "no id": (told(lambda said: said["tracking_ids"].__setitem__(2, None)), "tracking_ids: found "),
    "files": (told(lambda said: said.update(files=4)), "files: found '4', expected '3'"),
    "files, a text": (told(lambda said: said.update(files="3")), "files: found '\"3\"', expected '3'"),
    "dataset": (told(lambda said: said.update(dataset="another")), "dataset: found '\"another\"', expected"),
    "recipe": (told(lambda said: said.update(recipe=True)), "recipe: found True, expected the form"),
    "version": (told(lambda said: said.update(version=7)), "version: found 7, expected the form"),
    "date": (told(lambda said: said.update(converted="yesterday")), "converted: found 'yesterday', expected the form"),
    "a key more": (told(lambda said: said.update(verified="yes")), "keys: found ['dataset', "),
    "a key less": (told(lambda said: said.pop("tracking_ids")), "keys: found ['dataset', 'files', 'recipe', "),
    "a key twice": (text(lambda said: said.replace("{", '{"dataset": 1, ', 1)), 'found \'{"dataset": 1, '),
    "no JSON": (text(lambda said: said[:-1]), "expected JSON that says what the store was made of"),
    "deep": (text(lambda _: "[" * 100_000), "expected JSON that says what the store was made of"),
    "an array": (text(lambda said: f"[{said}]"), "expected JSON that says what the store was made of"),
    "no text": (text(json.loads), "expected JSON that says what the store was made of"),
    "none": (lambda attributes: attributes.pop("cmip6_zarr"), "found None, expected JSON that says what"),
}


@BOTH
@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_anything_else_is_refused(tmp_path, zarr_format, change, said):
    """One word changed, left out or added is a mismatch that names it, and the store is not sealed."""
    convert(tmp_path, "--origin", "--zarr-format", zarr_format)
    spoil(tmp_path / "s.zarr", change)
    record = failed_verify(tmp_path)
    assert record["class"] == "mismatch"
    assert "1 differences from its source: attribute 'cmip6_zarr': " in record["message"]
    assert said in record["message"]
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")


@BOTH
def test_not_asked_and_there(tmp_path, zarr_format):
    """A store that says it unasked is refused, even if all that it says is true."""
    convert(tmp_path, "--origin", "--zarr-format", zarr_format)
    receipt = receipts.read(tmp_path, "convert", ID)
    receipts.write(receipts.path_of(tmp_path, "convert", ID), receipt | {"origin": False})
    record = failed_verify(tmp_path)
    assert record["class"] == "mismatch"
    assert "global attributes: found ['activity_id', 'cmip6_zarr', " in record["message"]


def test_said_instead_of_the_source(tmp_path):
    """A store that hides the source's own attribute of this name is refused."""
    take(make_dataset(tmp_path, attributes={"cmip6_zarr": "theirs"}), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--origin") == 0
    spoil(tmp_path / "s.zarr", lambda attributes: attributes.update(cmip6_zarr="ours"))
    assert "global attribute 'cmip6_zarr': found 'ours', expected 'theirs'" in failed_verify(tmp_path)["message"]


def test_consolidated_attributes(tmp_path):
    """In Zarr v2 readers find the attributes in another object than the group's own."""
    convert(tmp_path, "--origin", "--zarr-format", 2)
    path = tmp_path / "s.zarr" / f".zmetadata{zarr_store.UNSEALED}"
    held = json.loads(path.read_text())
    held["metadata"][".zattrs"]["cmip6_zarr"] = "another"
    path.write_text(json.dumps(held))
    accept(tmp_path / "s.zarr")
    assert "consolidated attributes: found " in failed_verify(tmp_path)["message"]
