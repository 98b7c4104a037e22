"""Regularized Kaczmarz by blocks of rows: the iterates of the row form, computed with matrix products.

The row form visits row k and sets

    alpha_k = (b_k - a_k x - v_k) / (|a_k|^2 + lambda),    x += alpha_k conj(a_k),    v_k += lambda alpha_k.

Inside a block of B rows, the residual of a row depends on the earlier alphas only, so the vector y of all B alphas
solves one lower-triangular system:

    (tril(A_b A_b^H) + lambda I) y = b_b - A_b x - v_b,    x += A_b^H y,    v_b += lambda y.

Its inverse T_b is made once per matrix. It is safe to form: with D = diag(A_b A_b^H) + lambda the triangle L satisfies
L + L^H >= D, hence |D^(1/2) L^-1 D^(1/2)| <= 2 whatever the rows are. The state v is sqrt(lambda) times the usual one,
so that no square root of lambda occurs and gradients are finite at lambda = 0. Complex numbers are kept as stacked real
and imaginary parts, so that a product with a block is one real matrix product.
"""

from functools import partial
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.checks import is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Inexact, Num, Shaped
from mpijax.reconstruction.inputs import (
    check_count,
    check_data,
    check_init,
    check_iteration,
    check_matrix,
    check_regularization,
    check_row_order,
    check_row_weights,
    complex_pair,
)

DEFAULT_BLOCK_SIZE = 64
_LEAF = 16  # triangles up to here are inverted row by row, larger ones put together from halves

_matmul = partial(jnp.matmul, precision="highest")


@pytree
class KaczmarzFactors:
    """What ``kaczmarz_factor`` prepares for many frames.

    Attributes:
        blocks: (k, 2B, n) real, B weighted rows each, in visiting order: real parts, then imaginary parts.
        inverses: (k, 2B, B) real, T_b = (tril(A_b A_b^H) + lambda I)^-1, stacked likewise; zero for empty rows.
        regularization: lambda.
        row_weights: (m,) or None.
        row_order: (m',) or None.
        n_rows: m, rows of the matrix (static).
    """

    blocks: Any
    inverses: Any
    regularization: Any
    row_weights: Any
    row_order: Any
    n_rows: int = static()


def kaczmarz_factor(
    matrix: Inexact[Array, "m n"],
    regularization: ArrayLike,
    *,
    row_weights: Shaped[Array, "..."] | None = None,
    row_order: Shaped[Array, "..."] | None = None,
    block_size: int | None = None,
) -> KaczmarzFactors:
    """Prepare a matrix for ``kaczmarz_solve``: T_b = (tril(A_b A_b^H) + lambda I)^-1 for every block of rows.

    Memory: one copy of the matrix, and block_size / n of it for the inverses.

    Args:
        matrix: A, complex (m, n).
        regularization: lambda >= 0 [unit of the matrix squared], see ``relative_lambda``.
        row_weights: diagonal of W (m,), real; rows of weight 0 are skipped.
        row_order: order of the visits, distinct row indices; rows left out are never used. None: 0 ... m-1.
        block_size: rows per block; changes the speed, not the iterates. None: 64, good for many frames.

    Returns:
        The factors, a pytree.

    Raises:
        ValueError: wrong shapes, a negative lambda, NaN or infinite entries, an order with repeated or unknown rows.
        TypeError: a row order that is not an integer array, a complex lambda.
    """
    check_matrix(matrix)
    check_regularization(regularization)
    check_row_weights(row_weights, matrix.shape[0])
    check_row_order(row_order, matrix.shape[0])
    block_size = DEFAULT_BLOCK_SIZE if block_size is None else block_size
    check_count("block_size", block_size)
    matrix, _ = complex_pair(matrix, matrix)
    factors, peak = _factor(matrix, regularization, row_weights, row_order, block_size=block_size)
    if is_concrete(peak) and not np.isfinite(peak):
        bad = matrix.size - int(jnp.isfinite(jnp.square(jnp.abs(matrix))).sum())
        raise ValueError(
            f"matrix has {bad} of {matrix.size} entries that are NaN, infinite or too large to be squared."
        )
    return factors


def kaczmarz_solve(
    factors: KaczmarzFactors,
    data: Num[Array, "..."],
    *,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    init: Num[Array, "..."] | None = None,
) -> Solution:
    """Regularized Kaczmarz with prepared factors; all frames go through every block together.

    Args:
        factors: from ``kaczmarz_factor``.
        data: b, complex (m,) or (frames, m), without the row weights.
        sweeps: passes over all rows.
        constraint: projection after every sweep, as in ``kaczmarz``.
        init: prior image (n,) or (frames, n), as in ``kaczmarz``.

    Returns:
        Solution as in ``kaczmarz``.

    Raises:
        ValueError: wrong shapes, NaN or infinite data, an unknown constraint, sweeps < 1.
    """
    check_data(data, factors.n_rows)
    check_iteration(sweeps, constraint)
    check_init(init, np.shape(data), factors.blocks.shape[-1])
    value, residual = _solve(factors, data, init, sweeps=sweeps, constraint=constraint)
    return Solution(value, {"residual": residual, "sweeps": sweeps})


@partial(jax.jit, static_argnames="block_size")
def _factor(matrix, regularization, row_weights, row_order, *, block_size):
    n_rows, n_voxels = matrix.shape
    if row_weights is not None:
        row_weights = jnp.asarray(row_weights, matrix.real.dtype)
        matrix = matrix * row_weights[:, None]
    if row_order is not None:
        matrix = matrix[row_order]
    size = min(block_size, len(matrix))
    count = ceil(len(matrix) / size)

    def blocked(part):
        return jnp.pad(part, ((0, count * size - len(part)), (0, 0))).reshape(count, size, n_voxels)

    blocks = jnp.concatenate([blocked(matrix.real), blocked(matrix.imag)], axis=1)
    regularization = jnp.asarray(regularization, blocks.dtype)

    products = lax.map(lambda block: _matmul(block, block.T), blocks)  # on CPU faster than one batched product
    gram = lax.complex(
        products[:, :size, :size] + products[:, size:, size:], products[:, size:, :size] - products[:, :size, size:]
    )
    energy = jnp.diagonal(gram.real, axis1=1, axis2=2)
    peak = lax.stop_gradient(jnp.max(energy))
    used = energy > 0
    # energies of signals in SI units are so small that the gradient of 1 / energy overflows
    scale = _power_of_two(peak)
    pivot = jnp.where(used, (energy + regularization) / scale, 1)
    inverse = _lower_inverse(jnp.tril(gram, -1) / scale + pivot[:, :, None] * jnp.eye(size, dtype=blocks.dtype))
    inverse = jnp.where(used[:, :, None] & used[:, None, :], inverse, 0)
    inverses = jnp.concatenate([inverse.real, inverse.imag], axis=1) / scale
    return KaczmarzFactors(blocks, inverses, regularization, row_weights, row_order, n_rows), peak


def _power_of_two(value):
    """The power of two just above a positive number, so that a division by it rounds nothing; 1 for 0."""
    return jnp.ldexp(jnp.ones_like(value), jnp.frexp(value)[1])


def _lower_inverse(lower):
    """Inverse of lower-triangular matrices (k, B, B): leaves on the diagonal first, then pairs joined by products.

    [[A, 0], [C, D]]^-1 = [[A', 0], [-D' C A', D']]. No LAPACK call: batched ones wait for the thread pool they run on,
    and a few at a time can lock it up on a machine with few cores.
    """
    size = lower.shape[-1]
    leaf = total = min(_LEAF, size)
    while total < size:
        total *= 2
    lower = jnp.pad(lower, ((0, 0), (0, total - size), (0, total - size)))
    lower = lower + jnp.diag(jnp.arange(total) >= size).astype(lower.dtype)
    inverse = _leaf_inverse(jnp.stack([lower[:, i : i + leaf, i : i + leaf] for i in range(0, total, leaf)]))
    while leaf < total:
        corner = jnp.stack([lower[:, i + leaf : i + 2 * leaf, i : i + leaf] for i in range(0, total, 2 * leaf)])
        first, second = inverse[0::2], inverse[1::2]
        corner = -_matmul(_matmul(second, corner), first)
        top = jnp.concatenate([first, jnp.zeros_like(first)], axis=-1)
        inverse = jnp.concatenate([top, jnp.concatenate([corner, second], axis=-1)], axis=-2)
        leaf *= 2
    return inverse[0, :, :size, :size]


def _leaf_inverse(lower):
    """Inverse of small lower-triangular matrices (..., B, B) by forward substitution, all of them together."""
    size = lower.shape[-1]
    eye = jnp.eye(size, dtype=lower.dtype)

    def substitute(inverse, k):
        known = jnp.sum(lower[..., k, :, None] * inverse, axis=-2)  # rows from k on are still zero
        return inverse.at[..., k, :].set((eye[k] - known) / lower[..., k, k, None]), None

    return lax.scan(substitute, jnp.zeros_like(lower), jnp.arange(size))[0]


@partial(jax.jit, static_argnames=("sweeps", "constraint"))
def _solve(factors, data, init, *, sweeps, constraint):
    blocks, inverses, regularization = factors.blocks, factors.inverses, factors.regularization
    rhs = _blocked_data(factors, data)
    n_frames, n_voxels = rhs.shape[1], blocks.shape[-1]

    def block_step(x, block):
        rows, inverse, b, v = block
        y = _apply(inverse, b - _apply(rows, x) - v)
        return x + _apply_adjoint(rows, y), v + regularization * y

    def sweep(state, _):
        x, v = state
        x, v = lax.scan(block_step, x, (blocks, inverses, rhs, v))
        return (_project(x, constraint), v), None

    x = jnp.zeros((n_frames, 2, n_voxels), blocks.dtype)
    if init is not None:
        init = jnp.asarray(init)
        x = x + jnp.stack([init.real, init.imag], axis=-2).astype(blocks.dtype)
    (x, _), _ = lax.scan(sweep, (x, jnp.zeros_like(rhs)), None, length=sweeps)
    value = x[:, 0] if constraint else lax.complex(x[:, 0], x[:, 1])
    residual = _relative_residual(blocks, x, rhs, constraint)
    return value.reshape(*data.shape[:-1], n_voxels), residual.reshape(data.shape[:-1])


def _blocked_data(factors, data):
    """Data (..., m) as real and imaginary parts of weighted rows in visiting order, (blocks, frames, 2, B)."""
    count, size = factors.inverses.shape[0], factors.inverses.shape[2]
    data = jnp.atleast_2d(data)
    parts = jnp.stack([data.real, data.imag], axis=1).astype(factors.blocks.dtype)
    if factors.row_weights is not None:
        parts = parts * factors.row_weights
    if factors.row_order is not None:
        parts = parts[..., factors.row_order]
    parts = jnp.pad(parts, ((0, 0), (0, 0), (0, count * size - parts.shape[-1])))
    return jnp.moveaxis(parts.reshape(*parts.shape[:2], count, size), 2, 0)


def _apply(stacked, x):
    """Complex product of stacked parts [P; Q] (2B, n) with x (frames, 2, n), giving (frames, 2, B)."""
    frames, _, n = x.shape
    p = _matmul(x.reshape(2 * frames, n), stacked.T).reshape(frames, 2, 2, -1)
    return jnp.stack([p[:, 0, 0] - p[:, 1, 1], p[:, 1, 0] + p[:, 0, 1]], axis=1)


def _apply_adjoint(stacked, y):
    """Adjoint product of stacked parts [P; Q] (2B, n) with y (frames, 2, B), giving (frames, 2, n)."""
    frames, _, size = y.shape
    rotated = jnp.stack([y[:, 1], -y[:, 0]], axis=1)
    return _matmul(jnp.concatenate([y, rotated], axis=-1).reshape(2 * frames, 2 * size), stacked).reshape(frames, 2, -1)


def _project(x, constraint):
    """Real part, then positive part, of x (frames, 2, n)."""
    if constraint is None:
        return x
    real = x[:, 0] if constraint == "real" else jnp.maximum(x[:, 0], 0)
    return jnp.stack([real, jnp.zeros_like(real)], axis=1)


def _relative_residual(blocks, x, rhs, constraint):
    """|Ax - b| / |b| per frame, a constant under differentiation; 0 where b = 0."""
    blocks, x, rhs = lax.stop_gradient((blocks, x, rhs))
    if constraint is None:
        product = jax.vmap(_apply, in_axes=(0, None))(blocks, x)
    else:
        product = jnp.moveaxis(_matmul(blocks, x[:, 0].T), -1, 1).reshape(rhs.shape)
    norm, data_norm = (jnp.sqrt(jnp.sum(jnp.square(r), axis=(0, 2, 3))) for r in (product - rhs, rhs))
    return jnp.where(data_norm > 0, norm / jnp.where(data_norm > 0, data_norm, 1), 0)
