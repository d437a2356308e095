"""The row of torture that puts faults into our own code tells a fault that is found from one that is not."""

import pytest
from mutants.declared import FAULTS, Fault
from mutations import Bank, judge, shared_modules, spread


def changed(change, listed=""):
    """Return a fault of the reader's values that a sentence describes."""
    return Fault("reading", "cmip6zarr.convert.hdf5_chunks:inflate", ("streamed",), "tas", listed, change)


def flipped(inflate, *args):
    """A bit is flipped."""
    inflated = inflate(*args)
    inflated[0] ^= 1
    return inflated


def neutral(inflate, *args):
    """Nothing is changed."""
    return inflate(*args)


@pytest.mark.parametrize(("change", "word"), [(flipped, "found"), (neutral, "no effect")])
def test_fault_is_found_and_a_neutral_one_is_not(tmp_path, change, word):
    """A flipped bit is found and its variable named; what changes nothing is not called found."""
    assert judge(changed(change), Bank(tmp_path))[0] == word


def test_fault_that_is_never_met_is_told(tmp_path):
    """A fault of a function that a dataset does not need is no proof of anything."""
    classic = Fault("reading", "cmip6zarr.convert.hdf5_chunks:inflate", ("classic",), "tas", "", flipped)
    assert judge(classic, Bank(tmp_path))[0] == "not reached"


def test_message_must_name_what_is_wrong(tmp_path):
    """A fault that ends unsealed with a message about something else is not called found."""
    other = Fault("reading", "cmip6zarr.convert.hdf5_chunks:inflate", ("streamed",), "no such word", "", flipped)
    assert judge(other, Bank(tmp_path))[0] == "unnamed"


def test_share_is_spread_over_all_parts():
    """A small share has faults of the first and of the last part, each once, and their names differ."""
    some = [fault.name for fault in spread(FAULTS, 0.05)]
    parts = {fault.part for fault in spread(FAULTS, 0.05)}
    assert parts >= {"inventory", "reading", "provenance"}
    assert len(set(some)) == len(some)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_modules_of_verify_are_told():
    """What verify and convert both load is listed from the processes themselves."""
    shared = shared_modules()
    assert "store.ledger" in shared and "convert.writer" not in shared
