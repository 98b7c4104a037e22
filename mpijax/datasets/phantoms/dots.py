"""Dots: round spots of several concentrations."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpijax.core.checks import check_finite, check_range
from mpijax.core.typing import Float
from mpijax.datasets.phantoms.volumes import prism_shares
from mpijax.system import Grid

DOT_CONCENTRATIONS = (100.0, 66.6, 44.4, 29.6, 19.7, 13.1, 8.77, 5.85)
"""Default concentrations of the dots [mmol(Fe)/L], the steps of the Open MPI concentration phantom."""


def dots_phantom(
    grid: Grid,
    *,
    center: Any = (0.0, 0.0, 0.0),
    positions: Any = None,
    diameter: Any = 3e-3,
    thickness: float = 1.5e-3,
    concentration: Sequence[float] | Float[np.ndarray, " k"] = DOT_CONCENTRATIONS,
    oversample: int = 16,
) -> Float[np.ndarray, " n"]:
    """Round dots in xy with a concentration each, on a circle of 16 mm or at given positions.

    Where dots overlap, their concentrations add up.

    Args:
        grid: Voxel grid [m].
        center: Position of the phantom's center in the scanner [m].
        positions: Centers of the dots (k, 2) [m]; None: on the circle, from the +x axis on, counterclockwise.
        diameter: Of all dots or of each (k,) [m].
        thickness: Extent along z [m], from -thickness/2 to +thickness/2.
        concentration: Of each of the k dots [mmol(Fe)/L].
        oversample: Sample points per voxel and axis of the plane, at the boundary.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Raises:
        ValueError: Positions or diameters that do not match the concentrations, or a diameter that is not positive.
    """
    count = len(concentration)
    if positions is None:
        angle = 2 * np.pi * np.arange(count) / count
        positions = 8e-3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    positions = np.asarray(positions, np.float64)
    if positions.shape != (count, 2) or np.ndim(diameter) and np.shape(diameter) != (count,):
        raise ValueError(
            f"positions has shape {positions.shape} and diameter {np.shape(diameter)}; {count} concentrations need "
            f"({count}, 2) and one number or ({count},)."
        )
    check_finite("positions", positions)
    check_range("diameter", diameter, 1e-9, 10.0, "m")
    value = np.zeros(grid.size)
    for position, width, level in zip(positions, np.broadcast_to(diameter, count), concentration, strict=True):

        def section(points: np.ndarray, position: np.ndarray = position, radius: float = width / 2) -> np.ndarray:
            return np.linalg.norm(points - position, axis=1) - radius

        value += level * prism_shares(grid, section, thickness, center, oversample)
    return value
