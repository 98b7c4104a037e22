"""Voxels of grids by their places."""

import numpy as np

from mpijax.core.typing import Float
from mpijax.system import Grid


def centers(grid: Grid) -> list[Float[np.ndarray, " n"]]:
    """Centers of the voxels along x, y and z [m]."""
    found = []
    for count, fov, center in zip(grid.shape, np.asarray(grid.fov, float), np.asarray(grid.center, float), strict=True):
        found.append(center - fov / 2 + (np.arange(count) + 0.5) * fov / count)
    return found


def same_place(voxel: tuple[int, int, int], grid: Grid, other: Grid) -> tuple[int, int, int]:
    """The voxel of another grid that is nearest to the center of one of this grid, by (x, y, z)."""
    places = [line[index] for line, index in zip(centers(grid), voxel, strict=True)]
    x, y, z = (int(np.argmin(np.abs(line - place))) for line, place in zip(centers(other), places, strict=True))
    return x, y, z
