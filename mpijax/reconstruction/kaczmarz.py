"""Regularized Kaczmarz: the solver, and its readable row form."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Inexact, Num, Shaped
from mpijax.reconstruction.inputs import (
    check_data,
    check_init,
    check_iteration,
    check_matrix,
    check_regularization,
    check_row_order,
    check_row_weights,
    complex_pair,
)
from mpijax.reconstruction.kaczmarz_blocks import kaczmarz_factor, kaczmarz_solve
from mpijax.reconstruction.weights import row_energies


def kaczmarz(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    regularization: ArrayLike,
    *,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    row_weights: Shaped[Array, "..."] | None = None,
    row_order: Shaped[Array, "..."] | None = None,
    init: Num[Array, "..."] | None = None,
    block_size: int | None = None,
) -> Solution:
    """Regularized Kaczmarz: ``sweeps`` passes of row projections on [WA, sqrt(lambda) I] (x; v) = Wb.

    alpha = (b_k - a_k x - sqrt(lambda) v_k) / (|a_k|^2 + lambda),  x += alpha conj(a_k),  v_k += sqrt(lambda) alpha

    The start is x = ``init`` and v = 0 for every frame; empty rows are skipped. Without a constraint the limit of many
    sweeps minimizes |W(Ax - b)|^2 + lambda |x - init|^2: ``init`` is a prior and not only a first guess. With "real"
    and a real prior the limit is the minimizer among real images. With "nonnegative" it is a non-negative image that
    satisfies the regularized equations, near to but not the non-negative minimizer (the projections alternate without
    Dykstra's correction). Few sweeps, the usual choice in MPI, stop early and are a regularization of their own.

    Rows are processed in blocks that give the same iterates (see ``kaczmarz_blocks``). Reverse-mode differentiable in
    matrix, data, regularization, weights and init.

    Args:
        matrix: A, complex (m, n).
        data: b, complex (m,) or (frames, m).
        regularization: lambda >= 0 [unit of the matrix squared], absolute; ``relative_lambda`` converts.
        sweeps: passes over all rows.
        constraint: projection of x after every sweep: "nonnegative" (real part, then positive part), "real" or None.
        row_weights: diagonal of W (m,), real; rows of weight 0 are skipped.
        row_order: order of the visits, distinct row indices; rows left out are never used. None: 0 ... m-1.
        init: prior image (n,) or (frames, n); None: zero.
        block_size: rows per block; changes the speed, not the iterates. Small blocks are prepared faster, large ones
            swept faster. None: 32 for few frames, 64 from 32 frames on, as measured on two CPU cores with 3000 x 841
            (``python -m benchmarks.bench_kaczmarz --blocks``).

    Returns:
        Solution: value (n,) or (frames, n), real with a constraint, else complex; stats "residual" = |W(Ax - b)| / |Wb|
        per frame (a constant under differentiation) and "sweeps".

    Raises:
        ValueError: wrong shapes, a negative lambda, NaN or infinite entries, an unknown constraint.
        TypeError: a row order that is not an integer array, a complex lambda.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    check_matrix(matrix)
    matrix, data = complex_pair(matrix, data)
    if block_size is None and data.size < 32 * len(matrix):
        block_size = 32
    factors = kaczmarz_factor(
        matrix, regularization, row_weights=row_weights, row_order=row_order, block_size=block_size
    )
    return kaczmarz_solve(factors, data, sweeps=sweeps, constraint=constraint, init=init)


def kaczmarz_rows(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    regularization: ArrayLike,
    *,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    row_weights: Shaped[Array, "..."] | None = None,
    row_order: Shaped[Array, "..."] | None = None,
    init: Num[Array, "..."] | None = None,
) -> Solution:
    """The iterates of ``kaczmarz`` one row at a time: the readable reference form.

    Arguments, result and errors are those of ``kaczmarz``.
    """
    check_matrix(matrix)
    check_data(data, matrix.shape[0])
    check_regularization(regularization)
    check_row_weights(row_weights, matrix.shape[0])
    check_row_order(row_order, matrix.shape[0])
    check_iteration(sweeps, constraint)
    check_init(init, data.shape, matrix.shape[1])
    matrix, data = complex_pair(matrix, data)
    if row_weights is not None:
        weights = jnp.asarray(row_weights, matrix.real.dtype)
        matrix, data = weights[:, None] * matrix, weights * data
    if row_order is not None:
        matrix, data = matrix[row_order], data[..., row_order]
    start = jnp.zeros(matrix.shape[1], matrix.dtype) if init is None else jnp.asarray(init, matrix.dtype)
    start = jnp.broadcast_to(start, (*data.shape[:-1], matrix.shape[1]))
    solve = partial(_solve_rows, matrix, jnp.asarray(regularization, matrix.real.dtype), sweeps, constraint)
    value, residual = (jax.vmap(solve) if data.ndim == 2 else solve)(data, start)
    return Solution(value, {"residual": residual, "sweeps": sweeps})


@partial(jax.jit, static_argnums=(2, 3))
def _solve_rows(matrix, regularization, sweeps, constraint, data, start):
    """All sweeps for one frame; v stands for sqrt(lambda) v, which needs no square root."""
    dot = partial(jnp.dot, precision="highest")

    def row_step(x, row):
        a, energy, b, v = row
        used = energy > 0
        alpha = jnp.where(used, (b - dot(a, x) - v) / jnp.where(used, energy + regularization, 1), 0)
        return x + alpha * a.conj(), v + regularization * alpha

    def sweep(state, _):
        x, v = state
        x, v = lax.scan(row_step, x, (matrix, row_energies(matrix), data, v))
        if constraint is not None:
            x = (x.real if constraint == "real" else jnp.maximum(x.real, 0)).astype(x.dtype)
        return (x, v), None

    (x, _), _ = lax.scan(sweep, (start, jnp.zeros_like(data)), None, length=sweeps)
    difference, norm = (
        jnp.linalg.norm(lax.stop_gradient(dot(matrix, x) - data)),
        jnp.linalg.norm(lax.stop_gradient(data)),
    )
    return x.real if constraint else x, jnp.where(norm > 0, difference / jnp.where(norm > 0, norm, 1), 0)
