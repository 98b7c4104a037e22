"""One complex gain per row in closed form (variable projection)."""

import warnings

import jax.numpy as jnp
import numpy as np

from mpijax.core.typing import Array, Complex, Float

EMPTY = 1e-12
"""Rows of a simulation whose norm is below this fraction of the strongest are rounding noise: they get the gain 0."""


def solve_gains(
    model: Complex[Array, "m n"], measured: Complex[Array, "m n"], weights: Float[Array, "m n"]
) -> Complex[Array, " m"]:
    """The gain of every row that brings the simulation closest to the measurement.

    g = <w s_model, w s>/<w s_model, w s_model>, the minimizer of |w (s - g s_model)|^2.

    Args:
        model: simulated rows (m, n).
        measured: measured rows (m, n).
        weights: (m, n).

    Returns:
        complex (m,); 0 for rows without simulated signal.
    """
    energy = jnp.sum(weights**2 * (jnp.real(model) ** 2 + jnp.imag(model) ** 2), 1)
    empty = energy <= EMPTY**2 * jnp.max(energy)
    overlap = jnp.sum(weights**2 * jnp.conj(model) * measured, 1)
    return jnp.where(empty, 0, overlap / jnp.where(empty, 1, energy))


def counted(
    measured: Complex[np.ndarray, "*s"], weights: Float[np.ndarray, "*s"]
) -> tuple[Complex[np.ndarray, "*s"], Float[np.ndarray, "*s"]]:
    """Measured entries and their weights, both zero where the other says nothing: NaN, infinite, or of weight zero.

    Warns of entries that would have counted.

    Raises:
        ValueError: none counts.
    """
    finite = np.isfinite(measured)
    lost = np.count_nonzero(~finite & (weights > 0))
    counts = finite & (weights > 0)
    if lost and not counts.any():
        raise ValueError("all entries of the rows are NaN or infinite; there is nothing to fit.")
    if lost:
        warnings.warn(
            f"left out of the fit are {lost} of {measured.size} entries that are NaN or infinite.", stacklevel=4
        )
    return np.where(counts, measured, 0), np.where(counts, weights, 0.0)


def row_correlation(
    model: Complex[np.ndarray, "*#batch n"], measured: Complex[np.ndarray, "*#batch n"]
) -> Float[np.ndarray, "..."]:
    """Complex correlation of rows, |<s_model, s>|/(|s_model| |s|), which no complex gain changes; 0 for an empty row.

    Args:
        model, measured: complex (.., n), broadcast against each other.

    Returns:
        (..), 0 to 1.
    """
    overlap = np.abs(np.sum(np.conj(model) * measured, -1))
    scale = np.linalg.norm(model, axis=-1) * np.linalg.norm(measured, axis=-1)
    return overlap / np.where(scale > 0, scale, 1)
