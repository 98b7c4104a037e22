"""Static magnetic fields. Fields are in tesla and stand for mu0 * H."""

import jax.numpy as jnp

from mpijax.core.typing import Array, Float


def selection_field(
    positions: Float[Array, "n 3"], gradient: Float[Array, "3 3"], offset: Float[Array, "3"]
) -> Float[Array, "n 3"]:
    r"""Selection field :math:`\mathbf H_S(\mathbf r) = \mathbf G \mathbf r + \mathbf H_0`.

    Args:
        positions: r [m], (n, 3).
        gradient: G [T/m], (3, 3), traceless (div H = 0).
        offset: H_0 [T], (3,); the field-free point sits at -G^-1 H_0.

    Returns:
        Field [T], (n, 3).

    Source: B. Gleich and J. Weizenecker, Nature 435, 1214 (2005).
    """
    return jnp.matmul(positions, jnp.swapaxes(gradient, -1, -2), precision="highest") + offset
