"""Attributes with their type, since JSON has none: `[type, value]`.

The type is `char` (text), `string` (texts of variable length) or a numpy name; numbers that JSON cannot hold are
spelled as text.
"""

import numpy as np


def typed(value) -> list:
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


def untyped(attribute: list):
    """Return the value of a typed attribute: text, list of texts, numpy scalar or 1-D array.

    >>> untyped(["float32", "nan"]), untyped(["int32", [1, 2]])
    (np.float32(nan), array([1, 2], dtype=int32))
    """
    kind, value = attribute
    if kind in ("char", "string"):
        return value
    return np.array(value, dtype=kind)[()] if not isinstance(value, str) else np.dtype(kind).type(value)


def missing_values(attributes: dict[str, list]) -> tuple:
    """Return the values that mark missing numbers of a variable with these typed attributes."""
    return tuple(untyped(attributes[key]) for key in ("_FillValue", "missing_value") if key in attributes)
