"""A solver prepared once, for frames that come in blocks or are shared out over devices."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding

from mpijax.core.sharding import replicate, row_sharding, share_out
from mpijax.core.solution import Solution
from mpijax.core.typing import Matrix
from mpijax.reconstruction.equations import Equations
from mpijax.reconstruction.problem import Problem
from mpijax.reconstruction.solvers.registry import resolve
from mpijax.reconstruction.solvers.settings import Solver, SolverChoice
from mpijax.reconstruction.stats import SolverStats

Sharding = NamedSharding | str | None


@dataclass(frozen=True, eq=False)
class PreparedSolver:
    """What a solver needs of one matrix; calling it solves a problem of that matrix. Make it with :meth:`create`.

    Attributes:
        solver: the solver.
        prepared: what it made of the matrix.
        matrix: A (m, n).
        sharding: of the frames over devices, or None.
    """

    solver: Solver
    prepared: Any
    matrix: Matrix
    sharding: NamedSharding | None

    @staticmethod
    def create(
        problem: Problem, solver: SolverChoice = "kaczmarz", *, sharding: Sharding = None, **options: Any
    ) -> "PreparedSolver":
        """Prepare a solver for the matrix of a problem.

        Args:
            problem: the equations.
            solver, options, sharding: see :func:`mpijax.reconstruction.solve`.

        Raises:
            ValueError, TypeError: see :func:`mpijax.reconstruction.solve`.
        """
        solver = resolve(solver, options)
        return _prepared(problem, problem.equations(), solver, frame_sharding(sharding, solver))

    def __call__(self, problem: Problem) -> Solution[SolverStats, jax.Array]:
        """The images of a problem's frames, as from :func:`mpijax.reconstruction.solve`.

        Raises:
            ValueError: the problem has another matrix, or as the solver.
        """
        if problem.matrix is not self.matrix and not np.array_equal(problem.matrix, self.matrix):
            raise ValueError(
                f"the solver is prepared for a matrix of shape {self.matrix.shape}, and the problem has another, of shape "
                f"{problem.matrix.shape}; perhaps other channels are zero in all of its frames. Choose the same rows."
            )
        return self.solved(problem, problem.equations())

    def solved(self, problem: Problem, equations: Equations) -> Solution[SolverStats, jax.Array]:
        """The same, with the equations of the problem."""
        data, frames = equations.data, len(equations.data)
        if self.sharding is not None:
            data = share_out(data, self.sharding)
        found = self.solver.solve(self.prepared, data)
        x, stats = found.value, found.stats
        if len(data) > frames:
            x, stats = x[:frames], {name: _cut(value, len(data), frames) for name, value in dict(stats).items()}
        drift = (
            None if problem.drift is None else problem.drift_coefficients(x if self.sharding is None else np.asarray(x))
        )
        return Solution(problem.images(x), SolverStats.create(stats, comparison=problem.comparison, drift=drift))


def solve(
    problem: Problem, solver: SolverChoice = "kaczmarz", *, sharding: Sharding = None, **options: Any
) -> Solution[SolverStats, jax.Array]:
    """Solve a problem with one of the solvers and scale the solution to images in mmol(Fe)/L.

    Args:
        problem: the equations.
        solver: :class:`Kaczmarz`, :class:`Tikhonov` (the minimizer itself), :class:`Admm` (L1, total variation and other
            penalties), :class:`NeuralImplicit` (a network of the coordinates), :class:`PlugAndPlay`, any object with
            ``prepare(equations)`` and ``solve(prepared, data)``, or a name: "kaczmarz", "tikhonov", "admm", "neural" or one of
            :func:`register_solver`.
        sharding: of the frames over devices: "all", or a ``jax.sharding.NamedSharding`` that splits the leading axis. The matrix
            lies whole on each; frames are filled up to a multiple of the devices, and settings per frame need one. For solvers
            that have ``by_frame``. None = one device.
        options: fields of the named solver. ``regularization``, ``relative``, ``sweeps``, ``constraint`` and ``key`` may stand
            beside any name; a solver without them does not see them.

    Returns:
        Solution: images (frames, nz, ny, nx), or (frames, contrasts, nz, ny, nx), in mmol(Fe)/L; stats, a :class:`SolverStats`.

    Raises:
        ValueError: an unknown solver, several contrasts with a solver that does not have them, a missing key, an absolute
            lambda that is not given, a sharding that does not split the frames alone or beside a solver that has none.
        TypeError: an option that the solver does not have, no sharding.
    """
    solver = resolve(solver, options)
    shared = frame_sharding(sharding, solver)
    equations = problem.equations()
    return _prepared(problem, equations, solver, shared).solved(problem, equations)


def frame_sharding(sharding: Sharding, solver: Solver) -> NamedSharding | None:
    """The sharding that is meant; raise unless it splits the frames alone and the solver takes them apart."""
    if sharding is None:
        return None
    if not getattr(solver, "by_frame", False):
        raise ValueError(
            f"{type(solver).__name__} does not say that its frames can be shared out over devices (by_frame = True); leave out "
            "sharding, or choose Kaczmarz, Tikhonov or Admm."
        )
    if sharding == "all":
        return row_sharding()
    if not isinstance(sharding, NamedSharding):
        raise TypeError(
            f"sharding = {sharding!r}; expected 'all' or a jax.sharding.NamedSharding that splits the frames."
        )
    first, *others = (*sharding.spec, None)
    if first is None or any(axis is not None for axis in others):
        raise ValueError(
            f"sharding has {sharding.spec}; expected one that splits the leading axis, the frames, and no other."
        )
    mesh = sharding.mesh  # whose axes may be explicit: then jax asks for the sharding of every intermediate result
    auto = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * mesh.devices.ndim)
    return NamedSharding(auto, sharding.spec)


def _prepared(problem: Problem, equations: Equations, solver: Solver, sharding: NamedSharding | None) -> PreparedSolver:
    if sharding is not None:
        weights = equations.row_weights
        weights = None if weights is None else replicate(weights, sharding)
        equations = replace(equations, matrix=replicate(equations.matrix, sharding), row_weights=weights)
    return PreparedSolver(solver, solver.prepare(equations), problem.matrix, sharding)


def _cut(value: Any, filled: int, frames: int) -> Any:
    """What is said of every frame, without those that filled up: frames are the last axis, or the first."""
    shape = np.shape(value) if isinstance(value, jax.Array | np.ndarray) else ()
    if shape[-1:] == (filled,):
        return value[..., :frames]
    return value[:frames] if shape[:1] == (filled,) else value
