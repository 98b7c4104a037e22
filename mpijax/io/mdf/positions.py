"""In which order a calibration's voxels were measured: what the header says, and what /calibration/positions says of it."""

import math

import numpy as np

from mpijax.io.errors import MDFError

TOLERANCE = 0.1
"""How far a position may lie from the center of its voxel, in voxel edges."""

Size = tuple[int, int, int]


def voxel_order(size: Size, order: str) -> np.ndarray:
    """Where each voxel (x fastest) stands in a grid stored with another fastest axis.

    Args:
        size: (nx, ny, nz).
        order: the axes, fastest first, such as "xyz" or "zyx".

    Returns:
        Index of voxel v in the stored order, (n,).
    """
    axes = ["xyz".index(letter) for letter in order]
    stored = np.arange(math.prod(size)).reshape([size[axis] for axis in reversed(axes)])
    slowest_first = list(reversed(axes))
    return stored.transpose([slowest_first.index(axis) for axis in (2, 1, 0)]).ravel()


def meander_order(size: Size) -> np.ndarray:
    """Where each grid point stands in a meandering path: x runs backwards where y + z is odd, y where z is odd.

    Args:
        size: points along the first (fastest), second and third axis.

    Returns:
        Index of grid point v in the measured order, (n,); y counts lines in the order of measurement.
    """
    z, y, x = np.indices(size[::-1])
    back = (y + z) % 2 == 1
    point_x = np.where(back, size[0] - 1 - x, x)
    point_y = np.where(z % 2 == 1, size[1] - 1 - y, y)
    point = ((z * size[1] + point_y) * size[0] + point_x).ravel()
    return np.argsort(point)


def header_order(size: Size, order: str, meandering: bool) -> np.ndarray:
    """Where each voxel (x fastest) stands among the foreground frames, by the fields order and isMeanderingGrid."""
    stored = voxel_order(size, order)
    if not meandering:
        return stored
    axes = ["xyz".index(letter) for letter in order]
    return meander_order((size[axes[0]], size[axes[1]], size[axes[2]]))[stored]


def position_order(name: str, positions: np.ndarray, size: Size, fov: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Where each voxel (x fastest) of a grid stands among the positions, (n,).

    Args:
        name: of the file, for messages.
        positions: [m], (n, 3), one per voxel.
        size: voxels (nx, ny, nz) of the grid.
        fov, center: its field of view and center [m], (3,).

    Raises:
        MDFError: positions that are not the centers of the voxels, each once, to TOLERANCE of a voxel edge.
    """
    voxels = math.prod(size)
    if len(positions) != voxels:
        raise MDFError(f"{name}: /calibration/positions has {len(positions)} entries for a grid of {voxels} voxels.")
    shape, fov = np.asarray(size), np.asarray(fov, float)
    edge, corner = fov / shape, np.asarray(center, float) - fov / 2
    place = (positions - corner) / edge - 0.5
    voxel = np.clip(np.rint(place), 0, shape - 1)
    off = np.abs(place - voxel)
    if off.max() > TOLERANCE:
        worst = np.unravel_index(np.argmax(off * edge), off.shape)
        raise MDFError(
            f"{name}: /calibration/positions and size, fieldOfView and fieldOfViewCenter contradict each other: they differ by up "
            f"to {1e3 * (off * edge)[worst]:.4g} mm along {'xyz'[worst[1]]}, where a voxel is {1e3 * edge[worst[1]]:.4g} mm "
            "wide. Correct the fields that are wrong, or remove them."
        )
    x, y, z = voxel.astype(np.int64).T
    flat = (z * shape[1] + y) * shape[0] + x
    if (missing := voxels - len(np.unique(flat))) > 0:
        raise MDFError(f"{name}: /calibration/positions names {missing} of the {voxels} voxels never, others twice.")
    return np.argsort(flat)


def grid_of_positions(positions: np.ndarray) -> tuple[Size, np.ndarray, np.ndarray]:
    """Size, field of view [m] and center [m] of the regular grid that positions in any order span; 0 wide along an axis of one."""
    axes = [np.unique(np.round(positions[:, i], 9)) for i in range(3)]
    nx, ny, nz = (len(axis) for axis in axes)
    fov = np.array([np.ptp(axis) * len(axis) / max(len(axis) - 1, 1) for axis in axes])
    return (nx, ny, nz), fov, np.array([(axis[0] + axis[-1]) / 2 for axis in axes])
