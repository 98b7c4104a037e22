"""Data consistency: the fine rows nearest to a network's that could have given the measured coarse ones."""

import jax
import jax.numpy as jnp

from mpijax.core.typing import Array, Float
from mpijax.models.blocks.layers import nearest_upsample


def data_consistent(
    fine: Float[Array, "b y x c"], coarse: Float[Array, "b h w c"], epsilon: float | Float[Array, "..."] = 0.0
) -> Float[jax.Array, "b y x c"]:
    """Project fine rows onto those whose block means lie within epsilon of the coarse rows.

    argmin_a |a - fine|  subject to  |D a - coarse| <= epsilon, which is fine + max(0, 1 - epsilon / |r|) U r with
    r = coarse - D fine, D the mean over S x S blocks and U = D^T (D D^T)^-1 the repetition of a value over its block. The norm runs
    over all channels, so that a global phase does not matter. A sample of S x S fine cells gives the *sum* over a block:
    divide it by S^2 first. The gradient is finite everywhere: at |r| = 0, too, where it is that of the projection for epsilon = 0
    and that of the identity for epsilon > 0.

    Args:
        fine: Rows (b, h S, w S, c) to correct.
        coarse: Measured rows (b, h, w, c) in the same unit.
        epsilon: Norm of the residual that noise explains, one number or one per row (b,). For complex noise of standard deviation
            sigma per coarse cell: sigma sqrt(h w).

    Returns:
        Rows (b, h S, w S, c).

    Raises:
        ValueError: The fine grid is not a whole multiple of the coarse one, the same for both axes.

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), Eqs. 20-22 and appendix,
    there with D D^T = I.
    """
    fine, coarse = jnp.asarray(fine), jnp.asarray(coarse)
    b, h, w, c = coarse.shape
    scale = fine.shape[1] // h
    if fine.shape != (b, h * scale, w * scale, c):
        raise ValueError(
            f"fine is {fine.shape}, coarse {coarse.shape}; fine must have a whole multiple of the coarse cells per axis."
        )
    means = fine.reshape(b, h, scale, w, scale, c).mean((2, 4))
    residual = coarse - means
    power = jnp.sum(residual**2, axis=(1, 2, 3), keepdims=True)
    epsilon = jnp.asarray(epsilon, fine.dtype).reshape(-1, 1, 1, 1)
    norm = jnp.sqrt(jnp.where(power > 0, power, 1.0))
    step = jnp.where(power >= epsilon**2, 1.0 - epsilon / norm, 0.0)
    return fine + nearest_upsample(step * residual, scale)
