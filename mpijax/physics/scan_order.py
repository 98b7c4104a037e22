"""The order in which the positions of a calibration are measured, also for grids whose size is known at run time only.

A grid of extent (nx, ny, nz) lies in the corner of a padded box of static shape (Nx, Ny, Nz), x the fastest axis of both.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice
from mpijax.core.typing import Array, Bool, Int

ORDERS = ("raster", "meander")
"""raster: every line in the same direction. meander: the path of a robot, whose successive positions are neighbors."""


def box_coordinates(shape: tuple[int, int, int]) -> Int[np.ndarray, "3 n"]:
    """Indices (x, y, z) of every voxel of a box of shape (nx, ny, nz), x fastest."""
    z, y, x = np.indices(shape[::-1]).reshape(3, -1)
    return np.stack([x, y, z]).astype(np.int32)


def valid_voxels(extent: Any, shape: tuple[int, int, int]) -> Bool[jax.Array, " n"]:
    """Which voxels of the box belong to the grid.

    Args:
        extent: voxels per axis of the grid, (3,), may be traced.
        shape: of the box (nx, ny, nz), static.
    """
    return jnp.all(box_coordinates(shape) < jnp.asarray(extent)[:, None], axis=0)


def scan_index(
    extent: Any, shape: tuple[int, int, int], order: str | Bool[Array, ""] = "raster", *, axes: Any = (0, 1, 2)
) -> Int[jax.Array, " n"]:
    """When each voxel of a padded box is measured: its position along the path through the grid.

    With the axes (a, b, c) from fast to slow, b' and a' counted backwards on every second plane and line of a meander:
    line = c n_b + b', index = line n_a + a'. ``series.at[scan_index(...)].get(mode="fill", fill_value=0)`` puts a series
    of measurements on the grid.

    Args:
        extent: voxels per axis (3,) of the grid, may be traced.
        shape: of the box (nx, ny, nz), static.
        order: "raster" or "meander", or a traced boolean, True for a meander.
        axes: from the fastest to the slowest, may be traced.

    Returns:
        Index (n,), 0 .. prod(extent) - 1 inside the grid and prod(shape) outside.

    Raises:
        ValueError: another order.
    """
    if isinstance(order, str):
        check_choice("order", order, ORDERS)
        order = np.asarray(order == "meander")
    extent = jnp.asarray(extent, jnp.int32)
    (a, b, c), (n_a, n_b, _) = jnp.asarray(box_coordinates(shape))[jnp.asarray(axes)], extent[jnp.asarray(axes)]
    line = c * n_b + jnp.where(order & (c % 2 == 1), n_b - 1 - b, b)
    index = line * n_a + jnp.where(order & (line % 2 == 1), n_a - 1 - a, a)
    return jnp.where(valid_voxels(extent, shape), index, np.prod(shape, dtype=np.int32))


def acquisition_order(shape: tuple[int, int, int], order: str = "raster") -> Int[np.ndarray, " n"]:
    """The voxel measured at each time, the inverse of :func:`scan_index` on a grid that fills its box.

    Args:
        shape: of the grid (nx, ny, nz).
        order: "raster" or "meander".

    Returns:
        Voxel (n,), x fastest: ``row[acquisition_order(shape, order)]`` is the row in the order of measurement.
    """
    check_choice("order", order, ORDERS)
    voxels = np.arange(np.prod(shape)).reshape(shape[::-1])
    if order == "meander":
        voxels[1::2] = voxels[1::2, ::-1]
        lines = voxels.reshape(-1, shape[0])
        lines[1::2] = lines[1::2, ::-1]
    return voxels.reshape(-1)
