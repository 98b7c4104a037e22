"""Names that moved: the old spelling keeps working and says the new one."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any


def forward(
    module: str,
    moved: Mapping[str, str],
    renamed: Mapping[str, str] = MappingProxyType({}),
    otherwise: Callable[[str], Any] | None = None,
) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module whose names moved or changed.

    A type checker must not see it, else it takes every misspelled name of the module for a good one: it stands beside a stub, or
    behind ``if not TYPE_CHECKING``.

    Args:
        module: its ``__name__``.
        moved: the module that holds a name now, for each name; "module:name" where it is called otherwise.
        renamed: what to write instead, for each name that has no twin.
        otherwise: gives the names that are where they were, in a module whose names are imported when they are asked for.

    Returns:
        A function that gives the object behind an old name, with a DeprecationWarning that names the new one.
    """

    def get(name: str) -> Any:
        if name in renamed:
            raise AttributeError(f"{module}.{name} is no more; use {renamed[name]}")
        if name not in moved:
            if otherwise is not None:
                return otherwise(name)
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        where, _, now = moved[name].partition(":")
        warnings.warn(f"{module}.{name} is {where}.{now or name}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(where), now or name)

    return get
