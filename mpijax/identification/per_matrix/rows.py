"""Rows of a calibration at some positions, and their derivatives by all numbers of the fit."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Complex, Float, Int
from mpijax.identification.per_matrix.facts import POINT_SAMPLE, Told
from mpijax.identification.per_matrix.numbers import PLACE, TERMS, Moved, Start, amplitudes, particle_of, static_field
from mpijax.physics.dynamics.stored import LARGEST_ALPHA, LARGEST_FIELD, SHIPPED_DAMPING, neel_table
from mpijax.physics.dynamics.table import Table
from mpijax.system import Neel
from mpijax.system.engines import phase_nodes, time_domain

NODES, GUIDE_NODES = {2: 32, 3: 14}, {2: 64, 3: 16}
"""Phases per driven axis at which equilibrium moments are simulated, in a fit and for the rows that follow from it; with fewer
driven axes as in two."""

HIGHEST = {2: 18, 3: 8}
"""Mixing order along an axis up to which rows are fitted: with so few phases those beyond are far off where the moment is steep
(a row of order 33 of the restoration paper's test set by -12 dB of its largest modulus, with 64 phases by -64 dB)."""

POINTS, BINS = 64, 16
"""To whose multiples positions and bins are padded, so that few shapes are compiled."""

STEP_POINTS = {False: 256, True: 64}
"""Positions simulated at once, in equilibrium and with Neel rotation."""


@pytree
class Physics:
    """Equilibrium, or Neel rotation with the table of its slow manifold."""

    table: Table | None

    @staticmethod
    def equilibrium() -> "Physics":
        """The moment follows at once."""
        return Physics(None)

    @staticmethod
    def neel() -> "Physics":
        """Neel rotation of the usual damping; its time scale is a number of the fit."""
        return Physics(neel_table(SHIPPED_DAMPING, (0.0, LARGEST_ALPHA), LARGEST_FIELD))

    @property
    def relaxes(self) -> bool:
        """Whether moments are late."""
        return self.table is not None


def driven(told: Told) -> int:
    """2 or 3, with fewer driven axes 2."""
    return max(2, sum(told.sequence.active))


class GivenField:
    """A selection field that is known at the positions that it is asked for, (n, 3) [T]."""

    def __init__(self, values: Array):
        self._values = values

    def field(self, points: Array) -> Array:
        """B [T], (n, 3)."""
        return self._values


def signals(
    t: Float[jax.Array, " p"],
    static: Float[jax.Array, "n 3"],
    told: Told,
    start: Start,
    points: Float[jax.Array, "n 3"],
    bins: Int[jax.Array, " f"],
    physics: Physics,
    names: tuple[str, ...],
    nodes: int,
) -> Complex[jax.Array, "c f n"]:
    """-2 pi i f_k p_c . mhat_k of every receive coil at positions and bins, in the static field (n, 3) [T] there."""
    moved, sequence = Moved(t, names), told.sequence
    particle: Any = particle_of(moved, start, told)
    sequence = replace(sequence, amplitude=amplitudes(moved, told))
    scanner = replace(told.scanner, selection_field=GivenField(static))
    if physics.relaxes:
        rotation = replace(Neel(), time_scale=jnp.exp(moved["time_scale"]), table=physics.table)
        particle = replace(particle, dynamics=rotation, bound=LARGEST_ALPHA).prepared(None, sequence)
    arguments: Any = (scanner, sequence, particle, points, scanner.receive_coils)
    settings: Any = {"rule": particle.rule(), "indices": bins, "chunk": len(points)}
    if physics.relaxes:
        rows, _ = time_domain.spectra(*arguments, **settings)
    else:
        rows = phase_nodes.spectra(*arguments, **settings, nodes=nodes)
    return jnp.asarray(rows) * (jnp.asarray(sequence.frequencies)[bins] * -2j * np.pi)[:, None]


@partial(jax.jit, static_argnames=("names", "nodes"))
def _value(
    t: Any, told: Told, start: Start, points: Any, bins: Any, physics: Physics, names: tuple[str, ...], nodes: int
) -> Any:
    return signals(t, static_field(Moved(t, names), told, points), told, start, points, bins, physics, names, nodes)


@partial(jax.jit, static_argnames=("names", "nodes"))
def _slopes(
    t: Any, told: Told, start: Start, points: Any, bins: Any, physics: Physics, names: tuple[str, ...], nodes: int
) -> Any:
    """Value, and derivatives (p, c, f, n). Those by numbers of the static field follow from the three by its components."""
    place = np.array([name in PLACE or name in TERMS for name in names])
    still = np.flatnonzero(place)

    def field(t: jax.Array) -> jax.Array:
        return static_field(Moved(t, names), told, points)

    def rows(own: jax.Array, offset: jax.Array) -> tuple[jax.Array, jax.Array]:
        at = t.at[np.flatnonzero(~place)].set(own)
        found = signals(at, field(t) + offset, told, start, points, bins, physics, names, nodes)
        return found, found

    arguments = t[np.flatnonzero(~place)], jnp.zeros(3, points.dtype)
    (own, by_field), value = jax.jacfwd(rows, argnums=(0, 1), has_aux=True)(*arguments)
    moves = jax.jacfwd(field)(t)[..., still]
    through = jnp.einsum("cfnj,njp->pcfn", by_field, moves)
    slopes = jnp.zeros((len(names), *value.shape), value.dtype)
    return value, slopes.at[np.flatnonzero(~place)].set(jnp.moveaxis(own, -1, 0)).at[still].set(through)


def value_and_slopes(
    t: Float[np.ndarray, " p"],
    told: Told,
    start: Start,
    points: Float[np.ndarray, "n 3"],
    bins: Int[np.ndarray, " f"],
    physics: Physics,
    names: tuple[str, ...],
    slopes: bool = True,
    nodes: Mapping[int, int] = NODES,
) -> tuple[Complex[np.ndarray, "c f n"], Complex[np.ndarray, "p c f n"] | None]:
    """:func:`signals` on the host, averaged over the sample, in parts of positions, with their derivatives by t."""
    voxels, sample = len(points), np.asarray(told.sample)
    points = (points[:, None] + sample).reshape(-1, 3)
    count, step = len(points), STEP_POINTS[physics.relaxes]
    step = min(step, -(-count // POINTS) * POINTS)
    padded = np.concatenate([points, np.repeat(points[-1:], -count % step, axis=0)]).astype(np.float32)
    wide = np.concatenate([bins, np.repeat(bins[-1:], -len(bins) % BINS)]).astype(np.int32)
    t = np.asarray(t, np.float32)
    facts = replace(told, points=POINT_SAMPLE, sample=POINT_SAMPLE)  # of any number: the shape would be compiled for
    settings: Any = {"names": names, "nodes": nodes[driven(told)]}
    found = []
    for first in range(0, len(padded), step):
        arguments = t, facts, start, padded[first : first + step], wide, physics
        part = _slopes(*arguments, **settings) if slopes else (_value(*arguments, **settings), None)
        found.append(jax.tree.map(lambda a: np.asarray(a)[..., : len(bins), :], part))

    def averaged(parts: list[np.ndarray]) -> np.ndarray:
        whole = np.concatenate(parts, -1)[..., :count]
        return whole if len(sample) == 1 else whole.reshape(*whole.shape[:-1], voxels, -1).mean(axis=-1)

    return averaged([v for v, _ in found]), averaged([s for _, s in found]) if slopes else None
