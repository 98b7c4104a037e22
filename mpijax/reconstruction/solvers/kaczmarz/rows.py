"""Regularized Kaczmarz: the solver, and its readable row form."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.checks import check_count
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Inexact, Num, Shaped
from mpijax.reconstruction.inputs import (
    check_init,
    check_iteration,
    check_problem,
    check_regularization,
    check_row_order,
    check_row_weights,
    complex_pair,
    is_randomized,
)
from mpijax.reconstruction.scaling import Scaled, number, scaled_rows, shift
from mpijax.reconstruction.solvers.kaczmarz.blocks import iterate, kaczmarz_solve, scale_frames
from mpijax.reconstruction.solvers.kaczmarz.factors import check_energy, kaczmarz_factor, split_regularization
from mpijax.reconstruction.solvers.kaczmarz.randomized import draw_rows, solve_randomized
from mpijax.reconstruction.weights import row_energies


def kaczmarz(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    regularization: ArrayLike | Scaled,
    *,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    row_weights: Shaped[Array, "..."] | None = None,
    row_order: Shaped[Array, "..."] | str | None = None,
    key: Shaped[Array, "..."] | None = None,
    init: Num[Array, "..."] | None = None,
    tolerance: ArrayLike | None = None,
    block_size: int | None = None,
) -> Solution[dict[str, Any], jax.Array]:
    r"""Regularized Kaczmarz: ``sweeps`` passes of row projections on [WA, sqrt(lambda) I] (x; v) = Wb.

    .. math:: \alpha = \frac{b_k - a_k x - \sqrt\lambda\, v_k}{|a_k|^2 + \lambda}, \qquad
        x \leftarrow x + \alpha \bar a_k, \qquad v_k \leftarrow v_k + \sqrt\lambda\, \alpha

    over the rows a_k of WA and the entries b_k of Wb, and after every sweep the projection, by default

    .. math:: x \leftarrow \max(\operatorname{Re} x,\, 0)

    The start is x = ``init`` and v = 0 for every frame; empty rows are skipped. Without a constraint the limit of many
    sweeps minimizes |W(Ax - b)|^2 + lambda |x - init|^2: ``init`` is a prior and not only a first guess. With "real"
    and a real prior the limit is the minimizer among real images. With "nonnegative" it is a non-negative image that
    satisfies the regularized equations, near to but not the non-negative minimizer (the projections alternate without
    Dykstra's correction). Few sweeps, the usual choice in MPI, stop early and are a regularization of their own.

    One lambda_j > 0 per voxel stands for the penalty sum_j lambda_j |x_j - init_j|^2, by the substitution
    A diag(lambda)^(-1/2); all of the above holds with it, the constraints included, because a positive scale of the
    voxels does not move them. Without a constraint the limit is
    init + (A^H W^2 A + diag lambda)^-1 A^H W^2 (b - A init).

    Rows are processed in blocks that give the same iterates (see ``kaczmarz_blocks``). Reverse-mode differentiable in
    matrix, data, regularization, weights and init; with a tolerance only forward-mode, because a loop of unknown length
    keeps no trace (JAX then raises "Reverse-mode differentiation does not work").

    Args:
        matrix: A, complex (m, n), or real for real data.
        data: b, complex (m,) or (frames, m).
        regularization: lambda >= 0 [unit of the matrix squared], absolute; ``relative_lambda`` converts. Or (n,), > 0.
        sweeps: passes over all rows; with a tolerance the most of them.
        constraint: projection of x after every sweep: "nonnegative" (real part, then positive part), "real" or None.
        row_weights: diagonal of W (m,), real; rows of weight 0 are skipped.
        row_order: order of the visits, distinct row indices; rows left out are never used. None: 0 ... m-1.
            "randomized": every sweep visits round(0.15 m) rows drawn without replacement, p proportional to the energy
            |w_k a_k|^2; the same rows for all frames. An order shuffled once is ``jax.random.permutation(key, m)``.
        key: random key of the randomized order; sweep i draws with ``fold_in(key, i)``.
        init: prior image (n,) or (frames, n); None: zero.
        tolerance: stop after the first sweep whose relative change of x, |x_new - x_old| / |x_new|, is at most this for
            every frame. A few times the precision is reached, less is not.
        block_size: most rows per block; changes the speed, not the iterates. Small blocks are prepared faster, large
            ones swept faster. None: 32 for few frames, 64 from 32 frames on, as measured on two CPU cores with
            3000 x 841 (``python -m benchmarks.bench_kaczmarz --blocks``).

    Returns:
        Solution: value (n,) or (frames, n), real with a constraint, else complex; stats (constants under
        differentiation) "residual" = |W(Ax - b)| / |Wb| per frame, "sweeps" done, and "history": the relative change
        of x in every sweep, (sweeps,) or (sweeps, frames), NaN for sweeps not done.

    Raises:
        ValueError: wrong shapes, a negative lambda, NaN or infinite entries, a matrix whose rows are all empty, an
            unknown constraint or order, a randomized order without key.
        TypeError: no arrays, a row order that is not an integer array, a complex lambda or row weight, real data for a
            complex matrix, a complex prior with a constraint, a key that is none.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577;
        randomized: Strohmer and Vershynin, J. Fourier Anal. Appl. 15 (2009) 262.
    """
    matrix, data = check_problem(matrix, data)
    if block_size is None:
        block_size = 32 if data.size < 32 * len(matrix) else 64
    if not is_randomized(row_order, key):
        factors = kaczmarz_factor(
            matrix, regularization, row_weights=row_weights, row_order=row_order, block_size=block_size
        )
        return kaczmarz_solve(factors, data, sweeps=sweeps, constraint=constraint, init=init, tolerance=tolerance)
    check_count("block_size", block_size, static=True)
    arguments = _ready(matrix, data, regularization, row_weights, None, init, sweeps, constraint, tolerance)
    matrix, data, regularization, row_weights, _, init = arguments
    value, stats, peak = solve_randomized(
        *(matrix, data, regularization, row_weights, init, key, tolerance),
        **{"sweeps": sweeps, "constraint": constraint, "block_size": block_size},
    )
    check_energy(matrix, peak)
    return Solution(value, {"sweeps": sweeps, **stats})


def _ready(matrix, data, regularization, row_weights, row_order, init, sweeps, constraint, tolerance):
    """Checked, complex and with scaled parameters: matrix, data, lambda, weights, order and prior."""
    matrix, data = check_problem(matrix, data)
    check_regularization(regularization, matrix.shape[1])
    check_row_weights(row_weights, matrix.shape[0])
    row_order = check_row_order(row_order, matrix.shape[0])
    check_iteration(sweeps, constraint, tolerance)
    init = check_init(init, data.shape, matrix.shape[1], constraint)
    matrix, data = complex_pair(matrix, data)
    parameters = (number(value, matrix.dtype) for value in (regularization, row_weights))
    return matrix, data, *parameters, row_order, init


def kaczmarz_rows(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    regularization: ArrayLike | Scaled,
    *,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    row_weights: Shaped[Array, "..."] | None = None,
    row_order: Shaped[Array, "..."] | str | None = None,
    key: Shaped[Array, "..."] | None = None,
    init: Num[Array, "..."] | None = None,
    tolerance: ArrayLike | None = None,
) -> Solution[dict[str, Any], jax.Array]:
    """The iterates of ``kaczmarz`` one row at a time: the readable reference form.

    Arguments, result and errors are those of ``kaczmarz``.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    order = None if is_randomized(row_order, key) else row_order
    arguments = _ready(matrix, data, regularization, row_weights, order, init, sweeps, constraint, tolerance)
    value, stats, peak = _solve_rows(*arguments, key, tolerance, sweeps=sweeps, constraint=constraint)
    check_energy(arguments[0], peak)
    return Solution(value, {"sweeps": sweeps, **stats})


@partial(jax.jit, static_argnames=("sweeps", "constraint"))
def _solve_rows(
    matrix, data, regularization, row_weights, row_order, init, key, tolerance, *, sweeps, constraint
) -> tuple[Any, dict[str, Any], Any]:
    """Frames are columns: x (n, frames), v (m, frames); v stands for sqrt(lambda) v, which needs no square root."""
    dot = partial(jnp.matmul, precision="highest")
    scaled = scaled_rows(matrix, row_weights)
    frames = scale_frames(data, init, row_weights, scaled.exponent, matrix.shape[1])
    matrix, columns = scaled.value, frames.data.T.astype(matrix.dtype)
    if row_order is not None:
        matrix, columns = matrix[row_order], columns[row_order]
    lam, scale = split_regularization(regularization, scaled.exponent)
    scale = jnp.ones(matrix.shape[1], matrix.real.dtype) if scale is None else scale
    energies = row_energies(matrix)

    def row_step(x, row):
        a, b, v = row
        energy = jnp.sum(scale * (jnp.square(a.real) + jnp.square(a.imag)))
        used = energy > 0
        alpha = jnp.where(used, (b - dot(a, x) - v) / jnp.where(used, energy + lam, 1), 0)
        return x + (scale * a.conj())[:, None] * alpha, v + lam * alpha

    def sweep(k, state):
        x, v = state
        visited = jnp.arange(len(matrix)) if key is None else draw_rows(jax.random.fold_in(key, k), energies)
        x, changed = lax.scan(row_step, x, (matrix[visited], columns[visited], v[visited]))
        if constraint is not None:
            x = (x.real if constraint == "real" else jnp.maximum(x.real, 0)).astype(x.dtype)
        return x, v.at[visited].set(changed)

    norm = partial(jnp.linalg.norm, axis=0)
    start = frames.start.T.astype(matrix.dtype), jnp.zeros_like(columns)
    (x, _), stats = iterate(sweep, start, sweeps, tolerance, norm)
    misfit, size = norm(lax.stop_gradient(dot(matrix, x) - columns)), norm(lax.stop_gradient(columns))
    stats["residual"] = jnp.where(size > 0, misfit / jnp.where(size > 0, size, 1), 0).reshape(data.shape[:-1])
    stats["history"] = stats["history"].reshape(-1, *data.shape[:-1])
    value = shift((x.real if constraint else x).T, frames.unit)
    return value.reshape(*data.shape[:-1], -1), stats, lax.stop_gradient(jnp.max(energies))
