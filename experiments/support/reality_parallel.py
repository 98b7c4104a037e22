"""Truths that no training and no fit is to get: Neel and Brown rotation in parallel, and dipolar pairs in mean field.

**In parallel.** The moment turns inside the core, and with the core in the fluid. Where the axis turns along, the second rotation
needs no barrier; a sum of both Fokker-Planck operators with the axis at rest would not show it, since a moment that the fluid turns
out of its well falls back at once. Rotation of the whole particle is therefore taken as strong collisions: at the rate 1/tau_B a
particle takes a new direction out of the equilibrium e of its field,

    2 tau_N da/dt = A_N a - 2 (tau_N/tau_B) (a - e) = (A_N - 2 rho) (a - e),    rho = tau_N/tau_B,

so that the rates of every mode add; with a single mode 1/tau = 1/tau_N + 1/tau_B. On the slow manifold a = e + c phi + ..
(:mod:`mpijax.physics.dynamics.manifold`) lambda becomes lambda + 2 rho, the rest is the same up to rho. The full engine with
``renewal`` = 1/tau_B is the judge.

**Pairs.** Each moment of a pair feels the mean moment of its equal partner at a distance r along e,

    xi_eff(t) = xi(t) + k (3 (m.e) e - m),    k = mu0 m0^2/(4 pi r^3 kB T),

so that m(t) is the fixed point of a map of periodic moments, found by Anderson's iteration of every position.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.physics.dynamics.neel import neel_moment
from mpijax.physics.dynamics.table import Table

DAMPING = 0.1
CONVERGED, STEPS, MEMORY = 1e-4, 60, 6
"""Change of a moment of pairs at which the iteration ends, iterations at most, and how many of them a step looks back."""


def both_moment(
    static: Any, anisotropy: Any, sequence: Any, particle: Any, mixed_rate: float, damping: float
) -> np.ndarray:
    """Moments of Neel and Brown rotation in parallel over a period, (n, 3, t)."""
    neel = particle.dynamics.prepared(particle, None, sequence)
    arguments = static, *anisotropy, sequence, particle.beta, neel.time(particle), mixed_rate, neel.table
    return np.asarray(_both(*arguments))


@jax.jit
def _both(static: Any, alpha: Any, axis: Any, sequence: Any, beta: Any, tau: Any, mixed_rate: Any, table: Table) -> Any:
    def one(at: Any) -> Any:
        static, alpha, axis = (x[None] for x in at)

        def extra(u: Any, v: Any) -> Any:
            return 2 * mixed_rate, 0.0

        waves = (lambda x: sequence.drive_field(static.dtype, x)), (lambda x: sequence.drive_rate(static.dtype, x))
        moment, _ = neel_moment(
            static, *waves, beta, alpha, axis, tau, DAMPING, sequence.period / sequence.n_samples, table, extra=extra
        )
        return jnp.concatenate(moment)

    return jax.lax.map(one, (static, alpha, axis), batch_size=4)


def paired_moment(
    static: Any, anisotropy: Any, sequence: Any, particle: Any, pair: tuple[float, np.ndarray]
) -> tuple[np.ndarray, float]:
    """Moments of dipolar pairs over a period, (n, 3, t), and the last change.

    Raises:
        ValueError: no fixed point.
    """
    neel = particle.dynamics.prepared(particle, None, sequence)
    moment = np.zeros((len(static), 3, sequence.n_samples))
    fixed = static, *anisotropy, sequence, particle.beta, neel.time(particle), *pair, neel.table
    points: list[np.ndarray] = []
    defects: list[np.ndarray] = []
    for _ in range(STEPS):
        found = np.asarray(_paired(moment, *fixed))
        change = float(np.abs(found - moment).max())
        if change < CONVERGED:
            return found, change
        points, defects = [*points, found][-MEMORY:], [*defects, found - moment][-MEMORY:]
        moment = _anderson(points, defects)
    raise ValueError(
        f"moments of pairs still change by {change:.1e} after {STEPS} steps; lower the coupling {pair[0]:.2g}."
    )


def _anderson(points: list[np.ndarray], defects: list[np.ndarray]) -> np.ndarray:
    """Combination of the last images whose defect is least, of each position; moments no longer than one."""
    if len(points) == 1:
        return points[0]
    n = len(points[0])
    changes, moves = (np.stack([(x[-1] - y).reshape(n, -1) for y in x[:-1]], -1) for x in (defects, points))
    gram = np.einsum("ntk,ntl->nkl", changes, changes)
    gram += 1e-10 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(gram.shape[1]) + 1e-30 * np.eye(
        gram.shape[1]
    )
    share = np.linalg.solve(gram, np.einsum("ntk,nt->nk", changes, defects[-1].reshape(n, -1))[..., None])
    found = points[-1] - (moves @ share).reshape(points[-1].shape)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.maximum(length, 1)


def delayed(wave: Any, offset: float, period: float, derivative: bool = False) -> Any:
    """A periodic wave (.., t), or its rate, ``offset`` of the interval between its samples later: by its Fourier series."""
    n = wave.shape[-1]
    k = np.arange(n // 2 + 1)
    factor = np.exp(2j * np.pi * k * offset / n) * (2j * np.pi * k / period if derivative else 1)
    return jnp.fft.irfft(jnp.fft.rfft(wave) * factor, n)


@jax.jit
def _paired(
    moment: Any, static: Any, alpha: Any, axis: Any, sequence: Any, beta: Any, tau: Any, coupling: Any, along: Any,
    table: Table,
) -> Any:  # fmt: skip
    def one(at: Any) -> Any:
        moment, static, alpha, axis = at
        own = coupling / beta * (3 * along[:, None] * (along @ moment) - moment)
        found, _ = neel_moment(
            static[None],
            lambda x: sequence.drive_field(static.dtype, x) + delayed(own, x, sequence.period),
            lambda x: sequence.drive_rate(static.dtype, x) + delayed(own, x, sequence.period, derivative=True),
            beta, alpha[None], axis[None], tau, DAMPING, sequence.period / sequence.n_samples, table,
        )  # fmt: skip
        return jnp.concatenate(found)

    return jax.lax.map(one, (moment, static, alpha, axis), batch_size=4)
