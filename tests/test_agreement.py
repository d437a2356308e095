"""Where files must agree, and what is said where they do not."""

from copy import deepcopy

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr import agreement
from cmip6zarr.errors import Refused
from cmip6zarr.headers import Header, Variable, read_header

TINY = np.finfo("f8").tiny


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
    return Header(path, 1, 1, {"time": 2, "lat": 3}, ["time"], variables, {"title": ["char", "t"]})


def changed(change):
    """Return the header of another file after `change` has been done to it."""
    other = header("other.nc")
    change(other)
    return other


def write(path, lat, **settings):
    """Write a file with one static variable and return its header."""
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("lat", len(lat))
        nc.createVariable("lat", lat.dtype, ("lat",), **settings)[:] = lat
    return read_header(path)


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
        agreement.check_structure(changed(change), header(), "time")
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
        pytest.param(lambda h: h.variables["tas"].attributes.pop("cell_methods"), id="attribute"),
    ],
)
def test_what_no_value_has_may_differ(change):
    """Steps, layout and describing attributes may differ from file to file."""
    other = changed(change)
    assert other != header("other.nc")
    agreement.check_structure(other, header(), "time")
    agreement.check_meaning(other, header())


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("tas", "scale_factor", ["float64", 0.5]),
        ("tas", "add_offset", ["float64", 0.0]),
        ("tas", "_FillValue", ["float32", "nan"]),
        ("tas", "missing_value", ["float32", 1e20]),
        ("tas", "_Unsigned", ["char", "true"]),
        ("tas", "units", ["char", "degC"]),
        ("time", "units", ["char", "1"]),  # a time in one file, none in the other
        ("lat", "units", ["char", "days since 1850-01-01"]),
    ],
)
def test_other_meaning_of_stored_numbers_is_refused(name, attribute, value):
    """An attribute that says what a number means must be the same in all files."""
    first, other = header(), header("other.nc")
    expected = first.variables[name].attributes.get(attribute)
    other.variables[name].attributes[attribute] = value
    with pytest.raises(Refused) as refusal:
        agreement.check_meaning(other, first)
    assert refusal.value.kind == "encoding"
    assert refusal.value.message == f"other.nc: {name}:{attribute} is {value}, expected {expected} as in first.nc."
    assert "policy.encoding to leave_out" in refusal.value.remedy


def test_time_units_may_differ():
    """Times of other units are moved later, so other time units are no other meaning."""
    other = header("other.nc")
    other.variables["time"].attributes["units"] = ["char", "hours since 1950-01-01"]
    agreement.check_meaning(other, header())


@given(st.lists(st.integers(0, 40), max_size=3), st.integers(1, 8), st.integers(1, 3000))
def test_blocks_cover_an_array_once_within_memory(shape, itemsize, limit):
    """Blocks are consecutive rows that cover the array, each within the limit unless it is one row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "BLOCK_BYTES", limit)
        blocks = list(agreement.blocks(shape, itemsize))
    if not shape:
        assert blocks == [...]
        return
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(shape[0]))
    row_bytes = itemsize * int(np.prod(shape[1:]))
    assert all((b.stop - b.start) * row_bytes <= limit or b.stop - b.start == 1 for b in blocks)


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
    assert agreement.same_bits(a, b) is same


@pytest.mark.parametrize(
    ("found", "missing", "difference", "magnitude"),
    [
        pytest.param([1.0, 1.0, -4.0], (), 1.0, 4.0, id="numbers"),
        pytest.param([1.0, np.nan, -4.0], (), np.inf, 0.0, id="nan-against-a-number"),
        pytest.param([1.0, np.inf, -4.0], (), np.inf, 0.0, id="infinity-against-a-number"),
        pytest.param([1.0, 1e20, -4.0], (1e20,), np.inf, 0.0, id="fill-against-a-number"),
        pytest.param([1.0, 2.0, -7.0], (-4.0,), np.inf, 0.0, id="number-against-fill"),
        pytest.param([3.0, 2.0, -4.0], (-4.0,), 2.0, 2.0, id="fill-is-no-magnitude"),
    ],
)
def test_largest_difference_is_over_numbers_that_both_have(found, missing, difference, magnitude):
    """Fill values and what is no number must be the same in both, and have no part in difference or magnitude."""
    reference = np.array([1.0, 2.0, -4.0])
    assert agreement.largest_difference(reference, np.array(found), missing) == (difference, magnitude)


def test_texts_have_no_difference_that_is_small():
    """Texts that differ differ infinitely."""
    assert agreement.largest_difference(np.array([b"a"]), np.array([b"b"]), ()) == (np.inf, 0.0)


@pytest.mark.parametrize(
    ("drift", "tolerance", "policy", "reported"),
    [
        pytest.param(0.0, 0.0, "refuse", None, id="equal"),
        pytest.param(2**-46, 1e-12, "refuse", 2**-46, id="noise"),
        pytest.param(0.5, 1e-12, "first", 0.5, id="first-wins"),
        pytest.param(0.5, 0.01, "refuse", 0.5, id="wider-tolerance"),
    ],
)
def test_drift_of_a_coordinate_is_reported(tmp_path, monkeypatch, drift, tolerance, policy, reported):
    """A coordinate may differ within the tolerance, or if the first file's is kept, and it is told by how much."""
    monkeypatch.setattr(agreement, "BLOCK_BYTES", 16)  # so that the last block alone differs
    lat = np.array([-80.0, -40, 0, 40, 80])
    first, other = write(tmp_path / "a.nc", lat), write(tmp_path / "b.nc", lat + np.array([0, 0, 0, 0, drift]))
    found = agreement.check_static(other, first, ["lat"], tolerance, policy)
    finding = {"kind": "coordinates", "variable": "lat", "file": other.path, "max_difference": reported}
    assert found == ([finding] if reported else [])


@pytest.mark.parametrize(
    ("values", "settings", "worst"),
    [
        pytest.param(np.array([-80.0, 81.0]), {}, "up to 1;", id="other-grid"),
        pytest.param(np.array([-80.0, np.nan]), {}, "up to inf;", id="nan"),
        pytest.param(np.array([1e20, 80.0]), {"fill_value": 1e20}, "up to inf;", id="other-mask"),
    ],
)
def test_other_grid_is_refused(tmp_path, values, settings, worst):
    """A coordinate that differs by more than the tolerance is refused with the largest difference and the choices."""
    lat = np.array([-80.0, 80.0])
    first, other = write(tmp_path / "a.nc", lat, **settings), write(tmp_path / "b.nc", values, **settings)
    with pytest.raises(Refused) as refusal:
        agreement.check_static(other, first, ["lat"], 1e-12, "refuse")
    assert refusal.value.kind == "coordinates"
    assert refusal.value.message.startswith(f"{other.path}: 'lat' differs from {first.path} by {worst}")
    assert "policy.coordinates to first (keep the first file's) or leave_out" in refusal.value.remedy


def test_sign_of_zero_in_a_coordinate_is_reported(tmp_path):
    """Bits that differ between equal numbers are a finding too: the store has the first file's."""
    first, other = write(tmp_path / "a.nc", np.array([0.0, 1])), write(tmp_path / "b.nc", np.array([-0.0, 1]))
    (finding,) = agreement.check_static(other, first, ["lat"], 1e-12, "refuse")
    assert finding["max_difference"] == TINY


def test_attributes_that_differ_are_kept_by_index_range():
    """What differs is told once for each run of files that say the same, absent attributes as None."""
    headers = [header(), header(), deepcopy(header())]
    headers[0].attributes["title"] = headers[1].attributes["title"] = ["char", "old"]
    headers[1].variables["tas"].attributes.pop("cell_methods")
    mean = ["char", "time: mean"]
    assert agreement.differing_attributes(headers, [(0, 2), (2, 5), (5, 6)]) == [
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
