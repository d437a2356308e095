"""What HDF5 holds in a NetCDF-4 file, asked of HDF5 itself: the netCDF library passes over what it has no form for.

What reaches outside of the file is refused before any library follows it.
"""

from dataclasses import dataclass, field
from pathlib import Path

import h5py
from h5py import h5a, h5d, h5ds, h5g, h5l, h5o, h5s, h5t

from cmip6zarr.core.errors import Refused

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# It lies at the start of a file, or behind a user block of so many bytes or a doubling of them.
LEAST_USER_BLOCK_BYTES = 512
NOT_A_COORDINATE = "_nc4_non_coord_"
# netCDF writes a dataset with such a name attribute for a dimension that has no variable.
DIMENSION_ALONE = b"This is a netCDF dimension but not a netCDF variable"
# What netCDF itself writes into a file and does not list: netcdf-c keeps these names for itself.
OF_FILES = {"_NCProperties", "_nc3_strict"}
OF_VARIABLES = {"_Netcdf4Dimid", "_Netcdf4Coordinates", "DIMENSION_LIST", "REFERENCE_LIST"}
OF_SCALES = {"CLASS", "NAME"}

INTEGER_BYTES = (1, 2, 4, 8)
# (bit of the sign, of the exponent, its length, of the mantissa, its length) of IEEE's floats of 4 and 8 bytes.
IEEE = {4: (31, 23, 8, 0, 23), 8: (63, 52, 11, 0, 52)}
CLASSES = {
    h5t.COMPOUND: "compound",
    h5t.ENUM: "enum",
    h5t.OPAQUE: "opaque",
    h5t.REFERENCE: "reference",
    h5t.VLEN: "sequences",
    h5t.BITFIELD: "bits",
    h5t.ARRAY: "arrays",
    h5t.TIME: "HDF5's time",
}
OF_NETCDF = (h5t.COMPOUND, h5t.ENUM, h5t.OPAQUE, h5t.VLEN)
OUTSIDE = "Write the file again so that it holds its values itself, or set policy.structure to leave_out."

Unfit = dict[tuple[str, str], str]
"""What no store can hold, {(variable, attribute): why}: "" for the file's own, and no attribute."""


@dataclass
class Held:
    """A dataset: `unfit` says in words why no array of a store can hold it ("": one can).

    `filters` are (HDF5 number, name), `attributes` those that are not HDF5's or netCDF's own, {name: unfit}.
    """

    unfit: str
    shape: tuple[int, ...]
    filters: list[tuple[int, str]]
    attributes: dict[str, str]


@dataclass
class Contents:
    """All that the root group of a file holds: groups, named types, and datasets by netCDF's names.

    A named type for which netCDF has no form stands among the variables, as one that no store can hold.
    """

    variables: dict[str, Held] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def unfit(self) -> Unfit:
        """Return what no store can hold."""
        found = {(name, ""): held.unfit for name, held in self.variables.items() if held.unfit}
        for variable, attributes in self._attributes():
            found |= {(variable, name): why for name, why in attributes.items() if why}
        return found

    def beyond(self, variables: dict[str, list[str]], attributes: list[str]) -> Unfit:
        """Return, as `unfit` does, what is not among the variables ({name: attributes}) and attributes of a list."""
        missing = {(name, ""): "not listed by the netCDF library" for name in self.variables if name not in variables}
        for variable, ours in self._attributes():
            listed = attributes if not variable else variables.get(variable, ours)
            missing |= {(variable, name): "not listed by the netCDF library" for name in ours if name not in listed}
        return missing

    def _attributes(self) -> list[tuple[str, dict[str, str]]]:
        return [("", self.attributes), *((name, held.attributes) for name, held in self.variables.items())]


def told(unfit: Unfit) -> list[str]:
    """Return in words what a store cannot hold.

    >>> told({("tas", "flag"): "enum", ("", "note"): "opaque", ("records", ""): "compound"})
    ["attribute 'tas:flag' (enum)", "attribute ':note' (opaque)", "variable 'records' (compound)"]
    """
    return [
        f"attribute '{variable}:{name}' ({why})" if name else f"variable {variable!r} ({why})"
        for (variable, name), why in unfit.items()
    ]


def is_hdf5(path: str | Path) -> bool:
    """Tell whether a file has HDF5's signature where it may be; raises OSError if it cannot be read."""
    with Path(path).open("rb") as file:
        size, offset = file.seek(0, 2), 0
        while offset < size:
            file.seek(offset)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            offset = max(LEAST_USER_BLOCK_BYTES, 2 * offset)
    return False


def contents_of(path: str | Path) -> Contents:
    """Return what an HDF5 file holds; raises Refused (`structure`) for what reaches outside of it.

    No dataset is read and no link followed out of the file. Raises what h5py raises for a damaged one.
    """
    found = Contents()
    with h5py.File(path) as file:
        root = file.id
        found.attributes = attributes_of(root, OF_FILES)
        links: list[bytes] = []
        root.links.iterate(links.append)
        for link in links:
            name = link.decode(errors="replace")
            check_link(path, root, link, name)
            item = h5o.open(root, link)
            if isinstance(item, h5g.GroupID):
                found.groups.append(name)
            elif isinstance(item, h5t.TypeID):
                found.types.append(name)
                if item.get_class() not in OF_NETCDF:
                    found.variables[name] = Held("a named type that is not netCDF's", (), [], {})
            elif not is_dimension_alone(item):
                check_storage(path, item, name)
                found.variables[name.removeprefix(NOT_A_COORDINATE)] = held(item)
    return found


def check_link(path: str | Path, root: h5g.GroupID, link: bytes, name: str) -> None:
    """Raise Refused (`structure`) for a link that leaves the file or leads nowhere."""
    kind = root.links.get_info(link).type
    if kind == h5l.TYPE_HARD:
        return
    if kind == h5l.TYPE_SOFT:
        target = root.links.get_val(link).decode(errors="replace")
        steps = target.strip("/").split("/")
        if len(steps) == 1 and root.links.exists(steps[0].encode()):
            check_link(path, root, steps[0].encode(), name)
            return
        what = f"a link to {target!r}, which is no variable of the file"
    elif kind == h5l.TYPE_EXTERNAL:
        file, target = (part.decode(errors="replace") for part in root.links.get_val(link))
        what = f"a link to {target!r} in another file, {file!r}"
    else:
        what = f"a link of HDF5's type {kind}"
    raise Refused("structure", f"{path}: {name!r} is {what}, expected values in the file itself.", OUTSIDE)


def check_storage(path: str | Path, item: h5d.DatasetID, name: str) -> None:
    """Raise Refused (`structure`) for a dataset whose values lie in other files."""
    properties = item.get_create_plist()
    if properties.get_external_count():
        outside = properties.get_external(0)[0].decode(errors="replace")
        what = f"has external storage: its bytes lie in {outside!r}"
    elif properties.get_layout() == h5d.VIRTUAL:
        others = {properties.get_virtual_filename(i) for i in range(properties.get_virtual_count())}
        what = f"is a virtual dataset: its values lie in {sorted(others)}"
    else:
        return
    raise Refused("structure", f"{path}: variable {name!r} {what}, expected values in the file itself.", OUTSIDE)


def is_dimension_alone(item: h5d.DatasetID) -> bool:
    """Tell whether a dataset stands for a dimension that has no variable."""
    return bool(h5ds.is_scale(item)) and h5ds.get_scale_name(item).startswith(DIMENSION_ALONE)


def held(item: h5d.DatasetID) -> Held:
    """Return what a dataset is; its values are not read."""
    properties, space = item.get_create_plist(), item.get_space()
    filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    own = OF_VARIABLES | (OF_SCALES if h5ds.is_scale(item) else set())
    return Held(
        unfit="no values at all" if space.get_simple_extent_type() == h5s.NULL else words_of(item.get_type()),
        shape=space.get_simple_extent_dims() or (),
        filters=[(number, name.decode(errors="replace")) for number, _, _, name in filters],
        attributes=attributes_of(item, own),
    )


def attributes_of(item: h5d.DatasetID | h5g.GroupID, own: set[str]) -> dict[str, str]:
    """Return the attributes of an object but its library's own, {name: why no store can hold it}."""
    found = {}
    for number in range(h5a.get_num_attrs(item)):
        attribute = h5a.open(item, index=number)
        name = attribute.name.decode(errors="replace")
        if name in own:
            continue
        rank = len(attribute.shape or ())
        found[name] = words_of(attribute.get_type()) or (f"{rank} dimensions" if rank > 1 else "")
    return found


def words_of(kind: h5t.TypeID) -> str:
    """Return the name of a type that is neither number, character nor text; "" for one that is."""
    number = kind.get_class()
    if number == h5t.STRING:
        return ""
    if number == h5t.INTEGER:
        fits = kind.get_size() in INTEGER_BYTES and kind.get_precision() == 8 * kind.get_size()
        return "" if fits else f"integer of {kind.get_precision()} bits"
    if number == h5t.FLOAT:
        fits = kind.get_order() in (h5t.ORDER_LE, h5t.ORDER_BE) and kind.get_fields() == IEEE.get(kind.get_size())
        return "" if fits else f"float of {kind.get_precision()} bits"
    return CLASSES.get(number, f"HDF5's class {number}")


def check_whole(path: str | Path, contents: Contents, shapes: dict[str, list[int]]) -> None:
    """Raise Refused (`structure`) for a variable that the netCDF library would fill up wrongly to its shape.

    `shapes` are those that the library gives, of its dimensions. Where an unlimited dimension has grown after the
    variable was written, the library fills up what lies behind along the first axis; along others it leaves memory as
    it was.
    """
    for name, shape in shapes.items():
        extent = contents.variables[name].shape if name in contents.variables else tuple(shape)
        if extent[1:] != tuple(shape)[1:]:
            message = (
                f"{path}: variable {name!r} is shorter than its dimensions: found {list(extent)} values, expected "
                f"{list(shape)}; the netCDF library returns no right values for the rest."
            )
            remedy = "Write all of the variable, or set policy.structure to leave_out."
            raise Refused("structure", message, remedy)
