"""Every kind of variable that a NetCDF file can hold, as far as Zarr has a form for it."""

import netCDF4
import numpy as np
from builders import UNITS

STEPS = (3, 2)
LENGTHS = {"x": 3, "z": 0, "strlen": 4}


def payloads(kind):
    """Return NaN with two payloads, and the numbers that comparison does not tell apart."""
    nan = {"f4": [0x7FC0BEEF, 0xFFC00001], "f8": [0x7FF8000000BEEF01, 0xFFF8000000000001]}[kind]
    return np.concatenate([np.array(nan, f"u{kind[1]}").view(kind), np.array([-0.0, 0.0, np.inf, 1e20], kind)])


def letters(*texts):
    return np.array([list(text) for text in texts], "S1")


def extremes(kind):
    return np.array([np.iinfo(kind).min, np.iinfo(kind).max, 1], kind)


FILL = np.float32(1e20)
# id: (dtype, dimensions, values that are repeated to fill it, attributes, settings)
VARIABLES = {
    **{f"{kind}-bits": (kind, ("time", "x"), payloads(kind), {}, {}) for kind in ("f4", "f8")},
    **{
        kind: (kind, ("time", "x"), extremes(kind), {}, {}) for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    },
    "big-endian-f4": (">f4", ("time", "x"), payloads("f4"), {}, {"endian": "big"}),
    "big-endian-i2": (">i2", ("x",), extremes("i2"), {}, {"endian": "big"}),
    "characters": ("S1", ("time", "strlen"), letters("a b ", "\0  \0", "abcd"), {}, {}),
    "static-characters": ("S1", ("x", "strlen"), letters("land", "ice ", "\0\0\0\0"), {}, {}),
    "texts": (str, ("time",), np.array(["", "å水", "b "], object), {}, {}),
    "static-texts": (str, ("x",), np.array(["", "µ", "longer than others"], object), {}, {}),
    "scalar": ("f8", (), payloads("f8"), {"units": "m"}, {}),
    "scalar-character": ("S1", (), np.array([b"a"]), {}, {}),
    "scalar-text": (str, (), np.array(["ö"], object), {}, {}),
    "static": ("f4", ("x",), payloads("f4"), {}, {}),
    "no-length": ("f4", ("z",), payloads("f4"), {}, {}),
    "no-length-in-time": ("f4", ("time", "z", "x"), payloads("f4"), {}, {}),
    "time-last": ("i2", ("x", "time"), np.arange(7, dtype="i2"), {}, {}),
    "time-in-the-middle": ("f4", ("x", "time", "strlen"), np.arange(7, dtype="f4"), {}, {}),
    "fill": ("f4", ("time", "x"), np.array([1, FILL], "f4"), {}, {"fill_value": FILL}),
    "fill-and-wider-missing": (
        "f4",
        ("time",),
        np.array([1, FILL], "f4"),
        {"missing_value": 1e20},
        {"fill_value": FILL},
    ),
    "two-fills": (
        "f4",
        ("time",),
        np.array([1, FILL, -1], "f4"),
        {"missing_value": np.float32(-1)},
        {"fill_value": FILL},
    ),
    "nan-fill": ("f8", ("time", "x"), payloads("f8"), {}, {"fill_value": np.nan}),
    "nan-missing": ("f4", ("time", "x"), payloads("f4"), {"missing_value": np.float32("nan")}, {}),
    "integer-fill": ("u8", ("time",), extremes("u8"), {}, {"fill_value": np.uint64(2**64 - 1)}),
    "character-fill": ("S1", ("time",), np.array([b"x", b"a"]), {}, {"fill_value": b"x"}),
    "packed": (
        "i2",
        ("time", "x"),
        np.arange(5, dtype="i2"),
        {"scale_factor": 0.1, "add_offset": 273.15},
        {"fill_value": 3},
    ),
}


def add(nc, name, dtype, dims, values, attributes, settings):
    """Add a variable to an open file, its values stored as they are."""
    variable = nc.createVariable(name, dtype, dims, **settings)
    variable.set_auto_maskandscale(False)
    variable.set_auto_chartostring(False)
    variable.setncatts(attributes)
    shape = [len(nc.dimensions[dim]) for dim in dims]
    if np.prod(shape):
        variable[...] = np.resize(values.reshape(-1), shape) if shape else values.reshape(-1)[0]


def source(folder, variables):
    """Write a dataset of two files of unequal length with some of VARIABLES, and return their paths."""
    paths, start = [], 0
    for index, steps in enumerate(STEPS):
        paths.append(folder / f"{index}.nc")
        with netCDF4.Dataset(paths[-1], "w") as nc:
            nc.createDimension("time", steps)
            for name, size in LENGTHS.items():
                nc.createDimension(name, size)
            days = np.arange(start, start + steps, dtype="f8")
            add(nc, "time", "f8", ("time",), days, {"units": UNITS, "calendar": "noleap"}, {})
            for name in variables:
                add(nc, name, *VARIABLES[name])
        start += steps
    return paths
