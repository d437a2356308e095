"""A frozen dataclass as JSON, and back: the keys are the names of its fields, a tuple is a list.

A field that has its default value is left out of the JSON, and has it where the JSON lacks the key: so a type can have
fields that receipts of before do not have. By hand, since cattrs and pydantic take 30 ms to import in each job.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from reprlib import repr as short
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from cmip6zarr.core.files import JSON

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Return a dataclass, or a dict, list or tuple with some in it, as what `json` writes.

    >>> from cmip6zarr.model.inventory import Layout
    >>> to_json({"tas": Layout(chunks=(1, 96), filters=("zlib",))})
    {'tas': {'chunks': [1, 96], 'filters': ['zlib']}}
    """
    if is_dataclass(value):
        named = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: to_json(each) for field, each in named if not _is_default(field, each)}
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    return [to_json(each) for each in value] if isinstance(value, list | tuple) else value


def _is_default(field: Field[Any], value: Any) -> bool:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return bool(value == default)


def from_json(kind: type[T], value: Any, where: str = "") -> T:
    """Return what JSON holds as a value of a type: dataclass, tuple, dict, number, text, None, or a union of such.

    Keys that a dataclass has no field for are passed over; what is in a list[Any] or dict[str, Any] stays as it is.
    Raises ValueError with the place in the JSON, what was found there and what was expected, or with what a dataclass
    says to fields that do not fit one another.

    >>> from cmip6zarr.model.inventory import Layout
    >>> from_json(Layout, {"chunks": None, "filters": ["zlib"], "more": 1})
    Layout(chunks=None, filters=('zlib',))
    >>> from_json(Layout, {"chunks": [1, "a"], "filters": []})
    Traceback (most recent call last):
        ...
    ValueError: chunks[1]: found 'a', expected int
    """
    read: T = _value(kind, value, where)
    return read


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = _parts(kind)
    if origin is UnionType:
        one = next((each for each in arguments if _fits(each, value)), None)
        if one:
            return _value(one, value, where)
    if origin is UnionType or not _fits(kind, value):
        raise ValueError(f"{where or 'at its root'}: found {short(value)}, expected {_name(kind)}")
    if origin is None:
        return _dataclass(kind, value, where) if is_dataclass(kind) else value
    if arguments[-1] is Any:
        return value
    if origin is dict:
        return {key: _value(arguments[1], each, f"{where}[{key!r}]") for key, each in value.items()}
    kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
    if len(kinds) != len(value):
        raise ValueError(f"{where}: found {len(value)} values, expected {len(kinds)}")
    return tuple(_value(k, each, f"{where}[{n}]") for n, (k, each) in enumerate(zip(kinds, value, strict=True)))


def _dataclass(kind: Any, value: JSON, where: str) -> Any:
    found = {}
    for name, (hint, is_needed) in _fields(kind).items():
        place = f"{where}.{name}" if where else name
        if name in value:
            found[name] = _value(hint, value[name], place)
        elif is_needed:
            raise ValueError(f"{place}: found none, expected {_name(hint)}")
    try:
        return kind(**found)
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from error


@cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Return {name: (type, whether it has no default)} of the fields of a dataclass."""
    hints = get_type_hints(kind)
    return {f.name: (hints[f.name], f.default is MISSING and f.default_factory is MISSING) for f in fields(kind)}


@cache
def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what a type such as tuple[int, ...] is of, None for a plain one, and its arguments."""
    return get_origin(kind), get_args(kind)


@cache
def _sorts(kind: Any) -> tuple[type, ...]:
    """Return what a value of a type can be in JSON."""
    if is_dataclass(kind):
        return (dict,)
    origin = get_origin(kind)
    return (int, float) if kind is float else (list,) if origin is tuple else (origin or kind,)


def _fits(kind: Any, value: Any) -> bool:
    """Tell whether a value in JSON is of the sort that becomes a value of a type; not what is in it."""
    return isinstance(value, _sorts(kind)) and (kind is bool or not isinstance(value, bool))


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).rpartition(".")[2]
