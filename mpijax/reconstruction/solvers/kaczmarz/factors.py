"""Regularized Kaczmarz by blocks of rows: the iterates of the row form from matrix products, and their preparation.

The row form visits row k and sets

    alpha_k = (b_k - a_k x - v_k) / (|a_k|^2 + lambda),    x += alpha_k conj(a_k),    v_k += lambda alpha_k.

Inside a block of B rows, the residual of a row depends on the earlier alphas only, so the vector y of all B alphas
solves one lower-triangular system:

    (tril(A_b A_b^H) + lambda I) y = b_b - A_b x - v_b,    x += A_b^H y,    v_b += lambda y.

Its inverse T_b is made once per matrix. It is safe to form: with D = diag(A_b A_b^H) + lambda the triangle L satisfies
L + L^H >= D, hence |D^(1/2) L^-1 D^(1/2)| <= 2 whatever the rows are. The state v is sqrt(lambda) times the usual one,
so that no square root of lambda occurs and gradients are finite at lambda = 0.

A vector lambda, one number per voxel, is the substitution A diag(s/lambda)^(1/2) with a scalar s. Written for x it needs
no square root either: with S = diag(s/lambda), s takes the place of lambda, the triangle is that of A_b S A_b^H, and
x += S A_b^H y. The iterates do not depend on s.

The weighted matrix is divided by a power of two (see ``scaling``), and lambda by its square.

Complex numbers are kept as stacked real and imaginary parts, so that a product with a block is one real matrix product.
"""

from dataclasses import replace
from functools import partial
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.checks import check_count, is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Inexact, IntVector, Matrix, Scalar, Shaped, Values, Vector
from mpijax.reconstruction.inputs import (
    check_matrix,
    check_regularization,
    check_row_order,
    check_row_weights,
    complex_pair,
    is_complex,
)
from mpijax.reconstruction.scaling import Scaled, number, power_of_two, scaled_rows, shift
from mpijax.reconstruction.weights import is_large, parts

DEFAULT_BLOCK_SIZE = 128
_LEAF = 16  # triangles up to here are inverted row by row, larger ones put together from halves

_matmul = partial(jnp.matmul, precision="highest")


@pytree
class KaczmarzFactors:
    """What ``kaczmarz_factor`` prepares for many frames.

    Attributes:
        blocks: (k, 2B, n) real, B rows of WA / 2^exponent each, in visiting order: real parts, then imaginary parts.
        inverses: (k, 2B, B) real, T_b = (tril(A_b S A_b^H) + s I)^-1, stacked likewise; zero for empty rows.
        regularization: s, a scalar, in units of 4^exponent: lambda itself where it is one number.
        voxel_scale: diagonal of S = s / lambda (n,), or None for a scalar lambda.
        exponent: of the power of two that the weighted matrix was divided by.
        row_weights: ``Scaled`` (m,) or None.
        row_order: (m',) or None.
        n_rows: m, rows of the matrix (static).
        complex_rows: whether the matrix was complex (static).

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """

    blocks: Values
    inverses: Values
    regularization: Scalar
    voxel_scale: Vector | None
    exponent: Values
    row_weights: Scaled | None
    row_order: IntVector | None
    n_rows: int = static()
    complex_rows: bool = static()


def kaczmarz_factor(
    matrix: Inexact[Array, "m n"],
    regularization: ArrayLike | Scaled,
    *,
    row_weights: Shaped[Array, "..."] | None = None,
    row_order: Shaped[Array, "..."] | str | None = None,
    block_size: int | None = None,
) -> KaczmarzFactors:
    """Prepare a matrix for ``kaczmarz_solve``: T_b = (tril(A_b A_b^H) + lambda I)^-1 for every block of rows.

    Memory: one copy of the matrix, and block_size / n of it for the inverses. Rows drawn anew in every sweep cannot be
    prepared: row_order="randomized" exists in ``kaczmarz`` only and raises here.

    Args:
        matrix: A, complex (m, n), or real for real data.
        regularization: lambda >= 0 [unit of the matrix squared], see ``relative_lambda``, or one number > 0 per voxel.
        row_weights: diagonal of W (m,), real; rows of weight 0 are skipped.
        row_order: order of the visits, distinct row indices; rows left out are never used. None: 0 ... m-1.
        block_size: most rows per block; changes the speed, not the iterates. None: 128, good for many frames.

    Returns:
        The factors, a pytree.

    Raises:
        ValueError: wrong shapes, a negative lambda, NaN or infinite entries, a matrix whose rows are all empty, an order
            with repeated or unknown rows.
        TypeError: no array, a row order that is not an integer array, a complex lambda or row weight.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    matrix = check_matrix(matrix)
    check_regularization(regularization, matrix.shape[1])
    check_row_weights(row_weights, matrix.shape[0])
    order = check_row_order(row_order, matrix.shape[0])
    block_size = DEFAULT_BLOCK_SIZE if block_size is None else block_size
    check_count("block_size", block_size, static=True)
    dtype = jnp.result_type(matrix, jnp.complex64)
    weights, lambda_ = number(row_weights, dtype), number(regularization, dtype)
    if order is None and is_large(matrix):
        blocks, inverses, scalar, voxel_scale, exponent, peak = _factor_by_parts(matrix, lambda_, weights, block_size)
    else:
        complex_matrix, _ = complex_pair(matrix, matrix)
        blocks, inverses, scalar, voxel_scale, exponent, peak = _factor(
            complex_matrix, lambda_, weights, order, block_size=block_size
        )
    check_energy(matrix, peak)
    return KaczmarzFactors(
        *(blocks, inverses, scalar, voxel_scale, exponent, weights, order),
        n_rows=matrix.shape[0],
        complex_rows=is_complex(matrix),
    )


def kaczmarz_refactor(factors: KaczmarzFactors, regularization: ArrayLike | Scaled) -> KaczmarzFactors:
    """The factors of the same rows for another lambda: only the triangles are made anew, as while a slider moves.

    Args:
        factors: of one lambda for all voxels.
        regularization: lambda >= 0 [unit of the matrix squared], one number.

    Raises:
        ValueError: a negative lambda, or one per voxel here or in the factors.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    check_regularization(regularization, factors.blocks.shape[2])
    lambda_ = number(regularization, factors.blocks.dtype)
    if factors.voxel_scale is not None or lambda_.value.ndim:
        raise ValueError("regularization is given per voxel; prepare the matrix anew with kaczmarz_factor.")
    inverses, scalar = _refactor(factors.blocks, lambda_, factors.exponent)
    return replace(factors, inverses=inverses, regularization=scalar)


@jax.jit
def _refactor(blocks, regularization, exponent):
    scalar, _ = split_regularization(regularization, exponent)
    return _inverses(blocks, scalar, None)[0], scalar


def check_energy(matrix: Matrix, peak: Scalar) -> None:
    """Raise ValueError if the largest row energy of a scaled matrix, where it is known, is zero, infinite or NaN."""
    if not is_concrete(peak):
        return
    if not np.isfinite(peak):
        bad = matrix.size - int(jnp.isfinite(matrix).sum())
        raise ValueError(f"matrix has {bad} of {matrix.size} entries that are NaN or infinite.")
    if peak == 0:
        raise ValueError(
            f"matrix of shape {matrix.shape} has only zeros in the rows that the weights and the order leave; there is "
            "nothing to reconstruct from. Check the selection of rows."
        )


@partial(jax.jit, static_argnames="block_size")
def _factor(matrix, regularization, row_weights, row_order, *, block_size):
    if row_order is not None:
        matrix = matrix[row_order]
        if row_weights is not None:
            row_weights = Scaled(row_weights.value[row_order], row_weights.exponent)
    matrix = scaled_rows(matrix, row_weights)
    scalar, voxel_scale = split_regularization(regularization, matrix.exponent)
    blocks, inverses, peak = prepare(matrix.value, scalar, voxel_scale, *division(len(matrix.value), block_size))
    return blocks, inverses, scalar, voxel_scale, matrix.exponent, peak


def _factor_by_parts(matrix, regularization, row_weights, block_size):
    """The same of a large matrix on the host; beside it and its blocks memory holds one part."""
    count, size = division(len(matrix), block_size)
    exponent = jnp.max(jnp.stack([jax.block_until_ready(_exponent(*part)) for part in parts(matrix, row_weights)]))
    scalar, voxel_scale = split_regularization(regularization, exponent)
    blocks = jnp.zeros((count, 2 * size, matrix.shape[1]), scalar.dtype)
    first, inverses, peaks = 0, [], []
    for rows, weights in parts(matrix, row_weights, size):
        found, inverse, peak = _part(rows, weights, exponent, scalar, voxel_scale, size=size)
        blocks, first = jax.block_until_ready(_write(blocks, found, first)), first + len(found)
        inverses.append(inverse)
        peaks.append(peak)
    return blocks, jnp.concatenate(inverses), scalar, voxel_scale, exponent, jnp.max(jnp.stack(peaks))


@jax.jit
def _exponent(rows, row_weights):
    return scaled_rows(rows, row_weights).exponent


@partial(jax.jit, static_argnames="size")
def _part(rows, row_weights, exponent, scalar, voxel_scale, *, size):
    rows = scaled_rows(rows.astype(jnp.result_type(rows, jnp.complex64)), row_weights)
    return prepare(rows.within(exponent), scalar, voxel_scale, ceil(len(rows.value) / size), size)


@partial(jax.jit, donate_argnums=0)
def _write(blocks, found, first):
    """Blocks with some of them written in place."""
    return lax.dynamic_update_slice_in_dim(blocks, found, first, 0)


def split_regularization(regularization, exponent):
    """s and the diagonal of S = s/lambda for a matrix divided by 2^exponent.

    s is the power of two above a vector's largest entry; of a scalar it is lambda, and S None.
    """
    if regularization.value.ndim == 0:
        return regularization.within(2 * exponent), None
    one = jnp.ones((), regularization.value.dtype)
    return shift(one, regularization.exponent - 2 * exponent), 1 / regularization.value


def prepare(matrix, regularization, voxel_scale, count, size):
    """Blocks and inverses (see ``KaczmarzFactors``) of a complex matrix, and its largest row energy."""
    blocks = jnp.concatenate([to_blocks(matrix.real, count, size), to_blocks(matrix.imag, count, size)], axis=1)
    return blocks, *_inverses(blocks, regularization, voxel_scale)


def _inverses(blocks, regularization, voxel_scale):
    """Inverses (see ``KaczmarzFactors``) of blocks, and their largest row energy."""
    size = blocks.shape[1] // 2

    def products(block):
        return _matmul(block if voxel_scale is None else block * voxel_scale, block.T)

    gram = lax.map(products, blocks)  # on CPU faster than one batched product
    gram = lax.complex(gram[:, :size, :size] + gram[:, size:, size:], gram[:, size:, :size] - gram[:, :size, size:])
    energy = jnp.diagonal(gram.real, axis1=1, axis2=2)
    peak = lax.stop_gradient(jnp.max(energy))
    used = energy > 0
    # energies of signals in SI units are so small that the gradient of 1 / energy overflows
    scale = power_of_two(peak)
    pivot = jnp.where(used, (energy + regularization) / scale, 1)
    inverse = _lower_inverse(jnp.tril(gram, -1) / scale + pivot[:, :, None] * jnp.eye(size, dtype=blocks.dtype))
    inverse = jnp.where(used[:, :, None] & used[:, None, :], inverse, 0)
    return jnp.concatenate([inverse.real, inverse.imag], axis=1) / scale, peak


def division(rows, block_size):
    """How many blocks of at most ``block_size`` rows there are, and how many rows each has."""
    count = ceil(rows / block_size)
    return count, ceil(rows / count)


def to_blocks(rows, count, size):
    """Rows (m, n) as blocks (count, size, n), the last one filled with zeros."""
    return jnp.pad(rows, ((0, count * size - len(rows)), (0, 0))).reshape(count, size, rows.shape[1])


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
