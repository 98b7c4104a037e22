"""Partial volumes of bodies given by a level function: the one way in which every phantom is put on a grid.

A level function maps points (k, d) [m] to (k,) values [m] that are negative inside the body, and changes by no more than
the distance between two points; a signed distance is one. Unions are minima and intersections are maxima. Where the
level of a voxel's center exceeds half the voxel's diagonal, the whole voxel lies on one side of the surface, so only
voxels near the surface are sampled.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mpijax.core.checks import check_range
from mpijax.system import Grid

Level = Callable[[np.ndarray], np.ndarray]

_CHUNK = 1 << 18  # sample points held at a time


def volume_shares(grid: Grid, level: Level, center: Any, oversample: int) -> np.ndarray:
    """Share of each voxel (n,) inside a body of three dimensions, from oversample^3 midpoints per voxel at its surface.

    Args:
        grid: Voxel grid [m].
        level: Level function of points (k, 3) in the body's frame.
        center: Origin of the body's frame in the scanner (3,) [m].
        oversample: Sample points per voxel and axis.
    """
    x, y, z = axis_centers(grid, center)
    points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1).reshape(-1, 3)
    return _shares(points, voxel_size(grid), level, oversample)


def prism_shares(grid: Grid, section: Level, thickness: float, center: Any, oversample: int) -> np.ndarray:
    """Share of each voxel (n,) inside a flat body: one section in xy, ``thickness`` [m] long along z.

    The section is sampled once, with oversample^2 midpoints per pixel at its boundary; along z the share is exact.

    Args:
        grid: Voxel grid [m].
        section: Level function of points (k, 2) in xy.
        thickness: Extent along z [m]; the body reaches from -thickness/2 to +thickness/2.
        center: Origin of the body's frame in the scanner (3,) [m].
        oversample: Sample points per pixel and axis.
    """
    check_range("thickness", thickness, 1e-9, 10.0, "m")
    (x, y, z), voxel = axis_centers(grid, center), voxel_size(grid)
    plane = np.stack(np.meshgrid(y, x, indexing="ij")[::-1], axis=-1).reshape(-1, 2)
    shares = _shares(plane, voxel[:2], section, oversample)
    return np.outer(overlap(z, voxel[2], -thickness / 2, thickness / 2), shares).reshape(-1)


def box_shares(grid: Grid, low: Any, high: Any, center: Any) -> np.ndarray:
    """Share of each voxel (n,) inside a box from ``low`` to ``high`` (3,) [m]: exact, the product of three overlaps."""
    axes, voxel = axis_centers(grid, center), voxel_size(grid)
    x, y, z = (overlap(axes[i], voxel[i], low[i], high[i]) for i in range(3))
    return (z[:, None, None] * y[:, None] * x).reshape(-1)


def axis_centers(grid: Grid, center: Any) -> list[np.ndarray]:
    """Voxel centers along x, y and z in the body's frame, float64 [m]."""
    fov, middle = np.asarray(grid.fov, np.float64), np.asarray(grid.center, np.float64) - np.asarray(center, np.float64)
    return [middle[i] + fov[i] * ((np.arange(n) + 0.5) / n - 0.5) for i, n in enumerate(grid.shape)]


def voxel_size(grid: Grid) -> np.ndarray:
    """Edges of a voxel (3,), float64 [m]."""
    return np.asarray(grid.fov, np.float64) / np.asarray(grid.shape)


def overlap(centers: np.ndarray, width: float, low: float, high: float) -> np.ndarray:
    """Share of each interval of a given width that lies between low and high."""
    return np.clip(np.minimum(centers + width / 2, high) - np.maximum(centers - width / 2, low), 0, None) / width


def capsules(points: np.ndarray, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Level of a union of line segments (s, d) with round ends, radius (s,) each, at points (k, d)."""
    level = np.full(len(points), np.inf)
    for start, end, radius in zip(starts, ends, radii, strict=True):
        along, offset = end - start, points - start
        share = np.clip(offset @ along / max(along @ along, np.finfo(float).tiny), 0, 1)
        np.minimum(level, np.sqrt(np.sum((offset - share[:, None] * along) ** 2, axis=1)) - radius, out=level)
    return level


def _shares(centers: np.ndarray, voxel: np.ndarray, level: Level, oversample: int) -> np.ndarray:
    if oversample < 1:
        raise ValueError(f"oversample = {oversample}; at least one sample point per voxel and axis is needed.")
    at_center = level(centers)
    share = (at_center <= 0).astype(float)
    near = np.flatnonzero(np.abs(at_center) <= np.linalg.norm(voxel) / 2 * (1 + 1e-9))
    steps = (np.arange(oversample) + 0.5) / oversample - 0.5
    offsets = np.stack(np.meshgrid(*len(voxel) * [steps]), axis=-1).reshape(-1, len(voxel)) * voxel
    count = max(1, _CHUNK // len(offsets))
    for first in range(0, len(near), count):
        chunk = near[first : first + count]
        samples = (centers[chunk, None] + offsets).reshape(-1, len(voxel))
        share[chunk] = (level(samples) <= 0).reshape(len(chunk), -1).mean(axis=1)
    return share
