"""From a system matrix and a measurement to images in mmol(Fe)/L: background, rows, weights, solver, units."""

from typing import Any

import jax

from mpijax.core.solution import Solution
from mpijax.core.typing import Vector
from mpijax.reconstruction.prepared import Sharding, data_sharding, solve
from mpijax.reconstruction.problem import Problem
from mpijax.reconstruction.solvers.registry import resolve
from mpijax.reconstruction.solvers.settings import SolverChoice
from mpijax.reconstruction.stats import SolverStats
from mpijax.system import Measurement, SystemMatrix


def reconstruct(
    system_matrix: SystemMatrix,
    measurement: Measurement,
    *,
    solver: SolverChoice = "kaczmarz",
    row_weights: str | Vector | None = None,
    empty: Measurement | None = None,
    period: int | None = None,
    drift_components: int = 0,
    check: bool = True,
    sharding: Sharding = None,
    **options: Any,
) -> Solution[SolverStats, jax.Array]:
    """Reconstruct every frame of a measurement.

    Solves min_c |W (S c - u)|^2 + lambda |c|^2, or with ADMM's or the neural field's own regularization, and scales the
    result to a concentration. :class:`Problem` makes the equations, :func:`solve` solves them.

    Args:
        system_matrix: matrix with the rows to use selected (:meth:`SystemMatrix.select`).
        measurement: frames; it must hold the matrix's frequencies.
        solver, sharding, options: see :func:`solve`.
        row_weights, empty, period, drift_components, check: see :meth:`Problem.create`.

    Returns:
        Solution: images (frames, nz, ny, nx) in mmol(Fe)/L; stats, a :class:`SolverStats`: residual, lambda, "comparison" (which
        facts of matrix and measurement were compared), the coefficients "drift" where there is one, and the solver's own.

    Raises:
        ValueError: matrix and data that do not belong together, a background subtracted twice, weights that cannot be
            computed, NaN in the data, no background frames to find a drift from, a sharding that cannot be.
        TypeError: an option that the solver does not have, no sharding.

    Source: Knopp et al., Phys. Med. Biol. 55 (2010) 1577, for rows that are selected and weighted; see the solvers for theirs.
    """
    solver = resolve(solver, options)
    sharding = data_sharding(sharding, solver)
    problem = Problem.create(
        system_matrix,
        measurement,
        row_weights=row_weights,
        empty=empty,
        period=period,
        drift_components=drift_components,
        check=check,
    )
    return solve(problem, solver, sharding=sharding)
