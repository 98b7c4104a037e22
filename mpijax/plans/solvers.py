"""Solvers as plain facts: their names, the fields that text can hold, their keys, and their record in a result."""

from dataclasses import asdict, replace
from typing import Any

import jax

from mpijax.plans.fields import SCALARS
from mpijax.reconstruction.solvers.registry import known_solvers, solver_class, solver_names

NO_CHOICES = frozenset({"key", "progress"})
"""Fields of a solver that decide no image: the key is that of a seed."""


def name_of(solver: Any) -> str:
    """The name by which a solver is known.

    Raises:
        ValueError: it has none.
    """
    for known in (known_solvers, lambda: {name: solver_class(name) for name in solver_names()}):
        for name, cls in known().items():
            if type(solver) is cls:
                return name
    raise ValueError(
        f"solver = {solver!r} has no name; a plan holds {', '.join(solver_names())}, or what register_solver made known."
    )


def keyed(solver: Any, seed: int) -> Any:
    """The solver with the key of a seed, where it is random and has none."""
    if getattr(solver, "key", True) is None and getattr(solver, "is_random", True):
        return replace(solver, key=jax.random.key(seed))
    return solver


def record(name: str, solver: Any, seed: int) -> dict[str, Any]:
    """A solver's settings for the file that is written: text, numbers and truth values by name; None where one plays no part."""
    values, renamed = asdict(solver), {"method": f"{name}_method"} | getattr(solver, "RECORDED", {})
    values.pop("progress", None)
    if values.get("regularization", 0) is None:
        values["relative"] = None
    if "constraint" in values:
        values["constraint"] = values["constraint"] or "none"
    plain = {_camel(renamed.get(key, key)): item for key, item in values.items() if isinstance(item, SCALARS)}
    return {"method": name, **plain, "seed": seed if values.get("key") is not None else None}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
