"""A solver prepared once, for frames that come in blocks; frames, or the rows of the matrix, are shared out over devices."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mpijax.core.sharding import lacking, replicate, row_sharding, share_out
from mpijax.core.solution import Solution
from mpijax.core.typing import Matrix, Vector
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
        sharding: of the data (frames, m) over devices, or None.
        shared: A over devices, where its rows are shared out.
    """

    solver: Solver
    prepared: Any
    matrix: Matrix
    sharding: NamedSharding | None
    shared: Matrix | None = None

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
        shared = data_sharding(sharding, solver)
        placed = _placed(problem, shared)
        return replace(_prepared(placed, placed.equations(), solver, shared), matrix=problem.matrix)

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
        placed = _placed(problem, self.sharding, self.shared)
        return self.solved(placed, placed.equations())

    def solved(self, problem: Problem, equations: Equations) -> Solution[SolverStats, jax.Array]:
        """The same, with the equations of a problem that lies where the matrix does."""
        data, frames = equations.data, len(equations.data)
        if self.sharding is not None and self.shared is None:
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
        sharding: of the data (frames, m) over devices: a ``jax.sharding.NamedSharding`` that splits one of the two axes, or "all"
            or "rows" for the first or the second one over all devices. Frames: the matrix lies whole on each device; they are
            filled up to a multiple of the devices, and settings per frame need one; for solvers that have ``by_frame``. Rows: each
            device holds its rows of the matrix, which may be larger than its memory; for solvers that have ``row_sums``, Tikhonov
            and Admm. None = one device.
        options: fields of the named solver. ``regularization``, ``relative``, ``sweeps``, ``constraint`` and ``key`` may stand
            beside any name; a solver without them does not see them.

    Returns:
        Solution: images (frames, nz, ny, nx), or (frames, contrasts, nz, ny, nx), in mmol(Fe)/L; stats, a :class:`SolverStats`.

    Raises:
        ValueError: an unknown solver, several contrasts with a solver that does not have them, a missing key, an absolute
            lambda that is not given, a sharding that does not split frames or rows alone, or what the solver needs whole.
        TypeError: an option that the solver does not have, no sharding.
    """
    solver = resolve(solver, options)
    shared = data_sharding(sharding, solver)
    problem = _placed(problem, shared)
    equations = problem.equations()
    return _prepared(problem, equations, solver, shared).solved(problem, equations)


def data_sharding(sharding: Sharding, solver: Solver) -> NamedSharding | None:
    """The sharding of the data (frames, m) that is meant; raise unless it splits one axis and the solver can have that split."""
    if sharding is None:
        return None
    if isinstance(sharding, str) and sharding in ("all", "rows"):
        frames = row_sharding()
        sharding = frames if sharding == "all" else NamedSharding(frames.mesh, PartitionSpec(None, *frames.spec))
    if not isinstance(sharding, NamedSharding):
        raise TypeError(
            f"sharding = {sharding!r}; expected 'all' (frames over all devices), 'rows' (of the matrix) or a "
            "jax.sharding.NamedSharding of the data (frames, rows)."
        )
    if [number for number, axis in enumerate(sharding.spec) if axis is not None] not in ([0], [1]):
        raise ValueError(
            f"sharding has {sharding.spec}; expected one that splits the leading axis of the data, the frames, or the second one, "
            "the rows of the matrix, and no other."
        )
    name = type(solver).__name__
    if _splits_rows(sharding) and not getattr(solver, "row_sums", False):
        raise ValueError(
            f"{name} does not say that rows of the matrix can be shared out over devices (row_sums = True; Kaczmarz goes row by "
            "row); choose Tikhonov or Admm, or share out the frames."
        )
    if not _splits_rows(sharding) and not getattr(solver, "by_frame", False):
        raise ValueError(
            f"{name} does not say that its frames can be shared out over devices (by_frame = True); leave out "
            "sharding, or choose Kaczmarz, Tikhonov or Admm."
        )
    mesh = sharding.mesh  # whose axes may be explicit: then jax asks for the sharding of every intermediate result
    auto = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * mesh.devices.ndim)
    return NamedSharding(auto, sharding.spec)


def _splits_rows(sharding: NamedSharding | None) -> bool:
    return sharding is not None and sharding.spec[:1] == (None,)


def _placed(problem: Problem, sharding: NamedSharding | None, matrix: Matrix | None = None) -> Problem:
    """The problem with its rows over devices, if those are split: filled up with rows of zeros and of weight zero.

    Args:
        problem, sharding: what is placed, and how.
        matrix: its matrix, where that is placed already.
    """
    if sharding is None or not _splits_rows(sharding):
        return problem
    missing = lacking(problem.data.shape, sharding)[1]

    def filled_up(values: Matrix | Vector | None) -> np.ndarray | None:
        return None if values is None else np.pad(values, [(0, missing)] + [(0, 0)] * (np.ndim(values) - 1))

    if matrix is None:
        matrix = share_out(problem.matrix, NamedSharding(sharding.mesh, PartitionSpec(sharding.spec[1])))
    return replace(
        problem,
        matrix=matrix,
        data=share_out(problem.data, sharding),
        row_weights=filled_up(problem.row_weights),
        noise_std=filled_up(problem.noise_std),
        drift=filled_up(problem.drift),
    )


def _prepared(problem: Problem, equations: Equations, solver: Solver, sharding: NamedSharding | None) -> PreparedSolver:
    if _splits_rows(sharding):
        return PreparedSolver(solver, solver.prepare(equations), problem.matrix, sharding, problem.matrix)
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
