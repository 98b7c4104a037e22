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
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mpijax.core.typing import Array, Float, Scalar

Pair = tuple[jax.Array, jax.Array]

NODES = 0.5 - math.sqrt(3) / 6, 0.5 + math.sqrt(3) / 6
"""Gauss points of a step."""


def brown_line_substeps(step: float, change: float) -> int:
    """Steps per sample for a moment good to 1e-5, whose error is 1.2e-3 (step change)^2 / steps^4 (1 to 36 in xi, 0.1 to 100 us).

    Args:
        step: interval of the samples over tau.
        change: largest change of xi between samples.
    """
    return max(1, math.ceil(3.3 * math.sqrt(step * change)))


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
    xi = jnp.asarray(beta, dtype) * jnp.stack(
        [static + jnp.asarray(drive((k + node) / substeps), dtype)[:, None] for k in range(substeps) for node in NODES]
    )  # (2 substeps, t, n)
    xi = xi.reshape(substeps, 2, *xi.shape[1:]).transpose(2, 0, 1, 3).reshape(-1, 2, static.size)
    return _states(degree, step, xi)[::substeps, :, 1].T


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _states(degree: int, step: jax.Array, xi: jax.Array) -> jax.Array:
    """(p_0 .. p_L) of the state that repeats before each of s steps, whose fields at Gauss points are (s, 2, n): (s, n, L + 1)."""
    return _solve(degree, step, xi)[0]


@_states.defjvp
def _states_derivative(degree: int, primals: Pair, tangents: Pair) -> Pair:
    """The derivative obeys the same equation with a source, which takes products with vectors alone.

    R = N^-1 P with P, N = 1 +- O/2 + O^2/12 gives N d(p') = N R dp + dP p - dN p' for p' = R p.
    """
    states, maps, solved, inverse, exponent = _solve(degree, *primals)
    _, change = jax.jvp(partial(_exponent, degree), primals, tangents)
    after = jnp.concatenate([states[1:], states[:1]])
    both, squares = (states + after) / 2, (states - after) / 12
    source = (
        _apply(change, both) + _apply(exponent, _apply(change, squares)) + _apply(change, _apply(exponent, squares))
    )
    source = _apply(solved, source)

    def follow(state: jax.Array, step: Pair) -> Pair:
        return _apply(step[0], state) + step[1], state

    gained, _ = lax.scan(follow, jnp.zeros_like(source[0]), (maps, source))
    start = jnp.pad(_apply(inverse, gained[:, 1:]), ((0, 0), (1, 0)))
    return states, lax.scan(follow, start, (maps, source))[1]


def _solve(degree: int, step: jax.Array, xi: jax.Array) -> tuple[jax.Array, ...]:
    """States (s, n, L + 1); maps R, N^-1 (s, n, L + 1, L + 1); (1 - E)^-1 (n, L, L); exponents (s, n, L + 1, L + 1)."""
    exponent = _exponent(degree, step, xi)
    even = jnp.eye(degree + 1, dtype=xi.dtype) + _product(exponent, exponent) / 12
    solved = jnp.linalg.inv(even - exponent / 2)
    maps = _product(solved, even + exponent / 2)
    identity = jnp.broadcast_to(jnp.eye(degree + 1, dtype=xi.dtype), maps.shape[1:])
    period, _ = lax.scan(lambda total, one: (_product(one, total), None), identity, maps)
    inverse = jnp.linalg.inv(jnp.eye(degree, dtype=xi.dtype) - period[:, 1:, 1:])
    start = jnp.pad(_apply(inverse, period[:, 1:, 0]), ((0, 0), (1, 0)), constant_values=1)
    _, states = lax.scan(lambda state, one: (_apply(one, state), state), start, maps)
    return states, maps, solved, inverse, exponent


def _exponent(degree: int, step: jax.Array, xi: jax.Array) -> jax.Array:
    """Of Magnus' method, (s, n, L + 1, L + 1)."""
    decay, exchange, commutator = (jnp.asarray(part, xi.dtype) for part in _parts(degree))
    mean, change = xi.mean(1)[..., None, None], (xi[:, 0] - xi[:, 1])[..., None, None]
    return step * (decay + mean * exchange) + math.sqrt(3) / 12 * step**2 * change * commutator


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


def _apply(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    return jnp.sum(matrix * vector[..., None, :], axis=-1)


def _parts(degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-l(l + 1), the coefficients of xi, and their commutator, (L + 1, L + 1) each."""
    order = np.arange(degree + 1.0)
    square = order * (order + 1)
    strength = square / (2 * order + 1)
    exchange = np.diag(strength[1:], -1) - np.diag(strength[:-1], 1)
    decay = np.diag(-square)
    return decay, exchange, decay @ exchange - exchange @ decay
