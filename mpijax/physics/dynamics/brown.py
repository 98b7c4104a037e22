"""Brownian rotation: particles that turn as a whole, the moment locked to the body.

With xi = beta B(t) and A of :mod:`mpijax.physics.dynamics.operators` without anisotropy and precession, the means of the
complex harmonics, a_lm = <sqrt(4 pi) Y_lm> = r_lm + i s_lm without the sign (-1)^m and a_00 = 1, obey

    2 tau da_lm/dt = -l(l + 1) a_lm + xi_z [(l + 1) A_lm a_l-1,m - l A_l+1,m a_l+1,m]
                     + 1/2 (xi_x - i xi_y) [-l B_lm a_l+1,m+1 - (l + 1) C_lm a_l-1,m+1]
                     + 1/2 (xi_x + i xi_y) [ l B_l-m a_l+1,m-1 + (l + 1) C_l-m a_l-1,m-1],
    A_lm^2 = (l^2 - m^2)/(4 l^2 - 1),  B_lm^2 = (l + m + 1)(l + m + 2)/((2l + 1)(2l + 3)),  C_lm^2 = (l - m)(l - m - 1)/(4 l^2 - 1),

integrated by the classical Runge-Kutta method. One square array (L + 1, L + 1, voxels) holds both parts: r_lm, m <= l, at row m
and column l, s_lm turned by half a turn into the triangle below, at row L + 1 - m and column L - l. A neighbor is then a shift for
either part, and the other part the array read backwards: a step is a sum of slices, without an empty place.

Source: W. T. Coffey and Y. P. Kalmykov, The Langevin Equation (2012), chapter 7; W. F. Brown, Phys. Rev. 130, 1677 (1963).
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mpijax.core.constants import BOLTZMANN
from mpijax.core.typing import Array, Float, Scalar

Parts = tuple[np.ndarray, dict, dict, dict]

STABLE = 3.8
"""Largest h/(2 tau) (L (L + 1) + L |xi|) of a step; constant fields of |xi| from 5 to 70 are unstable from 4.1 to 5.3 on."""

DECAY = 2.7
"""Largest h/(2 tau) L (L + 1) of a step: the method is unstable from 2.785 on, which binds in weak fields, |xi| < 4."""


def brown_time(
    hydrodynamic_diameter: Scalar, viscosity: Scalar = 1e-3, temperature: Scalar = 293.0
) -> Float[Array, ""]:
    r"""Brown's relaxation time at zero field; 24.9 us for the defaults at 40 nm.

    .. math:: \tau = \frac{3 \eta V_h}{k_B T}, \qquad V_h = \frac{\pi d_h^3}{6}

    Args:
        hydrodynamic_diameter: d_h, core with its shell [m].
        viscosity: eta [Pa s].
        temperature: T [K].

    Returns:
        tau [s].

    Source: W. F. Brown, Phys. Rev. 130, 1677 (1963).
    """
    nanometers = jnp.asarray(hydrodynamic_diameter) * 1e9  # a volume in m^3 is close to float32's smallest number
    return viscosity / temperature * (np.pi / 2 * 1e-27 / BOLTZMANN) * nanometers**3


def brown_degree_share(xi: Scalar) -> Scalar:
    """The degree that a reduced field |xi| needs, not rounded: :func:`brown_degree` is above it."""
    return 3 * xi**0.5 + 1


def brown_degree(xi_max: float) -> int:
    """Degree L for a moment good to 1e-4 in reduced fields |xi| <= xi_max."""
    return max(8, math.ceil(brown_degree_share(xi_max)) + 1)


def brown_substeps(step: float, degree: int, xi_max: float) -> int:
    """Runge-Kutta steps per sample: the fewest that are stable.

    Args:
        step: interval of the samples over tau.
        degree: L.
        xi_max: largest reduced field |xi|.
    """
    decay = step / 2 * degree * (degree + 1)
    return max(1, math.ceil(step / 2 * degree * (degree + 1 + xi_max) / STABLE), math.ceil(decay / DECAY))


def brown_periods(relaxations: float) -> float:
    """Periods before the one that is kept, a fraction where tau is short: twelve relaxation times, exp(-12) = 6e-6.

    Args:
        relaxations: period over tau.
    """
    return 12 / relaxations


def brown_moment(
    static: Float[Array, "n 3"],
    drive: Callable[[float], Float[Array, "3 t"]],
    beta: Scalar,
    tau: Scalar,
    interval: Scalar,
    n_samples: int,
    *,
    degree: int,
    substeps: int,
    periods: float,
) -> tuple[list[jax.Array], jax.Array]:
    """Moments of Brownian particles over one period of a periodic field, after the transients.

    The state starts isotropic, ``periods`` before the samples that are kept. Differentiable by static, the drive field, beta,
    tau and interval in forward and reverse mode; the latter computes sqrt(samples) samples anew at a time and stores their
    steps, 1 MB per position at degree 16 and two steps.

    Args:
        static: selection field [T], (n, 3); its dtype is that of the computation.
        drive: drive field [T], (3, t), at the times (j + offset) interval, j = 0 .. t - 1, for an offset in [0, 1].
        beta: m0/(kB T) [1/T].
        tau: relaxation time of ``brown_time`` [s].
        interval: of the samples [s].
        n_samples: t of one period.
        degree: L of ``brown_degree``.
        substeps: Runge-Kutta steps per sample, of ``brown_substeps``.
        periods: at least these before the one that is kept, of ``brown_periods``; any number >= 0.

    Returns:
        [m_x, m_y, m_z], each (n, t), in units of m0 at the times j interval; the largest |m(end) - m(start)| of the period, (n,).

    Raises:
        ValueError: degree or substeps below 1, periods below 0.
    """
    if degree < 1 or substeps < 1 or not periods >= 0:
        raise ValueError(
            f"degree = {degree}, substeps = {substeps}, periods = {periods}; give a degree and substeps of at least 1 and "
            "periods of at least 0, such as those of brown_degree, brown_substeps and brown_periods."
        )
    dtype = static.dtype
    beta, step = jnp.asarray(beta, dtype), jnp.asarray(interval / (2 * tau) / substeps, dtype)
    fields = jnp.stack([jnp.asarray(drive(k / (2 * substeps)), dtype).T for k in range(2 * substeps + 1)])  # (k, t, 3)
    stages = 2 * np.arange(substeps)[:, None] + np.arange(3)
    total = n_samples + math.ceil(periods * n_samples)
    chunk = math.isqrt(total)
    total = -(-total // chunk) * chunk
    order = (np.arange(total) - total) % n_samples
    fields = fields[stages[None], order[:, None, None]].reshape(-1, chunk, substeps, 3, 3)
    selection = static.T

    def substep(state: jax.Array, xi: jax.Array) -> tuple[jax.Array, None]:
        return _runge_kutta(state, xi, step), None

    def sample(state: jax.Array, xi: jax.Array) -> tuple[jax.Array, jax.Array]:
        return lax.scan(substep, state, xi)[0], _moment(state)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def samples(state: jax.Array, drives: jax.Array) -> tuple[jax.Array, jax.Array]:
        return lax.scan(
            sample, state, beta * (selection + drives[..., None])
        )  # in a step, computed anew for every harmonic

    start = jnp.zeros((degree + 1, degree + 1, static.shape[0]), dtype).at[0, 0].set(1)
    end, moments = lax.scan(samples, start, fields)
    moments = moments.reshape(total, 3, -1)[-n_samples:]
    defect = jnp.max(jnp.abs(_moment(end) - moments[0]), axis=0)
    return list(moments.transpose(1, 2, 0)), defect


def _moment(state: jax.Array) -> jax.Array:
    """m_x, m_y, m_z, (3, n)."""
    across = math.sqrt(2 / 3)
    return jnp.stack([across * state[1, 1], across * state[-1, -2], state[0, 1] / math.sqrt(3)])


def _runge_kutta(state: jax.Array, xi: jax.Array, step: jax.Array) -> jax.Array:
    """One step in the fields (3, 3, n) at its start, middle and end."""
    second = lax.optimization_barrier(state + step / 2 * _rate(state, xi[0]))
    third = lax.optimization_barrier(state + step / 2 * _rate(second, xi[1]))
    fourth = lax.optimization_barrier(state + step * _rate(third, xi[1]))
    mean = (second + 2 * third + fourth - state) / 3
    return lax.optimization_barrier(mean + step / 6 * _rate(fourth, xi[2]))


def _rate(state: jax.Array, xi: jax.Array) -> jax.Array:
    """A(xi) a, (L + 1, L + 1, n)."""
    return _apply(_parts(len(state) - 1), state, xi)


def _apply(parts: Parts, state: jax.Array, xi: jax.Array) -> jax.Array:
    """-l(l + 1) a and the sums over the neighbors, times xi_z, xi_x and xi_y."""
    rest, along, same, other = parts
    size = len(state)
    padded = lax.optimization_barrier(jnp.pad(state, ((1, 2), (1, 1), (0, 0))))

    def shifted(array: jax.Array, coefficients: dict) -> jax.Array:
        terms = [
            part.astype(state.dtype) * array[1 + i : 1 + i + size, 1 + j : 1 + j + size]
            for (i, j), part in coefficients.items()
        ]
        return functools.reduce(jnp.add, terms)

    backwards = padded[::-1, ::-1]  # r_lm lies where s_lm is in the array itself
    fields = xi[2] * shifted(padded, along) + xi[0] * shifted(padded, same) + xi[1] * shifted(backwards, other)
    return fields + rest.astype(state.dtype) * state


@functools.cache
def _parts(degree: int) -> Parts:
    """Coefficients (L + 1, L + 1, 1) of each place's own value and, by shift, of its neighbors."""
    m, k = np.meshgrid(np.arange(degree + 1.0), np.arange(degree + 1.0), indexing="ij")

    def root(x: np.ndarray) -> np.ndarray:
        return np.where(k >= m, np.sqrt(np.maximum(x, 0)), 0)

    down = np.maximum(4 * k * k - 1, 1)
    up = (2 * k + 1) * (2 * k + 3)
    half = np.where(m == 0, 1, 0.5)  # r_l-1 = -r_l1 and s_l-1 = s_l1
    lower, upper = (k + 1) * root((k * k - m * m) / down), -k * root(((k + 1) ** 2 - m * m) / up)
    out_lower, out_upper = (
        -half * (k + 1) * root((k - m) * (k - m - 1) / down),
        -half * k * root((k + m + 1) * (k + m + 2) / up),
    )
    in_lower, in_upper = (
        (m > 0) * (k + 1) / 2 * root((k + m) * (k + m - 1) / down),
        (m > 0) * k / 2 * root((k - m + 1) * (k - m + 2) / up),
    )

    def fold(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
        folded = np.triu(real)
        folded[1:] += np.triu(imaginary)[:0:-1, ::-1]
        return folded[:, :, None]

    neighbors = ((1, -1), out_lower, in_upper), ((1, 1), out_upper, in_lower)
    same, other = {}, {}
    for (i, j), out, inward in neighbors:  # a shift leads r to m + i, s to m - i
        same[i, j], same[-i, -j] = fold(out, inward), fold(inward, out)
        other[i, j], other[-i, -j] = fold(out, inward), -fold(inward, out)
    return fold(-k * (k + 1), -k * (k + 1)), {(0, -1): fold(lower, upper), (0, 1): fold(upper, lower)}, same, other
