"""Could a virtual store hold these datasets? The rules of VirtualiZarr, asked of real files.

Called with a folder of NetCDF files; takes every folder below it that has several. One array of a virtual store has one
chunk shape, one chain of codecs, one dtype and one CF encoding, and only its last chunk may be short (VirtualiZarr,
docs/explanation/faq.md, "Can my specific data be virtualized?"). Coordinates, bounds and time can be loaded instead, so
fields are what counts: what depends on time and on something else, and is no bounds.
"""

import sys
from collections import Counter
from pathlib import Path

import netCDF4

CF = ("scale_factor", "add_offset", "_FillValue", "missing_value", "units")


def layout(path: Path) -> dict[str, dict]:
    """Return chunks, codecs, dtype and CF encoding of the fields of one file, and its time steps."""
    with netCDF4.Dataset(path) as nc:
        bounds = {getattr(variable, "bounds", None) for variable in nc.variables.values()}
        return {
            name: {
                "chunks": variable.shape if variable.chunking() in ("contiguous", None) else tuple(variable.chunking()),
                "codecs": str(variable.filters()) + str(variable.endian()),
                "dtype": str(variable.dtype),
                "CF encoding": str([getattr(variable, key, None) for key in CF]),
                "steps": variable.shape[0],
            }
            for name, variable in nc.variables.items()
            if variable.dimensions[:1] == ("time",) and variable.ndim > 1 and name not in bounds
        }


def obstacles(layouts: list[dict]) -> set[str]:
    """Return what keeps files, in time order, from being one virtual array each field."""
    found = set()
    for name in layouts[0]:
        fields = [one[name] for one in layouts if name in one]
        if len(fields) < len(layouts):
            found.add("a variable is missing")
        found |= {key for key in ("chunks", "codecs", "dtype", "CF encoding") if len({f[key] for f in fields}) > 1}
        if any(field["steps"] % field["chunks"][0] for field in fields[:-1]):
            found.add("a short chunk in the middle")
    return found


def main(root: Path) -> None:
    """Print how many datasets below a folder could be virtual, and what keeps the others from it."""
    reasons, fit, datasets = Counter(), 0, 0
    for folder in sorted({path.parent for path in root.rglob("*.nc")}):
        paths = sorted(folder.glob("*.nc"))
        layouts = [layout(path) for path in paths]
        if len(paths) > 1 and layouts[0]:
            datasets += 1
            found = obstacles(layouts)
            fit += not found
            reasons.update(found)
    print(f"{datasets} datasets of several files, {fit} could be virtual")
    print("\n".join(f"  {reason}: {count}" for reason, count in reasons.most_common()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
