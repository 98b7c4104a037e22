"""Brownian rotation in a field of one direction: Legendre polynomials alone, and the state that repeats without transients.

With xi(t) = beta B(t) along the axis and p_l = <P_l(cos theta)>, p_0 = 1, m = p_1,

    2 tau dp_l/dt = -l(l + 1) p_l + xi l(l + 1)/(2l + 1) (p_l-1 - p_l+1),   l = 1 .. L,

is linear in (p_0 .. p_L). A step of Magnus' method of order 4, with the diagonal Pade approximant for the exponential, is stable
at any length and makes it one matrix; those of a period are multiplied, and the state that repeats is where p = E p + b.

Source: W. T. Coffey and Y. P. Kalmykov, The Langevin Equation (2012), chapter 7; A. Iserles and S. P. Norsett, Phil. Trans. R. Soc.
A 357, 983 (1999).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mpijax.core.typing import Array, Float, Scalar

STIFF = 20.0
"""Largest h/(2 tau) L(L + 1) of a step."""

NODES = 0.5 - math.sqrt(3) / 6, 0.5 + math.sqrt(3) / 6
"""Gauss points of a step."""


def brown_line_substeps(step: float, degree: int) -> int:
    """Steps per sample.

    Args:
        step: interval of the samples over tau.
        degree: L.
    """
    return max(1, math.ceil(step / 2 * degree * (degree + 1) / STIFF))


def brown_line_moment(
    static: Float[Array, " n"],
    drive: Callable[[float], Float[Array, " t"]],
    beta: Scalar,
    tau: Scalar,
    interval: Scalar,
    *,
    degree: int,
    substeps: int,
) -> Float[Array, "n t"]:
    """Moment along the field over one period of a periodic field, in the state that repeats.

    Differentiable in everything, in forward and reverse mode.

    Args:
        static: selection field [T] along the axis, (n,); its dtype is that of the computation.
        drive: drive field [T], (t,), at the times (j + offset) interval, j = 0 .. t - 1, for an offset in [0, 1].
        beta: m0/(kB T) [1/T].
        tau: relaxation time of ``brown_time`` [s].
        interval: of the samples [s].
        degree: L of ``brown_degree``.
        substeps: of :func:`brown_line_substeps`.

    Returns:
        (n, t) in units of m0 at the times j interval.
    """
    dtype = static.dtype
    step = jnp.asarray(interval / (2 * tau) / substeps, dtype)
    decay, exchange, commutator = (jnp.asarray(part, dtype) for part in _parts(degree))
    xi = jnp.asarray(beta, dtype) * jnp.stack(
        [static + jnp.asarray(drive((k + node) / substeps), dtype)[:, None] for k in range(substeps) for node in NODES]
    )  # (2k, t, n)

    def propagator(first: jax.Array, second: jax.Array) -> jax.Array:
        mean, change = ((first + second) / 2)[..., None, None], (first - second)[..., None, None]
        exponent = step * (decay + mean * exchange) + math.sqrt(3) / 12 * step**2 * change * commutator
        even = jnp.eye(degree + 1, dtype=dtype) + _product(exponent, exponent) / 12
        return _product(_inverse(even - exponent / 2), even + exponent / 2)

    maps = propagator(xi[0], xi[1])  # (t, n, L + 1, L + 1)
    for k in range(1, substeps):
        maps = _product(propagator(xi[2 * k], xi[2 * k + 1]), maps)
    identity = jnp.broadcast_to(jnp.eye(degree + 1, dtype=dtype), maps.shape[1:])
    period, _ = lax.scan(lambda total, one: (_product(one, total), None), identity, maps)
    rest = _product(_inverse(jnp.eye(degree, dtype=dtype) - period[:, 1:, 1:]), period[:, 1:, :1])
    start = jnp.concatenate([jnp.ones_like(rest[:, :1]), rest], axis=1)  # (n, L + 1, 1)
    _, moments = lax.scan(lambda state, one: (_product(one, state), state[:, 1, 0]), start, maps)
    return moments.T


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


@jax.custom_jvp
def _inverse(a: jax.Array) -> jax.Array:
    """Its derivative is two products; that of a solution of linear equations is a hundred times slower in batches on a CPU."""
    return jnp.linalg.inv(a)


@_inverse.defjvp
def _inverse_derivative(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    inverse = _inverse(*primals)
    return inverse, -_product(_product(inverse, tangents[0]), inverse)


def _parts(degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-l(l + 1), the coefficients of xi, and their commutator, (L + 1, L + 1) each."""
    order = np.arange(degree + 1.0)
    square = order * (order + 1)
    strength = square / (2 * order + 1)
    exchange = np.diag(strength[1:], -1) - np.diag(strength[:-1], 1)
    decay = np.diag(-square)
    return decay, exchange, decay @ exchange - exchange @ decay
