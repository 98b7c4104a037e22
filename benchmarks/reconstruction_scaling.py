"""How the cost of a reconstruction grows with rows, voxels and frames: measured, fitted, drawn.

``python -m benchmarks.reconstruction_scaling --figure docs/figures/reconstruction_scaling.png``: factor and solve apart,
three sweeps or a hundred iterations, one frame unless frames grow. The exponent of a power law fitted to the upper half
of every curve stands in its legend: 1 is linear.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from benchmarks.bench_kaczmarz import SWEEPS, problem
from benchmarks.scaling import curve, show
from benchmarks.scaling_figure import Panels
from mpijax.reconstruction import admm_factor, admm_solve, kaczmarz_factor, kaczmarz_solve, relative_lambda

ITERATIONS = 100
CASES = {
    "rows": [(rows, 841, 1) for rows in (375, 750, 1500, 3000, 6000)],
    "voxels": [(1500, voxels, 1) for voxels in (441, 841, 1681, 3375, 6859)],
    "frames": [(1500, 841, frames) for frames in (1, 4, 16, 64, 256)],
}
SOLVERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Kaczmarz": (
        lambda matrix, voxels: kaczmarz_factor(matrix, relative_lambda(matrix, 1e-3)),
        partial(kaczmarz_solve, sweeps=SWEEPS),
    ),
    f"ADMM, {ITERATIONS} iterations": (
        lambda matrix, voxels: admm_factor(matrix, (voxels, 1, 1), total_variation=False),
        partial(admm_solve, l1=1e-3, iterations=ITERATIONS, tolerance=None),
    ),
}
"""name -> (factor(matrix, voxels), solve(factors, frames)); another solver is another line."""


def measure(rounds: int) -> Panels:
    """Least time of all rounds."""
    panels: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for axis, (quantity, cases) in enumerate(CASES.items()):
        problems = {case[axis]: (*map(jnp.asarray, problem(*case)), case[1]) for case in cases}
        panels[quantity] = {}
        for name, (factor, solve) in SOLVERS.items():
            prepared = {size: factor(matrix, voxels) for size, (matrix, _, voxels) in problems.items()}
            if quantity != "frames":
                factoring = {size: partial(factor, matrix, voxels) for size, (matrix, _, voxels) in problems.items()}
                panels[quantity][f"{name} factor"] = curve(factoring, rounds)
            solving = {size: partial(image, solve, prepared[size], frames) for size, (_, frames, _) in problems.items()}
            panels[quantity][f"{name} solve"] = curve(solving, rounds)
    return panels


def image(solve: Callable[..., Any], factors: Any, frames: Any) -> Any:
    """What is timed."""
    return solve(factors, frames).value


if __name__ == "__main__":
    show(__doc__, measure, Path("runs/reconstruction_scaling.png"))
