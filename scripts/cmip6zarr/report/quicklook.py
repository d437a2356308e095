"""A look at a store: three maps of its main variable and the course of its mean, from a handful of chunks.

A person sees at a glance whether a store holds climate or noise. It proves nothing; verify does.
"""

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
import zarr

from cmip6zarr.model.inventory import Inventory, TimeAxis
from cmip6zarr.report.decoded import array_in, decode, read_chunks
from cmip6zarr.report.grid import TEXTS, grid_of
from cmip6zarr.source.attributes import untyped

MOST_CHUNKS = 5  # of the variable; of each coordinate one more
# Where a chunk is larger, size_report would need more than its memory.
MOST_CHUNK_BYTES = 128 * 2**20
MOST_POINTS = 96  # of the mean
ABOUT_ANOTHER = ("bounds", "climatology", "coordinates")
"""Attributes that name variables which are not what a dataset is about."""


@dataclass(frozen=True)
class Look:
    """What was seen of a variable.

    `maps` {step: (rows, columns) float64}, north or up in the first row, NaN where there is no value; `means` for each
    run of steps that was read {step: mean of all cells, weighted by cos(latitude) if `weighted`}. `steps` are all that
    the variable has, 0 without time; `middle` is the date of the middle one, empty where none is known; `firsts`
    {dimension: its length} are those of which only the first is shown.
    """

    variable: str
    units: str
    steps: int
    maps: dict[int, np.ndarray]
    means: list[dict[int, float]]
    weighted: bool
    firsts: dict[str, int]
    chunks_read: int
    middle: str = ""


def take(group: zarr.Group, inventory: Inventory, main: str) -> Look | str:
    """Look at an open store of the inventory's dataset, or return in a sentence why there is nothing to see.

    Raises DatasetError (`chunks`) where a chunk is missing or cannot be read.
    """
    name = variable_of(inventory, main)
    if name is None:
        return "It has no field of numbers."
    array, variable, time = array_in(group, name), inventory.variables[name], inventory.time
    axis = variable.dims.index(time.variable) if time and not variable.static else None
    grid = grid_of(group, inventory, name, axis)
    per_step = prod(ceil(array.shape[n] / array.chunks[n]) for n in grid.axes)
    steps, length = (array.shape[axis], array.chunks[axis]) if axis is not None else (1, 1)
    reads = runs(steps, length, per_step)
    if not reads or per_step * prod(array.chunks) * array.dtype.itemsize > MOST_CHUNK_BYTES:
        return f"A step of {name!r} lies in {per_step} chunks of {array.chunks}: too much for a look."
    shown = [n for n in range(array.ndim) if n == axis or n in grid.axes]
    every = ceil(sum(map(len, reads)) / MOST_POINTS)
    maps: dict[int, np.ndarray] = {}
    means: list[dict[int, float]] = []
    for read in reads:
        along = [
            slice(read.start, read.stop) if n == axis else slice(None) if n in shown else 0 for n in range(array.ndim)
        ]
        values = read_chunks(array, tuple(along))
        means.append({})
        drawn = {0, steps // 2, steps - 1}.intersection(read)
        for step in sorted(drawn.union(read[::every])):
            field = values if axis is None else values.take(step - read.start, shown.index(axis))
            field = decode(field.T if grid.axes != tuple(sorted(grid.axes)) else field, variable.attributes)
            if step in read[::every]:
                means[-1][step] = grid.mean(field)
            if step in drawn and (drawing := grid.draw(field)) is not None:
                maps[step] = drawing
    dated = time if axis is not None and steps > 2 else None
    return Look(
        variable=name,
        units=str(untyped(variable.attributes.get("units", ["char", ""]))),
        steps=steps if axis is not None else 0,
        maps=maps,
        means=means,
        weighted=grid.latitudes is not None,
        firsts={d: array.shape[n] for n, d in enumerate(variable.dims) if n not in shown and array.shape[n] > 1},
        chunks_read=len(reads) * per_step + grid.chunks_read + bool(dated),
        middle=date(group, dated, steps // 2) if dated else "",
    )


def date(group: zarr.Group, axis: TimeAxis, step: int) -> str:
    """Return the date of a step; empty where cftime knows none. Raises DatasetError as `take` does."""
    import cftime  # only what has time needs it

    number = read_chunks(array_in(group, axis.variable), (slice(step, step + 1),))
    try:
        [found] = cftime.num2date(number, axis.units, axis.calendar)
    except (ValueError, OverflowError):
        return ""
    return "" if found is np.ma.masked else f"{found.year:04d}-{found.month:02d}-{found.day:02d}"


def variable_of(inventory: Inventory, main: str) -> str | None:
    """Return the variable to look at: the main one, else the largest of numbers that says nothing of another."""
    variables = inventory.variables
    told = [untyped(v.attributes[key]) for v in variables.values() for key in ABOUT_ANOTHER if key in v.attributes]
    others = {word for text in told if isinstance(text, str) for word in text.split()}
    fit = [
        name
        for name, v in variables.items()
        if v.dtype not in TEXTS and 0 not in v.shape and name not in others and v.dims != (name,)
    ]
    return main if main in fit else max(fit, key=lambda name: variables[name].raw_bytes, default=None)


def runs(steps: int, length: int, per_step: int) -> list[range]:
    """Return the steps to read: those of the chunks that hold the first, the last, the middle one, and two between.

    A chunk is `length` steps long, and `per_step` of them hold one. Fewer where they would be more than MOST_CHUNKS.

    >>> runs(1980, 100, 1)
    [range(0, 100), range(400, 500), range(900, 1000), range(1400, 1500), range(1900, 1980)]
    >>> runs(1980, 100, 2), runs(10, 100, 1), runs(10, 1, 6)
    ([range(0, 100), range(1900, 1980)], [range(0, 10)], [])
    """
    wanted = [0, steps - 1, steps // 2, steps // 4, 3 * steps // 4][: MOST_CHUNKS // per_step]
    starts = sorted({step // length * length for step in wanted})
    return [range(start, min(start + length, steps)) for start in starts]
