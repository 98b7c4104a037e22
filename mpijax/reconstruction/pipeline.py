"""From a system matrix and a measurement to images in mmol(Fe)/L: background, rows, weights, solver, units."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from mpijax.core.checks import check_choice, check_shape
from mpijax.core.solution import Solution
from mpijax.core.typing import Shaped
from mpijax.reconstruction.inputs import CONSTRAINTS, check_regularization
from mpijax.reconstruction.problem import Problem
from mpijax.reconstruction.scaling import Scaled, number
from mpijax.reconstruction.solvers.admm.factor import check_nonnegative
from mpijax.reconstruction.solvers.admm.minimizer import admm, relative_penalty
from mpijax.reconstruction.solvers.kaczmarz.rows import kaczmarz
from mpijax.reconstruction.solvers.neural.training import neural_implicit
from mpijax.reconstruction.solvers.tikhonov.minimizer import tikhonov
from mpijax.reconstruction.weights import relative_regularization
from mpijax.system import Measurement, SystemMatrix

FUNCTIONS: dict[str, Callable[..., Solution]] = {
    "kaczmarz": kaczmarz,
    "tikhonov": tikhonov,
    "admm": admm,
    "neural": neural_implicit,
}
SOLVERS = tuple(FUNCTIONS)

LAMBDA = {"kaczmarz": 1e-2, "tikhonov": 1e-2, "admm": 1e-3}
"""Relative regularization of the methods that have one, where none is given, for Python and the command line."""

SWEEPS = 10
"""Sweeps of Kaczmarz where none are given; with a lambda of 0.01 those of the Open MPI reference for 2-D data."""

L1, TV = 0.8, 0.2
"""Shares of the two penalties of ADMM. The constrained form of A. Gungor et al. (TranSMS), IEEE Trans. Med. Imaging 41
(2022) 3562, section IV-D, has 0.95 and 0.05, of which only the ratio matters; it suits phantoms of single dots."""

_OWN = ("regularization", "sweeps", "constraint", "row_weights", "key")


def reconstruct(
    system_matrix: SystemMatrix,
    measurement: Measurement,
    *,
    solver: str = "kaczmarz",
    regularization: float | Shaped[ArrayLike, "..."] | None = None,
    relative: bool = True,
    sweeps: int = SWEEPS,
    constraint: str | None = "nonnegative",
    row_weights: Any = None,
    empty: Measurement | None = None,
    period: int | None = None,
    drift_components: int = 0,
    check: bool = True,
    key: jax.Array | None = None,
    **solver_options: Any,
) -> Solution:
    """Reconstruct every frame of a measurement.

    Solves min_c |W (S c - u)|^2 + lambda |c|^2, or with ADMM's or the neural field's own regularization, and scales the
    result to a concentration. :class:`Problem` makes the equations, :func:`solve` solves them.

    Args:
        system_matrix: matrix with the rows to use selected (:meth:`SystemMatrix.select`).
        measurement: frames; it must hold the matrix's frequencies.
        solver, regularization, relative, sweeps, constraint, key, solver_options: see :func:`solve`.
        row_weights, empty, period, drift_components, check: see :meth:`Problem.create`.

    Returns:
        Solution: images (frames, nz, ny, nx) in mmol(Fe)/L; the solver's stats, its parameters, "comparison" (which facts of
        matrix and measurement were compared) and, with drift, the coefficients "drift" (frames, drift_components).

    Raises:
        ValueError: matrix and data that do not belong together, a background subtracted twice, weights that cannot be
            computed, NaN in the data, no background frames to find a drift from.
        TypeError: an option that the solver does not have.
    """
    check_options(solver, solver_options)
    problem = Problem.create(
        system_matrix,
        measurement,
        row_weights=row_weights,
        empty=empty,
        period=period,
        drift_components=drift_components,
        check=check,
    )
    return solve(
        problem,
        solver,
        regularization=regularization,
        relative=relative,
        sweeps=sweeps,
        constraint=constraint,
        key=key,
        **solver_options,
    )


def solve(
    problem: Problem,
    solver: str = "kaczmarz",
    *,
    regularization: float | Shaped[ArrayLike, "..."] | None = None,
    relative: bool = True,
    sweeps: int = SWEEPS,
    constraint: str | None = "nonnegative",
    key: jax.Array | None = None,
    **solver_options: Any,
) -> Solution:
    """Solve a problem with one of the solvers and scale the solution to images in mmol(Fe)/L.

    Args:
        problem: the equations.
        solver: "kaczmarz" (``sweeps``), "tikhonov" (the minimizer itself), "admm" (L1 and total variation) or "neural" (a
            network of the coordinates: ``stats["field"].sample(shape)`` on any grid times ``stats["field_scale"]`` is in
            mmol(Fe)/L).
        regularization: strength. Kaczmarz, Tikhonov: lambda, one number or one per voxel. ADMM: of both penalties,
            l1 = 0.8 and tv = 0.2 times it. None: 0.01, of ADMM 0.001 (``LAMBDA``). The neural field has none.
        relative: ``regularization`` is relative to |W S|_F^2/n (ADMM: to the largest :func:`penalty_scale` of the frames,
            from which l1 on the images are zero); False: absolute.
        sweeps: of Kaczmarz; few sweeps regularize by stopping early.
        constraint: "nonnegative", "real" or None. Tikhonov's minimizer is real for "nonnegative" too, and can be negative;
            without a constraint the real part is shown.
        key: for what is random: the neural field's start, a randomized order of rows.
        solver_options: further arguments of the solver's function. ADMM: ``l1`` and ``tv`` set the shares;
            ``epsilon="noise"`` asks for |W(Sc - u)| <= the noise's expected norm (:meth:`Problem.noise_norm`) instead of a
            penalty on the data. ``init`` is an image in mmol(Fe)/L.

    Returns:
        Solution: images (frames, nz, ny, nx), or (frames, contrasts, nz, ny, nx), in mmol(Fe)/L; stats.

    Raises:
        ValueError: an unknown solver, several contrasts with a solver that does not have them, a missing key, an absolute
            lambda that is not given.
        TypeError: an option that the solver does not have.
    """
    check_options(solver, solver_options)
    check_choice("constraint", constraint, CONSTRAINTS)
    if problem.contrasts > 1 and solver not in ("kaczmarz", "tikhonov"):
        raise ValueError(f"solver = {solver!r} reconstructs one contrast; use 'kaczmarz' or 'tikhonov' for several.")
    matrix, data, weights = problem.equations()
    options: dict[str, Any] = {"row_weights": weights, "constraint": constraint, **solver_options}
    if options.get("init") is not None:
        options["init"] = problem.unknowns(options["init"])
    if solver == "neural" or solver_options.get("method") == "low_rank" or _is_randomized(solver_options):
        options["key"] = key
    if solver == "neural":
        found = _neural(problem, matrix, data, options)
    elif solver == "admm":
        found = _admm(problem, matrix, data, regularization, relative, options)
    else:
        strength = _strength(solver, regularization, relative)
        check_regularization(strength, matrix.shape[1])
        absolute = relative_regularization(matrix, strength, weights) if relative else number(strength, matrix.dtype)
        if solver == "kaczmarz":
            found = kaczmarz(matrix, data, absolute, sweeps=sweeps, **options)
        else:
            options["constraint"] = "real" if constraint else None
            found = tikhonov(matrix, data, absolute, **options)
        found = Solution(found.value, {**found.stats, "lambda": absolute.number()})
    drift = {} if problem.drift is None else {"drift": problem.drift_coefficients(found.value)}
    return Solution(problem.images(found.value), {**found.stats, "comparison": problem.comparison, **drift})


def check_options(solver: str, options: dict[str, Any], also: tuple[str, ...] = ()) -> None:
    """Raise unless the solver is known and its function has the options, those in ``also`` apart.

    Raises:
        ValueError: another solver.
        TypeError: an option that is not its own.
    """
    check_choice("solver", solver, SOLVERS)
    allowed = [
        name
        for name, parameter in inspect.signature(FUNCTIONS[solver]).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in _OWN
    ]
    if unknown := sorted(set(options) - {*allowed, *also}):
        raise TypeError(
            f"solver {solver!r} has no option {', '.join(unknown)}; it takes {', '.join(allowed)}, "
            "beside what every solver is given: regularization, relative, sweeps, constraint, row_weights and key."
        )


def _is_randomized(options: dict[str, Any]) -> bool:
    return isinstance(options.get("row_order"), str)


def _strength(solver: str, regularization: Any, relative: bool) -> Any:
    """The regularization, or the method's own where none is given, which is a relative one."""
    if regularization is None and not relative:
        raise ValueError("an absolute lambda has no default; give regularization, or leave out relative=False.")
    return LAMBDA[solver] if regularization is None else regularization


def _admm(problem: Problem, matrix: Any, data: Any, regularization: Any, relative: bool, options: dict) -> Solution:
    """The penalized form scaled by ``regularization``, or the constrained form, where only l1 : tv matters."""
    l1, tv = options.pop("l1", L1), options.pop("tv", TV)
    epsilon = options.pop("epsilon", None)
    if isinstance(epsilon, str):
        check_choice("epsilon", epsilon, ("noise",))
        epsilon = problem.noise_norm()
    chosen = {"l1": l1, "tv": tv}
    if epsilon is None:
        strength = _strength("admm", regularization, relative)
        for name, share in {**chosen, "regularization": strength}.items():
            check_shape(name, share, ())
            check_nonnegative(name, share)
        factor = number(strength, matrix.dtype)
        if relative:
            most = relative_penalty(matrix, data, options["row_weights"])
            factor = factor.times(Scaled(jnp.max(most.value), most.exponent))
        l1, tv = (number(share, matrix.dtype).times(factor) for share in (l1, tv))
        chosen = {"l1": l1.number(), "tv": tv.number()}
    else:
        chosen["epsilon"] = epsilon
    options["constraint"] = options["constraint"] or "real"
    found = admm(matrix, data, problem.grid.shape, l1=l1, tv=tv, epsilon=epsilon, **options)
    return Solution(found.value, {**found.stats, **chosen})


def _neural(problem: Problem, matrix: Any, data: Any, options: dict) -> Solution:
    """Without weights the network's own, the rows' norms; drift rows are weighted already."""
    if options["key"] is None:
        raise ValueError("solver 'neural' starts at random; give key=jax.random.key(0).")
    options.setdefault("nonnegative", options.pop("constraint") == "nonnegative")
    if options["row_weights"] is None and problem.row_weights is None:
        del options["row_weights"]
    found = neural_implicit(matrix, data, problem.grid.shape, **options)
    return Solution(found.value, {**found.stats, "field": found.field, "field_scale": problem.scale[0]})
