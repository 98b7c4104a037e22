"""One drawn calibration: what is scanned with what on which grid, with an extent that may be traced."""

import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Bool, Float, IntVector, Vector3
from mpijax.physics.scan_order import box_coordinates, valid_voxels
from mpijax.system.grid import Grid
from mpijax.system.model import ParticleModel
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence


@pytree
class Setup:
    """A calibration to simulate. All leaves may be traced, the extent too: one compiled function serves grids of many sizes.

    Attributes:
        scanner, sequence, particle: as the simulators take them.
        extent: voxels per axis (nx, ny, nz), int (3,).
        fov: field of view [m], (3,); center: its center [m], (3,).
    """

    scanner: Scanner
    sequence: LissajousSequence
    particle: ParticleModel
    extent: IntVector
    fov: Vector3
    center: Vector3

    def grid(self) -> Grid:
        """The grid, where the extent is known.

        Raises:
            TypeError: the extent is traced.
        """
        if not is_concrete(self.extent):
            raise TypeError("the extent is traced; a Grid has a static shape. Use positions(shape) instead.")
        nx, ny, nz = (int(n) for n in np.asarray(self.extent))
        return Grid.create((nx, ny, nz), self.fov, self.center)

    def positions(self, shape: tuple[int, int, int]) -> tuple[Float[Array, "n 3"], Bool[Array, " n"]]:
        """Voxel centers inside a padded box of static shape (nx, ny, nz), x fastest.

        Returns:
            Positions [m], (n, 3): the extent occupies the corner at index 0; the others repeat the last voxel of their axis.
            Which voxels belong to the extent, (n,).
        """
        extent = jnp.asarray(self.extent)
        index = jnp.minimum(jnp.asarray(box_coordinates(shape)).T, extent - 1)
        unit = (index + 0.5) / extent - 0.5
        return self.center + unit * self.fov, valid_voxels(extent, shape)
