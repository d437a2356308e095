"""Faults of the plan: which part of an array is read and written when."""

from dataclasses import replace

from .declared import fault

PLANNING, CHUNKS, WRITER = "cmip6zarr.plan.planning", "cmip6zarr.core.chunks", "cmip6zarr.convert.writer"


@fault("planning", f"{CHUNKS}:regions", "plain", "shards", says="chunks|values compared")
def last_region_dropped(regions, whole, step):
    """The last block of every grid is dropped."""
    found = list(regions(whole, step))
    return found[:-1] or found


@fault("planning", f"{CHUNKS}:regions", "plain", says="tas")
def regions_shifted(regions, whole, step):
    """Every block but the first lies one index too early."""
    for region in regions(whole, step):
        yield tuple(slice(r.start - 1, r.stop - 1) if r.start else r for r in region)


@fault("planning", f"{CHUNKS}:regions", "plain", says="tas|time|values compared")
def last_partial_region_cut(regions, whole, step):
    """A block that is not full is cut by one index."""
    for region in regions(whole, step):
        yield tuple(
            slice(r.start, r.stop - 1) if 1 < r.stop - r.start < n else r for r, n in zip(region, step, strict=True)
        )


@fault("planning", f"{PLANNING}:Cut.slabs", "plain", says="chunk")
def last_slab_dropped(slabs, cut):
    """What is in memory last is not written."""
    found = list(slabs(cut))
    return iter(found[:-1] or found)


@fault("planning", f"{PLANNING}:Cut.shards_of", "one file of many chunks", says="chunk")
def last_shard_of_a_slab_dropped(shards_of, cut, slab):
    """The last shard of every slab is not written."""
    return iter(list(shards_of(cut, slab))[:-1])


@fault("planning", f"{PLANNING}:streams", "one file of many chunks", says="tas|time")
def everything_streamed(streams, array, chunks):  # noqa: ARG001
    """Native chunks are said to fit where they do not."""
    return True


@fault("planning", f"{WRITER}:arrays_of", "kinds", says="time-last")
def wrong_time_axis(arrays_of, *args):
    """Time is taken for the first axis of every variable."""
    return [array if array.axis is None else replace(array, axis=0) for array in arrays_of(*args)]


@fault("planning", f"{WRITER}:arrays_of", "plain", says="tas|time")
def everything_static(arrays_of, *args):
    """Every variable is taken to be without time."""
    return [replace(array, axis=None, field=False) for array in arrays_of(*args)]


@fault("planning", f"{WRITER}:arrays_of", "plain", says="tas|shape|chunk")
def shape_too_short(arrays_of, *args):
    """The plan knows one step less than there are."""
    return [
        array
        if array.axis is None
        else replace(array, shape=tuple(n - (axis == array.axis) for axis, n in enumerate(array.shape)))
        for array in arrays_of(*args)
    ]


@fault(
    "planning",
    f"{CHUNKS}:chunk_shapes",
    "plain",
    says="",
    listed="values are the same in chunks of any shape; a plan that does not fit the memory is not a wrong store",
)
def other_chunks(chunk_shapes, arrays, rule, target_bytes):  # noqa: ARG001
    """The rule for chunks is ignored."""
    return chunk_shapes(arrays, None, target_bytes)
