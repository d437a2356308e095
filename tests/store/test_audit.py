"""What rots in a store is found without its sources, by name."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import xxhash
from builders import dataset_id, make_dataset
from chain import ID, ROWS, accept, failed_verify, leave_receipts, run_convert, run_verify, take
from zarr.storage import LocalStore

import audit as script
import restore
import verify
from cmip6zarr.catalogue import drs
from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import receipts
from cmip6zarr.model.as_json import to_json
from cmip6zarr.source import inventory
from cmip6zarr.store import audit, backend, folder, interface, ledger, zarr_store


@pytest.fixture
def store(tmp_path):
    """A sealed store of twelve steps in chunks of four, whose sources are gone."""
    paths = make_dataset(tmp_path / "nc")
    take(paths, tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 4}') == 0
    assert run_verify(tmp_path) == 0
    for path in paths:
        path.unlink()
    return tmp_path / "s.zarr"


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def beside(path, number):
    """Return the place of another chunk of the same array."""
    other = path.parents[2] / str(number) / "0" / "0"
    other.parent.mkdir(parents=True, exist_ok=True)
    return other


def swap(path):
    """Give two objects of one length each other's place: chunks of an array have the same form of checksum inside."""
    other = beside(path, 2)
    ours, theirs = path.read_bytes(), other.read_bytes()
    assert ours != theirs
    path.write_bytes(theirs)
    other.write_bytes(ours)


SPOILED = {
    "flipped": (flip, {"changed"}),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), {"short"}),
    "grown": (lambda path: path.write_bytes(path.read_bytes() + b"x"), {"long"}),
    "gone": (lambda path: path.unlink(), {"missing"}),
    "swapped": (swap, {"changed", "short", "long"}),
    "joined": (lambda path: beside(path, 7).write_bytes(path.read_bytes()), {"extra"}),
}


@pytest.mark.parametrize(("spoil", "kinds"), SPOILED.values(), ids=SPOILED)
def test_what_is_wrong_is_named(store, spoil, kinds, capsys):
    """Each fault is found, with the kind and the key of the object, and the exit code is 1."""
    assert verify.main(["--audit", str(store)]) == 0
    assert "every object is what the ledger says" in capsys.readouterr().err
    spoil(store / "tas" / "c/1/0/0")
    assert verify.main(["--audit", str(store)]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {problem["kind"] for problem in told} <= kinds
    named = {problem["key"] for problem in told}
    assert ("tas/c/7/0/0" if kinds == {"extra"} else "tas/c/1/0/0") in named
    assert len(named) == (2 if spoil is swap else 1)


@pytest.mark.parametrize("key", ["zarr.json", "tas/zarr.json", "time/c/0", "lat_bnds/c/0/0"])
def test_metadata_and_coordinates_are_audited_too(store, key):
    """One bit of any object is found."""
    flip(store / key)
    assert audit.problems(store) == [
        {
            "key": key,
            "kind": "changed",
            "found": zarr_store.digest(store, key)[1],
            "expected": ledger.read(store)[key].xxh3,
        }
    ]


def test_every_bit_is_found(store):
    """A thousand bits flipped at random, one after another, are found, each in the object that has it."""
    random, keys = np.random.default_rng(1), sorted(zarr_store.list_objects(store))
    for _ in range(1000):
        key = keys[random.integers(len(keys))]
        data = (store / key).read_bytes()
        bit = int(random.integers(len(data) * 8))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (store / key).write_bytes(flipped)
        assert [(p["key"], p["kind"]) for p in audit.problems(store)] == [(key, "changed")]
        (store / key).write_bytes(data)
    assert audit.problems(store) == []


def linked_chunk(store):
    (store / "tas" / "c/1/0/0").rename(store.parent / "elsewhere")
    (store / "tas" / "c/1/0/0").symlink_to(store.parent / "elsewhere")


def linked_array(store):
    (store / "tas").rename(store.parent / "elsewhere")
    (store / "tas").symlink_to(store.parent / "elsewhere")


STRANGERS = {
    "chunk is a link": (linked_chunk, {("tas/c/1/0/0", "link")}),
    "array is a link": (linked_array, {("tas", "link"), ("tas/c/1/0/0", "missing"), ("tas/zarr.json", "missing")}),
    "link to nowhere": (lambda store: (store / "x").symlink_to("nowhere"), {("x", "link")}),
    "link to the folder": (lambda store: (store / "x").symlink_to(store), {("x", "link")}),
    "pipe": (lambda store: os.mkfifo(store / "tas" / "x"), {("tas/x", "neither file nor folder")}),
    "empty folder": (lambda store: (store / "x" / "y").mkdir(parents=True), {("x/y", "empty folder")}),
}


@pytest.mark.parametrize(("spoil", "expected"), STRANGERS.values(), ids=STRANGERS)
def test_what_is_no_object_is_named_and_goes(store, tmp_path, spoil, expected):
    """Nothing is read through a link; a run after the audit puts all right, and nothing outside changes."""
    spoil(store)
    found = {(problem["key"], problem["kind"]) for problem in audit.problems(store)}
    assert expected <= found
    assert {kind for _, kind in found} <= {kind for _, kind in expected}
    outside = sorted(path.name for path in (tmp_path / "elsewhere").glob("*"))
    make_dataset(tmp_path / "nc")  # as it was, but for its times
    take(sorted((tmp_path / "nc").rglob("*.nc")), tmp_path)
    assert script.main([ID, "--results", str(tmp_path)]) == 1
    assert run_convert(tmp_path, store, "--chunks", '{"time": 4}') == 0
    assert run_verify(tmp_path) == 0
    assert audit.problems(store) == []
    assert outside == sorted(path.name for path in (tmp_path / "elsewhere").glob("*"))


@pytest.mark.parametrize("spoil", [linked_chunk, linked_array])
def test_resumed_store_is_not_written_through_a_link(tmp_path, spoil):
    """What lies behind a link is written again where it belongs; where the link led nothing changes."""
    take(make_dataset(tmp_path), tmp_path)
    path, rule = tmp_path / "s.zarr", ("--chunks", '{"time": 4}')
    assert run_convert(tmp_path, path, *rule) == 0
    spoil(path)
    elsewhere = tmp_path / "elsewhere"
    before = {p: p.read_bytes() for p in (elsewhere.rglob("*") if elsewhere.is_dir() else [elsewhere]) if p.is_file()}
    (before_first, *_) = before
    before_first.write_bytes(b"")
    assert run_convert(tmp_path, path, *rule) == 0
    assert before_first.read_bytes() == b""
    assert not (path / "tas").is_symlink()
    assert run_verify(tmp_path) == 0


BESIDE = (interface.LEDGER, zarr_store.PROVENANCE)


def test_stores_that_changed_places_are_found(tmp_path):
    """A ledger says which store it is of: two whole stores with all that lies beside them are not in their places."""
    places = {}
    for variable in ("tas", "pr"):
        name = dataset_id(variable_id=variable)
        paths = make_dataset(tmp_path / "nc", variable_id=variable)
        row = ROWS[str(tmp_path), name] = Dataset(name, tuple(map(str, paths)))
        facts = to_json(inventory.take_inventory(row, {}))
        receipts.write(receipts.path_of(tmp_path, "inventory", name), facts)
        places[name] = drs.store_place(str(tmp_path), name)
        assert run_convert(tmp_path, places[name], dataset=name) == 0
        assert run_verify(tmp_path, dataset=name) == 0
    (one, tas), (other, pr) = places.items()
    for end in ("", *BESIDE):
        for old, new in ((tas + end, tmp_path / "x"), (pr + end, tas + end), (tmp_path / "x", pr + end)):
            Path(old).rename(new)
    assert verify.main(["--audit", tas]) == 1
    assert audit.problems(tas)[0] | {"found": None} == {
        "key": interface.LEDGER,
        "kind": "of another store",
        "found": None,
        "expected": tas,
    }
    for name in (one, other):
        assert script.main([name, "--results", str(tmp_path)]) == 1
        assert receipts.read(tmp_path, "failed", name)["class"] == "rot"
    older(Path(tas))
    assert audit.problems(tas)[0]["found"] == drs.store_folder(other)
    assert run_convert(tmp_path, tas, dataset=one) == 0
    assert run_verify(tmp_path, dataset=one) == 0
    assert audit.problems(tas, dataset=one) == []


def test_store_may_be_moved_with_its_root(tmp_path):
    """Where the store root lies does not matter, nor whether links lead to it, nor from where it is asked for."""
    take(make_dataset(tmp_path), tmp_path)
    path = Path(drs.store_place(str(tmp_path / "a"), ID))
    assert run_convert(tmp_path, path) == 0
    (tmp_path / "a").rename(tmp_path / "b")
    assert audit.problems(drs.store_place(str(tmp_path / "b"), ID)) == []
    (tmp_path / "c").symlink_to(tmp_path / "b")
    assert audit.problems(drs.store_place(str(tmp_path / "c"), ID)) == []
    (tmp_path / "d.zarr").symlink_to(drs.store_place(str(tmp_path / "b"), ID))
    for end in BESIDE:
        (tmp_path / f"d.zarr{end}").symlink_to(drs.store_place(str(tmp_path / "b"), ID) + end)
    assert audit.problems(tmp_path / "d.zarr") == []


def older(store):
    """Leave a ledger as it was before it said where its store lies and what its provenance holds."""
    lines = ledger.path_of(store).read_text().splitlines(keepends=True)
    ledger.path_of(store).write_text("".join(line for line in lines if '"store"' not in line))


def test_provenance_that_has_rotted_is_found_and_written_again(tmp_path, capsys):
    """Audit and restore name it; the next run writes it as it was, and no shard."""
    take(make_dataset(tmp_path), tmp_path)
    path, rule = tmp_path / "s.zarr", ("--chunks", '{"time": 4}')
    assert run_convert(tmp_path, path, *rule) == 0
    assert run_verify(tmp_path) == 0
    beside = backend.at(path).beside(zarr_store.PROVENANCE)
    text = beside.read_text()
    beside.write_text(text.replace("days since 1850", "days since 1851"))
    assert [(p["key"], p["kind"]) for p in audit.problems(path)] == [(zarr_store.PROVENANCE, "changed")]
    assert restore.main([str(path), "--all", "--to", str(tmp_path / "back")]) == 1
    assert "provenance: found " in capsys.readouterr().err
    assert not (tmp_path / "back").exists()
    assert script.main([ID, "--results", str(tmp_path)]) == 1
    assert run_convert(tmp_path, path, *rule) == 0
    assert receipts.read(tmp_path, "convert", ID)["resumed_shards"] == 9
    assert run_verify(tmp_path) == 0
    assert beside.read_text() == text
    beside.unlink()
    assert [(p["key"], p["kind"]) for p in audit.problems(path)] == [(zarr_store.PROVENANCE, "missing")]


def test_digest_of_all_objects_is_that_of_their_checksums(store, tmp_path, capsys):
    """As documented, of the files alone; an audit says it, and finds a ledger that was made anew for other objects."""
    files = sorted(path.relative_to(store).as_posix().encode() for path in store.rglob("*") if path.is_file())
    each = (f"{xxhash.xxh3_128_hexdigest((store / key.decode()).read_bytes())}  {key.decode()}\n" for key in files)
    digest = hashlib.sha256("".join(each).encode()).hexdigest()
    assert receipts.read(tmp_path, "verify", ID)["store_digest"] == digest
    assert verify.main(["--audit", str(store)]) == 0
    assert f"digest of all {digest}." in capsys.readouterr().err
    assert script.main([ID, "--results", str(tmp_path)]) == 0
    assert receipts.read(tmp_path, "audit", ID)["store_digest"] == digest
    zarr_store.unseal(store)
    flip(store / "tas/c/1/0/0")
    accept(store)
    zarr_store.seal(store, 3)
    assert verify.main(["--audit", str(store)]) == 0
    assert script.main([ID, "--results", str(tmp_path)]) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["class"], f"expected {digest} as when it was proven" in record["message"]) == ("rot", True)
    assert not zarr_store.is_sealed(store)


def test_older_ledger_says_that_the_provenance_is_not_proven(store, tmp_path, capsys):
    """A store that was sealed before is sound, audited and restored, and it is said what nothing proves."""
    older(store)
    assert verify.main(["--audit", str(store)]) == 0
    assert "its provenance is not proven" in capsys.readouterr().err
    assert audit.check(store, "rot")["provenance"] == "not proven"
    assert restore.main([str(store), "--all", "--to", str(tmp_path / "back")]) == 0
    assert "its provenance is not proven" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ['{"store": 1, "provenance": null}', '{"store": "s", "provenance": {}}', '{"store": "s"}', '"store"']
)
def test_last_line_of_other_types_is_no_ledger(store, line):
    """What says neither of an object nor of the store ends what is read of a ledger."""
    with ledger.path_of(store).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DatasetError, match="expected a whole ledger"):
        audit.problems(store)


@pytest.mark.parametrize("data", [None, b"", b"{}\n", b"not json\n"])
def test_store_without_a_whole_ledger_is_no_proof(store, data, capsys):
    """A ledger that is gone, empty or broken is an error and never a clean bill."""
    path = ledger.path_of(store)
    path.unlink() if data is None else path.write_bytes(data)
    assert verify.main(["--audit", str(store)]) == 1
    assert "ledger.jsonl) -> " in capsys.readouterr().err
    with pytest.raises(DatasetError) as error:
        audit.check(store, "chunks")
    assert error.value.kind == "ledger"


def test_verify_finds_what_changed_since_convert(tmp_path):
    """What rots between convert and verify is converted again, and only that: the ledger is still believed."""
    take(make_dataset(tmp_path), tmp_path)
    path, rule = tmp_path / "s.zarr", ("--chunks", '{"time": 4}')
    assert run_convert(tmp_path, path, *rule) == 0
    flip(path / "tas" / "c/1/0/0")
    assert run_verify(tmp_path) == 1
    assert run_convert(tmp_path, path, *rule) == 0
    assert receipts.read(tmp_path, "convert", ID)["resumed_shards"] == 8
    assert run_verify(tmp_path) == 0


def test_verify_names_a_shard_that_changed(tmp_path):
    """A shard, of which zarr reads parts, is named by its key too, wherever in it a bit has changed."""
    take(make_dataset(tmp_path), tmp_path)
    path = tmp_path / "s.zarr"
    assert run_convert(tmp_path, path, "--chunks", '{"time": 1}', "--shard-mib", "64") == 0
    data = (path / "tas" / "c/0/0/0").read_bytes()
    for at in (0, len(data) // 3, len(data) - 1):  # of a chunk, of another, of the index
        spoiled = bytearray(data)
        spoiled[at] ^= 1
        (path / "tas" / "c/0/0/0").write_bytes(spoiled)
        leave_receipts(tmp_path, receipts.read(tmp_path, "inventory", ID), path, 3)
        assert "'tas/c/0/0/0' is changed" in failed_verify(tmp_path)["message"]


def test_verify_gives_up_a_ledger_that_is_wrong(tmp_path):
    """Where the store is what the ledger says and yet not what its source holds, all of it is converted again."""
    paths = make_dataset(tmp_path)
    facts = take(paths, tmp_path)
    path, rule = tmp_path / "s.zarr", ("--chunks", '{"time": 4}')
    assert run_convert(tmp_path, path, *rule) == 0
    one, two = (path / "tas" / f"c/{i}/0/0" for i in (0, 1))
    one.write_bytes(two.read_bytes())
    accept(path)
    assert audit.problems(path) == []
    assert run_verify(tmp_path) == 1
    assert receipts.read(tmp_path, "failed", ID)["class"] == "mismatch"
    assert run_convert(tmp_path, path, *rule) == 0
    assert receipts.read(tmp_path, "convert", ID)["resumed_shards"] == 0
    assert run_verify(tmp_path) == 0
    assert facts["dataset"] == ID


@pytest.mark.parametrize("cut", [(), ("--shard-mib", "64")], ids=["chunks", "shards"])
def test_verify_reads_an_object_once(tmp_path, monkeypatch, cut):
    """The checksum of a chunk comes from what is compared; a shard that is read in parts is read for it alone."""
    take(make_dataset(tmp_path), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr", "--chunks", '{"time": 1}', *cut) == 0
    read = Counter()
    get, digest = LocalStore.get, folder.Folder.digest

    async def counted(self, key, prototype, byte_range=None):
        read[key] += byte_range is None
        return await get(self, key, prototype, byte_range)

    monkeypatch.setattr(LocalStore, "get", counted)
    monkeypatch.setattr(folder.Folder, "digest", lambda self, key: (read.update([key]), digest(self, key))[1])
    assert run_verify(tmp_path) == 0
    assert {key: read[key] for key in zarr_store.list_objects(tmp_path / "s.zarr") if "tas/c" in key} == dict.fromkeys(
        [f"tas/c/{i}/0/0" for i in range(1 if cut else 12)], 1
    )


def test_checksums_seal_without_the_values(tmp_path):
    """Mode `checksums` seals what the ledger confirms and says so; what it does not confirm stays unsealed."""
    take(make_dataset(tmp_path), tmp_path)
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    flip(tmp_path / "s.zarr" / "tas" / "c/0/0/0")
    assert run_verify(tmp_path, "--mode", "checksums") == 1
    assert not zarr_store.is_sealed(tmp_path / "s.zarr")
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_verify(tmp_path, "--mode", "checksums") == 0
    receipt = receipts.read(tmp_path, "verify", ID)
    assert (receipt["mode"], receipt["values_compared"], receipt["sealed"]) == ("checksums", 0, True)


def test_rule_leaves_a_receipt_or_names_the_rot(tmp_path):
    """A sound store has a receipt; for a rotten one the next run converts again what is wrong, and no more."""
    take(make_dataset(tmp_path), tmp_path)
    path, rule = tmp_path / "s.zarr", ("--chunks", '{"time": 4}')
    assert run_convert(tmp_path, path, *rule) == 0
    assert run_verify(tmp_path) == 0
    assert script.main([ID, "--results", str(tmp_path)]) == 0
    receipt = receipts.read(tmp_path, "audit", ID)
    listed = zarr_store.list_objects(path)
    assert (receipt["objects"], receipt["stored_bytes"]) == (len(listed), sum(listed.values()))
    flip(path / "tas" / "c/1/0/0")
    assert script.main([ID, "--results", str(tmp_path)]) == 1
    record = receipts.read(tmp_path, "failed", ID)
    assert (record["rule"], record["class"]) == ("audit", "rot")
    assert "'tas/c/1/0/0' is changed" in record["message"]
    answer = receipts.read(tmp_path, "audit", ID)
    assert (answer["verdict"], answer["objects"], answer["message"]) == ("rot", len(listed), record["message"])
    assert not receipts.path_of(tmp_path, "convert", ID).exists()
    assert not zarr_store.is_sealed(path)
    assert run_convert(tmp_path, path, *rule) == 0
    assert receipts.read(tmp_path, "convert", ID)["resumed_shards"] == 8
    assert run_verify(tmp_path) == 0
    assert zarr_store.is_sealed(path)
    assert not receipts.path_of(tmp_path, "audit", ID).exists()  # it is of the store that was
    assert not receipts.path_of(tmp_path, "failed", ID).exists()
