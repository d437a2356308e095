"""Whether the native chunks of a variable are what a block of Blosc with zlib may hold, by what its files say."""

from cmip6zarr.convert import hdf5_layout
from cmip6zarr.model.inventory import Inventory, SourceFile
from cmip6zarr.source.file_form import like

NAMES = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
COPIED = ({"deflate"}, {"shuffle", "deflate"})


def obstacle(inventory: Inventory, name: str) -> str | None:
    """Return why the native chunks of a variable cannot be copied as they are, by how they are stored; None: they can.

    Whether their shapes fit is told by `plan.native_copy`.
    """
    if inventory.variables[name].dtype in ("str", "S1"):
        return "it is text"
    files = inventory.files[:1] if inventory.variables[name].static else inventory.files
    shuffled, ends = set(), set()
    for file in files:
        found = like(file.form, inventory.form)["variables"][name]["storage"]
        if not found or found["layout"] != "chunked":
            return "its values are not in chunks"
        filters = [NAMES.get(number, str(number)) for number, _ in found["filters"]]
        if set(filters) - {"fletcher32"} not in COPIED:
            return f"its filters are {', '.join(filters) or 'none'}"
        # The netCDF library does not tell in which order filters were applied.
        if "fletcher32" in filters and name not in hdf5_layout.layouts(file.path):
            return "its Fletcher-32 is of the values, and not of the compressed bytes"
        if moved := trimmed(file, found["chunks"], name, inventory):
            return moved
        shuffled.add("shuffle" in filters)
        ends.add(found["endian"])
    if len(ends) > 1:
        return "it is big-endian in some of its files only"
    return "it is shuffled in some of its files only" if len(shuffled) > 1 else None


def is_big(inventory: Inventory, name: str) -> bool:
    """Tell whether the numbers of a variable are big-endian in the first file."""
    found = inventory.form["variables"][name]["storage"]
    variable = inventory.variables[name]
    return bool(found) and found["endian"] == "big" and variable.dtype not in ("str", "S1", "int8", "uint8")


def trimmed(file: SourceFile, chunks: list[int], name: str, inventory: Inventory) -> str | None:
    """Return why the chunks of a file are not where steps of the dataset begin, or None."""
    if name in file.moves:
        return "its values are converted to other units"
    if inventory.variables[name].dims and not inventory.variables[name].static and file.skip % chunks[0]:
        return f"the first {file.skip} steps of a file are trimmed, no whole number of native chunks of {chunks[0]}"
    return None
