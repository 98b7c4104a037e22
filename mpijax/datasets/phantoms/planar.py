"""Random planar phantoms that are drawn on the device: pure functions of the key that can be traced and mapped.

The phantoms of this package's other modules are made on the host, with exact partial volumes; these are for training streams. A
phantom is a set of rounded boxes in a square of side 1, which makes capsules, dots, bars and rings; the image of each is its
signed distance, smoothed over one pixel. Where they overlap, the larger concentration counts.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice, check_count
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float
from mpijax.datasets.phantoms.strokes import GLYPHS

PIECES = 32
"""Rounded boxes of which a phantom consists, at most."""

CONCENTRATIONS = (20.0, 100.0)
"""Least and largest concentration [mmol(Fe)/L], drawn log-uniformly."""

NUMBERS = 128
"""Uniform random numbers in [0, 1) that one phantom may take."""

_SOLID = 10.0  # half the wall of a box that is no ring: more than any box has
_GENERATIONS = 4  # 15 vessels of two pieces
_BARS = 5  # at most, in each of two groups


@pytree
class Pieces:
    """Rounded boxes in units of the field of view, the origin in its middle.

    Attributes:
        center: (k, 2), x and y.
        half: half the edges before rounding, along and across (k, 2).
        angle: of the first edge to the x axis [rad], (k,).
        radius: of the rounding, which adds to the size (k,).
        wall: half the thickness of a ring's wall; solid where large (k,).
        level: concentration [mmol(Fe)/L], 0 = absent (k,).
    """

    center: Any
    half: Any
    angle: Any
    radius: Any
    wall: Any
    level: Any


def draw_image(pieces: Pieces, size: int) -> Float[Array, "y x"]:
    """The phantom on size x size pixels [mmol(Fe)/L], row 0 at the lowest y; a pixel at an edge holds its share of it."""
    place = (jnp.arange(size) + 0.5) / size - 0.5
    x, y = place[None, :], place[:, None]

    def add(image: jax.Array, piece: Pieces) -> tuple[jax.Array, None]:
        cos, sin = jnp.cos(piece.angle), jnp.sin(piece.angle)
        dx, dy = x - piece.center[0], y - piece.center[1]
        along = jnp.abs(cos * dx + sin * dy) - piece.half[0]
        across = jnp.abs(cos * dy - sin * dx) - piece.half[1]
        outside = jnp.hypot(jnp.maximum(along, 0), jnp.maximum(across, 0))
        distance = outside + jnp.minimum(jnp.maximum(along, across), 0) - piece.radius
        distance = jnp.where(piece.wall < _SOLID, jnp.abs(distance) - piece.wall, distance)
        return jnp.maximum(image, piece.level * jnp.clip(0.5 - distance * size, 0, 1)), None

    return jax.lax.scan(add, jnp.zeros((size, size)), pieces)[0]


def draw_vessels(uniform: Float[Array, " u"]) -> Pieces:
    """A tree of vessels: two bent pieces each, then a branching by Murray's law d^3 = d_1^3 + d_2^3 at the angle of least work.

    Source: as :func:`mpijax.datasets.phantoms.vessel_phantom`.
    """
    take = _Numbers(uniform)
    angle, width, start = take(0, 2 * np.pi, 1), jnp.ones(1), jnp.zeros((1, 2))
    starts: list[jax.Array] = []
    ends: list[jax.Array] = []
    widths: list[jax.Array] = []
    for generation in range(_GENERATIONS):
        count = 2**generation
        for _ in range(2):
            step = width * take(0.7, 1.3, count)
            end = start + step[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
            starts, ends, widths = [*starts, start], [*ends, end], [*widths, width]
            start, angle = end, angle + take(-0.35, 0.35, count)
        if generation == _GENERATIONS - 1:
            break
        part = take(0.3, 0.7, count)
        part = jnp.stack([part, 1 - part], -1)
        work = jnp.arccos((1 + part ** (4 / 3) - part[:, ::-1] ** (4 / 3)) / (2 * part ** (2 / 3)))
        way = jnp.sign(take(-1, 1, count, 1)) * jnp.array([1, -1])
        angle = (angle[:, None] + way * work * take(0.8, 1.4, count, 2)).reshape(-1)
        width = (width[:, None] * part ** (1 / 3)).reshape(-1)
        start = jnp.repeat(start, 2, axis=0)
    first, last, thick = jnp.concatenate(starts), jnp.concatenate(ends), jnp.concatenate(widths)
    low, high = jnp.minimum(first, last).min(0), jnp.maximum(first, last).max(0)
    extent, diameter = take(0.5, 0.8), take(0.05, 0.1)
    scale = (extent - diameter) / jnp.max(high - low)
    first, last = (scale * (points - (low + high) / 2) for points in (first, last))
    return _capsules(first, last, thick * diameter / 2, jnp.full(len(thick), take.level()))


def draw_characters(uniform: Float[Array, " u"]) -> Pieces:
    """One or two characters of :data:`mpijax.datasets.phantoms.GLYPHS` next to each other, by a round pen and at any angle."""
    take = _Numbers(uniform)
    two = take() < 0.5
    glyphs = jnp.asarray(_STROKES)[jnp.floor(take(0, len(_STROKES), 2)).astype(int)]  # (2, s, 5)
    height, pen = jnp.where(two, 0.75, 1) * take(0.35, 0.55), take(0.05, 0.1)
    shift = jnp.where(two, jnp.array([[-3.0, 0], [3.0, 0]]), 0)[:, None]  # in lattice steps; a character is 4 wide
    lattice = jnp.array([2.0, 3.0])
    first, last = (((glyphs[..., i : i + 2] - lattice + shift) * height / 6).reshape(-1, 2) for i in (0, 2))
    angle, place = take(0, 2 * np.pi), take(-0.08, 0.08, 2)
    rotation = jnp.array([[jnp.cos(angle), jnp.sin(angle)], [-jnp.sin(angle), jnp.cos(angle)]])
    first, last = (jnp.matmul(points, rotation, precision="highest") + place for points in (first, last))
    drawn = glyphs[..., 4] * jnp.stack([jnp.ones(()), two.astype(float)])[:, None]
    return _capsules(first, last, jnp.full(len(first), pen / 2), drawn.reshape(-1) * take.level())


def draw_shapes(uniform: Float[Array, " u"]) -> Pieces:
    """One to four boxes, disks, frames and rings, each of its own concentration."""
    take, n = _Numbers(uniform), 4
    hollow, angled = take(0, 1, n) < 0.4, take(0, 1, n, 1) < 0.7
    return _padded(
        Pieces(
            center=take(-0.25, 0.25, n, 2),
            half=take(0, 0.1, n, 2) * angled,
            angle=take(0, np.pi, n),
            radius=jnp.where(hollow, take(0.06, 0.12, n), take(0.01, 0.12, n)),
            wall=jnp.where(hollow, take(0.012, 0.03, n), _SOLID),
            level=take.level(n) * (jnp.arange(n) <= jnp.floor(take(0, n))),
        )
    )


def draw_bars(uniform: Float[Array, " u"]) -> Pieces:
    """A resolution phantom: two groups of three to five parallel bars of one concentration, gaps as wide as the bars."""
    take, k = _Numbers(uniform), 2 * _BARS
    width, length = jnp.exp(take(np.log(0.015), np.log(0.045), 2, 1)), take(0.12, 0.22, 2, 1)
    quarter = jnp.array([[0.0], [np.pi / 2]]) * (take() < 0.5)
    angle, direction = take(0, np.pi) + quarter, take(0, 2 * np.pi)
    apart = 2 * width * (jnp.arange(_BARS) - (_BARS - 1) / 2)  # across the bars
    middle = 0.22 * jnp.array([[1.0], [-1.0]])
    x = middle * jnp.cos(direction) - apart * jnp.sin(angle)
    y = middle * jnp.sin(direction) + apart * jnp.cos(angle)
    size = jnp.broadcast_to(jnp.stack([length / 2, width / 2], -1), (2, _BARS, 2))
    count = 3 + jnp.floor(take(0, _BARS - 2, 2, 1))
    return _padded(
        Pieces(
            center=jnp.stack([x, y], -1).reshape(k, 2),
            half=size.reshape(k, 2),
            angle=jnp.broadcast_to(angle, (2, _BARS)).reshape(k),
            radius=jnp.zeros(k),
            wall=jnp.full(k, _SOLID),
            level=((jnp.arange(_BARS) < count) * take.level()).reshape(k),
        )
    )


def draw_dots(uniform: Float[Array, " u"]) -> Pieces:
    """Three to twelve round dots, each of its own size and concentration."""
    take, n = _Numbers(uniform), 12
    center, radius = take(-0.38, 0.38, n, 2), take(0.015, 0.06, n)
    return _capsules(center, center, radius, take.level(n) * (jnp.arange(n) < 3 + jnp.floor(take(0, n - 2))))


_DRAW: dict[str, Callable[[Float[Array, " u"]], Pieces]] = {
    "vessels": draw_vessels,
    "characters": draw_characters,
    "shapes": draw_shapes,
    "bars": draw_bars,
    "dots": draw_dots,
}

PLANAR_KINDS = tuple(_DRAW)
"""What :class:`PlanarPhantoms` can draw."""


@pytree
class PlanarPhantoms:
    """Random phantoms of the given kinds, all equally likely. Make it with :meth:`create`.

    Attributes:
        kinds: some of :data:`PLANAR_KINDS`, static.
        size: pixels per side, static.
    """

    kinds: tuple[str, ...] = static(default=PLANAR_KINDS)
    size: int = static(default=120)

    @staticmethod
    def create(kinds: tuple[str, ...] = PLANAR_KINDS, size: int = 120) -> "PlanarPhantoms":
        """Check and build a source.

        Raises:
            ValueError: no kind or an unknown one, or fewer than 8 pixels.
        """
        if not kinds:
            raise ValueError(f"kinds is empty; allowed: {', '.join(PLANAR_KINDS)}.")
        for kind in kinds:
            check_choice("kind", kind, PLANAR_KINDS)
        check_count("size", size, 8)
        return PlanarPhantoms(tuple(kinds), int(size))

    def __call__(self, key: jax.Array) -> Float[Array, "y x"]:
        """Draw one phantom (size, size) [mmol(Fe)/L]; a pure function of the key."""
        uniform = jax.random.uniform(key, (NUMBERS + 1,))
        kind = jnp.floor(uniform[0] * len(self.kinds)).astype(int)
        return draw_image(jax.lax.switch(kind, [_DRAW[name] for name in self.kinds], uniform[1:]), self.size)


class _Numbers:
    """Takes uniform random numbers from one array, in turn: one draw of them compiles far faster than many."""

    def __init__(self, uniform: Any):
        self.uniform, self.used = jnp.asarray(uniform), 0

    def __call__(self, low: float = 0.0, high: float = 1.0, *shape: int) -> jax.Array:
        count = math.prod(shape)
        part = self.uniform[self.used : self.used + count]
        self.used += count
        if self.used > len(self.uniform):
            raise ValueError(
                f"a phantom of this kind takes {self.used} random numbers; {len(self.uniform)} were given."
            )
        return low + (high - low) * part.reshape(shape)

    def level(self, *shape: int) -> jax.Array:
        low, high = np.log(CONCENTRATIONS)
        return jnp.exp(self(low, high, *shape))


def _capsules(first: jax.Array, last: jax.Array, radius: jax.Array, level: jax.Array) -> Pieces:
    """Segments with round ends."""
    along = last - first
    half = jnp.linalg.norm(along, axis=-1) / 2
    return _padded(
        Pieces(
            center=(first + last) / 2,
            half=jnp.stack([half, jnp.zeros_like(half)], -1),
            angle=jnp.arctan2(along[:, 1], along[:, 0]),
            radius=radius,
            wall=jnp.full(len(radius), _SOLID),
            level=level,
        )
    )


def _padded(pieces: Pieces) -> Pieces:
    """With absent pieces up to :data:`PIECES`, so that every kind has the same shapes."""

    def pad(leaf: jax.Array) -> jax.Array:
        return jnp.pad(jnp.asarray(leaf, float), [(0, PIECES - leaf.shape[0])] + [(0, 0)] * (leaf.ndim - 1))

    return jax.tree.map(pad, pieces)


def _strokes() -> np.ndarray:
    """Segments (x0, y0, x1, y1, 1) of every character on its lattice, (g, s, 5), zero where a character has fewer."""
    characters = []
    for strokes in GLYPHS.values():
        lines = [line.split() for line in strokes.split("|")]
        pairs = [(a, b) for line in lines for a, b in zip(line, line[1:], strict=False)]
        characters.append([[int(a[0]), int(a[1]), int(b[0]), int(b[1]), 1] for a, b in pairs])
    table = np.zeros((len(characters), PIECES // 2, 5))
    for i, segments in enumerate(characters):
        table[i, : len(segments)] = segments
    return table


_STROKES = _strokes()
