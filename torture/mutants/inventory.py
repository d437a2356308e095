"""Faults of inventory: the list of files, headers, and the checks that refuse."""

from dataclasses import replace

from cmip6zarr.model.inventory import LeftOut

from .declared import fault

SOURCE, HEADERS = "cmip6zarr.source.inventory", "cmip6zarr.source.headers"


@fault("inventory", f"{SOURCE}:expand", "plain", says=r"\.nc")
def file_dropped(expand, files):
    """The last file of the row is dropped."""
    return expand(files)[:-1]


@fault("inventory", f"{SOURCE}:expand", "plain", says=r"\.nc")
def first_file_dropped(expand, files):
    """The first file of the row is dropped."""
    return expand(files)[1:]


@fault("inventory", f"{SOURCE}:expand", "plain", says=r"\.nc")
def file_doubled(expand, files):
    """A file is in the list twice."""
    return [*expand(files), expand(files)[0]]


@fault("inventory", "cmip6zarr.source.policy:Judge.keep", "plain", says=r"\.nc")
def sound_file_left_out(keep, judge, items, check, path_of):
    """A sound file is left out, with a reason that is not true."""
    kept = keep(judge, items, check, path_of)
    if path_of is str:
        judge.left_out.append(LeftOut(path=path_of(items[-1]), kind="empty", message=f"{items[-1]}: 0 steps"))
        return kept[:-1]
    return kept


@fault("inventory", f"{SOURCE}:inventory_from", "left out", says=r"\.nc")
def left_out_forgotten(inventory_from, *args):
    """The receipt does not say which file was left out."""
    return replace(inventory_from(*args), left_out=(), findings=())


@fault("inventory", f"{SOURCE}:inventory_from", "trimmed", "plain", says=r"\.nc|time|tas")
def skip_off_by_one(inventory_from, row, sources, *args):
    """One step more than is found in the file before is left out."""
    sources[-1].skip += 1
    return inventory_from(row, sources, *args)


@fault("inventory", f"{SOURCE}:inventory_from", "trimmed", says=r"\.nc|time|tas")
def skip_forgotten(inventory_from, row, sources, *args):
    """Steps that two files share are taken twice."""
    sources[-1].skip = 0
    return inventory_from(row, sources, *args)


@fault("inventory", f"{SOURCE}:inventory_from", "plain", says=r"\.nc|time")
def files_in_another_order(inventory_from, row, sources, *args):
    """The second and the third file change places."""
    sources[1], sources[2] = sources[2], sources[1]
    return inventory_from(row, sources, *args)


@fault("inventory", f"{SOURCE}:inventory_from", "plain", says=r"\.nc|time")
def range_off_by_one(inventory_from, *args):
    """The last file begins one step too early, in place of the last step of the file before."""
    found = inventory_from(*args)
    *others, before, last = found.files
    before = replace(before, steps=before.steps - 1, stop=before.stop - 1)
    last = replace(last, start=last.start - 1, stop=last.stop - 1)
    time = replace(found.time, steps=last.stop)
    return replace(found, files=(*others, before, last), time=time)


@fault("inventory", f"{SOURCE}:inventory_from", "plain", says=r"\.nc")
def paths_changed_places(inventory_from, *args):
    """The receipt has the path of one file with the range of another."""
    found = inventory_from(*args)
    one, other, *others = found.files
    here, there = ({key: getattr(file, key) for key in ("path", "bytes", "mtime_ns")} for file in (one, other))
    return replace(found, files=(replace(one, **there), replace(other, **here), *others))


@fault("inventory", f"{SOURCE}:inventory_from", "plain", says="has changed since the inventory")
def size_wrong(inventory_from, *args):
    """The receipt has another size of a file."""
    found = inventory_from(*args)
    first, *others = found.files
    return replace(found, files=(replace(first, bytes=first.bytes + 1), *others))


@fault("inventory", f"{HEADERS}:read_header", "plain", says="lat_bnds")
def variable_dropped(read_header, *args, **options):
    """A variable of every file is overlooked."""
    header = read_header(*args, **options)
    del header.variables["lat_bnds"]
    return header


@fault("inventory", f"{HEADERS}:read_header", "plain", says="tracking_id")
def tracking_id_of_another(read_header, *args, **options):
    """Every file has the tracking_id of another."""
    header = read_header(*args, **options)
    header.attributes["tracking_id"] = ["char", "hdl:21.14100/another"]
    return header


@fault("inventory", f"{HEADERS}:read_header", "plain", "v2", says="title")
def global_attribute_dropped(read_header, *args, **options):
    """A global attribute is dropped."""
    header = read_header(*args, **options)
    del header.attributes["title"]
    return header


@fault("inventory", f"{HEADERS}:variable_header", "plain", "v2", says="tas")
def dimensions_swapped(variable_header, *args):
    """Latitude and longitude change their names."""
    variable = variable_header(*args)
    if variable.dims[-2:] == ["lat", "lon"]:
        variable.dims[-2:] = ["lon", "lat"]
    return variable


@fault("inventory", f"{HEADERS}:variable_header", "kinds", "kinds v2", says="i2")
def sign_lost(variable_header, *args):
    """Signed integers are taken for unsigned ones."""
    variable = variable_header(*args)
    return replace(variable, dtype="uint16") if variable.dtype == "int16" else variable


@fault("inventory", f"{HEADERS}:variable_header", "plain", "v2", says="tas")
def attribute_changed(variable_header, *args):
    """The unit of a field is another."""
    variable = variable_header(*args)
    if variable.attributes.get("units") == ["char", "K"]:
        variable.attributes["units"] = ["char", "degC"]
    return variable


@fault("inventory", f"{HEADERS}:variable_header", "plain", "v2", says="tas.*cell_methods")
def attribute_dropped(variable_header, *args):
    """An attribute of a field is dropped."""
    variable = variable_header(*args)
    variable.attributes.pop("cell_methods", None)
    return variable


@fault("inventory", f"{HEADERS}:variable_header", "classic", says="tas.*scale_factor")
def scale_ignored(variable_header, *args):
    """The scale of packed values is ignored."""
    variable = variable_header(*args)
    variable.attributes.pop("scale_factor", None)
    return variable


@fault("inventory", f"{HEADERS}:variable_header", "kinds", "kinds v2", says="fill.*_FillValue")
def fill_value_unseen(variable_header, *args):
    """`_FillValue` is overlooked."""
    variable = variable_header(*args)
    variable.attributes.pop("_FillValue", None)
    return variable


@fault("inventory", "cmip6zarr.source.attributes:read_attribute", "plain", says="title")
def text_cut(read_attribute, item, name):
    """Texts of attributes lose their last letter."""
    value = read_attribute(item, name)
    return value[:-1] if name == "title" else value


@fault("inventory", "cmip6zarr.source.attributes:typed", "kinds", says="two-fills.*missing_value")
def number_of_an_attribute_changed(typed, value):
    """A number in an attribute has another sign."""
    kind, plain = typed(value)
    return [kind, 1.0 if plain == -1.0 else plain]


@fault("inventory", f"{SOURCE}:check_meaning", "other scale", says="tas.*scale_factor")
def scale_not_compared(check_meaning, *args):
    """Files of different scales are joined."""


@fault("inventory", f"{SOURCE}:check_meaning", "other unit", says="tas.*units")
def units_not_compared(check_meaning, *args):
    """Files of different units are joined."""


@fault("inventory", f"{SOURCE}:check_meaning", "other flags", says="tas.*flag_meanings")
def flags_not_compared(check_meaning, *args):
    """Files whose flags mean different things are joined."""


@fault("inventory", f"{SOURCE}:check_structure", "other variables", says="tos")
def structure_not_compared(check_structure, header, first, *args):
    """A variable that only the last file has is overlooked."""
    for name in header.variables.keys() - first.variables.keys():
        del header.variables[name]
    check_structure(header, first, *args)


@fault("inventory", f"{SOURCE}:check_static", "other grid", says="lat")
def grid_not_compared(check_static, *args):  # noqa: ARG001
    """Files of different grids are joined."""
    return []


@fault("inventory", "cmip6zarr.source.policy:Judge.__init__", "other grid", says="lat")
def grid_called_noise(start, judge, policy):
    """Any shift of the grid is taken for noise."""
    start(judge, policy | {"coordinate_tolerance": 1.0})


@fault("inventory", f"{SOURCE}:check_identity", "other model", says="source_id")
def identity_not_compared(check_identity, *args):
    """Files of two models are joined."""


@fault("inventory", f"{SOURCE}:calendar_of", "other calendar", says="calendar")
def calendar_not_compared(calendar_of, header, time_name):  # noqa: ARG001
    """Files of different calendars are joined."""
    return "360_day"


@fault("inventory", "cmip6zarr.source.continuity:same_steps", "other shared steps", says="tas")
def trimmed_unseen(same_steps, *args):  # noqa: ARG001
    """Steps that two files share are left out though their values differ."""
    return True


@fault("inventory", "cmip6zarr.source.netcdf3_size:expected_bytes", "cut off", says=r"\.nc")
def cut_file_unseen(expected_bytes, path):
    """A classic file whose end is missing is taken for whole: the library reads zeros."""


@fault(
    "inventory",
    "cmip6zarr.source.continuity:check_steps",
    "gap",
    says="time",
    listed="a gap loses nothing that the row's files hold: the store has their steps with their own times",
)
def gap_unseen(check_steps, *args):
    """A missing file between two is not noticed."""
