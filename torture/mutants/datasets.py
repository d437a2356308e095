"""The small datasets on which faults show: each is built by the tests' own builders, and converted in one way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import netCDF4
import numpy as np
from builders import UNITS, make_dataset
from kinds import VARIABLES, source
from spoil import each, last, put

REFERENCES = [UNITS, "hours since 1850-05-01", "days since 1852-03-01"]
"""Time units of three files; between the references lies a leap day of the standard calendar."""


@dataclass(frozen=True)
class Small:
    """A dataset: how its files are made, the configuration and policy, and the class of the answer without a fault."""

    make: Callable[[Path], list[Path]]
    config: dict = field(default_factory=dict)
    policy: dict = field(default_factory=dict)
    answer: str = "verified"


def made(spoil: Callable[[list[Path]], object] | None = None, **options) -> Callable[[Path], list[Path]]:
    """Return what makes a dataset of `make_dataset`, and does something to its files."""

    def make(folder):
        paths = make_dataset(folder, **{"lat": 3, "lon": 3} | options)
        if spoil:
            spoil(paths)
        return paths

    return make


def every_kind(folder: Path) -> list[Path]:
    """Make two files with every kind of variable."""
    folder.mkdir(parents=True, exist_ok=True)
    return source(folder, VARIABLES)


def trimmed(folder: Path) -> list[Path]:
    """Make two files, of which the second begins with the last two steps of the first."""
    return [*make_dataset(folder, files=1), *make_dataset(folder, files=1, start=2)]


def twins(paths: list[Path]) -> None:
    """Add a second field of the same shape to all files."""
    each(lambda nc, _: like_tas(nc, nc["tas"][:] + 1))(paths)


def like_tas(nc: netCDF4.Dataset, values: np.ndarray) -> None:
    """Add a variable `tos` of the dimensions and chunks of `tas`."""
    nc.createVariable("tos", "f4", nc["tas"].dimensions, zlib=True, shuffle=True, chunksizes=nc["tas"].chunking())
    nc["tos"][:] = values


def moments(paths: list[Path]) -> None:
    """Add times that may be missing to all files, in the units of their own `time`."""

    def change(nc, _):
        variable = nc.createVariable("seen", "f8", ("time",), fill_value=1e20)
        variable.units, variable.calendar = nc["time"].units, nc["time"].calendar
        variable[:] = [nc["time"][0], 1e20, *nc["time"][2:]]

    each(change)(paths)


def holes(paths: list[Path]) -> None:
    """Add a field of which only the last step was ever written, so that the others are fill, to all files."""

    def change(nc, _):
        nc.createVariable("snd", "f4", ("time", "lat", "lon"), fill_value=1e20, zlib=True, chunksizes=(1, 3, 3))
        nc["snd"][-1] = 1

    each(change)(paths)


def cut_off(paths: list[Path]) -> None:
    """Cut the end off the last file."""
    paths[-1].write_bytes(paths[-1].read_bytes()[:-40])


def other_attribute(variable: str, name: str, value) -> Callable[[list[Path]], None]:
    """Return what gives an attribute of a variable another value in the last file."""
    return last(lambda nc: nc[variable].setncattr(name, value))


def shared_and_unlike(folder: Path) -> list[Path]:
    """Make two files that share two steps, with another value in one of them."""
    paths = trimmed(folder)
    put_last = last(put("tas", (0, 1, 1), 7.0))
    put_last(paths)
    return paths


DEFLATED = {"zlib": True, "shuffle": False}
STEPS = {"chunks": {"time": 5}}
DATASETS = {
    # Three files of four steps: chunks cross files, and the last one is not full.
    "plain": Small(made(twins, filters=DEFLATED), STEPS),
    "v2": Small(made(twins, filters=DEFLATED), STEPS | {"zarr_format": 2}),
    # Whole native chunks go to Blosc as they lie.
    "streamed": Small(made(files=2, steps=6, chunks=(1, 3, 3)), {"chunks": {"time": 4}}),
    "streamed v2": Small(made(files=2, steps=6, chunks=(1, 3, 3)), {"chunks": {"time": 4}, "zarr_format": 2}),
    "one file of many chunks": Small(made(files=1, steps=12, chunks=(2, 2, 2)), {"chunks": {"time": 3}}),
    "shards": Small(made(files=2, steps=5, lat=18, lon=18), {"chunks": {"time": 2}, "shard_mib": 0.005}),
    "units": Small(made(moments, units=REFERENCES, steps=12, calendar="noleap"), STEPS),
    "units v2": Small(made(units=REFERENCES, steps=12, calendar="noleap"), STEPS | {"zarr_format": 2}),
    "packed times": Small(
        made(
            each(lambda nc, _: nc["time"].setncattr("scale_factor", 0.5)),
            **{"units": REFERENCES, "steps": 12, "calendar": "noleap"},
        ),
        STEPS,
        {"gap": "allow", "irregular": "allow"},
    ),
    "classic": Small(
        made(format="NETCDF3_CLASSIC", dtype="i2", field_attributes={"scale_factor": 0.1, "add_offset": 200.0}), STEPS
    ),
    "kinds": Small(every_kind, {"chunks": {"time": 2}}),
    "kinds v2": Small(every_kind, {"chunks": {"time": 2}, "zarr_format": 2}),
    "holes": Small(made(holes), STEPS),
    "trimmed": Small(trimmed, STEPS, {"overlap": "trim"}),
    "noise": Small(made(last(put("lat", 0, np.nextafter(-60.0, 0)))), STEPS),
    "left out": Small(made(lambda paths: paths[-1].write_bytes(b"")), STEPS, {"unreadable": "leave_out"}),
    "exact": Small(made(each(lambda nc, _: nc["tas"].setncattr_string("note", "of variable length"))), STEPS),
    "differing": Small(made(other_attribute("tas", "comment", "of the last file")), STEPS),
    # What inventory refuses, so that a fault in the check itself shows.
    "other scale": Small(
        made(other_attribute("tas", "scale_factor", 2.0), field_attributes={"scale_factor": 1.0}), answer="refused"
    ),
    "other unit": Small(made(other_attribute("tas", "units", "degC")), answer="refused"),
    "other flags": Small(
        made(other_attribute("tas", "flag_meanings", "sea land"), field_attributes={"flag_meanings": "land sea"}),
        answer="refused",
    ),
    "other model": Small(made(last(lambda nc: nc.setncattr("source_id", "MODEL-B"))), answer="refused"),
    "other calendar": Small(made(other_attribute("time", "calendar", "noleap")), answer="refused"),
    "other grid": Small(made(last(put("lat", 0, -59.0))), answer="refused"),
    "other variables": Small(made(last(lambda nc: like_tas(nc, nc["tas"][:]))), answer="refused"),
    "other shared steps": Small(shared_and_unlike, STEPS, {"overlap": "trim"}, answer="refused"),
    "cut off": Small(made(cut_off, format="NETCDF3_CLASSIC"), answer="refused"),
    "gap": Small(made(lambda paths: paths.pop(1)), answer="refused"),
}
