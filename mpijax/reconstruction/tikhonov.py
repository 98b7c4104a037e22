"""Tikhonov-regularized least squares by one Cholesky factorization."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jax.typing import ArrayLike

from mpijax.core.checks import check_finite
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Inexact, Num
from mpijax.reconstruction.inputs import check_data, check_matrix, check_regularization, complex_pair

_matmul = partial(jnp.matmul, precision="highest")


def tikhonov(matrix: Inexact[Array, "m n"], data: Num[Array, "..."], regularization: ArrayLike) -> Solution:
    """The minimizer of |Ax - b|^2 + lambda |x|^2.

    x = (A^H A + lambda I)^-1 A^H b = A^H (A A^H + lambda I)^-1 b

    The smaller of the two normal matrices is factored once for all frames. One step of iterative refinement with A
    itself follows, because the rounding of a normal matrix is not small beside lambda in float32. Differentiable in
    all arguments. With lambda = 0 the matrix needs full rank; where the normal matrix is singular in the working
    precision the result is NaN.

    Args:
        matrix: A, complex (m, n).
        data: b, complex (m,) or (frames, m).
        regularization: lambda >= 0 [unit of the matrix squared], absolute; ``relative_lambda`` converts.

    Returns:
        Solution: value complex (n,) or (frames, n); stats "residual" = |Ax - b| / |b| per frame (a constant under
        differentiation).

    Raises:
        ValueError: wrong shapes, a negative lambda, NaN or infinite entries.
        TypeError: a complex lambda.

    Source: Tikhonov (1963); normal equations in Hansen, Rank-Deficient and Discrete Ill-Posed Problems (1998), ch. 5.
    """
    check_matrix(matrix)
    check_data(data, matrix.shape[0])
    check_regularization(regularization)
    check_finite("matrix", matrix)
    value, residual = _tikhonov(*complex_pair(matrix, data), regularization)
    return Solution(value, {"residual": residual})


@jax.jit
def _tikhonov(matrix, data, regularization):
    m, n = matrix.shape
    regularization = jnp.asarray(regularization, matrix.real.dtype)
    columns = jnp.atleast_2d(data).T
    adjoint = matrix.T.conj()
    if n <= m:
        factor = cho_factor(_gram(adjoint) + regularization * jnp.eye(n, dtype=matrix.dtype))
        x = cho_solve(factor, _matmul(adjoint, columns))
        x = x + cho_solve(factor, _matmul(adjoint, columns - _matmul(matrix, x)) - regularization * x)
    else:
        factor = cho_factor(_gram(matrix) + regularization * jnp.eye(m, dtype=matrix.dtype))
        y = cho_solve(factor, columns)
        y = y + cho_solve(factor, columns - _matmul(matrix, _matmul(adjoint, y)) - regularization * y)
        x = _matmul(adjoint, y)
    residual = jax.lax.stop_gradient(jnp.linalg.norm(_matmul(matrix, x) - columns, axis=0))
    norm = jax.lax.stop_gradient(jnp.linalg.norm(columns, axis=0))
    residual = jnp.where(norm > 0, residual / jnp.where(norm > 0, norm, 1), 0)
    return x.T.reshape(*data.shape[:-1], n), residual.reshape(data.shape[:-1])


def _gram(matrix):
    """A A^H from one real matrix product: the complex product is slower, most of all on a CPU."""
    rows = len(matrix)
    parts = jnp.concatenate([matrix.real, matrix.imag])
    products = _matmul(parts, parts.T)
    imaginary = products[rows:, :rows]
    return jax.lax.complex(products[:rows, :rows] + products[rows:, rows:], imaginary - imaginary.T)
