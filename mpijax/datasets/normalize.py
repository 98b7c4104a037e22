"""Invertible scaling of rows, and complex rows as two real channels."""

import jax
import jax.numpy as jnp

from mpijax.core.typing import Array, Bool, Complex, Float, Inexact

ROW_FLOOR = 1e-5
"""Rows whose largest modulus is below this fraction of the strongest row's are rounding noise in single precision."""


def present_rows(values: Complex[Array, "c f n"], floor: float = ROW_FLOOR) -> Bool[jax.Array, "c f"]:
    """Rows that hold signal and not rounding noise: max|s_k| >= floor * max over all rows; can be traced.

    Normalised to maximum 1, an empty row would be an image of noise. Channels without signal fail as a whole.

    Args:
        values: rows of one matrix, the strongest among them.
        floor: 1e-5 for values simulated in float32 (as training rows are), 1e-8 in float64.
    """
    power = jnp.max(values.real**2 + values.imag**2, axis=-1)
    return (power > 0) & (power >= floor**2 * jnp.max(power))


def row_scale(rows: Inexact[Array, " b *shape"], *, mask: Bool[Array, "..."] | None = None) -> Float[jax.Array, " b"]:
    """Largest modulus of each row; one where a row is zero, so that dividing by it is always allowed.

    Zero stays zero under this scaling, so zero padding is neutral; the phase is kept.

    Args:
        rows: Rows, the first axis counts them.
        mask: True where entries are known; broadcasts against ``rows``.

    Returns:
        Positive scale of each row (b,), in the unit of the rows.
    """
    modulus = jnp.abs(jnp.asarray(rows))
    if mask is not None:
        modulus = jnp.where(mask, modulus, 0)
    peak = jnp.max(modulus.reshape(modulus.shape[0], -1), axis=1)
    return jnp.where(peak > 0, peak, 1)


def normalize(
    rows: Inexact[Array, " b *shape"], scale: Float[Array, " b"] | None = None
) -> tuple[Inexact[jax.Array, " b *shape"], Float[jax.Array, " b"]]:
    """Divide each row by its scale.

    Args:
        rows: Rows, the first axis counts them.
        scale: Scale of each row; default :func:`row_scale`. Targets take the scale of their degraded rows.

    Returns:
        Scaled rows and the scale; :func:`denormalize` inverts.
    """
    rows = jnp.asarray(rows)
    scale = row_scale(rows) if scale is None else jnp.asarray(scale)
    return rows / _expand(scale, rows.ndim), scale


def denormalize(rows: Inexact[Array, " b *shape"], scale: Float[Array, " b"]) -> Inexact[jax.Array, " b *shape"]:
    """Multiply each row by its scale, the inverse of :func:`normalize`.

    Args:
        rows: Scaled rows, the first axis counts them.
        scale: Scale of each row.

    Returns:
        Rows in their own unit.
    """
    rows = jnp.asarray(rows)
    return rows * _expand(jnp.asarray(scale), rows.ndim)


def complex_to_channels(rows: Complex[Array, "*shape"]) -> Float[jax.Array, "*shape 2"]:
    """Real and imaginary part as a last axis of two channels.

    Args:
        rows: Complex values.

    Returns:
        Real values (..., 2).
    """
    return jnp.stack([jnp.real(rows), jnp.imag(rows)], axis=-1)


def channels_to_complex(channels: Float[Array, "*shape 2"]) -> Complex[jax.Array, "*shape"]:
    """Complex values from two channels, the inverse of :func:`complex_to_channels`.

    Args:
        channels: Real values (..., 2).

    Returns:
        Complex values.

    Raises:
        ValueError: The last axis does not hold two channels.
    """
    if channels.shape[-1] != 2:
        raise ValueError(
            f"channels has {channels.shape[-1]} channels in its last axis; real and imaginary part make 2."
        )
    channels = jnp.asarray(channels)
    return jax.lax.complex(channels[..., 0], channels[..., 1])


def _expand(scale: jax.Array, ndim: int) -> jax.Array:
    return scale.reshape(-1, *(1,) * (ndim - 1))
