"""Modified Bessel functions in the scaled and divided forms that the moment models need."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import i0e, i1e


def polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    """sum_k coefficients[k] x^k by Horner's rule."""
    value = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value


def spherical_taylor(order: int, terms: int) -> tuple[float, ...]:
    """Coefficients in s = r^2 of g_l(r) = i_l(r)/r^l = sum_k s^k/(2^k k! (2l + 2k + 1)!!), all positive.

    i_l is the modified spherical Bessel function; g_0 = sinh(r)/r, g_{l+1} = g_l'/r and g_{l-1} = (2l + 1) g_l + s g_{l+1}.
    Nine terms are exact to float64 for s <= 1, five to float32.
    """
    return tuple(1 / (2**k * math.factorial(k) * math.prod(range(1, 2 * (order + k) + 2, 2))) for k in range(terms))


def cylindrical_taylor(order: int, terms: int) -> tuple[float, ...]:
    """Coefficients in t = z^2 of I_l(z)/z^l = 2^-l sum_k (t/4)^k/(k! (k + l)!), all positive."""
    return tuple(2.0**-order / (4**k * math.factorial(k) * math.factorial(k + order)) for k in range(terms))


_I1, _I2 = cylindrical_taylor(1, 9), cylindrical_taylor(2, 9)


def scaled_bessel(z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """exp(-z) I_0(z), exp(-z) I_1(z)/z and exp(-z) I_2(z)/z^2 for z >= 0, finite and accurate at z = 0."""
    near = z < 1
    small, large = jnp.where(near, z, 0), jnp.where(near, 1, z)
    t, decay = small * small, jnp.exp(-small)
    first, second = decay * polynomial(_I1, t), decay * polynomial(_I2, t)
    far0, far1 = i0e(large), i1e(large) / large
    far2 = (far0 - 2 * far1) / (large * large)
    return (
        jnp.where(near, 2 * first + t * second, far0),
        jnp.where(near, first, far1),
        jnp.where(near, second, far2),
    )
