"""Make a made-up dataset of any size (`scripts/demo.py`), its field laid out in the files in one of four ways.

Called with a folder, files, steps in a file, latitudes, longitudes, bits that a value keeps after the point, a layout
of LAYOUTS, the share of steps, in runs of four, that are nothing but fill value, and levels.
"""

import sys
from pathlib import Path

from command_cost import Case, run

LAYOUTS = ("contiguous", "steps", "whole", "repacked")
"""Not compressed and in one piece, as many tools write; a chunk per time step, as CMOR does; a chunk that is the file;
two chunks per time step, each with a Fletcher-32 of its compressed bytes, as h5repack writes.

The last three are shuffled and deflated at level 1.
"""


def make(
    work: Path,
    files: int,
    steps: int,
    grid: tuple[int, int],
    bits: int = 9,
    layout: str = "steps",
    empty: float = 0,
    levels: int = 8,
) -> Path:
    """Return the folder of a made-up dataset below `work`, which is made unless it is there."""
    folder = work / f"{files}x{steps}x{grid[0]}x{grid[1]}x{bits}-{layout}-{empty:g}-{levels}" / "nc"
    if len(list(folder.glob("*.nc"))) < files:
        run(Case([sys.executable, __file__, folder, files, steps, *grid, bits, layout, empty, levels]))
    return folder


def main(argv: list[str]) -> None:
    """Make the files in this process."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
    import demo

    folder, layout, empty = Path(argv[0]), argv[6], float(argv[7])
    files, steps, demo.LATITUDES, demo.LONGITUDES, demo.BITS = map(int, argv[1:6])
    demo.LEVELS = int(argv[8])
    demo.PRESSURES_PA = demo.np.linspace(1e5, 1e3, demo.LEVELS)
    demo.make_files(folder, files, steps)
    if layout != "steps" or empty:
        for number, path in enumerate(sorted(folder.glob("*.nc"))):
            copy(path, layout, empty, number * steps)


def copy(path: Path, layout: str, empty: float, first: int) -> None:
    """Write a file again with its field laid out in another way, and a share of its steps empty."""
    import netCDF4
    import numpy as np

    part = path.with_suffix(".part")
    with netCDF4.Dataset(path) as old, netCDF4.Dataset(part, "w") as new:
        old.set_auto_maskandscale(False)
        new.setncatts(old.__dict__)
        for name, dimension in old.dimensions.items():
            # What has an unlimited dimension cannot be contiguous.
            new.createDimension(name, None if dimension.isunlimited() and layout != "contiguous" else len(dimension))
        for name, variable in old.variables.items():
            attributes = dict(variable.__dict__)
            settings = {"fill_value": attributes.pop("_FillValue", None)}
            values = variable[...]
            if name == "ta":
                if layout == "contiguous":
                    settings["contiguous"] = True
                else:
                    chunks = (len(values) if layout == "whole" else 1, *values.shape[1:])
                    settings |= {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": chunks}
                for start in range(0, len(values), 4):
                    # Spread evenly over the dataset.
                    number = (first + start) // 4
                    if int((number + 1) * empty) > int(number * empty):
                        values[start : start + 4] = np.float32(settings["fill_value"])
            written = new.createVariable(name, variable.dtype, variable.dimensions, **settings)
            written.set_auto_maskandscale(False)
            written.setncatts(attributes)
            written[...] = values
    if layout == "repacked":
        repack(part)
    part.replace(path)


def repack(path: Path) -> None:
    """Write the field of a file again as h5repack would: chunks of half the levels, with a checksum of their bytes."""
    import h5py

    with h5py.File(path, "r+") as file:
        old = file["ta"]
        chunks = (1, old.shape[1] // 2, *old.shape[2:])
        filters = {"compression": 1, "shuffle": True, "fletcher32": True}
        new = file.create_dataset(
            "new", data=old[...], chunks=chunks, maxshape=old.maxshape, fillvalue=old.fillvalue, **filters
        )
        for name, value in old.attrs.items():
            if name != "DIMENSION_LIST":
                new.attrs[name] = value
        for dimension, other in zip(old.dims, new.dims, strict=True):
            scale = dimension[0]
            dimension.detach_scale(scale)
            other.attach_scale(scale)
        del file["ta"]
        file.move("new", "ta")


if __name__ == "__main__":
    main(sys.argv[1:])
