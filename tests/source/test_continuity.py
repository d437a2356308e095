"""Whether steps follow one another through the files of a dataset, and times of other units are converted exactly."""

import pytest
from builders import UNITS, make_dataset
from chain import ID
from spoil import add_reference_time, each, last, put

from cmip6zarr.catalogue.dataset import Dataset
from cmip6zarr.core.errors import Refused
from cmip6zarr.model.as_json import to_json
from cmip6zarr.source.inventory import take_inventory

HOURS = UNITS.replace("days", "hours")


def inventory(paths, **policy):
    return to_json(take_inventory(Dataset(ID, tuple(str(path) for path in paths)), policy))


# id: (frequency, calendar, first step since 1850-01-01, days by which all is later)
FOLLOWING = {
    "360-day": ("mon", "360_day", 0, 0),
    "noleap": ("mon", "noleap", 0, 0),
    "gregorian": ("mon", "gregorian", 0, 0),
    "julian-days": ("day", "julian", 0, 0),
    "leap-day": ("day", "standard", 365 * 2 + 55, 0),
    "year-0": ("mon", "360_day", 0, -360 * 1850 - 180),
    "where-datetime64-ends": ("mon", "standard", 12 * 412 - 2, 0),
    "year-2850-days": ("day", "noleap", 1000 * 365, 0),
}


@pytest.mark.parametrize(("frequency", "calendar", "start", "later"), FOLLOWING.values(), ids=FOLLOWING)
def test_missing_file_is_a_gap(tmp_path, frequency, calendar, start, later):
    """Files that follow one another fit without a word; without the one between them they are refused, or allowed."""
    paths = make_dataset(tmp_path, frequency=frequency, calendar=calendar, start=start)
    each(lambda nc, _: put("time", slice(None), nc["time"][:] + later)(nc))(paths)
    facts = inventory(paths)
    assert (facts["verdict"], facts["findings"], facts["time"]["steps"]) == ("ok", [], 12)
    with pytest.raises(Refused) as refusal:
        inventory([paths[0], paths[2]])
    assert refusal.value.kind == "gap"
    assert refusal.value.message.startswith(f"{paths[0]} and {paths[2]}: between ")
    assert refusal.value.message.endswith(f"found 4 steps left out, expected steps of frequency {frequency!r}.")
    assert "policy.gap to allow" in refusal.value.remedy
    facts = inventory([paths[0], paths[2]], gap="allow")
    assert facts["findings"] == [
        {"kind": "gap", "policy": "allow", "message": refusal.value.message, "file": str(paths[0]), "steps_missing": 4}
    ]
    assert [(file["start"], file["stop"]) for file in facts["files"]] == [(0, 4), (4, 8)]


@pytest.mark.parametrize(
    ("times", "kind", "said"),
    [
        pytest.param(
            [0, 0.25, 0.75, 1.0], "gap", "found 1 steps left out, expected steps of frequency '6hr'", id="6hr"
        ),
        pytest.param([15, 45, 46, 75], "irregular", "found 0.0329 of a step", id="two-in-a-month"),
    ],
)
def test_wrong_step_within_a_file_is_refused(tmp_path, times, kind, said):
    """A step left out or repeated within a file is refused with its dates, whatever frequency the file declares."""
    (path,) = make_dataset(tmp_path, files=1)
    last(put("time", slice(None), times))([path])
    with pytest.raises(Refused) as refusal:
        inventory([path])
    assert refusal.value.kind == kind
    assert refusal.value.message.startswith(f"{path}: between 1850-0")
    assert said in refusal.value.message


def test_every_missing_step_is_counted(tmp_path):
    """All gaps within a file are one finding, which counts their steps; the gap to the next file is another."""
    paths = make_dataset(tmp_path, files=2, frequency="day")
    last(put("time", slice(None), [0, 2, 3, 6]))(paths[:1])
    last(put("time", slice(None), [9, 10, 11, 12]))(paths[1:])
    findings = inventory(paths, gap="allow")["findings"]
    assert [finding["file"] for finding in findings] == [str(paths[0])] * 2
    assert [finding["steps_missing"] for finding in findings] == [3, 2]
    assert "found 1 steps left out" in findings[0]["message"]
    assert findings[0]["message"].endswith("3 steps are left out in 2 gaps.")


def test_allowed_gap_hides_no_irregular_step(tmp_path):
    """A step that is neither next nor repeated is refused though a gap is allowed, and the other way round."""
    (path,) = make_dataset(tmp_path, files=1)
    last(put("time", slice(None), [15, 75, 76, 105]))([path])
    with pytest.raises(Refused, match="that is neither a step left out nor one repeated"):
        inventory([path], gap="allow")
    with pytest.raises(Refused, match="found 1 steps left out"):
        inventory([path], irregular="allow")
    findings = inventory([path], gap="allow", irregular="allow")["findings"]
    assert [finding["kind"] for finding in findings] == ["irregular", "gap"]


def sharing(tmp_path, shared, **options):
    """Return two files of four steps of which the later begins with some that the earlier has."""
    return make_dataset(tmp_path, files=1) + make_dataset(tmp_path, files=1, start=4 - shared, **options)


@pytest.mark.parametrize("units", [UNITS, HOURS, "days since 1840-01-01"])
def test_equal_steps_of_two_files_are_trimmed(tmp_path, units):
    """Steps that two files share are refused; if all their values are equal policy trims them off the later file."""
    paths = sharing(tmp_path, 2, units=units)
    with pytest.raises(Refused) as refusal:
        inventory(paths)
    assert refusal.value.kind == "overlap"
    assert refusal.value.message.startswith(f"{paths[1]}: its first 2 steps, from 1850-03-16")
    assert f"are not later than {paths[0]}, which ends 1850-04-16" in refusal.value.message
    assert "policy.overlap to trim" in refusal.value.remedy
    facts = inventory(paths, overlap="trim")
    assert [(f["skip"], f["start"], f["stop"], f["steps"]) for f in facts["files"]] == [(0, 0, 4, 4), (2, 4, 6, 4)]
    assert facts["findings"] == [
        {"kind": "overlap", "policy": "trim", "message": refusal.value.message, "file": str(paths[1])}
    ]


@pytest.mark.parametrize(
    ("shared", "spoil", "said"),
    [
        pytest.param(
            2, last(put("tas", (1, 0, 0), 1.0)), "does not hold the same steps with the same values", id="other-values"
        ),
        pytest.param(
            2,
            last(put("time_bnds", (0, 0), 1.0)),
            "does not hold the same steps with the same values",
            id="other-bounds",
        ),
        pytest.param(
            2, last(put("time", 0, 74.0)), "does not hold the same steps with the same values", id="other-times"
        ),
    ],
)
def test_other_steps_of_two_files_are_not_trimmed(tmp_path, shared, spoil, said):
    """Steps that two files share with other values are refused whatever the policy."""
    paths = sharing(tmp_path, shared)
    spoil(paths)
    with pytest.raises(Refused) as refusal:
        inventory(paths, overlap="trim")
    assert refusal.value.kind == "overlap"
    assert said in refusal.value.message


def test_moved_steps_of_two_files_are_compared(tmp_path):
    """Steps are equal in the first file's units if both of the files that share them have others."""
    paths = make_dataset(tmp_path, files=1)
    for start, units in ((4, HOURS), (7, "hours since 1840-01-01")):
        paths += make_dataset(tmp_path, files=1, start=start, units=units)
    assert [file["skip"] for file in inventory(paths, overlap="trim")["files"]] == [0, 0, 1]


@pytest.mark.parametrize(
    ("within", "left_out"),
    [
        pytest.param({}, True, id="the-same-again"),
        pytest.param({"steps": 2}, False, id="its-beginning"),  # sorts first, so that the longer one is trimmed
        pytest.param({"steps": 2, "start": 1}, True, id="its-middle"),
        pytest.param({"steps": 2, "start": 2, "units": HOURS}, True, id="its-end-in-hours"),
    ],
)
def test_file_within_another_is_left_out(tmp_path, within, left_out):
    """A file whose steps are all in the one before it is left out by policy, if their values are equal."""
    paths = [*make_dataset(tmp_path / "a", files=2), *make_dataset(tmp_path / "b", files=1, **within)]
    with pytest.raises(Refused, match="are not later than") as refusal:
        inventory(paths)
    assert "policy.overlap to trim" in refusal.value.remedy
    facts = inventory(paths, overlap="trim")
    assert facts["time"]["steps"] == 8
    (finding,) = facts["findings"]
    assert (finding["kind"], finding["policy"], finding["message"]) == ("overlap", "trim", refusal.value.message)
    expected = [{"path": str(paths[-1]), "kind": "overlap", "message": refusal.value.message}] if left_out else []
    assert facts["left_out"] == expected


def test_file_within_another_with_other_values_is_refused(tmp_path):
    """What is not equal is never left out."""
    paths = [*make_dataset(tmp_path / "a"), *make_dataset(tmp_path / "b", files=1, steps=2, start=1)]
    last(put("tas", (1, 0, 0), 1.0))(paths)
    with pytest.raises(Refused, match="does not hold the same steps with the same values") as refusal:
        inventory(paths, overlap="trim")
    assert refusal.value.message.startswith(f"{paths[-1]}: its first 2 steps")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
@pytest.mark.parametrize(
    ("units", "conversion"),
    [
        (UNITS, {}),
        ("days since 1850-1-1 00:00:00", {}),
        (HOURS, ["1/24", "0"]),
        ("minutes since 1850-01-01", ["1/1440", "0"]),
        ("days since 1840-01-01", ["1", "-3600"]),
        ("hours since 1840-01-01 12:00", ["1/24", "-7199/2"]),
    ],
)
def test_other_time_units_are_converted_exactly(tmp_path, units, conversion, dtype):
    """Times and bounds of other units are converted to the first file's exactly: no refusal, no finding."""
    paths = make_dataset(tmp_path, units=[UNITS, units, units], time_dtype=dtype)
    facts = inventory(paths)
    assert facts["findings"] == []
    assert [file["moves"] for file in facts["files"][1:]] == [
        {"time": conversion, "time_bnds": conversion} if conversion else {}
    ] * 2
    assert (facts["time"]["end"], facts["time"]["units"]) == ("1850-12-16 00:00", UNITS)


def test_reference_time_in_other_units_moves(tmp_path):
    """A static time that is the same moment in other units is the same."""
    paths = make_dataset(tmp_path, files=2)
    each(lambda nc, i: add_reference_time(nc, (UNITS, HOURS)[i], (2, 48)[i]))(paths)
    facts = inventory(paths)
    assert (facts["findings"], facts["files"][1]["moves"]) == ([], {"reftime": ["1/24", "0"]})
