"""The small datasets on which faults show: each is built by the tests' own builders, and converted in one way."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import netCDF4
import numpy as np
from builders import UNITS, make_dataset
from kinds import VARIABLES, source
from numcodecs.shuffle import Shuffle
from spoil import each, last, put

REFERENCES = [UNITS, "hours since 1850-05-01", "days since 1852-03-01"]
"""Time units of three files; between the references lies a leap day of the standard calendar."""


@dataclass(frozen=True)
class Small:
    """A dataset: how its files are made, the configuration and policy, and the class of the answer without a fault.

    With `published` its catalogue has the checksums of the files.
    """

    make: Callable[[Path], list[Path]]
    config: dict = field(default_factory=dict)
    policy: dict = field(default_factory=dict)
    answer: str = "verified"
    published: bool = False


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


def rewritten(fill: Callable[[h5py.Dataset, np.ndarray], object], **settings) -> Callable[[list[Path]], None]:
    """Return what writes `tas` of the last file anew by h5py, with settings of its dataset, by `fill`."""

    def spoil(paths: list[Path]) -> None:
        with h5py.File(paths[-1], "a") as file:
            file.move("tas", "old")
            old = file["old"]
            same = {"chunks": old.chunks, "maxshape": old.maxshape, "fillvalue": old.fillvalue}
            new = file.create_dataset("tas", old.shape, old.dtype, **same, **settings)
            fill(new, old[...])
            for name, value in old.attrs.items():
                if name != "DIMENSION_LIST":
                    new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)
            for own, dim in zip(new.dims, old.dims, strict=True):
                own.attach_scale(dim[0])
            del file["old"]

    return spoil


def some_skipped(dataset: h5py.Dataset, values: np.ndarray) -> None:
    """Write chunks, one a step, without deflate or without shuffle, and the others with both."""
    dataset[...] = values
    dataset.id.write_direct_chunk((1, 0, 0), bytes(Shuffle(4).encode(values[1])), filter_mask=2)
    dataset.id.write_direct_chunk((2, 0, 0), zlib.compress(values[2].tobytes()), filter_mask=1)


def summed() -> h5py.h5p.PropDCID:
    """Return the settings of a dataset whose compressed bytes have a Fletcher-32."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_shuffle()
    properties.set_deflate(4)
    properties.set_fletcher32()
    return properties


def with_sums(paths: list[Path]) -> None:
    """Give the chunks of the last file a Fletcher-32 of their compressed bytes."""
    rewritten(lambda dataset, values: dataset.__setitem__(..., values), dcpl=summed())(paths)


def damaged(byte: int, first: Callable[[list[Path]], object] | None = None) -> Callable[[list[Path]], None]:
    """Return what sets a byte of the second chunk of the last file to zero, after another change."""

    def spoil(paths: list[Path]) -> None:
        if first:
            first(paths)
        with h5py.File(paths[-1]) as file:
            place = file["tas"].id.get_chunk_info(1)
        data = bytearray(paths[-1].read_bytes())
        data[place.byte_offset + byte % place.size] = 0
        paths[-1].write_bytes(data)

    return spoil


def native(spoil: Callable[[list[Path]], object] | None = None, steps: int = 5, **options) -> Callable:
    """Return what makes three files of a shuffled and deflated field, large enough to be smaller so."""
    filters = {"zlib": True, "complevel": 4, "shuffle": True}
    return made(spoil, lat=18, lon=18, steps=steps, filters=filters, **{"chunks": (1, 18, 9)} | options)


WHOLE = {"chunks": (1, 18, 18)}
COPY = {"codec": "native", "verify": "streams", "chunks": {"time": 2}}
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
    # Three files of five steps, two native chunks each: frames of two steps cross files, and the last is not full.
    "native": Small(native(), COPY),
    "native v2": Small(native(), COPY | {"zarr_format": 2}),
    "native shards": Small(native(), COPY | {"shard_mib": 0.01}),
    "native by values": Small(native(), COPY | {"verify": "full"}),
    "native holes": Small(native(holes), COPY),
    "native, sums": Small(native(with_sums, **WHOLE), COPY),
    "native, filters skipped": Small(native(rewritten(some_skipped, compression=4, shuffle=True), **WHOLE), COPY),
    "native, not whole": Small(native(chunks=(2, 18, 18)), COPY | {"chunks": {"time": 16}}),
    "native, no stream": Small(native(damaged(0), **WHOLE), COPY, answer="source"),
    "native, other sum": Small(native(damaged(-9, with_sums), **WHOLE), COPY, answer="source"),
    "as published": Small(made(), STEPS, published=True),
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
