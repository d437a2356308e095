"""Records of failure as they are read: what before where, and files by their names."""

import pytest

from cmip6zarr.core.errors import DatasetError
from cmip6zarr.job import failures


@pytest.mark.parametrize(
    ("message", "what", "where"),
    [
        ("/d/a.nc: is cut off.", "is cut off", "a.nc"),
        ("/my data/x y/a.nc: is cut off.", "is cut off", "a.nc"),
        ("demo/CMIP6/a.nc: is cut off.", "is cut off", "demo/CMIP6/a.nc"),
        ("/d/b.nc: not later than /d/a.nc, which ends 1999.", "not later than a.nc, which ends 1999", "b.nc"),
        ("/d/v1/a.nc: not as /d/v2/a.nc.", "not as v2/a.nc", "v1/a.nc"),
        ("/d/a.nc: cannot be read: x: '/d/a.nc'.", "cannot be read: x", "a.nc"),
        ("/d/a.nc: has groups ['/x/y'].", "has groups ['/x/y']", "a.nc"),
        ("s3://b/p/CMIP6/v1.zarr/tas/c.0: gone.", "gone", "tas/c.0"),
        ("s3://b/p/CMIP6/v1.zarr: gone.", "gone", "v1.zarr"),
        (
            "/s/v1.zarr: 2 differences: /d/e/a.nc: 'x'; /d/e/b.nc: 'y'.",
            "2 differences: a.nc: 'x'; b.nc: 'y'",
            "v1.zarr",
        ),
        (
            "SLURM job 3 on node/7 was killed: state is TIMEOUT.",
            "SLURM job 3 on node/7 was killed: state is TIMEOUT",
            "",
        ),
        ("", "", ""),
    ],
)
def test_what_comes_before_where(message, what, where):
    """The place in front of a message is taken from it, and files lose the folder that they share."""
    assert failures.parts(message) == (what, where)


def test_files_without_a_folder_in_common_keep_their_paths():
    """Nothing is cut off two paths that begin differently."""
    assert failures.parts("/a/x.nc: not as /b/x.nc.") == ("not as /b/x.nc", "/a/x.nc")


def test_reason_is_seen_in_a_line_of_150_letters():
    """However long the folder is, what was found and the name of the file come first."""
    message = f"/{'folder/' * 30}tas.nc: between 1999-01-16 and 2014-05-16: found 99 steps left out, expected none."
    told = failures.told({"class": "refused", "kind": "gap", "message": message, "remedy": "Fetch them."})
    assert told[:150].startswith(
        "gap: between 1999-01-16 and 2014-05-16: found 99 steps left out, expected none (tas.nc)"
    )


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"class": "refused", "kind": "overlap", "remedy": ""}, "overlap"),
        ({"class": "refused", "remedy": "Fetch it, or set policy.gap to allow."}, "gap"),
        ({"class": "refused", "remedy": "Fetch it."}, "refused"),
        ({"class": "memory", "remedy": "See policy.gap."}, "memory"),
    ],
)
def test_kind_of_records_old_and_new(record, kind):
    """Records of older versions have no kind; of a refusal the remedy may name it."""
    assert failures.kind_of(record) == kind


def test_record_that_cannot_be_read(tmp_path):
    """It is told as a failure of its own."""
    assert failures.read(tmp_path, "a.b")["class"] == "receipt"
    assert "not as it was written" in failures.told(failures.read(tmp_path, "a.b"))


def test_error_keeps_the_whole_path():
    """An error on a command line has no dataset beside it that would tell the folder."""
    assert (
        str(DatasetError("source", "/d/e/a.nc: is cut off.", "Fetch it."))
        == "source: is cut off (/d/e/a.nc) -> Fetch it."
    )
