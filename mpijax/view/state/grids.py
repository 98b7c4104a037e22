"""Voxels of grids by their places."""

import numpy as np

from mpijax.system import Grid


def same_place(voxel: tuple[int, int, int], grid: Grid, other: Grid) -> tuple[int, int, int]:
    """The voxel of another grid that is nearest to the center of one of this grid, by (x, y, z)."""
    places = [line[index] for line, index in zip(grid.axes, voxel, strict=True)]
    x, y, z = (int(np.argmin(np.abs(line - place))) for line, place in zip(other.axes, places, strict=True))
    return x, y, z
