"""Variables without time, compared value by value."""

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmip6zarr.core.errors import Refused
from cmip6zarr.source import statics
from cmip6zarr.source.headers import read_header
from cmip6zarr.source.policy import Judge

TINY = np.finfo("f8").tiny
FILL = {"fill_value": 1e20}


def write(path, values, **settings):
    """Write a file with one static variable `lat` of one or more dimensions and return its header."""
    with netCDF4.Dataset(path, "w") as nc:
        dims = [f"d{axis}" for axis in range(values.ndim)]
        for dim, size in zip(dims, values.shape, strict=True):
            nc.createDimension(dim, size)
        variable = nc.createVariable("lat", str if values.dtype == object else values.dtype, dims, **settings)
        variable.set_auto_maskandscale(False)
        variable.set_auto_chartostring(False)
        variable[...] = values
    return read_header(path)


def check(folder, one, other, settings=None, **policy):
    """Compare two variables and return the findings."""
    first, header = (write(folder / f"{n}.nc", values, **settings or {}) for n, values in enumerate((one, other)))
    judge = Judge(policy)
    statics.check_static(header, first, ["lat"], judge)
    return judge.findings


def refusal(folder, *variables, **options):
    with pytest.raises(Refused) as refused:
        check(folder, *variables, **options)
    assert refused.value.kind == "coordinates"
    assert refused.value.message.startswith(f"{folder}/1.nc: 'lat' ")
    assert f"{folder}/0.nc" in refused.value.message
    return refused.value


@given(st.lists(st.integers(0, 40), max_size=3), st.integers(1, 8), st.integers(1, 3000))
def test_blocks_cover_an_array_once_within_memory(shape, itemsize, limit):
    """Blocks are consecutive rows that cover the array, each within the limit unless it is one row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statics, "COMPARED_BYTES", limit)
        blocks = list(statics.blocks(shape, itemsize))
    if not shape:
        assert blocks == [...]
        return
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(shape[0]))
    row_bytes = itemsize * int(np.prod(shape[1:]))
    assert all((b.stop - b.start) * row_bytes <= limit or b.stop - b.start == 1 for b in blocks)


LAT = np.array([-80.0, -40, 0, 40, 80])
# As it lies in the files of some models: a value that nothing declares to be fill.
UNDECLARED = np.where(np.arange(12).reshape(3, 4) == 0, 1e30, np.arange(12).reshape(3, 4) * 5.0)


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
    monkeypatch.setattr(statics, "COMPARED_BYTES", 16)  # so that the last block alone differs
    other = LAT + np.array([0, 0, 0, 0, drift])
    found = check(tmp_path, LAT, other, coordinate_tolerance=tolerance, coordinates=policy)
    if reported is None:
        assert found == []
        return
    (finding,) = found
    assert (finding.kind, finding.variable, finding.file) == ("coordinates", "lat", f"{tmp_path}/1.nc")
    assert finding.max_difference == reported
    assert finding.policy == ("first" if policy == "first" else "accept")


@pytest.mark.parametrize(
    ("one", "other", "settings", "said"),
    [
        pytest.param(LAT, LAT + np.array([0, 0, 0, 0, 1]), {}, "up to 1: found 81.0 for 80.0 at [4]", id="other-grid"),
        pytest.param(LAT, LAT + np.array([0, np.nan, 0, 0, 0]), {}, "up to inf: found nan for -40.0 at [1]", id="nan"),
        pytest.param(LAT, LAT + np.array([0, np.inf, 0, 0, 0]), {}, "up to inf: found inf for", id="infinity"),
        pytest.param(LAT, np.where(LAT == 40, 1e20, LAT), FILL, "up to inf: found 1e+20 for 40.0", id="other-mask"),
        pytest.param(
            np.where(LAT == 40, 1e20, LAT), LAT, FILL, "up to inf: found 40.0 for 1e+20", id="other-mask-back"
        ),
        # Relative to itself and to the median, each of these is large; to the largest number it is noise.
        pytest.param(UNDECLARED, UNDECLARED + 7.5, {}, "up to 7.5: found 12.5 for 5.0 at [0, 1]", id="undeclared-fill"),
        pytest.param(UNDECLARED, UNDECLARED + 1e-9, {}, "up to 1e-09: found", id="undeclared-fill-small-shift"),
        pytest.param(UNDECLARED, UNDECLARED * (1 + 1e-9), {}, "e+30 for 1e+30", id="undeclared-fill-itself"),
        pytest.param(np.array([1e9, 1e-3, 2.0, 3.0]), np.array([1e9, 2e-3, 2.0, 3.0]), {}, "found 0.002", id="small"),
        pytest.param(np.array([10**15, 5]), np.array([10**15 + 1, 5]), {}, "up to 1: found", id="integers"),
        pytest.param(np.array([2**63 - 1]), np.array([2**63 - 2]), {}, "up to 1: found", id="largest-integers"),
        pytest.param(
            np.array([b"a", b"b"]), np.array([b"a", b"c"]), {}, "up to inf: found b'c' for b'b'", id="letters"
        ),
        pytest.param(np.array(["å"], object), np.array(["a"], object), {}, "up to inf: found a for å", id="texts"),
        pytest.param(np.array(2.0), np.array(3.0), {}, "up to 1: found 3.0 for 2.0 at []", id="scalar"),
    ],
)
def test_other_grid_is_refused_until_the_first_is_kept(tmp_path, one, other, settings, said):
    """What differs by more than the tolerance is refused with one such value; policy `first` keeps the first file's."""
    refused = refusal(tmp_path, one, other, settings=settings)
    assert said in refused.message
    assert "policy.coordinates to first (keep the first file's) or leave_out" in refused.remedy
    (finding,) = check(tmp_path, one, other, settings, coordinates="first")
    assert (finding.policy, finding.message) == ("first", refused.message)


@pytest.mark.parametrize("fill", [1e20, np.nan, 1e30], ids=str)
def test_undeclared_values_do_not_forbid_noise(tmp_path, fill):
    """Noise beside a value of another magnitude, or beside zero, is accepted by the median of the magnitudes."""
    one = np.array([0.0, 10, 20, 30, fill])
    (finding,) = check(tmp_path, one, one + np.array([1e-13, 1e-12, 0, -3e-11, 0]))
    assert finding.policy == "accept"
    refusal(tmp_path, one, one + np.array([1e-10, 0, 0, 0, 0]))


def test_sign_of_zero_in_a_coordinate_is_reported(tmp_path):
    """Bits that differ between equal numbers are a finding too: the store has the first file's."""
    (finding,) = check(tmp_path, np.array([0.0, 1]), np.array([-0.0, 1]))
    assert (finding.policy, finding.max_difference) == ("accept", TINY)


@pytest.mark.parametrize("kinds", [("f8", "f4"), ("f4", "f8")], ids="-".join)
@pytest.mark.parametrize("step", [1.40625, 1.4, 1 / 3])
def test_other_width_is_a_choice_where_values_agree(tmp_path, kinds, step):
    """float32 beside float64 is refused, though values are equal; `first` keeps the first file's."""
    values = np.append(np.arange(4) * step, np.nan)
    one, other = (values.astype(kind) for kind in kinds)
    refused = refusal(tmp_path, one, other)
    assert f"'lat' is {other.dtype}, expected {one.dtype} as in" in refused.message
    assert "policy.coordinates to first (keep the first file's) or leave_out" in refused.remedy
    (finding,) = check(tmp_path, one, other, coordinates="first")
    assert (finding.policy, finding.variable) == ("first", "lat")


@pytest.mark.parametrize("kinds", [("f8", "f4"), ("f4", "f8")], ids="-".join)
@pytest.mark.parametrize("other", [[1, 2, 3.001], [1, 2, np.nan], [1, 2, np.inf]], ids=["grid", "nan", "infinity"])
def test_other_width_and_other_values_are_two_grids(tmp_path, kinds, other):
    """Where numbers differ by more than float32's rounding, `first` is neither offered nor a way."""
    variables = np.array([1, 2, 3], kinds[0]), np.array(other, kinds[1])
    for policy in ("refuse", "first"):
        refused = refusal(tmp_path, *variables, coordinates=policy)
        assert refused.remedy == "Make two datasets of it, or set policy.coordinates to leave_out."


def test_fill_of_each_width_is_no_number(tmp_path):
    """Where both files have their fill value, its rounding is no difference, and nothing else stands for it."""
    one, other = (write(tmp_path / f"{kind}.nc", np.array([1, 1e20], kind), **FILL) for kind in ("f8", "f4"))
    judge = Judge({"coordinates": "first"})
    statics.check_static(other, one, ["lat"], judge)
    assert judge.findings[0].max_difference == TINY
    spoilt = write(tmp_path / "spoilt.nc", np.array([1e20, 1], "f4"), **FILL)
    with pytest.raises(Refused, match=r"e\+20 for 1\.0"):
        statics.check_static(spoilt, one, ["lat"], Judge({"coordinates": "first"}))


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=9))
def test_typical_magnitude_is_the_median(values):
    """It is the lower median, rounded down by at most a sixteenth, of what is finite and not missing."""
    array = np.array([*values, np.nan, np.inf, 7e77])
    numbers = sorted(abs(value) for value in values if value != 7e77)
    found = statics.typical_magnitude(array, (7e77,))
    expected = numbers[(len(numbers) + 1) // 2 - 1] if numbers else 0
    assert found <= expected
    assert expected < 1e-300 or found > expected * 15 / 16
