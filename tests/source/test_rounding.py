"""Values that were rounded before they came here are named so, by whatever attribute a file says it with."""

import netCDF4
import numpy as np
import pytest
from builders import make_dataset
from chain import ID, run_convert, run_verify, take

from cmip6zarr.job import receipts

# What a file says of `tas`, and what the finding says.
SAID = {
    "bits": ({"quantization_nsb": np.int32(9)}, "9 significant bits"),
    "digits": ({"quantization_nsd": np.int32(3)}, "3 significant digits"),
    "library": (
        {"_QuantizeGranularBitRoundNumberOfSignificantDigits": np.int32(4)},
        "4 significant digits, GranularBitRound",
    ),
    "point": ({"least_significant_digit": np.int64(2)}, "2 digits after the point"),
}


def add_container(paths, **more):
    """Add the variable by which CF says what has rounded `tas`."""
    for path in paths:
        with netCDF4.Dataset(path, "a") as nc:
            nc["tas"].setncatts({"quantization": "quantization_info", "quantization_nsb": np.int32(9)} | more)
            told = {"algorithm": "bitround", "implementation": "libnetcdf version 4.9.3"}
            nc.createVariable("quantization_info", "S1", ()).setncatts(told)


def rounded(facts):
    return [finding for finding in facts["findings"] if finding["kind"] == "rounded"]


@pytest.mark.parametrize(("attributes", "words"), SAID.values(), ids=SAID)
def test_rounded_variable_is_named(tmp_path, attributes, words):
    """One finding for all files; nothing is said of files that say nothing."""
    paths = make_dataset(tmp_path, field_attributes=attributes)
    [finding] = rounded(take(paths, tmp_path))
    assert (finding["variable"], finding["policy"]) == ("tas", "accept")
    assert finding["message"].startswith(f"{paths[0]}: tas was rounded before it came here: {words}; ")
    assert rounded(take(make_dataset(tmp_path / "exact"), tmp_path)) == []


def test_algorithm_of_the_container(tmp_path):
    """What CF's container says is told, and its dataset becomes a verified store."""
    paths = make_dataset(tmp_path, files=2)
    add_container(paths)
    [finding] = rounded(take(paths, tmp_path))
    assert "9 significant bits, bitround, libnetcdf version 4.9.3; the store" in finding["message"]
    assert run_convert(tmp_path, tmp_path / "s.zarr") == 0
    assert run_verify(tmp_path) == 0
    assert receipts.read(tmp_path, "verify", ID)["sealed"]


def test_container_that_is_not_there(tmp_path):
    """A name of no variable says nothing, and hides nothing."""
    paths = make_dataset(tmp_path, files=1, field_attributes={"quantization": "gone", "quantization_nsd": np.int32(3)})
    [finding] = rounded(take(paths, tmp_path))
    assert "here: 3 significant digits; the store" in finding["message"]


def test_files_that_differ(tmp_path):
    """Some files that are rounded are counted, also where the first is not."""
    paths = make_dataset(tmp_path, files=3)
    for path in paths[1:]:
        with netCDF4.Dataset(path, "a") as nc:
            nc["tas"].setncatts({"quantization_nsd": np.int32(3)})
    [finding] = rounded(take(paths, tmp_path))
    assert finding["message"].startswith(f"{paths[1]}: tas, in 2 files, was rounded")
    assert finding["file"] == str(paths[1])
