"""Voxel grids."""

from typing import Any

import numpy as np

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float, Scalar, Shaped
from mpijax.system.facts.voxels import check_voxels
from mpijax.system.leaves import as_leaf


@pytree
class Grid:
    """A regular, cell-centered grid, x the fastest axis. Make it with :meth:`create`.

    Voxel i of an axis with n voxels sits at center - fov/2 + fov/n (i + 1/2), the convention of MDF.

    Attributes:
        shape: (nx, ny, nz), static.
        fov: field of view [m], (3,).
        center: center of the field of view [m], (3,).
    """

    shape: tuple[int, int, int] = static()
    fov: Any = None
    center: Any = None

    @staticmethod
    def create(shape: tuple[int, ...], fov: Any, center: Any = (0.0, 0.0, 0.0)) -> "Grid":
        """Check and build a grid.

        Args:
            shape: voxels per axis (nx, ny, nz); a 2-D grid has nz = 1.
            fov: field of view [m], (3,), positive also along an axis of one voxel (its thickness).
            center: center [m], (3,).

        Raises:
            ValueError: a shape that is not three positive integers, or a field of view that is not positive meters.
        """
        fov, center = as_leaf(fov), as_leaf(center)
        check_voxels(shape, fov, center)
        return Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), fov=fov, center=center)

    @property
    def size(self) -> int:
        """Number of voxels n."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def voxel_volume(self) -> Scalar:
        """Volume of one voxel [m^3]."""
        return self.fov[0] * self.fov[1] * self.fov[2] / self.size

    @property
    def positions(self) -> Float[Array, "n 3"]:
        """Voxel centers [m], (n, 3), x fastest."""
        nx, ny, nz = self.shape
        z, y, x = np.indices((nz, ny, nx)).reshape(3, -1)
        unit = (np.stack([x, y, z], -1) + 0.5) / np.asarray(self.shape) - 0.5
        return self.center + unit * self.fov

    @property
    def axes(self) -> tuple[Float[np.ndarray, " nx"], Float[np.ndarray, " ny"], Float[np.ndarray, " nz"]]:
        """Voxel centers along x, y and z [m], float64 on the host."""
        fov, center = np.asarray(self.fov, float), np.asarray(self.center, float)
        x, y, z = (center[i] + fov[i] * ((np.arange(n) + 0.5) / n - 0.5) for i, n in enumerate(self.shape))
        return x, y, z

    def to_image(self, rows: Shaped[Array, "*batch n"]) -> Shaped[Array, "*batch z y x"]:
        """Reshape voxel vectors (..., n) to images (..., nz, ny, nx); the only reshape of voxels there is.

        Raises:
            ValueError: the last axis does not hold one value per voxel.
        """
        if rows.shape[-1] != self.size:
            raise ValueError(f"rows has {rows.shape[-1]} voxels; a grid of shape {self.shape} has {self.size}.")
        return rows.reshape(*rows.shape[:-1], *self.shape[::-1])

    def coarsen(self, factors: tuple[int, int, int]) -> "Grid":
        """The grid of the same field of view with each axis divided by a factor.

        Raises:
            ValueError: a factor that does not divide its axis.
        """
        if any(n % s for n, s in zip(self.shape, factors, strict=True)):
            raise ValueError(
                f"factors {factors} do not divide the grid {self.shape}; crop the grid to multiples first."
            )
        (nx, ny, nz), (sx, sy, sz) = self.shape, factors
        return Grid((nx // sx, ny // sy, nz // sz), self.fov, self.center)

    def refine(self, factors: tuple[int, int, int]) -> "Grid":
        """The grid of the same field of view with each voxel split."""
        (nx, ny, nz), (sx, sy, sz) = self.shape, factors
        return Grid((nx * sx, ny * sy, nz * sz), self.fov, self.center)
