"""Pixel losses."""

import jax
import jax.numpy as jnp

from mpijax.core.typing import Array, Float


def pixel_loss(
    prediction: Float[Array, "*s"],
    target: Float[Array, "*s"],
    weight: Float[Array, "..."] | None = None,
    *,
    kind: str = "mse",
) -> Float[jax.Array, ""]:
    """Weighted mean of the squared or absolute error: sum w e / sum w.

    Args:
        prediction: Rows (b, h, w, c).
        target: Rows of the same shape.
        weight: Nonnegative weights that broadcast to the rows, e.g. (b, h, w, 1); None = 1 everywhere. Where all
            weights vanish the loss is zero.
        kind: "mse" or "l1".

    Returns:
        Scalar loss.

    Source: restoration paper, section 3.3 (L1, weighted where positions are missing).
    """
    error = prediction - target
    error = jnp.square(error) if kind == "mse" else jnp.abs(error)
    if weight is None:
        return jnp.mean(error)
    weight = jnp.broadcast_to(weight, error.shape)
    total = jnp.sum(weight)
    return jnp.sum(weight * error) / jnp.where(total > 0, total, 1.0)
