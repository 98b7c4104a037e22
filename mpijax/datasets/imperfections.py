"""What real scanners and particles do that the papers' priors leave out, drawn anew for every matrix a network trains on."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_interval, check_range
from mpijax.core.typing import Complex
from mpijax.physics.harmonics import harmonic_gradients
from mpijax.system import Setup, SolidHarmonicField, simulate_rows

LIMITS = {
    "coil_slope": (0.0, 0.9),
    "cross_talk": (0.0, 0.9),
    "field_terms": (0.0, 0.5),
    "size_ratio": (0.3, 1.0),
    "size_share": (0.0, 1.0),
}

DEGREE = 4
"""Of the scalar potential whose slopes bend the selection field: its terms of degree 3 and 4 are the field's of degree 2 and 3."""


@dataclass(frozen=True)
class Imperfections:
    """Receive coils, selection fields and sizes that are not ideal.

    s_c = sum_j (delta_cj + x (1 - delta_cj)) (1 + g_c . u) [(1 - w) s_j(d, B) + w s_j(r d, B)], u the position over half the
    field of view. Each of the four effects is present in ``share`` of the matrices, independently; a range None leaves it out.

    Attributes:
        coil_slope: length of g_c, drawn with a direction in space of its own for every channel.
        cross_talk: x, of either sign, what a channel sees of the two other components.
        field_terms: largest coefficient of degree 2 and 3 of the selection field, which is free of curl and divergence, over
            |G| R, R the distance of the farthest corner of the grid.
        size_ratio: r, diameter of a second kind of cores over that of the first.
        size_share: w, their share of the iron.
        share: of the matrices that have an effect.

    Source: the measured field and coils of this project's reality gap (experiments/README.md) lie inside of the ranges.
    """

    coil_slope: tuple[float, float] | None = (0.0, 0.4)
    cross_talk: tuple[float, float] | None = (0.0, 0.2)
    field_terms: tuple[float, float] | None = (0.0, 0.15)
    size_ratio: tuple[float, float] | None = (0.5, 0.9)
    size_share: tuple[float, float] = (0.2, 0.8)
    share: float = 0.5

    def __post_init__(self) -> None:
        check_range("share", self.share, 0.0, 1.0, "")
        for name, limits in LIMITS.items():
            bounds = getattr(self, name)
            if bounds is None:
                continue
            check_interval(name, bounds)
            check_range(name, bounds, *limits, "")
            if bounds[0] > bounds[1]:
                raise ValueError(f"{name} = {bounds}; expected (low, high) with low <= high.")

    def rows(
        self, key: jax.Array, setup: Setup, shape: tuple[int, int, int], bins: jax.Array, nodes: int | None = None
    ) -> Complex[jax.Array, "c f n"]:
        """Rows of a drawn calibration with imperfections of the key; see :func:`mpijax.system.simulate_rows`."""
        keys = jax.random.split(key, 4)
        scanner: Any = setup.scanner
        if self.field_terms is not None:
            scanner = replace(scanner, selection_field=self._field(keys[0], setup, self.field_terms))
        setup = replace(setup, scanner=scanner)
        rows = jnp.asarray(simulate_rows(setup, shape, bins, nodes=nodes)[0])
        if self.size_ratio is not None:
            present, ratio, weight = self._sizes(keys[1], self.size_ratio)
            particle: Any = setup.particle
            smaller = replace(setup, particle=particle.of_size(ratio))
            other = jax.lax.cond(
                present, lambda: simulate_rows(smaller, shape, bins, nodes=nodes)[0], lambda: jnp.zeros_like(rows)
            )
            # a moment is per core of the size's own volume: the share of the iron is that of the normalized moments
            rows = jnp.where(present, (1 - weight) * rows + weight * other, rows)
        if self.cross_talk is not None:
            present, talk = self._strength(keys[2], self.cross_talk)
            sign = jnp.where(jax.random.bernoulli(jax.random.fold_in(keys[2], 2)), 1.0, -1.0)
            rows = rows + present * talk * sign * (rows.sum(axis=0) - rows)
        if self.coil_slope is not None:
            present, slope = self._strength(keys[3], self.coil_slope)
            direction = jax.random.normal(jax.random.fold_in(keys[3], 2), (rows.shape[0], 3))
            direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
            points, inside = setup.positions(shape)
            unit = (points - setup.center) / (jnp.asarray(setup.fov) / 2)
            rows = rows * (1 + present * slope * direction @ unit.T)[:, None] * inside
        return rows

    def describe(self) -> str:
        """What is drawn, a line per effect."""
        words = {
            "coil_slope": "coil sensitivity     slope {} over half the field of view",
            "cross_talk": "cross talk           {} of the other components, either sign",
            "field_terms": "selection field      terms of degree 2 and 3 up to {} of |G| R",
            "size_ratio": "two sizes            diameter ratio {}, " + f"{_text(self.size_share)} of the iron",
        }
        lines = [text.format(_text(getattr(self, name))) for name, text in words.items() if getattr(self, name)]
        return "\n".join([f"imperfections        each in {self.share:.0%} of the matrices", *lines])

    def _strength(self, key: jax.Array, bounds: tuple[float, float]) -> tuple[jax.Array, jax.Array]:
        """Whether an effect is present, and how strong it is."""
        unit = jax.random.uniform(jax.random.fold_in(key, 0))
        return jax.random.bernoulli(jax.random.fold_in(key, 1), self.share), bounds[0] + (bounds[1] - bounds[0]) * unit

    def _sizes(self, key: jax.Array, bounds: tuple[float, float]) -> tuple[jax.Array, jax.Array, jax.Array]:
        present, ratio = self._strength(key, bounds)
        low, high = self.size_share
        return present, ratio, low + (high - low) * jax.random.uniform(jax.random.fold_in(key, 2))

    def _field(self, key: jax.Array, setup: Setup, bounds: tuple[float, float]) -> SolidHarmonicField:
        """The linear field with terms of higher degree, B = G r + grad Phi."""
        present, strength = self._strength(key, bounds)
        potential = jax.random.normal(jax.random.fold_in(key, 2), ((DEGREE + 1) ** 2,)).at[: 3**2].set(0)
        terms = jnp.stack([jnp.asarray(along) @ potential[1:] for along in harmonic_gradients(DEGREE)])
        gradient = jnp.asarray(setup.scanner.gradient)
        radius = jnp.linalg.norm(jnp.asarray(setup.fov) / 2 + jnp.abs(jnp.asarray(setup.center)))
        linear = jnp.zeros_like(terms).at[:, 0].set(jnp.asarray(setup.scanner.offset_field))
        # degree 1 in the order of solid_harmonics: a field of slope one along every axis, whatever that order is
        slopes = jnp.stack([jnp.asarray(along)[0, :3] for along in harmonic_gradients(1)])
        linear = linear.at[:, 1:4].set(gradient @ jnp.linalg.inv(slopes).T * radius)
        largest = jnp.abs(gradient[:2, :2]).max() * radius
        higher = terms / jnp.abs(terms).max() * (present * strength * largest)
        return SolidHarmonicField(linear + higher, jnp.zeros(3), radius)


def _text(bounds: tuple[float, float] | None) -> str:
    return "none" if bounds is None else f"{bounds[0]:g} to {bounds[1]:g}"
