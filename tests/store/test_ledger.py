"""What has been written is known after a crash; what is torn is written again, and nothing else."""

import json
import subprocess
import sys

import netCDF4
import numpy as np
import pytest
from builders import make_dataset
from chain import run_convert, take, write
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.shuffle import Shuffle

import restore
import verify
from cmip6zarr import RECIPE
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.store import backend, ledger, zarr_store
from cmip6zarr.store.interface import LEDGER
from cmip6zarr.store.ledger import Entry
from cmip6zarr.store.ledger_writer import LedgerWriter
from cmip6zarr.store.raw_sum import RawSum

FIRST = {"ledger": ledger.FORM, "dataset": "d", "recipe": RECIPE, "made_of": "x"}


@pytest.fixture
def store(tmp_path):
    """A folder with three objects and the ledger of them."""
    path = tmp_path / "s.zarr"
    path.mkdir()
    with LedgerWriter(path) as book:
        assert book.begin(FIRST) == {}
        for key in ("a", "b", "c"):
            book.add(Entry(key, "v", *backend.at(path).put(key, [key.encode() * 100]), raw_xxh3="r"))
    return path


def kept(store, **change):
    """Return the keys that a new run of the same sources, plan and codecs keeps."""
    with LedgerWriter(store) as book:
        return sorted(book.begin(FIRST | change))


def test_all_that_holds_is_kept(store):
    """Objects whose length and checksum are those of the ledger are not written again."""
    assert kept(store) == ["a", "b", "c"] == kept(store)
    assert sorted(ledger.read(store)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="short"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), id="torn"),
    ],
)
def test_object_that_does_not_hold_is_written_again(store, spoil):
    """A torn object is not kept, whatever the ledger says; its neighbours are."""
    spoil(store / "b")
    assert kept(store) == ["a", "c"]


@pytest.mark.parametrize("change", [{"recipe": RECIPE + 1}, {"made_of": "y"}, {"dataset": "e"}, {"ledger": 0}])
def test_ledger_of_something_else_is_not_used(store, change):
    """Other sources, plan, codecs or recipe: nothing is kept, and the old lines are gone."""
    assert kept(store, **change) == []
    assert json.loads(ledger.path_of(store).read_text()) == FIRST | change
    assert kept(store) == []


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_line_that_was_cut_off_does_not_count(store, cut):
    """A ledger that ends in the middle of a line is taken up to there, and goes on from there."""
    path = ledger.path_of(store)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DatasetError, match="expected a whole ledger"):
        ledger.read(store)
    with LedgerWriter(store) as book:
        assert sorted(book.begin(FIRST)) == ["a", "b"]
        book.add(Entry("c", "v", *zarr_store.digest(store, "c"), raw_xxh3="r"))
    assert sorted(ledger.read(store)) == ["a", "b", "c"]


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"null", b"[]", b"1", b"{}"]))), st.booleans())
def test_any_bytes_are_a_ledger_of_nothing(lines, headed):
    """Whatever stands in the file, parse returns sound entries only, and how far they reach."""
    head = json.dumps(FIRST).encode() + b"\n" if headed else b""
    first, entries, good = ledger.parse(head + b"\n".join(lines))
    assert entries == {}
    assert good == len(head) or not headed
    assert first == FIRST or not headed


@pytest.mark.parametrize("key", ["/etc/passwd", "../x", "a/../../x", "a//b", "", "a/.."])
def test_key_that_leaves_the_store_is_none(store, key):
    """Keys of a ledger never name a file outside the store."""
    with ledger.path_of(store).open("a") as file:
        file.write(json.dumps({"key": key, "array": "v", "bytes": 1, "xxh3": "x", "raw_xxh3": None}) + "\n")
    assert kept(store) == ["a", "b", "c"]


def test_deep_nesting_and_impossible_names_are_nothing(store):
    """A line that nests beyond all depth ends what is read; a key that no file can have is not there."""
    with ledger.path_of(store).open("a") as file:
        file.write(json.dumps({"key": "a\0b", "array": "v", "bytes": 1, "xxh3": "x", "raw_xxh3": "r"}) + "\n")
        file.write("[" * 10**5 + "\n")
    assert kept(store) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "change", [{"bytes": "1"}, {"bytes": True}, {"key": 1}, {"xxh3": None}, {"raw_xxh3": 1}, {"more": 1}]
)
def test_entry_of_other_types_is_none(change):
    """A line with other names or types than an entry's is a broken one."""
    facts = {"key": "k", "array": "v", "bytes": 1, "xxh3": "x", "raw_xxh3": None}
    lines = [json.dumps(line).encode() + b"\n" for line in (FIRST, facts, facts | change)]
    assert ledger.parse(b"".join(lines))[1:] == ({"k": Entry(**facts)}, len(lines[0] + lines[1]))


def test_second_writer_is_told(store):
    """While a process has the ledger another one is refused; it is free again when the process is killed."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from cmip6zarr.store.ledger_writer import LedgerWriter\n"
    code += f"import time\nwith LedgerWriter({str(store)!r}): print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(DatasetError, match=r"another process is writing or verifying .*s\.zarr") as error:
            kept(store)
        other.kill()
    assert error.value.kind == "busy"
    assert kept(store) == ["a", "b", "c"]


@given(st.sampled_from([1, 2, 4, 8]), st.lists(st.integers(0, 300), min_size=1, max_size=5), st.data())
def test_raw_sum_is_of_the_values_however_they_come(itemsize, lengths, data):
    """Values, or blocks of any size that are shuffled, have one sum; another value has another."""
    values = np.random.default_rng(lengths).integers(0, 256, max(1, sum(lengths)) * itemsize, "u1").view(f"u{itemsize}")
    sums = [RawSum(itemsize) for _ in range(3)]
    sums[0].update(values)
    stops = [*np.cumsum(lengths), len(values)]
    for start, stop in zip([0, *stops], stops, strict=False):
        if stop > start:
            sums[1].update_shuffled(np.frombuffer(Shuffle(itemsize).encode(values[start:stop]), "u1"))
    other = values.copy()
    other[data.draw(st.integers(0, len(values) - 1))] ^= 1
    sums[2].update(other)
    assert sums[0].hexdigest() == sums[1].hexdigest() != sums[2].hexdigest()


@pytest.mark.parametrize("shards", [0, 0.001])
def test_raw_sums_do_not_depend_on_codec_or_reader(tmp_path, shards):
    """The same values have the same sums, streamed to Blosc or compressed by pcodec from slabs."""
    take(make_dataset(tmp_path, steps=5), tmp_path)
    sums = []
    for codec in ("balanced", "small", "fast"):
        options = ("--codec", codec, "--chunks", '{"time": 2}', "--shard-mib", shards)
        assert run_convert(tmp_path, tmp_path / f"{codec}.zarr", *options) == 0
        sums.append({key: e.raw_xxh3 for key, e in ledger.read(tmp_path / f"{codec}.zarr").items() if e.raw_xxh3})
    assert sums[0] == sums[1] == sums[2]
    assert {key.split("/")[0] for key in sums[0]} == {"time", "time_bnds", "lat", "lat_bnds", "lon", "lon_bnds", "tas"}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_ledger_lists_every_object_of_a_store(tmp_path, zarr_format):
    """Metadata too, under the names that they have when the store is sealed, and texts that zarr has written."""
    (path,) = make_dataset(tmp_path, files=1)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createVariable("name", str, ("lat",))[:] = np.array(["a", "b", "c"], object)
    write(take([path], tmp_path), tmp_path / "s.zarr", zarr_format)
    zarr_store.seal(tmp_path / "s.zarr", zarr_format)
    entries = ledger.read(tmp_path / "s.zarr")
    listed = zarr_store.list_objects(tmp_path / "s.zarr")
    assert {key: entry.bytes for key, entry in entries.items()} == listed
    assert {entry.array for entry in entries.values() if entry.raw_xxh3} == {
        *("time", "time_bnds", "lat", "lat_bnds", "lon", "lon_bnds", "tas")
    }


def test_resumed_run_rewrites_only_what_is_lost(tmp_path):
    """Of a dataset whose receipt is gone a new run writes only the shard that is lost; the store is the same."""
    take(make_dataset(tmp_path), tmp_path)
    path, rule = tmp_path / "s.zarr", ("--chunks", '{"time": 4}')
    assert run_convert(tmp_path, path, *rule) == 0
    before = {key: (path / key).read_bytes() for key in zarr_store.list_objects(path)}
    times = {key: (path / key).stat().st_mtime_ns for key in before}
    (path / "tas" / "c/1/0/0").unlink()
    stray = path / "tas" / "c/9/0/0.part"
    stray.parent.mkdir(parents=True)
    stray.touch()
    assert run_convert(tmp_path, path, *rule) == 0
    assert {key: (path / key).read_bytes() for key in zarr_store.list_objects(path)} == before
    written = {key for key in before if zarr_store.is_chunk(key) and (path / key).stat().st_mtime_ns != times[key]}
    assert written == {"tas/c/1/0/0"}
    (receipt,) = tmp_path.glob("convert/*.json")
    assert receipts.read(tmp_path, "convert", receipt.stem)["resumed_shards"] == len(times) - 8 - 1


@pytest.mark.parametrize("options", [("--chunks", '{"time": 3}'), ("--codec", "fast"), ("--zarr-format", "2")])
def test_another_plan_starts_anew(tmp_path, options):
    """Other chunks, codecs or format keep nothing of what is there."""
    take(make_dataset(tmp_path), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 4}') == 0
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 4}', *options) == 0
    (receipt,) = tmp_path.glob("convert/*.json")
    assert receipts.read(tmp_path, "convert", receipt.stem)["resumed_shards"] == 0


def test_path_where_nothing_ever_was_is_told(tmp_path, store, capsys):
    """It is no store that has lost its ledger: only the path can be wrong, for an audit as for a restoration."""
    with pytest.raises(DatasetError) as caught:
        ledger.expect_store(backend.at(tmp_path / "nix.zarr"))
    assert (caught.value.kind, "found no store" in caught.value.message) == ("store", True)
    ledger.expect_store(backend.at(store))
    (tmp_path / f"s.zarr{LEDGER}").unlink()
    ledger.expect_store(backend.at(store))
    assert verify.main(["--audit", str(tmp_path / "nix.zarr")]) == 1
    assert restore.main([str(tmp_path / "nix.zarr"), "--all", "--to", str(tmp_path / "to")]) == 1
    assert capsys.readouterr().err.count("found no store (") == 2
