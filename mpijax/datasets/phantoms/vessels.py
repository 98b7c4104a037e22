"""Random vessel trees."""

from typing import Any

import jax
import numpy as np

from mpijax.core.checks import check_choice, check_count, check_range
from mpijax.core.typing import Float
from mpijax.datasets.phantoms.volumes import capsules, prism_shares, volume_shares
from mpijax.system import Grid


def vessel_phantom(
    grid: Grid,
    *,
    key: Any,
    center: Any = (0.0, 0.0, 0.0),
    dimensions: int = 2,
    extent: float = 20e-3,
    diameter: float = 2.5e-3,
    generations: int = 5,
    concentration: float = 50.0,
    oversample: int = 8,
) -> Float[np.ndarray, " n"]:
    """A random tree of vessels, a pure function of the key.

    Every vessel runs in two slightly bent pieces and splits into two thinner ones. Their diameters follow Murray's law
    d^3 = d_1^3 + d_2^3 with a random split, and the thinner one bends away more, about as much as Murray's
    least work wants. In the plane the vessels have square
    sections of the trunk's diameter along z; in space they are round.

    Args:
        grid: Voxel grid [m].
        key: Random key.
        center: Position of the tree's center in the scanner [m].
        dimensions: 2 for a tree in xy, 3 for one in space.
        extent: Edge of the square or cube into which the tree is fitted [m].
        diameter: Of the trunk [m].
        generations: Vessels from the trunk to a tip.
        concentration: Inside the vessels [mmol(Fe)/L].
        oversample: Sample points per voxel and axis, at the surface.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Raises:
        ValueError: Dimensions other than 2 and 3, or an extent below twice the diameter.

    Source: C. D. Murray, PNAS 12, 207 (1926) and J. Gen. Physiol. 9, 835 (1926), diameters and angles.
    """
    check_choice("dimensions", dimensions, (2, 3))
    check_count("generations", generations)
    check_range("diameter", diameter, 1e-9, 10.0, "m")
    check_range("extent", extent, 2 * diameter, 10.0, "m", "It must be at least twice the diameter.")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    direction = rng.normal(size=dimensions)
    starts, ends, widths = (
        np.array(column)
        for column in zip(
            *_grow(rng, np.zeros(dimensions), direction / np.linalg.norm(direction), 1.0, generations), strict=True
        )
    )
    low, high = (f(np.concatenate([starts, ends]), axis=0) for f in (np.min, np.max))
    scale = (extent - diameter) / np.max(high - low)
    starts, ends = (scale * (points - (low + high) / 2) for points in (starts, ends))
    radii = widths * diameter / 2

    def level(points: np.ndarray) -> np.ndarray:
        return capsules(points, starts, ends, radii)

    if dimensions == 2:
        return concentration * prism_shares(grid, level, diameter, center, oversample)
    return concentration * volume_shares(grid, level, center, oversample)


def _grow(
    rng: np.random.Generator, start: np.ndarray, direction: np.ndarray, width: float, generations: int
) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """The vessel that starts here and all that branch off it: (start, end, width), the trunk's width being 1."""
    pieces = []
    for _ in range(2):
        end = start + width * rng.uniform(0.7, 1.3) * direction
        pieces.append((start, end, width))
        start, direction = end, _turn(direction, _across(rng, direction), rng.normal(scale=0.2))
    if generations == 1:
        return pieces
    share = rng.uniform(0.3, 0.7)
    across = _across(rng, direction)
    for part, other, side in ((share, 1 - share, across), (1 - share, share, -across)):
        # the angle of least work: cos = (d^4 + d_1^4 - d_2^4) / (2 d^2 d_1^2)
        angle = np.arccos((1 + part ** (4 / 3) - other ** (4 / 3)) / (2 * part ** (2 / 3)))
        child = _turn(direction, side, angle * rng.uniform(0.8, 1.4))
        pieces += _grow(rng, start, child, width * part ** (1 / 3), generations - 1)
    return pieces


def _across(rng: np.random.Generator, direction: np.ndarray) -> np.ndarray:
    """A random unit vector normal to a direction."""
    normal = rng.normal(size=len(direction))
    normal -= normal @ direction * direction
    return normal / np.linalg.norm(normal)


def _turn(direction: np.ndarray, towards: np.ndarray, angle: float) -> np.ndarray:
    return np.cos(angle) * direction + np.sin(angle) * towards
