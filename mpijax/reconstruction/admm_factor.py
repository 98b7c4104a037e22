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
from mpijax.core.typing import Array, Inexact, Shaped
from mpijax.reconstruction.admm_iteration import matmul, normal_inverse, or_one
from mpijax.reconstruction.inputs import check_matrix, check_row_weights, is_complex
from mpijax.reconstruction.normal_equations import power_of_two
from mpijax.reconstruction.operators import FiniteDifference, check_image_shape

FIRST_RHO = 1e-3
"""First rho of the penalized form. Matrices of MPI are ill-conditioned: a start near the least-squares image needs fewer
iterations than a start with the rho that balances in the end, some ten times larger."""
COUPLING_RHO = 0.25
"""rho of the residual's split under a bound, in units of the mean eigenvalue of the scaled normal matrix."""


@pytree
class AdmmFactors:
    """What ``admm_factor`` prepares for many frames.

    Attributes:
        parts: (k, n) real, weighted rows divided by ``scale``: real parts, then imaginary parts.
        gram: (n, n) parts^T parts.
        inverse: (n, n) (gram / rho + I + D^T D)^-1.
        scale: a power of two, just above the spectral norm of WA.
        rho: in units of scale^2.
        row_weights: (m,) or None.
        image_shape: (nx, ny, nz) (static).
        total_variation: whether D takes part (static).
        n_rows: m (static).
        is_complex: whether the matrix was complex (static).
    """

    parts: Any
    gram: Any
    inverse: Any
    scale: Any
    rho: Any
    row_weights: Any
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
) -> AdmmFactors:
    """Prepare a matrix for ``admm_solve``: the normal matrix and one explicit inverse.

    Memory: one real copy of the matrix (as large as A) and two n x n matrices.

    Args:
        matrix: A, (m, n).
        image_shape: (nx, ny, nz) = grid.shape.
        total_variation: whether solutions will have tv > 0; without, steps are cheaper and converge faster.
        bounded: whether solutions will have an ``epsilon``; it decides how rho is chosen, and so the speed only.
        rho: the first rho of the penalized form, in units of scale^2; None: chosen.
        row_weights: diagonal of W (m,).

    Returns:
        The factors, a pytree.

    Raises:
        ValueError: as in ``admm``.
    """
    check_matrix(matrix)
    check_image_shape(image_shape, matrix.shape[1])
    check_finite("matrix", matrix)
    check_row_weights(row_weights, matrix.shape[0])
    check_rho(rho)
    factors = _factor(
        jnp.asarray(matrix),
        row_weights,
        rho,
        image_shape=tuple(image_shape),
        total_variation=total_variation,
        bounded=bounded,
    )
    if is_concrete(factors.scale) and not factors.scale > 0:
        raise ValueError(
            "the weighted matrix has no entry other than zero (or too large to be squared); nothing to solve."
        )
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
    check_range(name, value, 0, np.inf, "")
    check_finite(name, value)


@partial(jax.jit, static_argnames=("image_shape", "total_variation", "bounded"))
def _factor(matrix, row_weights, rho, *, image_shape, total_variation, bounded):
    if row_weights is not None:
        matrix = matrix * jnp.asarray(row_weights, matrix.real.dtype)[:, None]
    parts = jnp.concatenate([matrix.real, matrix.imag]) if jnp.iscomplexobj(matrix) else matrix
    peak = jnp.max(jnp.abs(parts))
    coarse = power_of_two(peak)
    parts = parts / coarse
    gram = matmul(parts.T, parts)
    fine = power_of_two(jnp.sqrt(_largest_eigenvalue(gram)))
    parts, gram = parts / fine, gram / fine**2
    if rho is None:
        rho = or_one(COUPLING_RHO * jnp.trace(gram) / len(gram)) if bounded else FIRST_RHO
    rho = jnp.asarray(rho, gram.dtype)
    inverse = normal_inverse(gram, rho, FiniteDifference(image_shape) if total_variation else None)
    scale = jnp.where(peak > 0, coarse * fine, 0)
    kind = matrix.shape[0], is_complex(matrix)
    return AdmmFactors(parts, gram, inverse, scale, rho, row_weights, image_shape, total_variation, *kind)


def stack_parts(values: Any, row_weights: Any) -> jax.Array:
    """Weighted real parts, then imaginary parts, along the last axis."""
    values = jnp.asarray(values)
    parts = (values.real, values.imag) if jnp.iscomplexobj(values) else (values,)
    if row_weights is not None:
        parts = tuple(part * jnp.asarray(row_weights, part.dtype) for part in parts)
    return jnp.concatenate(parts, axis=-1)


def unit_frames(b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Frames divided by a power of two near their norm, and that power; in two stages, for norms of tiny values."""
    coarse = power_of_two(jnp.max(jnp.abs(b), axis=-1))
    fine = power_of_two(jnp.linalg.norm(lax.stop_gradient(b) / coarse[:, None], axis=-1))
    return b / (coarse * fine)[:, None], coarse * fine


def _largest_eigenvalue(gram, steps=10):
    """By power iteration from the column of the largest diagonal entry: a lower bound, close enough for a scale."""
    gram = lax.stop_gradient(gram)

    def grow(v, _):
        v = v / or_one(jnp.linalg.norm(v))
        return matmul(gram, v), None

    v, _ = lax.scan(grow, gram[jnp.argmax(jnp.diagonal(gram))], None, length=steps)
    return jnp.linalg.norm(v)
