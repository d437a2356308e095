"""The first rule that a dataset needs, from its receipts and what is asked: pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.job import due, receipts
from cmip6zarr.job.request import RULES

ASKED = {"inventory": {"digest": "d"}, "convert": {"codec": "fast"}, "verify": {"mode": "full"}}
HELD = {rule: ({"dataset": "a", "asked": ASKED.get(rule, {})}, number + 1) for number, rule in enumerate(RULES)}


def test_nothing_is_due_where_all_receipts_hold():
    """Each is of the dataset, was asked the same, and is not older than the one before it."""
    assert due.first_rule("a", HELD, ASKED) is None
    assert due.first_rule("a", {rule: (facts, 7) for rule, (facts, _) in HELD.items()}, ASKED) is None


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "change",
    [
        lambda _, at: ({}, at),
        lambda facts, at: (facts | {"dataset": "b"}, at),
        lambda facts, at: (facts | {"asked": {"other": 1}}, at),
        lambda facts, at: (facts, -at),
    ],
    ids=["unreadable", "of another", "asked another", "older"],
)
def test_first_receipt_that_does_not_hold(rule, change):
    """That rule is the first, whatever the receipts after it say."""
    assert due.first_rule("a", HELD | {rule: change(*HELD[rule])}, ASKED) == rule
    assert due.first_rule("a", {name: HELD[name] for name in RULES if name != rule}, ASKED) == rule


@given(st.sets(st.sampled_from(RULES)), st.none() | st.sampled_from(RULES))
def test_first_of_several(missing, untrue):
    """What its store proves wrong counts as what is not there."""
    there = {rule: held for rule, held in HELD.items() if rule not in missing}
    wrong = missing | {untrue} - {None}
    assert due.first_rule("a", there, ASKED, untrue) == next((rule for rule in RULES if rule in wrong), None)


FAILURE = {"rule": "convert", "class": "source"}


@pytest.mark.parametrize(
    ("change", "attempt", "answered"),
    [
        ({}, 2, True),
        ({"class": "refused"}, 3, True),
        ({}, 1, False),
        ({"rule": "verify"}, 2, False),
        ({"class": "store"}, 2, False),
        ({"signal": "SIGKILL"}, 2, False),
    ],
    ids=["answer", "refusal", "first try", "of another rule", "passing", "killed"],
)
def test_answer_is_not_asked_again(change, attempt, answered):
    """Only a later try of the rule that has answered is needless; what may pass, or was killed, is tried again."""
    assert due.is_answered("convert", FAILURE | change, attempt) == answered
    assert not due.is_answered("convert", None, attempt)


def test_receipts_that_there_are(tmp_path):
    """A receipt that is cut off is there, and says nothing."""
    receipts.write(receipts.path_of(tmp_path, "inventory", "a"), {"dataset": "a"})
    path = receipts.path_of(tmp_path, "convert", "a")
    receipts.write(path, {"dataset": "a"})
    path.write_text(path.read_text()[:-5])
    found = due.receipts_of(tmp_path, "a")
    assert {rule: facts for rule, (facts, _) in found.items()} == {"inventory": {"dataset": "a"}, "convert": {}}
    assert found["convert"][1] == path.stat().st_mtime_ns
