"""Arrays that hypothesis draws, and a few that it does not, as the plan sees them."""

from hypothesis import strategies as st

from cmip6zarr.core.chunks import Array

DIMS = ("time", "plev", "lat", "lon")
RULES = st.one_of(st.none(), st.dictionaries(st.sampled_from(DIMS), st.integers(1, 30), min_size=1))
TARGETS = st.integers(1, 5000)


@st.composite
def arrays(draw):
    """Return one to three arrays as of one dataset: a dimension has one length wherever it occurs."""
    lengths = {dim: draw(st.integers(0, 25)) for dim in DIMS}
    drawn = []
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        dims = tuple(draw(st.lists(st.sampled_from(DIMS), unique=True, max_size=4)))
        shape = tuple(lengths[dim] for dim in dims)
        native = tuple(draw(st.integers(1, max(1, size))) for size in shape)
        axis = dims.index("time") if "time" in dims else None
        field = axis is not None and len(dims) > 1 and draw(st.booleans())
        itemsize = draw(st.sampled_from([1, 2, 4, 8, 32]))
        drawn.append(Array(name, shape, dims, itemsize, axis=axis, field=field, native=(native, None)))
    return drawn


FIELDS = [
    Array("tas", (10, 30, 40), ("time", "lat", "lon"), 4, axis=0, field=True),
    Array("ta", (10, 5, 30, 40), ("time", "plev", "lat", "lon"), 4, axis=0, field=True),
    Array("time", (10,), ("time",), 8, axis=0),
    Array("time_bnds", (10, 2), ("time", "bnds"), 8, axis=0),
    Array("lat", (30,), ("lat",), 8),
    Array("height", (), (), 8),
]
