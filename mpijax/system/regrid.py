"""Interpolating rows between grids."""

from typing import Any

import numpy as np

from mpijax.core.checks import is_concrete
from mpijax.core.typing import Array, Inexact
from mpijax.system.grid import Grid


def linear_weights(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Matrix (n_target, n_source) of linear interpolation between sorted coordinates, edges held.

    Args:
        source: coordinates of the samples, increasing.
        target: coordinates wanted.
    """
    if len(source) == 1:
        return np.ones((len(target), 1))
    position = np.clip(np.interp(target, source, np.arange(len(source))), 0, len(source) - 1)
    left = np.minimum(position.astype(int), len(source) - 2)
    weight = position - left
    matrix = np.zeros((len(target), len(source)))
    rows = np.arange(len(target))
    matrix[rows, left] = 1 - weight
    matrix[rows, left + 1] += weight
    return matrix


def regrid_rows(rows: Inexact[Array, "*batch n"], source: Grid, target: Grid) -> Inexact[Array, "*batch p"]:
    """Interpolate rows linearly along each axis from one grid's voxel centers to another's.

    Args:
        rows: (.., n) on ``source``, real or complex.
        source: grid of the rows.
        target: grid wanted; centers beyond the outermost source centers get the edge value.

    Returns:
        (.., p) on ``target``.
    """
    if not is_concrete((source, target)):
        raise TypeError("the grids must be known on the host; make them outside jit.")
    image: Any = source.to_image(rows)
    for axis in range(3):
        weights = linear_weights(_axis_coordinates(source, axis), _axis_coordinates(target, axis))
        moved = image.swapaxes(-1, -1 - axis)
        image = (moved @ weights.T.astype(np.asarray(rows[..., :1]).real.dtype)).swapaxes(-1, -1 - axis)
    return image.reshape(*rows.shape[:-1], target.size)


def _axis_coordinates(grid: Grid, axis: int) -> np.ndarray:
    n, fov, center = grid.shape[axis], float(grid.fov[axis]), float(grid.center[axis])
    return center - fov / 2 + fov / n * (np.arange(n) + 0.5)
