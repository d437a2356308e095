"""Whether the native chunks of an array can be chunks of the store as they are, and how many of them make one.

A chunk of the store is some native chunks that follow one another along time, which is the first axis. Cuts in space
stay as they are in the files. So do all of a static variable, whose chunks are the native ones.
"""

from dataclasses import replace
from math import ceil

from cmip6zarr.core.chunks import Array

Shapes = dict[str, tuple[int, ...]]

MOST_STATIC_CHUNKS = 16
"""Native chunks of a static variable that become objects of the store; of more, one is made anew."""


def obstacle(array: Array) -> str | None:
    """Return why the native chunks of an array cannot be chunks of the store, by their shapes; None if they can.

    >>> made = {"axis": 0, "field": True, "not_copied": None, "native": ((4, 9),)}
    >>> obstacle(Array("tas", (10, 9), ("time", "x"), 4, files=((0, 8), (8, 10)), **made))
    >>> obstacle(Array("tas", (10, 9), ("time", "x"), 4, files=((0, 7), (7, 10)), **made))
    'steps 0 to 7 are no whole number of native chunks of 4 steps'
    """
    if array.not_copied is not None:
        return array.not_copied
    if array.axis is None:
        return static_obstacle(array)
    if not array.field:
        return "it is no field"
    if array.axis != 0:
        return f"time is axis {array.axis}, not the first"
    native = array.native[0] if len(set(array.native)) == 1 else None
    if native is None:
        return f"its files have the native chunks {sorted(set(array.native), key=str)}"
    for start, stop in array.files[:-1]:
        if (stop - start) % native[0]:
            return f"steps {start} to {stop} are no whole number of native chunks of {native[0]} steps"
    return None


def static_obstacle(array: Array) -> str | None:
    """Return why the native chunks of a static variable cannot be chunks of the store; None if they can.

    >>> static_obstacle(Array("lat", (6, 8), ("y", "x"), 8, native=((3, 8),), not_copied=None))
    >>> static_obstacle(Array("lat", (6, 8), ("y", "x"), 8, native=((1, 1),), not_copied=None))
    'it has 48 native chunks, more than 16'
    """
    if len(array.native) != 1 or array.native[0] is None:
        return "it is not stored alike in all files"
    if array.native_chunks > MOST_STATIC_CHUNKS:
        return f"it has {array.native_chunks} native chunks, more than {MOST_STATIC_CHUNKS}"
    return None


def fit(arrays: list[Array], shapes: Shapes) -> tuple[list[Array], Shapes]:
    """Return the arrays, each with what hinders a copy of it, and chunk shapes that fit the native chunks.

    All fields keep one chunk length along time: the asked one, rounded down to whole native chunks, but one at least.
    Shapes stay as they are where nothing can be copied.
    """
    arrays = [replace(array, not_copied=obstacle(array)) for array in arrays]
    static = [array for array in arrays if array.axis is None and array.not_copied is None]
    fitted = {array.name: array.native[0] or array.shape for array in static}
    steps = max((array.steps_together for array in arrays if array.field and array.not_copied is None), default=0)
    if not steps:
        return arrays, shapes | fitted
    arrays = [replace(array, not_copied=too_few(array, steps)) for array in arrays]
    fields = [array for array in arrays if array.field]
    asked, size = max((shapes[a.name][a.time_axis], a.shape[a.time_axis]) for a in fields)
    length = steps * max(1, ceil(asked / steps) if asked == size else asked // steps)
    for array in fields:
        shape = list(shapes[array.name])
        if array.not_copied is None:
            shape = list(array.native[0] or shape)
        shape[array.time_axis] = length
        fitted[array.name] = tuple(shape)
    return arrays, shapes | fitted


def too_few(array: Array, steps: int) -> str | None:
    """Return why the native chunks of an array cannot be copied where another field has `steps` in one; None: they can.

    >>> made = {"axis": 0, "field": True, "not_copied": None}
    >>> too_few(Array("tas", (12, 9), ("time", "x"), 4, native=((3, 9),), **made), 4)
    'its native chunks of 3 steps do not divide the 4 of another field'
    """
    if array.field and array.not_copied is None and steps % array.steps_together:
        return f"its native chunks of {array.steps_together} steps do not divide the {steps} of another field"
    return array.not_copied
