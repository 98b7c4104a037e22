"""Row weights and the scale of the regularization parameter."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from mpijax.core.checks import check_range
from mpijax.core.typing import Array, Float, Inexact, Shaped
from mpijax.reconstruction.inputs import check_matrix, check_row_weights


def relative_lambda(
    matrix: Inexact[Array, "m n"], value: ArrayLike, row_weights: Shaped[Array, "..."] | None = None
) -> Float[jax.Array, ""]:
    """The absolute regularization parameter that belongs to a relative one.

    lambda = value * |W A|_F^2 / n, the mean eigenvalue of (WA)^H WA times ``value``.

    Args:
        matrix: A, complex (m, n).
        value: relative parameter [1], e.g. 1e-3.
        row_weights: diagonal of W (m,), or None for no weights.

    Returns:
        lambda [unit of the matrix squared], a real scalar.

    Raises:
        ValueError: wrong shape of matrix or weights.

    Source: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    check_matrix(matrix)
    check_row_weights(row_weights, matrix.shape[0])
    return _relative_lambda(matrix, value, row_weights)


@jax.jit
def _relative_lambda(matrix, value, row_weights):
    energies = row_energies(jnp.asarray(matrix))
    if row_weights is not None:
        energies = energies * jnp.square(jnp.asarray(row_weights, energies.dtype))
    return jnp.asarray(value, energies.dtype) * jnp.sum(energies) / matrix.shape[1]


def row_energies(matrix: Inexact[Array, "m n"]) -> Float[jax.Array, " m"]:
    """Squared norm of every row, e_k = |a_k|^2."""
    return jnp.sum(jnp.square(matrix.real) + jnp.square(matrix.imag), axis=-1)


def row_norm_weights(matrix: Inexact[Array, "m n"]) -> Float[jax.Array, " m"]:
    """Weights that give every row unit norm, w_k = 1 / |a_k|; an empty row gets weight 0.

    Args:
        matrix: A, complex (m, n).

    Returns:
        w (m,) [1 / unit of the matrix].
    """
    check_matrix(matrix)
    energies = row_energies(jnp.asarray(matrix))
    used = energies > 0
    return jnp.where(used, 1 / jnp.sqrt(jnp.where(used, energies, 1)), 0)


def whitening_weights(noise_std: Float[Array, " m"]) -> Float[jax.Array, " m"]:
    """Weights that make the noise of all rows equal, w_k = min_j sigma_j / sigma_k.

    Args:
        noise_std: sigma, standard deviation of the background in every row (m,), > 0.

    Returns:
        w (m,) [1], at most 1.

    Raises:
        ValueError: a standard deviation that is not positive.
    """
    check_range(
        "noise_std", noise_std, float(jnp.finfo(noise_std.dtype).tiny), float(jnp.finfo(noise_std.dtype).max), ""
    )
    noise_std = jnp.asarray(noise_std)
    return jnp.min(noise_std) / noise_std
