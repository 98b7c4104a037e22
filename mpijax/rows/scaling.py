"""Invertible scaling of rows, and complex rows as two real channels."""

from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_choice
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Bool, Complex, Float, Inexact

SCALINGS = ("modulus", "minmax")
"""Names that :meth:`RowScaling.of` knows."""

ROW_FLOOR = 1e-5
"""Rows whose largest modulus is below this fraction of the strongest row's are rounding noise in single precision."""


def present_rows(values: Complex[Array, "c f n"], floor: float = ROW_FLOOR) -> Bool[jax.Array, "c f"]:
    """Rows that hold signal and not rounding noise: max|s_k| >= floor * max over all rows; can be traced.

    Normalized to maximum 1, an empty row would be an image of noise. Channels without signal fail as a whole.

    Args:
        values: rows of one matrix, the strongest among them.
        floor: 1e-5 for values simulated in float32 (as training rows are), 1e-8 in float64.
    """
    power = jnp.max(values.real**2 + values.imag**2, axis=-1)
    return (power > 0) & (power >= floor**2 * jnp.max(power))


def row_scale(rows: Inexact[Array, " b *shape"], *, known: Bool[Array, "..."] | None = None) -> Float[jax.Array, " b"]:
    """Largest finite modulus of each row; one where a row is zero, so that dividing by it is always allowed.

    Zero stays zero under this scaling, so zero padding is neutral; the phase is kept.

    Args:
        rows: Rows, the first axis counts them.
        known: True where entries are measured; broadcasts against ``rows``.

    Returns:
        Positive scale of each row (b,), in the unit of the rows.
    """
    modulus = jnp.abs(jnp.asarray(rows))
    modulus = jnp.where(jnp.isfinite(modulus), modulus, 0)
    if known is not None:
        modulus = jnp.where(known, modulus, 0)
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


@pytree
class RowScaling:
    """An affine map of the channels of each row, x -> gain x + offset; gain (b,), offset (b,)."""

    gain: Any
    offset: Any

    @staticmethod
    def of(rows: Complex[Array, "b h w"], kind: str = "modulus") -> "RowScaling":
        """The scaling that coarse rows define.

        Args:
            rows: coarse rows.
            kind: "modulus", by the largest modulus: zero stays zero and the phase is kept; or "minmax", real and imaginary
                parts of a row from its smallest to its largest value to 0.15..0.85, as TranSMS' public code does. A constant
                row becomes 0.15.

        Raises:
            ValueError: another kind.
        """
        check_choice("kind", kind, SCALINGS)
        rows = jnp.asarray(rows)
        if kind == "modulus":
            return RowScaling(1 / row_scale(rows), jnp.zeros(rows.shape[0], rows.real.dtype))
        parts = complex_to_channels(rows)
        low, high = jnp.min(parts, axis=(1, 2, 3)), jnp.max(parts, axis=(1, 2, 3))
        gain = 0.7 / jnp.where(high > low, high - low, 1)
        return RowScaling(gain, 0.15 - low * gain)

    def apply(self, channels: Float[Array, "b h w c"]) -> Float[jax.Array, "b h w c"]:
        """Channels in the unit of the network."""
        return jnp.asarray(channels) * _expand(self.gain, 4) + _expand(self.offset, 4)

    def undo(self, channels: Float[Array, "b h w c"]) -> Float[jax.Array, "b h w c"]:
        """Channels in their own unit."""
        return (jnp.asarray(channels) - _expand(self.offset, 4)) / _expand(self.gain, 4)


def _expand(scale: jax.Array, ndim: int) -> jax.Array:
    return scale.reshape(-1, *(1,) * (ndim - 1))
