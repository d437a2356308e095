"""What a file is beyond what its store says of it: enough to write it again.

A `form` holds formats, orders and storage settings. That of the first file is kept whole, that of another as what is
unlike it, so that hundreds of files that were written alike take no room.
"""

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cmip6zarr.core.files import JSON
from cmip6zarr.model.inventory import Finding, KeptValues

if TYPE_CHECKING:  # convert asks for forms, and mostly does without the netCDF library
    from cmip6zarr.source.headers import File, Header

# Values of a variable that differ from what the store gives are kept beside it up to these sizes, raw and compressed.
MOST_RAW_BYTES = 64 * 2**20
MOST_KEPT_BYTES = 2**20
Kept = str | list[Any]
"""What `difference` keeps of a variable: compressed bits in base64, or texts."""

TEXT_BYTES = 32  # taken for one text of variable length
# Of all files together; what is beyond is not kept.
MOST_SHARED_BYTES = 4 * 2**20


def form(header: "Header", time_name: str | None) -> JSON:
    """Return the form of a file; only the length of `time_name` is left out (None).

    `types` names what a file holds and its store does not: user-defined types, and all that the policy dropped.
    """
    return {
        "format": header.format,
        "types": header.types + header.unseen,
        "dims": [[name, None if name == time_name else size] for name, size in header.dims.items()],
        "unlimited": header.unlimited,
        "order": list(header.variables),
        "attributes": list(header.attributes),
        "exact": header.exact,
        "variables": {
            name: {
                "dtype": variable.dtype,
                "attributes": list(variable.attributes),
                "exact": variable.exact,
                "storage": variable.storage,
            }
            for name, variable in header.variables.items()
        },
    }


def unlike(form: JSON, first: JSON) -> JSON:
    """Return what of a form is not as in the first file's, which has the same variables; `like` undoes it.

    >>> unlike({"order": [1], "variables": {"a": {"x": 1}}}, {"order": [2], "variables": {"a": {"x": 1}}})
    {'order': [1]}
    >>> unlike({"exact": {"a": 1, "b": 2}}, {"exact": {"a": 1, "c": 3}})
    {'exact': {'b': 2, 'c': None}}
    """
    found = {}
    for key in [key for key, value in form.items() if value != first[key]]:
        ours, theirs = form[key], first[key]
        if key == "variables":
            found[key] = {name: unlike(ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
        elif key == "exact":
            found[key] = {n: ours.get(n) for n in sorted(ours | theirs) if ours.get(n) != theirs.get(n)}
        else:
            found[key] = ours
    return found


def like(unlike: JSON, first: JSON) -> JSON:
    """Return the form of which `unlike` told the difference to the first file's."""
    form = first | unlike
    if "variables" in unlike:
        form["variables"] = first["variables"] | {
            name: like(facts, first["variables"][name]) for name, facts in unlike["variables"].items()
        }
    if "exact" in unlike:
        form["exact"] = {name: value for name, value in (first["exact"] | unlike["exact"]).items() if value is not None}
    return form


def octets(values: np.ndarray) -> np.ndarray:
    """Return the bytes of numbers or characters, little-endian, in C order."""
    return np.frombuffer(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes(), "u1")


def difference(values: np.ndarray, given: np.ndarray) -> Kept | None:
    """Return what turns `given` (same shape and dtype) into `values`, fit for JSON; None if that is too much to keep.

    Of texts that is a list of them, of all else the exclusive or of the bits, compressed: noise is mostly zeros.
    """
    if values.dtype == object:
        texts = values.reshape(-1).tolist()
        return texts if sum(map(len, texts)) <= MOST_KEPT_BYTES else None
    packed = zlib.compress(octets(values) ^ octets(given))
    return base64.b64encode(packed).decode() if len(packed) <= MOST_KEPT_BYTES else None


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the values of a store in the dtype that a file has; a number too large becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


def undo(kept: Kept, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return what `difference` kept of an array: texts, or unsigned integers to be combined with the bits given."""
    if isinstance(kept, list):
        return np.array(kept, object).reshape(shape)
    size = prod(shape) * dtype.itemsize
    return np.frombuffer(zlib.decompressobj().decompress(base64.b64decode(kept), size), f"<u{dtype.itemsize}").reshape(
        shape
    )


def applied(given: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the values of a file from those that the store gives and what `undo` returned for them."""
    if kept.dtype == object:
        return kept
    values: np.ndarray = np.ascontiguousarray(given).view(kept.dtype).reshape(given.shape) ^ kept
    return values.view(given.dtype)


def keep_static(sources: "list[File]", findings: list[Finding]) -> None:
    """Keep with each file the values of its static variables that, by the findings, are not those of the first."""
    from cmip6zarr.source.headers import read_whole

    first, files = sources[0].header, {file.header.path: file for file in sources}
    for finding in findings:
        if finding.kind == "coordinates" and finding.variable and finding.file in files:
            file, name = files[finding.file], finding.variable
            variable = file.header.variables[name]
            itemsize = TEXT_BYTES if variable.dtype == "str" else np.dtype(variable.dtype).itemsize
            few = prod(variable.shape) * itemsize <= MOST_RAW_BYTES
            file.kept[name] = None
            if few:
                values = read_whole(file.header, name)
                file.kept[name] = difference(values, cast(read_whole(first, name), values.dtype))


def shared(kept: Sequence[Mapping[str, Kept | None]]) -> tuple[KeptValues, ...]:
    """Return what each file keeps, once, with the numbers of its files.

    >>> shared([{}, {"lat": "x"}, {"lat": "x"}])
    (KeptValues(variable='lat', files=(1, 2), kept='x'),)
    """
    rows: list[KeptValues] = []
    room = MOST_SHARED_BYTES
    for number, values in enumerate(kept):
        for name, value in values.items():
            for place, row in enumerate(rows):
                if (row.variable, row.kept) == (name, value):
                    rows[place] = replace(row, files=(*row.files, number))
                    break
            else:
                size = len(value) if isinstance(value, str) else sum(map(len, value or ()))
                rows.append(KeptValues(variable=name, files=(number,), kept=value if size <= room else None))
                room -= size if size <= room else 0
    return tuple(rows)
