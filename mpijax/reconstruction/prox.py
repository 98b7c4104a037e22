"""Proximal operators: prox_f(v) = argmin_z f(z) + 1/2 |z - v|^2, for images and their gradients.

All are differentiable almost everywhere, and at their kinks the derivative is one of the one-sided ones, never NaN.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from mpijax.core.typing import Array, Float


def soft_threshold(v: Float[Array, "..."], threshold: ArrayLike) -> Float[jax.Array, "..."]:
    """Prox of t |z|_1: sign(v) max(|v| - t, 0) entry by entry.

    Args:
        v: any shape.
        threshold: t >= 0, broadcast against v.

    Returns:
        The prox, shaped as v.
    """
    v = jnp.asarray(v)
    return v - jnp.clip(v, -jnp.asarray(threshold), threshold)


def nonnegative_soft_threshold(v: Float[Array, "..."], threshold: ArrayLike = 0.0) -> Float[jax.Array, "..."]:
    """Prox of t |z|_1 plus the constraint z >= 0: max(v - t, 0); with t = 0 the projection on z >= 0.

    Args:
        v: any shape.
        threshold: t >= 0, broadcast against v.

    Returns:
        The prox, shaped as v.
    """
    return jnp.maximum(v - threshold, 0)


def group_soft_threshold(v: Float[Array, "..."], threshold: ArrayLike, axis: int = -2) -> Float[jax.Array, "..."]:
    """Prox of t sum_i |z_i|_2 over groups along ``axis``: v_i max(1 - t / |v_i|, 0).

    With the groups of an image gradient this is the step of isotropic total variation.

    Args:
        v: any shape, (..., d, n) for the gradient of an image.
        threshold: t >= 0, broadcast against v with ``axis`` kept as length one.
        axis: the components of a group.

    Returns:
        The prox, shaped as v.
    """
    v = jnp.asarray(v)
    norm = safe_norm(v, axis=axis, keepdims=True)
    kept = norm > threshold
    return v * jnp.where(kept, 1 - threshold / jnp.where(kept, norm, 1), 0)


def ball_factor(norm: Float[Array, "..."], radius: ArrayLike) -> Float[jax.Array, "..."]:
    """The factor min(1, radius / norm) that shortens a vector of that norm to the radius."""
    outside = norm > radius
    return jnp.where(outside, radius / jnp.where(outside, norm, 1), 1)


def safe_norm(v: Float[Array, "..."], axis: int = -1, keepdims: bool = False) -> Float[jax.Array, "..."]:
    """Euclidean norm along an axis, with derivative zero where v = 0."""
    squared = jnp.sum(jnp.square(v), axis=axis, keepdims=keepdims)
    return jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
