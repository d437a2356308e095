"""CMIP7 twins of CMIP6 files: the same values under CMIP7's attributes, names and folders, as CMOR 3.14 writes them.

Chunks are whole steps of up to 4 MiB, shuffled, deflated and with a Fletcher-32, as `cmip7repack` leaves them.
"""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

import netCDF4

from cmip6zarr.catalogue import projects

CMIP7 = projects.built_in("mip-drs7")
TABLE = "cmip6_cmip7_variable_map.json"
MOST_CHUNK_BYTES = 4 * 2**20
DROPPED = ("branch_method", "mip_era", "further_info_url", "sub_experiment_id", "sub_experiment", "member_id")
"""Attributes of CMIP6 that CMIP7 does not have, or has with another value."""


@dataclass(frozen=True)
class Renamed:
    """What the table says of a variable of CMIP6."""

    variable_id: str
    branding_suffix: str
    region: str
    frequency: str
    realm: str


def renamed(folder: Path) -> dict[str, Renamed]:
    """Return {CMIP6's table.variable: its words in CMIP7} of the table in a folder."""
    told = json.loads((folder / TABLE).read_text())["variables"]
    words = ("branding_suffix", "region", "frequency", "realm")
    return {
        name: Renamed(said["branded_variable"].split("_")[0], *(said[word] for word in words))
        for name, said in told.items()
    }


def words_of(dataset: str, said: Renamed, grid: str = "g99") -> dict[str, str]:
    """Return the facets of the twin of a CMIP6 dataset; a start year moves into the index of initialization."""
    old = projects.of(dataset).words(dataset)
    member = old["member_id"].replace("r1i1p1", "r1i1p1f1") if "f" not in old["member_id"] else old["member_id"]
    if "-" in member:
        start, _, run = member.partition("-")
        member = run.replace("i1p", f"i{start[1:]}11p")
    # Of a dataset that is known by files of one folder only.
    version = "v20260101" if not old["version"][1:9].isdigit() else old["version"][:9]
    told = {name: old[name] for name in ("activity_id", "institution_id", "source_id", "experiment_id")}
    told |= {"variant_label": member, "region": said.region, "frequency": said.frequency, "grid_label": grid}
    told |= {"variable_id": said.variable_id, "branding_suffix": said.branding_suffix, "version": version}
    return {name: facet.value or told[name] for name, facet in CMIP7.facets.items()}


def twin(source: Path, root: Path, facets: dict[str, str], said: Renamed, name: str | None = None) -> Path:
    """Write the twin of a file below `root` and return its path; `name` of the variable in it, where that changes."""
    folder = root.joinpath(*facets.values())
    folder.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(source) as old:
        dates = projects.built_in("cmip6").time_range(source.name) or projects.built_in("cmip5").time_range(source.name)
        words = ("variable_id", "branding_suffix", "frequency", "region", "grid_label", "source_id", "experiment_id")
        path = folder / (
            "_".join([*(facets[word] for word in (*words, "variant_label")), *([dates] if dates else [])]) + ".nc"
        )
        with netCDF4.Dataset(path, "w") as new:
            for old_name in old.ncattrs():
                if old_name not in DROPPED:
                    new.setncattr(old_name, old.getncattr(old_name))
            own = {key: value for key, value in facets.items() if key != "version"}
            # CMOR writes the realm as the table.
            new.setncatts(own | {"table_id": said.realm, "tracking_id": f"hdl:21.14107/{path.stem}"})
            for dim, size in old.dimensions.items():
                new.createDimension(dim, None if size.isunlimited() else len(size))
            for key, variable in old.variables.items():
                copy(variable, new, said.variable_id if key == name else key)
    return path


def copy(variable: netCDF4.Variable, new: netCDF4.Dataset, name: str) -> None:
    """Copy a variable as its stored numbers; numbers are packed anew."""
    variable.set_auto_maskandscale(False)
    variable.set_auto_chartostring(False)
    is_number = variable.dtype != str and variable.dtype.kind in "iuf" and variable.ndim > 0
    packed = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True} if is_number else {}
    if is_number and variable.ndim > 1 and all(variable.shape):
        step_bytes = prod(variable.shape[1:]) * variable.dtype.itemsize
        steps = max(1, min(variable.shape[0], MOST_CHUNK_BYTES // step_bytes))
        packed["chunksizes"] = (steps, *variable.shape[1:])
    fill = variable.getncattr("_FillValue") if "_FillValue" in variable.ncattrs() else None
    made = new.createVariable(name, variable.dtype, variable.dimensions, fill_value=fill, **packed)
    made.set_auto_maskandscale(False)
    made.set_auto_chartostring(False)
    made.setncatts({key: variable.getncattr(key) for key in variable.ncattrs() if key != "_FillValue"})
    made[...] = variable[...]
