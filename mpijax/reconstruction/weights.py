"""Row weights and the scale of the regularization parameter."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mpijax.core.checks import check_number, check_scalar, is_concrete
from mpijax.core.typing import Array, Float, Inexact, Shaped
from mpijax.reconstruction.inputs import check_matrix, check_row_weights
from mpijax.reconstruction.normal_equations import power_of_two


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
        ValueError: wrong shape of matrix or weights, a negative value, a lambda below the smallest number of the
            precision.
        TypeError: no array, complex weights.

    Source: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    check_matrix(matrix)
    check_row_weights(row_weights, matrix.shape[0])
    check_scalar("value", value)
    check_number("value", value, "")
    if is_concrete(value) and not 0 <= float(np.asarray(value)) < np.inf:
        raise ValueError(f"value = {value}; expected a finite relative regularization >= 0.")
    found, scaled = _relative_lambda(matrix, value, row_weights)
    tiny = jnp.finfo(found.dtype).tiny
    if is_concrete((found, scaled)) and scaled > 0 and found < tiny:
        raise ValueError(
            f"lambda = {value} |W A|^2/n is below {tiny:.3g}, the smallest number of {found.dtype}. Multiply matrix and "
            "data by a common power of two, which leaves the image as it is, or use double precision."
        )
    return found


@jax.jit
def _relative_lambda(matrix, value, row_weights):
    """lambda, and lambda of the weighted matrix scaled to a largest entry of about 1, which does not underflow."""
    matrix = jnp.asarray(matrix, jnp.result_type(matrix, jnp.float32))
    if row_weights is not None:
        matrix = matrix * jnp.asarray(row_weights, matrix.real.dtype)[:, None]
    peak = power_of_two(jnp.max(jnp.maximum(jnp.abs(matrix.real), jnp.abs(matrix.imag))))
    energy = jnp.sum(row_energies(matrix / peak))
    scaled = jnp.asarray(value, energy.dtype) * energy / matrix.shape[1]
    return scaled * peak * peak, scaled


def row_energies(matrix: Inexact[Array, "m n"]) -> Float[jax.Array, " m"]:
    """Squared norm of every row, e_k = |a_k|^2."""
    return jnp.sum(jnp.square(matrix.real) + jnp.square(matrix.imag), axis=-1)


def row_norm_weights(matrix: Inexact[Array, "m n"]) -> Float[jax.Array, " m"]:
    """Weights that give every row unit norm, w_k = 1 / |a_k|; an empty row gets weight 0.

    Args:
        matrix: A, complex (m, n).

    Returns:
        w (m,) [1 / unit of the matrix].

    Raises:
        ValueError: a matrix of wrong shape.
    """
    check_matrix(matrix)
    matrix = jnp.asarray(matrix, jnp.result_type(matrix, jnp.float32))
    peaks = power_of_two(jnp.max(jnp.maximum(jnp.abs(matrix.real), jnp.abs(matrix.imag)), axis=1))
    energies = row_energies(matrix / peaks[:, None])
    used = energies > 0
    return jnp.where(used, 1 / jnp.sqrt(jnp.where(used, energies, 1)) / peaks, 0)


def whitening_weights(noise_std: Float[Array, " m"]) -> Float[jax.Array, " m"]:
    """Weights that make the noise of all rows equal, w_k = min_j sigma_j / sigma_k.

    Args:
        noise_std: sigma, standard deviation of the background in every row (m,), > 0.

    Returns:
        w (m,) [1], at most 1.

    Raises:
        ValueError: a standard deviation that is not positive and finite.
    """
    if is_concrete(noise_std):
        sigma = np.asarray(jnp.asarray(noise_std))  # in the precision of the division
        bad = np.flatnonzero(~((sigma >= np.finfo(sigma.dtype).tiny) & np.isfinite(sigma)))
        if bad.size:
            raise ValueError(
                f"noise_std has {bad.size} of {sigma.size} rows without a positive, finite standard deviation (the "
                f"first is row {bad[0]}: {sigma[bad[0]]:g}). Such rows saw no noise in the background frames and cannot "
                "be whitened; leave them out, or estimate the noise from more background frames."
            )
    noise_std = jnp.asarray(noise_std)
    return jnp.min(noise_std) / noise_std


def composite_weights(*weights: Shaped[Array, "..."]) -> Float[jax.Array, " m"]:
    """The product of several row weights, w_k = w1_k w2_k ...; for example whitening times a channel's weight.

    Args:
        weights: at least one vector (m,), all of one length.

    Returns:
        w (m,).

    Raises:
        ValueError: no weights, different lengths, NaN or infinite entries.
    """
    if not weights:
        raise ValueError("composite_weights() got no weights; give at least one vector of row weights.")
    rows = np.size(weights[0])
    for given in weights:
        check_row_weights(given, rows)
    product = jnp.asarray(weights[0], jnp.result_type(float, *weights))
    for given in weights[1:]:
        product = product * given
    return product
