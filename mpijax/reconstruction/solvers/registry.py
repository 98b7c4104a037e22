"""Solvers by name: the one place where a name becomes a solver."""

from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from typing import Any, cast

from mpijax.core.nearest import meant
from mpijax.reconstruction.solvers.admm.settings import Admm
from mpijax.reconstruction.solvers.kaczmarz.settings import Kaczmarz
from mpijax.reconstruction.solvers.neural.settings import NeuralImplicit
from mpijax.reconstruction.solvers.settings import Solver, SolverChoice, SolverClass
from mpijax.reconstruction.solvers.tikhonov.settings import Tikhonov

GROUP = "mpijax.solvers"
"""Group of entry points by which an installed package adds solvers: name = "package.module:Class"."""

COMMON = ("regularization", "relative", "sweeps", "constraint", "key")
"""Options that may be given beside any name; a solver without them does not see them."""

_KNOWN: dict[str, SolverClass] = {"kaczmarz": Kaczmarz, "tikhonov": Tikhonov, "admm": Admm, "neural": NeuralImplicit}


def register_solver(name: str, solver: SolverClass) -> None:
    """Make a solver known by name, in Python and on the command line.

    Args:
        name: a word that no other solver has.
        solver: a frozen dataclass with ``prepare(equations)`` and ``solve(prepared, data)``, whose fields are its options.

    Raises:
        ValueError: a name that is taken by another solver.
        TypeError: no such class.
    """
    if not all(callable(getattr(solver, part, None)) for part in ("prepare", "solve")):
        raise TypeError(
            f"solver {name!r} is {solver!r}; expected a class with prepare(equations) and solve(prepared, data)."
        )
    if not hasattr(solver, "__dataclass_fields__"):
        raise TypeError(
            f"solver {name!r} is no dataclass; its fields are the options that can be given beside the name."
        )
    if _KNOWN.setdefault(name, solver) is not solver:
        raise ValueError(f"there is a solver {name!r} already, {_KNOWN[name].__name__}; choose another name.")


def solver_names() -> tuple[str, ...]:
    """All names: mpijax's own, those registered, those of installed packages."""
    return tuple(dict.fromkeys([*_KNOWN, *(point.name for point in entry_points(group=GROUP))]))


def known_solvers() -> dict[str, SolverClass]:
    """Classes by name: mpijax's own, those registered, and those of installed packages that were asked for."""
    return dict(_KNOWN)


def solver_class(name: str) -> SolverClass:
    """The class of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in _KNOWN:
        for point in entry_points(group=GROUP, name=name):
            register_solver(name, point.load())
            break
        else:
            raise ValueError(
                f"solver = {name!r}; allowed: {', '.join(map(repr, solver_names()))}.{meant(name, solver_names())}"
            )
    return _KNOWN[name]


def resolve(solver: SolverChoice, options: Mapping[str, Any]) -> Solver:
    """The solver itself, or that of a name with its options.

    Args:
        solver: an object with ``prepare`` and ``solve``, or a name.
        options: fields of the named solver; those in ``COMMON`` may be given beside any.

    Raises:
        ValueError: an unknown name, or what the solver says of its options.
        TypeError: no solver, an option that the solver does not have, options beside an object.
    """
    if isinstance(solver, str):
        cls = solver_class(solver)
        own = [field.name for field in fields(cast(Any, cls)) if field.init]
        if unknown := sorted(set(options) - {*own, *COMMON}):
            raise TypeError(
                f"solver {solver!r} has no option {', '.join(unknown)}; it takes {', '.join(n for n in own if n not in COMMON)}, "
                "beside what every solver is given: regularization, relative, sweeps, constraint, row_weights and key."
            )
        return cls(**{name: value for name, value in options.items() if name in own})
    if isinstance(solver, type) or not all(callable(getattr(solver, part, None)) for part in ("prepare", "solve")):
        raise TypeError(
            f"solver = {solver!r}; give a name ({', '.join(solver_names())}) or a solver, such as Kaczmarz()."
        )
    if options:
        raise TypeError(
            f"{', '.join(sorted(options))} beside the solver {type(solver).__name__}(...); give options to the solver itself."
        )
    return solver
