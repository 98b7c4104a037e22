"""Noise of the receive chain."""

import math

import jax
import jax.numpy as jnp

from mpijax.core.typing import Array, Complex, Float


def complex_normal(
    shape: tuple[int, ...], sigma: Float[Array, "..."] | float, *, key: jax.Array, dtype: jnp.dtype | None = None
) -> Complex[Array, "..."]:
    """White circular complex Gaussian noise of complex standard deviation sqrt(E|n|^2) = sigma.

    Real and imaginary part have standard deviation sigma/sqrt(2) each.

    Args:
        shape: of the result.
        sigma: complex standard deviation, broadcast against ``shape``.
        key: random key.
        dtype: complex dtype; None = the default complex precision.
    """
    dtype = jnp.dtype(jnp.result_type(complex) if dtype is None else dtype)
    parts = jax.random.normal(key, (2, *shape), jnp.finfo(dtype).dtype) * (sigma / math.sqrt(2))
    return jax.lax.complex(parts[0], parts[1])
