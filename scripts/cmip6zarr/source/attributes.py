"""Attributes with their type, since JSON has none: `[type, value]`.

The type is `char` (text), `string` (texts of variable length) or a numpy name; numbers that JSON cannot hold are
spelled as text.
"""

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from cmip6zarr.model.inventory import Attribute, Attributes

if TYPE_CHECKING:
    import netCDF4

# What netCDF4 puts in place of bytes that are no UTF-8.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
TEXTS = ("char", "string")
Encoded = bytes | list[bytes | None]
"""The bytes of an attribute in a file; of texts of variable length a list of them, None for no text."""


def read_attribute(item: "netCDF4.Dataset | netCDF4.Variable[Any]", name: str) -> Any:
    """Return an attribute of a netCDF file or variable; a text that is no UTF-8 is read as Latin-1, byte for byte."""
    value = item.getncattr(name)
    if not isinstance(value, str) or REPLACEMENT not in value:
        return value
    latin = item.getncattr(name, encoding="latin-1")
    try:
        return latin.encode("latin-1").decode()  # the character itself was written
    except UnicodeDecodeError:
        return latin


def typed(value: Any) -> Attribute:
    """Return an attribute's value with its type, fit for JSON.

    >>> typed("K"), typed(np.float32(1e20)), typed(np.array([1, 2], "i4")), typed(np.float64("nan"))
    (['char', 'K'], ['float32', 1.0000000200408773e+20], ['int32', [1, 2]], ['float64', 'nan'])
    """
    if isinstance(value, str):
        return ["char", value]
    if isinstance(value, bytes):
        return ["char", value.decode("latin-1")]
    if isinstance(value, list):
        return ["string", value]
    array = np.asarray(value)
    plain = array.tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        plain = [str(v) for v in plain] if array.ndim else str(plain)
    return [array.dtype.newbyteorder("=").name, plain]


def untyped(attribute: Attribute) -> Any:
    """Return the value of a typed attribute: text, list of texts, numpy scalar or 1-D array.

    >>> untyped(["float32", "nan"]), untyped(["int32", [1, 2]])
    (np.float32(nan), array([1, 2], dtype=int32))
    """
    kind, value = attribute
    if kind in TEXTS:
        return value
    return np.array(value, dtype=kind)[()] if not isinstance(value, str) else np.dtype(kind).type(value)


def encoded(attribute: Attribute) -> tuple[str, Encoded]:
    """Return the type and the bytes that a typed attribute has in a file, as `library.read_attribute` returns them.

    >>> encoded(["char", "K"]), encoded(["int16", [1, 2]]), encoded(["string", ["a", "b"]])
    (('char', b'K'), ('int16', b'\\x01\\x00\\x02\\x00'), ('string', [b'a', b'b']))
    """
    kind, value = attribute
    if kind == "char":
        return kind, value.encode()
    if kind == "string":
        return kind, [text.encode() for text in value]
    return kind, np.asarray(untyped(attribute)).tobytes()


def exact(attribute: Attribute, kind: str, data: Encoded) -> Attribute | None:
    """Return `[type, base64]` of an attribute of which its typed form does not say all, None where it does.

    That form cannot tell a single text of variable length from characters, and loses zero bytes in a text, bytes that
    are not UTF-8, and payloads of NaN. Zeros with a sign are equal to others where forms are compared. Of characters
    with zero bytes behind them, as Fortran writes them, `[type, length]` says all.
    """
    if (kind, data) == encoded(attribute) and not has_minus_zero(kind, data):
        return None
    if isinstance(data, list):
        return [kind, [None if text is None else base64.b64encode(text).decode() for text in data]]
    if kind == "char" and data.rstrip(b"\0") == encoded(attribute)[1]:
        return [kind, len(data)]
    return [kind, base64.b64encode(data).decode()]


def has_minus_zero(kind: str, data: Encoded) -> bool:
    """Tell whether one of the numbers of an attribute is -0.0."""
    if isinstance(data, list) or kind not in ("float32", "float64"):
        return False
    numbers = np.frombuffer(data, kind)
    return bool((np.signbit(numbers) & (numbers == 0)).any())


def bytes_of(attribute: Attribute, form: Attribute | None) -> tuple[str, Encoded]:
    """Return the type and the bytes of an attribute of which `exact` returned this form."""
    if form is None:
        return encoded(attribute)
    kind, data = form
    if isinstance(data, int):
        return kind, attribute[1].encode().ljust(data, b"\0")
    if kind == "string":
        return kind, [None if text is None else base64.b64decode(text) for text in data]
    return kind, base64.b64decode(data)


def missing_values(attributes: Attributes) -> tuple[Any, ...]:
    """Return the values that mark missing numbers of a variable with these typed attributes; a text marks none."""
    found = [attributes[key] for key in ("_FillValue", "missing_value") if key in attributes]
    return tuple(v for kind, value in found if kind not in TEXTS for v in np.ravel(untyped([kind, value])))


def bounds_of(attributes: Attributes) -> list[str]:
    """Return the names of what a variable with these typed attributes calls its bounds.

    >>> bounds_of({"bounds": ["char", "time_bnds"], "climatology": ["int32", 1]})
    ['time_bnds']
    """
    return [attributes[key][1] for key in ("bounds", "climatology") if attributes.get(key, ("",))[0] == "char"]
