"""Where files must agree, and what is said where they do not."""

from copy import deepcopy

import numpy as np
import pytest

from cmip6zarr.catalogue import projects
from cmip6zarr.core.errors import Refused
from cmip6zarr.model.as_json import to_json
from cmip6zarr.model.inventory import Finding
from cmip6zarr.source import consistency
from cmip6zarr.source.headers import Header, Variable
from cmip6zarr.source.policy import Judge

TIMES = {"time"}
IDENTITY = projects.built_in("cmip6").identity


def variable(dtype="float32", dims=("time", "lat"), **attributes):
    shape = [{"time": 2, "lat": 3}[dim] for dim in dims]
    return Variable(dtype, list(dims), shape, None, [], {name: list(value) for name, value in attributes.items()})


def header(path="first.nc"):
    """Return the header of a file that is nowhere, with one field and one coordinate."""
    variables = {
        "time": variable("float64", ("time",), units=("char", "days since 1850-01-01")),
        "lat": variable("float64", ("lat",), units=("char", "degrees_north")),
        "tas": variable(units=("char", "K"), _FillValue=("float32", 1e20), cell_methods=("char", "time: mean")),
    }
    return Header(
        path, 1, 1, {"time": 2, "lat": 3}, ["time"], variables, {"title": ["char", "t"], "table_id": ["char", "Amon"]}
    )


def changed(change):
    """Return the header of another file after `change` has been done to it."""
    other = header("other.nc")
    change(other)
    return other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda h: h.variables.pop("lat"),
            "other.nc: variable 'lat': found none, expected float64 ('lat',) as in first.nc.",
            id="missing-variable",
        ),
        pytest.param(
            lambda h: h.variables.update(orog=variable("int16", ("lat",))),
            "other.nc: variable 'orog': found int16 ('lat',), expected none as in first.nc.",
            id="extra-variable",
        ),
        pytest.param(
            lambda h: h.variables.update(tas=variable("float32", ("lat", "time"))),
            "other.nc: dimensions of 'tas': found ('lat', 'time'), expected ('time', 'lat') as in first.nc.",
            id="order-of-dimensions",
        ),
        pytest.param(
            lambda h: h.variables.update(tas=variable("float64")),
            "other.nc: dtype of 'tas': found float64, expected float32 as in first.nc.",
            id="dtype",
        ),
        pytest.param(
            lambda h: h.dims.update(lat=4),
            "other.nc: length of dimension 'lat': found 4, expected 3 as in first.nc.",
            id="length",
        ),
    ],
)
def test_other_structure_is_refused(change, message):
    """A file of another structure is refused with file, variable, found and expected, and the choice that is left."""
    with pytest.raises(Refused) as refusal:
        consistency.check_structure(changed(change), header(), "time")
    assert (refusal.value.kind, refusal.value.message) == ("structure", message)
    assert refusal.value.remedy == "Make two datasets of it, or set policy.structure to leave_out."


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda h: h.dims.update(time=9), id="steps"),
        pytest.param(lambda h: h.dims.update(unused=9), id="unused-dimension"),
        pytest.param(lambda h: h.unlimited.clear(), id="fixed-time"),
        pytest.param(lambda h: setattr(h.variables["tas"], "chunks", [1, 3]), id="chunks"),
        pytest.param(lambda h: setattr(h.variables["tas"], "filters", ["zlib"]), id="filters"),
        pytest.param(lambda h: h.attributes.clear(), id="global-attributes"),
        pytest.param(lambda h: h.attributes.pop("table_id"), id="name-that-is-absent"),
        pytest.param(lambda h: h.variables["tas"].attributes.update(long_name=["char", "t"]), id="description"),
        pytest.param(lambda h: h.variables["tas"].attributes.update(coordinates=["char", "lat"]), id="coordinates"),
        pytest.param(
            lambda h: h.variables["time"].attributes.update(units=["char", "hours since 1950-01-01"]), id="time"
        ),
    ],
)
def test_what_no_value_has_may_differ(change):
    """Steps, layout and describing attributes may differ from file to file, and times, which are converted."""
    other, judge = changed(change), Judge({})
    assert other != header("other.nc")
    consistency.check_identity(other, header(), IDENTITY, judge)
    consistency.check_structure(other, header(), "time")
    consistency.check_meaning(other, header(), TIMES, judge)
    assert judge.findings == []


@pytest.mark.parametrize("name", IDENTITY)
def test_two_names_of_a_dataset_are_refused(name):
    """Files that name themselves in two ways are not joined; the message has both names, `allow` makes a finding."""
    first, other = header(), header("other.nc")
    first.attributes[name], other.attributes[name] = ["char", "tavg"], ["char", "tmax"]
    with pytest.raises(Refused) as refusal:
        consistency.check_identity(other, first, IDENTITY, Judge({}))
    assert refusal.value.kind == "identity"
    assert refusal.value.message == f"other.nc: {name} is 'tmax', expected 'tavg' as in first.nc."
    assert refusal.value.remedy == (
        "Make two datasets of it, or set policy.identity to allow (join them) or leave_out."
    )
    judge = Judge({"identity": "allow"})
    consistency.check_identity(other, first, IDENTITY, judge)
    expected = {"kind": "identity", "policy": "allow", "message": refusal.value.message, "file": "other.nc"}
    assert judge.findings == [Finding(**expected)]


DECODING = [
    ("tas", "scale_factor", ["float64", 0.5]),
    ("tas", "add_offset", ["float64", 0.0]),
    ("tas", "_FillValue", ["float32", "nan"]),
    ("tas", "missing_value", ["float32", 1e20]),
    ("tas", "_Unsigned", ["char", "true"]),
    ("time", "units", ["char", "1"]),  # a time in one file, none in the other
    ("lat", "units", ["char", "days since 1850-01-01"]),
    ("lat", "calendar", ["char", "noleap"]),
]
DESCRIBING = [
    ("tas", "units", ["char", "degC"]),
    ("lat", "units", ["char", "degrees_east"]),  # the same unit to UDUNITS, but not the same coordinate
    ("tas", "flag_values", ["int8", [0, 1]]),
    ("tas", "flag_masks", ["int8", [1, 2]]),
    ("tas", "flag_meanings", ["char", "land sea"]),
    ("lat", "positive", ["char", "down"]),
    ("tas", "standard_name", ["char", "air_temperature"]),
    ("time", "bounds", ["char", "time_bnds"]),
    ("time", "climatology", ["char", "climatology_bnds"]),
    ("tas", "grid_mapping", ["char", "crs"]),
    ("lat", "axis", ["char", "Y"]),
    ("tas", "cell_methods", ["char", "time: maximum"]),
]


@pytest.mark.parametrize(("name", "attribute", "value"), DECODING + DESCRIBING)
def test_other_meaning_of_stored_numbers_is_refused(name, attribute, value):
    """An attribute that says what a number means must be the same in all files, be it another or absent in one."""
    times = TIMES if value[1] != "1" else set()
    for there, here in ((header(), header("other.nc")), (header("other.nc"), header())):
        changed = here if here.path == "other.nc" else there
        changed.variables[name].attributes[attribute] = value
        found, expected = (h.variables[name].attributes.get(attribute) for h in (here, there))
        with pytest.raises(Refused) as refusal:
            consistency.check_meaning(here, there, times, Judge({}))
        message = f"{here.path}: {name}:{attribute} is {found}, expected {expected} as in {there.path}."
        assert (refusal.value.kind, refusal.value.message) == ("encoding", message)
        assert "policy.encoding to " in refusal.value.remedy
        assert "leave_out" in refusal.value.remedy


@pytest.mark.parametrize(("name", "attribute", "value"), DECODING + DESCRIBING)
def test_first_is_a_choice_where_no_number_is_decoded(name, attribute, value):
    """Policy `first` keeps what describes, with a finding; what decodes numbers it never lets pass, nor offers it."""
    first, other = header(), header("other.nc")
    other.variables[name].attributes[attribute] = value
    times, judge = TIMES if value[1] != "1" else set(), Judge({"encoding": "first"})
    if (name, attribute, value) in DECODING:
        with pytest.raises(Refused) as refusal:
            consistency.check_meaning(other, first, times, judge)
        assert "first" not in refusal.value.remedy
        return
    consistency.check_meaning(other, first, times, judge)
    (finding,) = judge.findings
    assert (finding.kind, finding.policy, finding.file) == ("encoding", "first", "other.nc")
    assert finding.variable == name


@pytest.mark.parametrize(
    ("attribute", "one", "other"),
    [
        ("units", ["char", "degrees_north"], ["char", "degree_north"]),
        ("units", ["char", "K"], ["char", "K "]),
        ("units", ["char", "K"], ["char", "kelvin"]),
        ("units", ["char", "kg m-2 s-1"], ["char", "kg/m^2/s"]),
        ("units", ["char", "degC"], ["char", "celsius"]),
        ("units", ["char", "psu"], ["char", " psu"]),
        ("flag_values", ["int8", [0, 1]], ["int16", [0, 1]]),
        ("missing_value", ["int16", -999], ["float32", -999.0]),
    ],
)
def test_two_spellings_of_one_meaning_are_a_finding(attribute, one, other):
    """Units that UDUNITS takes for one, and equal numbers of another type, are joined, and told."""
    there, here, judge = header(), header("other.nc"), Judge({})
    there.variables["tas"].attributes[attribute], here.variables["tas"].attributes[attribute] = one, other
    consistency.check_meaning(here, there, TIMES, judge)
    (finding,) = judge.findings
    assert (finding.kind, finding.policy, finding.variable) == ("encoding", "accept", "tas")
    assert f"tas:{attribute} is {other}, expected {one} as in first.nc" in finding.message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("K", "k"),
        ("Pa", "pa"),
        ("psu", "1"),
        ("1", ""),
        ("%", "1"),
        ("m", "km"),
        ("degrees_north", "degrees"),
        ("", "?"),
    ],
)
def test_other_units_are_no_spelling(one, other):
    """Letters' case counts in symbols; nothing is no unit of one; what UDUNITS does not know has one spelling."""
    assert not consistency.same_units(one, other)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        pytest.param(np.array([1, 2], "i4"), np.array([1, 2], "i4"), True, id="equal"),
        pytest.param(np.array([0.0]), np.array([-0.0]), False, id="sign-of-zero"),
        pytest.param(np.array([np.nan]), np.array([np.nan]), True, id="nan"),
        pytest.param(np.array([np.nan]), np.array([0x7FF8 << 48 | 1], "u8").view("f8"), False, id="nan-payload"),
        pytest.param(np.array([1, 2], ">i4"), np.array([1, 2], "<i4"), True, id="byte-order"),
        pytest.param(np.arange(6).reshape(2, 3)[:, ::2], np.array([[0, 2], [3, 5]]), True, id="strides"),
        pytest.param(np.array([b"a", b""]), np.array([b"a", b" "]), False, id="blank-is-not-null"),
        pytest.param(np.array(["å"], object), np.array(["å"], object), True, id="texts"),
        pytest.param(np.array(["å"], object), np.array(["a"], object), False, id="other-texts"),
    ],
)
def test_same_bits_tells_what_comparison_of_values_does_not(a, b, same):
    """Bits count, and nothing but bits: neither byte order nor memory layout."""
    assert consistency.same_bits(a, b) is same


def test_attributes_that_differ_are_kept_by_index_range():
    """What differs is told once for each run of files that say the same, absent attributes as None."""
    headers = [header(), header(), deepcopy(header())]
    headers[0].attributes["title"] = headers[1].attributes["title"] = ["char", "old"]
    headers[1].variables["tas"].attributes.pop("cell_methods")
    mean = ["char", "time: mean"]
    assert to_json(consistency.differing_attributes(headers, [(0, 2), (2, 5), (5, 6)])) == [
        {
            "variable": "",
            "attribute": "title",
            "values": [
                {"start": 0, "stop": 5, "value": ["char", "old"]},
                {"start": 5, "stop": 6, "value": ["char", "t"]},
            ],
        },
        {
            "variable": "tas",
            "attribute": "cell_methods",
            "values": [
                {"start": 0, "stop": 2, "value": mean},
                {"start": 2, "stop": 5, "value": None},
                {"start": 5, "stop": 6, "value": mean},
            ],
        },
    ]
