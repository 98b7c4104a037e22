"""Multi-contrast reconstruction: several tracers, or states of one, told apart by their system matrices."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.solution import Solution
from mpijax.core.typing import Vector
from mpijax.reconstruction.compatible import check_compatible
from mpijax.reconstruction.measured_rows import Rows, row_labels
from mpijax.reconstruction.prepared import solve
from mpijax.reconstruction.problem import Problem
from mpijax.reconstruction.solvers.registry import resolve
from mpijax.reconstruction.solvers.settings import SolverChoice
from mpijax.reconstruction.stats import SolverStats
from mpijax.system import Measurement, SystemMatrix
from mpijax.system.facts.identity import positions_among


def reconstruct_contrasts(
    matrices: SystemMatrix | Sequence[SystemMatrix],
    measurement: Measurement,
    *,
    empty: Measurement | None = None,
    period: int | None = None,
    row_weights: str | Vector | None = None,
    drift_components: int = 0,
    check: bool = True,
    solver: SolverChoice = "kaczmarz",
    **options: Any,
) -> Solution[SolverStats, jax.Array]:
    """Reconstruct one image per tracer from one measurement.

    Args:
        matrices, empty, period, row_weights, drift_components, check: see :func:`contrast_problem`.
        solver, options: as :func:`solve`; one that does not use the image's shape, such as "kaczmarz" and "tikhonov".

    Returns:
        Solution: images (frames, contrasts, nz, ny, nx) in mmol(Fe)/L, each in the unit of its own calibration sample.

    Raises:
        ValueError, TypeError: as :func:`contrast_problem` and :func:`solve`.

    Source: Rahmer et al., Phys. Med. Biol. 60 (2015) 1775.
    """
    solver = resolve(solver, options)
    problem = contrast_problem(
        matrices,
        measurement,
        empty=empty,
        period=period,
        row_weights=row_weights,
        drift_components=drift_components,
        check=check,
    )
    return solve(problem, solver)


def contrast_problem(
    matrices: SystemMatrix | Sequence[SystemMatrix],
    measurement: Measurement,
    *,
    empty: Measurement | None = None,
    period: int | None = None,
    row_weights: str | Vector | None = None,
    drift_components: int = 0,
    check: bool = True,
) -> Problem:
    """The problem [S_1 S_2 ..] (x_1; x_2; ..) = u, on the rows that all matrices keep.

    Args:
        matrices: one per tracer, on the same grid.
        measurement, empty, period, row_weights, drift_components, check: see :meth:`Problem.create`. Weights as an array are those
            of the common rows. Whitening takes the measurement's noise before the first matrix's.

    Raises:
        ValueError: fewer than two matrices, different grids, no common rows, or as :meth:`Problem.create`.

    Source: J. Rahmer et al., First experimental evidence of the feasibility of multi-color MPI, Phys. Med. Biol. 60 (2015) 1775.
    """
    matrices = [matrices] if isinstance(matrices, SystemMatrix) else list(matrices)
    if len(matrices) < 2:
        raise ValueError(f"{len(matrices)} matrices given; expected one per tracer, at least two.")
    orders = {matrix.channels for matrix in matrices}
    if len(orders) > 1 and any(not set(order) <= set(measurement.channels) for order in orders):
        raise ValueError(
            f"the matrices use channels {' and '.join(map(str, sorted(orders)))}, the measurement has {measurement.channels}; "
            "channels of different order cannot be matched by position. Give the measurement its channels=."
        )
    matched = [check_compatible(matrix, measurement, period=period, check=check) for matrix in matrices]
    matrices, comparisons = [m for m, _ in matched], tuple(found for _, found in matched)
    grid = matrices[0].grid
    for number, matrix in enumerate(matrices):
        same = matrix.grid.shape == grid.shape and all(
            np.allclose(a, b, rtol=0, atol=1e-3 * np.max(grid.fov))
            for a, b in ((matrix.grid.fov, grid.fov), (matrix.grid.center, grid.center))
        )
        if not same:
            raise ValueError(
                f"matrix {number} is on a grid of {matrix.grid.shape} voxels, {matrix.grid.fov} m at {matrix.grid.center} m, "
                f"matrix 0 on {grid.shape}, {grid.fov} m at {grid.center} m; bring it there with matrix.regrid(grid)."
            )
    labels = [row_labels(matrix) for matrix in matrices]
    common = labels[0]
    for label in labels[1:]:
        common = common[positions_among(label, common) >= 0]
    if not len(common):
        raise ValueError(f"the matrices keep {[len(x) for x in labels]} rows but none in common; select alike.")
    drift = drift_components > 0
    taken = [
        Rows.take(matrix, measurement, empty=empty, period=period, drift=drift, check=check) for matrix in matrices
    ]
    place = np.flatnonzero(np.all([positions_among(rows.labels, common) >= 0 for rows in taken], axis=0))
    parts = [rows.keep(positions_among(rows.labels, common[place])) for rows in taken]
    first = parts[0]
    joint = replace(
        first,
        matrix=(np if all(isinstance(rows.matrix, np.ndarray) for rows in parts) else jnp).concatenate(
            [rows.matrix for rows in parts], axis=1
        ),
        relative_std=first.relative_std if first.noise_std is None else first.noise_std,
        place=place,
        asked=len(common),
    )
    units = tuple(matrix.sample_unit for matrix in matrices)
    return Problem.of(joint, grid, units, row_weights, drift_components, comparisons)
