"""Source files against the checksums that their archive has published: before they are read, and when verify has."""

import hashlib
import json
from dataclasses import replace

import pytest
from builders import make_dataset
from chain import ID, ROWS, run_convert, run_verify

import inventory
import verify
from cmip6zarr.campaign import tables
from cmip6zarr.catalogue.dataset import Dataset, Published, hand_over
from cmip6zarr.job import receipts
from cmip6zarr.store import zarr_store


def published(path, kind="SHA256", **change) -> Published:
    data = path.read_bytes()
    return replace(Published(kind, hashlib.new(kind, data).hexdigest(), len(data)), **change)


class Campaign:
    """A dataset of three files, of which something has been published."""

    def __init__(self, folder):
        self.results, self.store = folder / "results", folder / "s.zarr"
        # In HDF5 checksums of its own would tell of a flipped bit.
        self.paths = make_dataset(folder / "data", format="NETCDF3_CLASSIC")

    def publish(self, *said: Published | None) -> Dataset:
        row = ROWS[str(self.results), ID] = Dataset(ID, tuple(map(str, self.paths)), published=said)
        hand_over(self.results, [row])
        return row

    def inventory(self, **policy) -> int:
        digest = ROWS[str(self.results), ID].digest
        options = ["--digest", digest, "--policy", json.dumps(policy)]
        return inventory.main([ID, "--results", str(self.results), *options])

    def convert(self, **policy) -> None:
        assert self.inventory(**policy) == 0
        assert run_convert(self.results, self.store) == 0

    def verify(self, *options, **policy) -> int:
        return run_verify(self.results, *options, policy=policy)

    def receipt(self, rule="verify"):
        return receipts.read(self.results, rule, ID)

    def refused(self, kind: str) -> str:
        """Return the message of the refusal that stands in place of a receipt, and of a sealed store."""
        assert not receipts.path_of(self.results, "verify", ID).exists()
        assert not zarr_store.is_sealed(self.store)
        record = self.receipt("failed")
        assert (record["class"], record["kind"]) == ("refused", kind)
        return record["message"]

    def is_answered(self, **policy) -> bool:
        """Tell whether a run would leave the dataset alone."""
        return tables.refused_before({ID: ROWS[str(self.results), ID]}, self.results, policy) == {ID}


@pytest.fixture
def campaign(tmp_path):
    return Campaign(tmp_path)


@pytest.mark.parametrize("mode", ["full", "streams", "checksums"])
@pytest.mark.parametrize("kind", ["SHA256", "MD5"])
def test_the_proof_counts_files_as_published(campaign, kind, mode):
    first, *others = campaign.paths
    campaign.publish(published(first, kind), *(published(path, kind, bytes=None) for path in others))
    campaign.convert()
    assert campaign.verify("--mode", mode) == 0
    assert campaign.receipt()["files_as_published"] == 3
    assert zarr_store.is_sealed(campaign.store)


def test_a_file_without_a_checksum_passes_silently(campaign):
    campaign.publish(published(campaign.paths[0]), None, None)
    campaign.convert()
    assert campaign.verify() == 0
    assert (campaign.receipt()["files_as_published"], campaign.receipt()["findings"]) == (1, [])


@pytest.mark.parametrize("mode", ["full", "streams", "checksums"])
@pytest.mark.parametrize("kind", ["SHA256", "MD5"])
def test_a_flipped_bit_is_refused_with_both_checksums(campaign, kind, mode):
    """One that was flipped before anything was read, in a text: all else is right."""
    said = [published(path, kind) for path in campaign.paths]
    campaign.publish(*said)
    data = campaign.paths[1].read_bytes()
    campaign.paths[1].write_bytes(data.replace(b"made up for a test", b"made up for a tesu"))
    campaign.convert()
    assert campaign.verify("--mode", mode) == 3
    message = campaign.refused("checksum")
    assert message.startswith(f"{campaign.paths[1]}: found {kind} {published(campaign.paths[1], kind).checksum}")
    assert message.endswith(f"expected {said[1].checksum} as published.")


def test_a_refusal_is_an_answer_until_the_file_changes(campaign):
    """With the file that was published its store is sealed."""
    data = campaign.paths[1].read_bytes()
    campaign.publish(*map(published, campaign.paths))
    campaign.paths[1].write_bytes(data.replace(b"made up for a test", b"made up for a tesu"))
    campaign.convert()
    assert campaign.verify() == 3
    assert campaign.is_answered()
    assert not campaign.is_answered(gap="allow")
    assert not receipts.path_of(campaign.results, "inventory", ID).exists()
    campaign.paths[1].write_bytes(data)
    assert not campaign.is_answered()
    campaign.convert()
    assert campaign.verify() == 0
    assert zarr_store.is_sealed(campaign.store)


def test_a_sealed_store_is_taken_from_its_readers(campaign):
    """Where the catalogue has got checksums since, and they are those of other files."""
    campaign.publish()
    campaign.convert()
    assert campaign.verify() == 0
    campaign.publish(*(published(path, checksum="0" * 64) for path in campaign.paths))
    campaign.convert()
    assert campaign.verify() == 3
    assert str(campaign.paths[0]) in campaign.refused("checksum")


def test_another_size_is_refused_before_anything_is_read(campaign, monkeypatch):
    """By inventory, and by verify, which does not believe it."""
    first, *others = map(published, campaign.paths)
    campaign.publish(replace(first, bytes=first.bytes + 1), *others)
    assert campaign.inventory() == 3
    expected = f"{campaign.paths[0]}: found {first.bytes} bytes, expected {first.bytes + 1} as published"
    assert campaign.refused("checksum").startswith(expected)
    assert campaign.is_answered()
    campaign.publish(first, *others)
    assert not campaign.is_answered()
    campaign.convert()
    row = campaign.publish(replace(first, bytes=first.bytes + 1), *others)
    facts = campaign.receipt("inventory")
    receipts.write(receipts.path_of(campaign.results, "inventory", ID), facts | {"row": row.digest})
    monkeypatch.setattr(verify.published, "sum_of", lambda *_: pytest.fail("a file was read"))
    assert campaign.verify() == 3
    assert campaign.refused("checksum").startswith(expected)


def test_the_policy_may_ask_for_a_checksum_of_each_file(campaign):
    ask = {"no_checksum": "refuse"}
    campaign.publish(*map(published, campaign.paths[:2]), None)
    assert campaign.inventory(**ask) == 3
    expected = f"{campaign.paths[2]}: found no checksum in the catalogue, expected one for each file."
    assert campaign.refused("no_checksum") == expected
    campaign.convert()
    assert campaign.verify(**ask) == 3
    assert campaign.refused("no_checksum") == expected
    campaign.publish(*map(published, campaign.paths))
    campaign.convert(**ask)
    assert campaign.verify(**ask) == 0


def test_files_that_cannot_be_read_are_not_those_that_were_published(campaign, monkeypatch):
    """Where both are true the checksum is the reason."""
    campaign.publish(*(published(path, checksum="0" * 64) for path in campaign.paths))
    campaign.convert()

    def broken(*_):
        raise verify.DatasetError("source", "cannot be read", "")

    monkeypatch.setattr(verify.proof, "compare_variable", broken)
    assert campaign.verify() == 3
    assert "expected 0000" in campaign.refused("checksum")


def test_a_checksum_of_no_file_is_refused(campaign):
    """A name with brackets that is not there matches another file, of which nothing was published."""
    first = campaign.paths[0]
    pattern = str(first).replace("tas_Amon", "[t]as_Amon")
    row = ROWS[str(campaign.results), ID] = Dataset(ID, (pattern,), published=(published(first),))
    hand_over(campaign.results, [row])
    campaign.convert()
    assert campaign.verify() == 3
    assert campaign.refused("checksum").startswith(f"{pattern}: found no such file")
