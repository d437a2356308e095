"""How a fault is declared, and how it is put into the modules that are loaded."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module

PACKAGES = ("cmip6zarr", "convert", "inventory", "verify")


@dataclass(frozen=True)
class Fault:
    """A fault of one function: `change(original, *args)` stands in for it, and `what` says what is wrong then.

    `place` is `module:function` or `module:Class.method`, `datasets` are names of DATASETS that can show the fault;
    the message must have a match of the pattern `says`. `listed` is the reason why the fault may survive: it cannot
    matter.
    """

    part: str
    place: str
    datasets: tuple[str, ...]
    says: str
    listed: str
    change: Callable

    @property
    def name(self) -> str:
        return self.change.__name__

    @property
    def what(self) -> str:
        return self.change.__doc__


FAULTS: list[Fault] = []


def fault(part: str, place: str, *datasets: str, says: str, listed: str = ""):
    """Declare the function below as a fault of a part of the workflow."""

    def declare(change):
        FAULTS.append(Fault(part, place, datasets, says, listed, change))
        return change

    return declare


def put_in(fault: Fault) -> list[str]:
    """Put a fault into every loaded module that has its function; return a list that grows at each call of it."""
    module_name, _, path = fault.place.partition(":")
    *holders, name = path.split(".")
    holder = import_module(module_name)
    for step in holders:
        holder = getattr(holder, step)
    original, calls = vars(holder)[name], []
    function = original.fget if isinstance(original, property) else original

    @wraps(function)
    def changed(*args, **options):
        calls.append(name)
        return fault.change(function, *args, **options)

    setattr(holder, name, property(changed) if isinstance(original, property) else changed)
    if not holders:
        for module in [module for key, module in sys.modules.items() if key.partition(".")[0] in PACKAGES]:
            for alias in [alias for alias, value in vars(module).items() if value is original]:
                setattr(module, alias, changed)
    return calls
