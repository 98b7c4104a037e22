"""A solver that is prepared once for many measurements of one matrix."""

from typing import Any

import numpy as np
from jax.sharding import NamedSharding

from mpijax.reconstruction import PreparedSolver, Problem


class Preparation:
    """The last solver that was prepared; :meth:`of` gives it again for what it was prepared for.

    Args:
        sharding: see :func:`mpijax.reconstruction.solve`.
    """

    def __init__(self, sharding: NamedSharding | None = None):
        self._sharding = sharding
        self._last: tuple[Any, Problem, PreparedSolver] | None = None

    def of(self, problem: Problem, solver: Any) -> PreparedSolver:
        """The solver for this problem, prepared anew where anything but the data differs: the images are the same to the last bit.

        Args:
            problem: the equations.
            solver: a solver; only one that solves frame by frame (``by_frame``) is kept.
        """
        if self._last is not None:
            old, before, prepared = self._last
            if solver is old and getattr(solver, "by_frame", False) and _alike(before, problem, solver):
                return prepared
        prepared = PreparedSolver.create(problem, solver, sharding=self._sharding)
        self._last = solver, problem, prepared
        return prepared


def _alike(one: Problem, other: Problem, solver: Any) -> bool:
    """Whether two problems differ in their data alone, of which there are as many frames."""
    names = ["matrix", "scale", "row_weights", "drift"] + ["noise_std"] * getattr(solver, "needs_noise", False)
    return (
        len(one.data) == len(other.data)
        and one.grid.shape == other.grid.shape
        and all(_same(getattr(one, name), getattr(other, name)) for name in names)
    )


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
