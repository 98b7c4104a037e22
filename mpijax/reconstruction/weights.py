"""Row weights and the scale of the regularization parameter."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mpijax.core.checks import check_number, check_scalar, is_concrete
from mpijax.core.typing import Array, Float, Inexact, Shaped
from mpijax.reconstruction.inputs import check_matrix, check_row_weights
from mpijax.reconstruction.scaling import Scaled, common_exponent, normalize, number, scaled_rows, shift

LARGE, PART = 2**28, 2**23
"""Bytes from which on a matrix of the host is prepared part by part, so that few copies of it are made, and of a part."""


def relative_lambda(
    matrix: Inexact[Array, "m n"], value: ArrayLike, row_weights: Shaped[Array, "..."] | None = None
) -> float | Float[jax.Array, ""]:
    r"""The absolute regularization parameter that belongs to a relative one.

    .. math:: \lambda = \text{value} \cdot \|WA\|_F^2 / n

    the mean eigenvalue of (WA)^H WA times ``value``.

    Args:
        matrix: A, complex (m, n).
        value: relative parameter [1], e.g. 1e-3.
        row_weights: diagonal of W (m,), or None for no weights.

    Returns:
        lambda [unit of the matrix squared]: a Python number, which the lambda of a matrix with entries of 1e-30 is as well;
        in traced code a scalar of the matrix's precision, which such a lambda leaves.

    Raises:
        ValueError: wrong shape of matrix or weights, a negative value, a lambda too small for double precision.
        TypeError: no array, complex weights.

    Source: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    matrix = check_matrix(matrix)
    check_scalar("value", value)
    check_number("value", value, "")
    if is_concrete(value) and not 0 <= float(np.asarray(value)) < np.inf:
        raise ValueError(f"value = {value}; expected a finite relative regularization >= 0.")
    scaled = relative_regularization(matrix, value, row_weights)
    found = scaled.number()
    if isinstance(found, float) and found < np.finfo(float).tiny and scaled.value > 0:
        raise ValueError(
            f"lambda = {value} |W A|^2/n is below {np.finfo(float).tiny:.3g}, the smallest number of double precision. Multiply "
            "matrix and data by a common power of two, which leaves the image as it is."
        )
    return found


def relative_regularization(
    matrix: Inexact[Array, "m n"], value: Shaped[ArrayLike, "..."], row_weights: Shaped[Array, "..."] | None
) -> Scaled:
    """Checked relative parameters, one or one per voxel, in the unit of the matrix squared, whatever that unit is."""
    matrix = check_matrix(matrix)
    check_row_weights(row_weights, matrix.shape[0])
    energies = [jax.block_until_ready(_energy(*part)) for part in parts(matrix, number(row_weights, matrix.dtype))]
    return _relative(number(value, matrix.dtype), energies, matrix.shape[1])


@jax.jit
def _energy(matrix, row_weights):
    """|W A|^2."""
    rows = scaled_rows(matrix, row_weights)
    return Scaled(jnp.sum(row_energies(rows.value)), 2 * rows.exponent)


@partial(jax.jit, static_argnames="voxels")
def _relative(value, energies, voxels):
    exponent = common_exponent(*energies)
    energy = sum(part.within(exponent) for part in energies)
    return Scaled(value.value * energy / voxels, value.exponent + exponent)


def is_large(matrix: Inexact[Array, "m n"]) -> bool:
    """Whether a matrix lies on the host and is so large that it is prepared part by part."""
    return isinstance(matrix, np.ndarray) and matrix.nbytes >= LARGE


def parts(
    matrix: Inexact[Array, "m n"], weights: Scaled | None = None, multiple: int = 1
) -> Iterator[tuple[Inexact[Array, "r n"], Scaled | None]]:
    """Rows that are prepared together, and their weights: a ``multiple`` of so many of a large matrix on the host, else all.

    Wait for the result of each before the next: all parts would be copied to the device at once.
    """
    if not is_large(matrix):
        yield matrix, weights
        return
    count = max(1, PART // (matrix[:1].nbytes * multiple)) * multiple
    for first in range(0, len(matrix), count):
        rows = slice(first, first + count)
        yield matrix[rows], None if weights is None else Scaled(weights.value[rows], weights.exponent)


def row_energies(matrix: Inexact[Array, "m n"]) -> Float[jax.Array, " m"]:
    """Squared norm of every row, e_k = |a_k|^2."""
    return jnp.sum(jnp.square(matrix.real) + jnp.square(matrix.imag), axis=-1)


def row_norm_weights(matrix: Inexact[Array, "m n"]) -> Float[jax.Array, " m"]:
    """Weights that give every row unit norm, :math:`w_k = 1 / |a_k|`; an empty row gets weight 0.

    Args:
        matrix: A, complex (m, n).

    Returns:
        w (m,) [1 / unit of the matrix].

    Raises:
        ValueError: a matrix of wrong shape.

    Source: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    matrix = check_matrix(matrix)
    return jnp.concatenate([jax.block_until_ready(_row_norm_weights(jnp.asarray(part))) for part, _ in parts(matrix)])


def _row_norm_weights(matrix):
    rows = normalize(matrix, axis=1)
    energies = row_energies(rows.value)
    used = energies > 0
    return shift(jnp.where(used, 1 / jnp.sqrt(jnp.where(used, energies, 1)), 0), -rows.exponent[:, 0])


def whitening_weights(noise_std: Float[Array, " m"]) -> Float[jax.Array, " m"]:
    r"""Weights that make the noise of all rows equal, :math:`w_k = \min_j \sigma_j / \sigma_k`.

    Args:
        noise_std: sigma, standard deviation of the background in every row (m,), > 0.

    Returns:
        w (m,) [1], at most 1.

    Raises:
        ValueError: a standard deviation that is not positive and finite.

    Source: Kluth and Jin, Phys. Med. Biol. 64 (2019) 125026.
    """
    sigma = number(noise_std, jnp.result_type(float)).value
    if is_concrete(sigma):
        known = np.asarray(sigma)
        bad = np.flatnonzero(~((known >= np.finfo(known.dtype).tiny) & np.isfinite(known)))
        if bad.size:
            raise ValueError(
                f"noise_std has {bad.size} of {known.size} rows without a positive, finite standard deviation (the "
                f"first is row {bad[0]}: {noise_std[bad[0]]:g}). Such rows saw no noise in the background frames and cannot "
                "be whitened; leave them out, or estimate the noise from more background frames."
            )
    return jnp.min(sigma) / sigma


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
