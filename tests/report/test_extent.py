"""Where on the Earth cells lie: whole turns, seams, and grids that say nothing of it."""

import numpy as np
import pytest

from cmip6zarr.report.extent import around

NAN = np.nan


@pytest.mark.parametrize(
    ("longitudes", "expected"),
    [
        (np.arange(0.0, 360, 5.625), (-180, 180)),
        (np.arange(-179.5, 180, 1), (-180, 180)),
        (np.linspace(0, 360, 97), (-180, 180)),
        (np.arange(340.0, 381, 1), (-20, 20)),
        (np.arange(-20.0, 21, 1), (-20, 20)),
        (np.arange(160.0, 201, 1), (160, -160)),
        ([NAN, 10.0, 12.0, 1e20], (10, 12)),
        ([5.0], (5, 5)),
    ],
    ids=["coarse", "fine", "both ends", "over 360", "across 0", "across 180", "without value", "one"],
)
def test_longitudes_are_cut_at_their_widest_gap(longitudes, expected):
    """However they count, and whatever order they are in."""
    easts = np.asarray(longitudes, "f8")
    for some in (easts, easts[::-1]):
        assert around(np.array([-30.0, NAN, 45.0]), some) == (expected[0], -30, expected[1], 45)


def test_cells_that_are_nowhere_have_no_extent():
    """Nor have those whose latitudes are none."""
    assert around(np.array([NAN]), np.array([1.0])) is None
    assert around(np.array([45.0]), np.array([NAN])) is None
    assert around(np.array([1e20]), np.array([1.0])) is None
