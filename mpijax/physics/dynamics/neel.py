"""Neel rotation on its slow manifold: one affine step per sample, and the state that repeats with the period at once.

With the field in the frame of the easy axis n, of the transverse field's direction e and of b = n x e, and time in units of 2 tau,
the moment along the axis is m_z = e_z + c,

    c' = -(lambda - sum_i s1_i xi'_i) c + sum_i S_i xi'_i,    i = u, v, b,

with quantities of the field from a table (:mod:`mpijax.physics.dynamics.manifold`). A step of the Radau IIA method with
three stages makes it c -> E c + b over a sample; products of these maps give every sample of a period, and c_0 = b/(1 - E) of the
whole period the steady state, without a warm-up.

The expansion is of first order in the field's rate: it holds while the field turns slowly against tau.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.manifold import LEAST_V, QUANTITIES
from mpijax.physics.dynamics.table import RATES, Table, at_anisotropy, look_up

Waveform = Callable[[float], Float[Array, "3 t"]]
"""A drive field [T], or its rate [T/s], at t_j + offset * interval for all samples j of a period."""

ROOT = 6**0.5
NODES = ((4 - ROOT) / 10, (4 + ROOT) / 10, 1.0)
STAGES = np.array(
    [
        [(88 - 7 * ROOT) / 360, (296 - 169 * ROOT) / 1800, (-2 + 3 * ROOT) / 225],
        [(296 + 169 * ROOT) / 1800, (88 + 7 * ROOT) / 360, (-2 - 3 * ROOT) / 225],
        [(16 - ROOT) / 36, (16 + ROOT) / 36, 1 / 9],
    ]
)
"""Radau IIA of order 5 (Hairer and Wanner, Solving Ordinary Differential Equations II, table IV.5.6)."""

SETTLED = 5.0
"""How often the memory of a start has to decay by e while a position is measured; below it a particle counts as blocked."""


def neel_moment(
    static: Float[Array, "n 3"],
    drive: Waveform,
    rate: Waveform,
    beta: Scalar,
    alpha: Float[Array, " a"],
    easy_axis: Float[Array, "a 3"],
    tau: Scalar,
    damping: Scalar,
    interval: Scalar,
    table: Table,
    periods: Scalar = 1000.0,
    substeps: int = 1,
    extra: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]] | None = None,
) -> tuple[list[jax.Array], Float[Array, " n"]]:
    """Mean moment over one period in its steady state, in units of m0.

    Args:
        static: selection field [T], (n, 3); its dtype is that of the computation.
        drive: the drive field [T].
        rate: its derivative [T/s].
        beta: m0/(kB T) [1/T].
        alpha: reduced anisotropy (a,), a = n or 1.
        easy_axis: unit vectors (a, 3).
        tau: relaxation time of :func:`mpijax.physics.fokker_planck.neel_time` [s].
        damping: a.
        interval: between samples [s].
        table: for this damping and these anisotropies.
        periods: over which a position is measured, from a demagnetized start. A particle that remembers its start beyond them is
            blocked, and has no steady state: its moment is the average over these periods.
        substeps: steps per sample, static; one for a field that changes by less than 2.5/beta between samples.
        extra: from u and v (n, t) to what another slow process adds to the decay and to the force of c, both (n, t).

    Returns:
        Three components (n, t) at the samples, NaN where the table does not reach; and how often the memory of its start decays
        by e while a position is measured, (n,).
    """
    dtype = static.dtype
    beta, tau, damping, interval, periods = (jnp.asarray(x, dtype) for x in (beta, tau, damping, interval, periods))
    part = at_anisotropy(table, alpha, damping)
    axis = [easy_axis[:, i, None] for i in range(3)]
    offsets = [(sub + node) / substeps - 1 for sub in range(substeps) for node in NODES]
    samples = drive(0.0).shape[1]

    def at(offsets: list[float]) -> tuple[list[Any], list[Any], list[list[Any]]]:
        """Reduced field, its rate per 2 tau, and u, v, the frame: all times of one offset after those of the other."""
        field, change = (jnp.concatenate([wave(x) for x in offsets], axis=1) for wave in (drive, rate))
        xi = [beta * (static[:, i, None] + field[i]) for i in range(3)]
        u, v, across, third = _frame(xi, axis)
        return [u, v], [2 * tau * beta * change[i] for i in range(3)], [axis, across, third]

    place, turned, frame = at(offsets[:-1])
    rates = [_dot(turned, direction) for direction in frame]
    known = look_up(part.first(RATES), alpha, damping, *place)
    last_place, last_turned, frame = at(offsets[-1:])
    last_rates = [_dot(last_turned, direction) for direction in frame]
    last = look_up(part, alpha, damping, *last_place)

    early, late = _equation(known, rates), _equation(last, last_rates)
    if extra is not None:
        early, late = (
            (decay + more[0], force + more[1])
            for (decay, force), more in ((early, extra(*place)), (late, extra(*last_place)))
        )
    decays, forces = (
        jnp.concatenate([one, two], axis=1).reshape(len(static), substeps, 3, samples)
        for one, two in zip(early, late, strict=True)
    )
    lost, gained = jnp.zeros_like(last_place[0]), jnp.zeros_like(last_place[0])
    for i in range(substeps):
        stages = [[x[:, i, j] for j in range(3)] for x in (decays, forces)]
        less, more = _radau_step(interval / (2 * tau * substeps), *stages)
        lost, gained = lost + less - lost * less, (1 - less) * gained + more
    get = {name: last[i] for i, name in enumerate(QUANTITIES)}
    c, settled = _steady_state(lost, gained, -get["e_z"][:, -1:], periods)
    parts = [get["e_z"] + c, get["e_x"] + c * get["phi_x"], c * get["phi_y"]]
    for direction, r in zip("uvb", last_rates, strict=True):
        for k, name in enumerate("xy"):
            parts[k + 1] += (get[f"g0_{direction}{name}"] + c * get[f"g1_{direction}{name}"]) * r
    moment = [sum(p * d[i] for p, d in zip(parts[1:], frame[1:], strict=True)) + parts[0] * axis[i] for i in range(3)]
    return moment, settled


def _equation(known: Array, rates: Sequence[Any]) -> tuple[jax.Array, jax.Array]:
    """Lambda and F of c' = -Lambda c + F, time in units of 2 tau."""
    force = known[1] * rates[0] + known[2] * rates[1] + known[3] * rates[2]
    change = known[4] * rates[0] + known[5] * rates[1] + known[6] * rates[2]
    return jnp.exp(known[0]) - change, force


def _dot(a: Sequence[Array], b: Sequence[Array]) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _frame(xi: list[Any], axis: list[Any]) -> tuple[jax.Array, jax.Array, list[Any], list[Any]]:
    """u, v and the directions e and b. A field along the axis has no e: quantities odd in v vanish there as v does."""
    u = _dot(xi, axis)
    perpendicular = [x - u * n for x, n in zip(xi, axis, strict=True)]
    v = jnp.sqrt(_dot(perpendicular, perpendicular) + LEAST_V**2)
    e = [x / v for x in perpendicular]
    b = [axis[(i + 1) % 3] * e[(i + 2) % 3] - axis[(i + 2) % 3] * e[(i + 1) % 3] for i in range(3)]
    return u, v, e, b


def _radau_step(step: jax.Array, decay: Sequence[jax.Array], force: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """1 - E and b of c -> E c + b over one sample, (n, t) each.

    The stages solve (1 + h A diag(Lambda)) C = c + h A F by Cramer's rule; the last one is the end of the step.
    """
    a = [[float(STAGES[i, j]) * step * decay[j] for j in range(3)] for i in range(3)]
    m = [[a[i][j] + (i == j) for j in range(3)] for i in range(3)]
    right = [step * sum(float(STAGES[i, j]) * force[j] for j in range(3)) for i in range(3)]
    cofactor: list[list[Any]] = [
        [
            m[(i + 1) % 3][(j + 1) % 3] * m[(i + 2) % 3][(j + 2) % 3]
            - m[(i + 1) % 3][(j + 2) % 3] * m[(i + 2) % 3][(j + 1) % 3]
            for j in range(3)
        ]
        for i in range(3)
    ]
    determinant: Any = sum(m[0][j] * cofactor[0][j] for j in range(3))
    alone = [sum(cofactor[i][j] for i in range(3)) / determinant for j in range(3)]  # of c = 1 without force
    lost = sum(
        a[2][j] * alone[j] for j in range(3)
    )  # 1 - E, not by that difference, which is nothing in a blocked particle
    gained = sum(cofactor[i][2] * right[i] for i in range(3)) / determinant
    return jnp.asarray(lost), jnp.asarray(gained)


def _steady_state(
    lost: jax.Array, gained: jax.Array, start: jax.Array, periods: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """c at the end of every sample (n, t), and -ln E of all periods (n,)."""

    kept, total = _compose(1 - lost, gained)
    tiny = jnp.finfo(lost.dtype).tiny
    decay = -jnp.sum(jnp.log1p(-jnp.minimum(lost, 1 - jnp.finfo(lost.dtype).eps)), axis=1, keepdims=True)
    decay = jnp.maximum(decay, tiny)
    gap = -jnp.expm1(-decay)
    end = total[:, -1:]
    blocked = decay * periods < SETTLED
    steady = end / jnp.where(blocked, 1, gap)
    # average over p periods: (1 - w) c* + w start, w = (1 - E^p)/(p (1 - E)); with c* = end/(1 - E)
    x = jnp.where(blocked, decay * periods, 1)
    safe = jnp.where(blocked, gap, 1)
    weight = -jnp.expm1(-x) / (periods * safe)
    few = x < 0.05
    pull = jnp.where(few, periods / 2 - periods * x / 6 - 0.5, (1 - weight) / safe)
    first = jnp.where(blocked, end * pull + weight * start, steady)
    return kept * first + total, (decay * periods)[:, 0]


def _compose(kept: jax.Array, gained: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Maps c -> E c + b of single steps (n, t) as those from the first step on.

    In blocks of about sqrt(t) steps, side by side, then block after block: two short loops in place of one of t steps, or of a
    tree of which XLA compiles every level.
    """
    n, t = kept.shape
    size = int(np.ceil(np.sqrt(t)))
    count = -(-t // size)

    def split(x: jax.Array, fill: float) -> jax.Array:
        padded = jnp.pad(x, ((0, 0), (0, count * size - t)), constant_values=fill)
        return jnp.moveaxis(padded.reshape(n, count, size), 2, 0)

    def after(one: tuple[jax.Array, jax.Array], two: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
        both = one[0] * two[0], two[0] * one[1] + two[1]
        return both, both

    nothing = jnp.ones_like(kept[:, :1]), jnp.zeros_like(kept[:, :1])
    start = jnp.broadcast_to(nothing[0], (n, count)), jnp.broadcast_to(nothing[1], (n, count))
    (_, (e, b)) = jax.lax.scan(after, start, (split(kept, 1), split(gained, 0)))
    ends = jnp.moveaxis(e[-1], 1, 0), jnp.moveaxis(b[-1], 1, 0)
    _, (e_before, b_before) = jax.lax.scan(after, (nothing[0][:, 0], nothing[1][:, 0]), ends)
    shift = [
        jnp.concatenate([x, jnp.moveaxis(y[:-1], 0, 1)], 1) for x, y in zip(nothing, (e_before, b_before), strict=True)
    ]
    whole = e * shift[0], e * shift[1] + b
    kept, total = (jnp.moveaxis(x, 0, 2).reshape(n, -1)[:, :t] for x in whole)
    return kept, total
