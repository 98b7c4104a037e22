"""A matrix prepared for ADMM: weighted, real, scaled, with its normal matrix and one explicit inverse."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.checks import check_finite, check_range, check_shape, is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Inexact, Matrix, Scalar, Shaped, Values
from mpijax.reconstruction.inputs import check_matrix, check_row_weights, is_complex
from mpijax.reconstruction.operators import FiniteDifference, check_image_shape
from mpijax.reconstruction.scaling import Scaled, exponents, number, scaled_frames, scaled_rows, shift
from mpijax.reconstruction.solvers.admm.iteration import matmul, normal_inverse, or_one
from mpijax.reconstruction.solvers.admm.penalties import Held, check_penalties
from mpijax.reconstruction.solvers.settings import Penalties

FIRST_RHO = 2e-3
"""First rho of the penalized form, in units of the squared spectral norm: the same iterations whatever the unit of the matrix.
Matrices of MPI are ill-conditioned: a start near the least-squares image needs fewer iterations than a start with the rho that
balances in the end, some ten times larger."""
COUPLING_RHO = 0.25
"""rho of the residual's split under a bound, in units of the mean eigenvalue of the scaled normal matrix."""


@pytree
class AdmmFactors:
    """What ``admm_factor`` prepares for many frames.

    Attributes:
        parts: (k, n) real, weighted rows divided by 2^exponent: of every row the real part, then the imaginary part.
        gram: (n, n) parts^T parts.
        inverse: (n, n) (gram / rho + I + D^T D + sum K^T K)^-1, K of the further penalties.
        exponent: of a power of two just above the spectral norm of WA.
        rho: in units of 4^exponent.
        row_weights: ``Scaled`` (m,) or None.
        image_shape: (nx, ny, nz) (static).
        total_variation: whether D takes part (static).
        n_rows: m (static).
        is_complex: whether the matrix was complex (static).

    Source: Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1, section 3.
    """

    parts: Matrix
    gram: Matrix
    inverse: Matrix
    exponent: Values
    rho: Scalar
    row_weights: Scaled | None
    image_shape: tuple[int, ...] = static()
    total_variation: bool = static()
    n_rows: int = static()
    is_complex: bool = static()

    @property
    def operator(self) -> FiniteDifference | None:
        """D, or None without total variation."""
        return FiniteDifference(self.image_shape) if self.total_variation else None


def admm_factor(
    matrix: Inexact[Array, "m n"],
    image_shape: tuple[int, ...],
    *,
    total_variation: bool = True,
    bounded: bool = False,
    rho: ArrayLike | None = None,
    row_weights: Shaped[Array, "..."] | None = None,
    penalties: Penalties = (),
) -> AdmmFactors:
    """Prepare a matrix for ``admm_solve``: the normal matrix and one explicit inverse.

    Memory: one real copy of the matrix (as large as A) and two n x n matrices.

    Args:
        matrix: A, (m, n).
        image_shape: (nx, ny, nz) = grid.shape.
        total_variation: whether solutions will have tv > 0; without, steps are cheaper and converge faster.
        bounded: whether solutions will have an ``epsilon``; it decides how rho is chosen, and so the speed only.
        rho: the first rho of the penalized form, in units of 4^exponent; None: chosen.
        row_weights: diagonal of W (m,).
        penalties: those that solutions will have beside l1 and tv.

    Returns:
        The factors, a pytree.

    Raises:
        ValueError: as in ``admm``.

    Source: Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1, section 3.
    """
    matrix = check_matrix(matrix)
    check_image_shape(image_shape, matrix.shape[1])
    check_finite("matrix", matrix)
    check_row_weights(row_weights, matrix.shape[0])
    check_rho(rho)
    matrix = jnp.asarray(matrix)
    check_penalties(penalties, tuple(image_shape)[::-1], matrix.real.dtype)
    factors = _factor(
        matrix,
        number(row_weights, matrix.dtype),
        rho,
        image_shape=tuple(image_shape),
        total_variation=total_variation,
        bounded=bounded,
        penalties=tuple(map(Held, penalties)),
    )
    if is_concrete(factors.gram) and not jnp.trace(factors.gram) > 0:
        raise ValueError("the weighted matrix has no entry other than zero; nothing to solve.")
    return factors


def check_rho(rho: Any) -> None:
    """Raise ValueError unless rho is None or one positive number."""
    if rho is not None:
        check_shape("rho", rho, ())
        check_nonnegative("rho", rho)
        if is_concrete(rho) and rho == 0:
            raise ValueError("rho = 0; expected a positive number, or None to have it chosen.")


def check_nonnegative(name: str, value: Any) -> None:
    """Raise ValueError unless known values are finite numbers >= 0."""
    if isinstance(value, Scaled):
        return  # made from a relative one, which was checked
    check_range(name, value, 0, np.inf, "")
    check_finite(name, value)


@partial(jax.jit, static_argnames=("image_shape", "total_variation", "bounded", "penalties"))
def _factor(matrix, row_weights, rho, *, image_shape, total_variation, bounded, penalties):
    scaled = scaled_rows(matrix, row_weights)
    parts = stack_parts(scaled.value, axis=0)
    gram = matmul(parts.T, parts)
    largest = _largest_eigenvalue(gram)
    fine = exponents(jnp.sqrt(largest))
    parts, gram, largest = shift(parts, -fine), shift(gram, -2 * fine), shift(largest, -2 * fine)
    if rho is None:
        rho = or_one(COUPLING_RHO * jnp.trace(gram) / len(gram) if bounded else FIRST_RHO * largest)
    rho = jnp.asarray(rho, gram.dtype)
    operator = FiniteDifference(image_shape) if total_variation else None
    inverse = normal_inverse(gram, rho, operator, [penalty.held for penalty in penalties])
    exponent, kind = scaled.exponent + fine, (matrix.shape[0], is_complex(matrix))
    return AdmmFactors(parts, gram, inverse, exponent, rho, row_weights, image_shape, total_variation, *kind)


def stack_parts(values: Any, axis: int = -1) -> Array:
    """Real and imaginary part of every entry, beside each other along an axis; real values themselves.

    In this order the parts of a row stay together, and on one device, where rows are shared out.
    """
    if not np.iscomplexobj(values):
        return values
    xp = np if isinstance(values, np.ndarray) else jnp
    axis = axis % values.ndim
    shape = (*values.shape[:axis], 2 * values.shape[axis], *values.shape[axis + 1 :])
    return xp.stack([values.real, values.imag], axis + 1).reshape(shape)


def unit_frames(data: Any, row_weights: Scaled | None, dtype: Any) -> Scaled:
    """Weighted frames as real rows (frames, k) in units of the powers of two just above their norms."""
    frames = scaled_frames(jnp.atleast_2d(data), row_weights)
    b = stack_parts(frames.value).astype(dtype)
    fine = exponents(jnp.linalg.norm(lax.stop_gradient(b), axis=-1, keepdims=True), axis=-1)
    return Scaled(shift(b, -fine), frames.exponent + fine)


def _largest_eigenvalue(gram, steps=10):
    """By power iteration from the column of the largest diagonal entry: a lower bound, close enough for a scale."""

    def grow(v, _):
        v = v / or_one(jnp.linalg.norm(v))
        return matmul(gram, v), None

    v, _ = lax.scan(grow, gram[jnp.argmax(jnp.diagonal(gram))], None, length=steps)
    return jnp.linalg.norm(v)
