"""The three Open MPI phantoms as ground truth on any voxel grid, with partial volumes.

Each phantom is centered on the origin of the scanner, in meters, and moved by ``center``:

- shape: the cone's axis is x; the tip face lies at x = -11 mm, the wide face at +11 mm.
- resolution: the tubes start in one point at y = -11 mm and end at y = +11 mm; the central one runs along x = z = 0,
  the fan in xy ends at x = +8.0 and -12.7 mm, the fan in yz at z = +5.9 and -3.9 mm.
- concentration: the cubes sit at (+-6, +-6, +-3) mm.

The published files do not say where a phantom stood in the scanner nor which of its ends pointed along +x: compare with
a reconstruction and set ``center``, or mirror the image.

Source: T. Knopp et al., Data in Brief 28, 104971 (2020), OpenMPIData.
"""

from typing import Any

import numpy as np

from mpijax.core.typing import Float
from mpijax.datasets.phantoms.volumes import box_shares, volume_shares
from mpijax.system import Grid

CONE_TIP_RADIUS = 1e-3
"""Radius of the cone's tip face [m]."""

CONE_HALF_ANGLE = np.deg2rad(10.0)
"""Half the opening angle of the cone [rad]."""

LENGTH = 22e-3
"""Height of the cone, and length of the tubes along y [m]."""

TUBE_RADIUS = 0.5e-3
"""Radius of the tubes' sections normal to y [m]."""

TUBE_SLOPES = np.tan(np.deg2rad([[0, 0], [20, 0], [-30, 0], [0, 15], [0, -10]]))
"""Displacement of each tube's axis along (x, z) per length along y."""

CUBE_SIDE = 2e-3
"""Side of the cubes [m]."""

CUBE_CENTERS = 1e-3 * np.array([[x, y, z] for z in (3, -3) for x, y in ((6, 6), (6, -6), (-6, -6), (-6, 6))])
"""Centers of the eight cubes [m]: the layer at +z first, clockwise seen from +z, from (+x, +y) on."""

CUBE_CONCENTRATIONS = np.array([44.4, 100.0, 29.6, 8.77, 19.7, 66.6, 13.1, 5.85])
"""Concentration of each cube [mmol(Fe)/L]."""

CONCENTRATION = 50.0
"""Concentration of the shape and the resolution phantom [mmol(Fe)/L]."""


def shape_phantom(
    grid: Grid, *, center: Any = (0.0, 0.0, 0.0), concentration: float = CONCENTRATION, oversample: int = 16
) -> Float[np.ndarray, " n"]:
    """The shape phantom: a truncated cone along x, tip radius 1 mm, half-angle 10 degrees, height 22 mm, 683.9 uL.

    Args:
        grid: Voxel grid [m].
        center: Position of the phantom's center in the scanner [m].
        concentration: Inside the cone [mmol(Fe)/L].
        oversample: Sample points per voxel and axis for the partial volumes; their distance should stay well below the
            1 mm of the smallest parts.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Source: T. Knopp et al., Data in Brief 28, 104971 (2020).
    """

    def level(points: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        cone = np.hypot(y, z) - CONE_TIP_RADIUS - (x + LENGTH / 2) * np.tan(CONE_HALF_ANGLE)
        return np.maximum(cone * np.cos(CONE_HALF_ANGLE), np.abs(x) - LENGTH / 2)

    return concentration * volume_shares(grid, level, center, oversample)


def resolution_phantom(
    grid: Grid, *, center: Any = (0.0, 0.0, 0.0), concentration: float = CONCENTRATION, oversample: int = 16
) -> Float[np.ndarray, " n"]:
    """The resolution phantom: five tubes of 1 mm diameter from one point, 22 mm along y.

    One runs along y, two in the xy plane at +20 and -30 degrees, two in the yz plane at +15 and -10 degrees. They are
    sheared, not turned: the section normal to y is a circle everywhere.

    Args:
        grid: Voxel grid [m].
        center: Position of the phantom's center in the scanner [m].
        concentration: Inside the tubes [mmol(Fe)/L].
        oversample: Sample points per voxel and axis for the partial volumes; their distance should stay well below the
            1 mm of the smallest parts.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Source: T. Knopp et al., Data in Brief 28, 104971 (2020).
    """

    def level(points: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        along = y + LENGTH / 2
        tubes = np.full(len(points), np.inf)
        for slope_x, slope_z in TUBE_SLOPES:
            radius = np.hypot(x - slope_x * along, z - slope_z * along)
            np.minimum(tubes, (radius - TUBE_RADIUS) / np.hypot(1, np.hypot(slope_x, slope_z)), out=tubes)
        return np.maximum(tubes, np.abs(y) - LENGTH / 2)

    return concentration * volume_shares(grid, level, center, oversample)


def concentration_phantom(grid: Grid, *, center: Any = (0.0, 0.0, 0.0)) -> Float[np.ndarray, " n"]:
    """The concentration phantom: eight cubes of 2 mm with concentrations in steps of a factor 1.5.

    The partial volumes are exact: the share of a voxel inside a cube is the product of the shares along the axes.

    Args:
        grid: Voxel grid [m].
        center: Position of the phantom's center in the scanner [m].

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Source: T. Knopp et al., Data in Brief 28, 104971 (2020).
    """
    value = np.zeros(grid.size)
    for cube, level in zip(CUBE_CENTERS, CUBE_CONCENTRATIONS, strict=True):
        value += level * box_shares(grid, cube - CUBE_SIDE / 2, cube + CUBE_SIDE / 2, center)
    return value
