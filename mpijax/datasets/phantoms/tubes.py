"""Phantoms made of tubes and rods: spiral, snake, nested rectangles, and a pair of tubes with a stenosis."""

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from mpijax.core.checks import check_range
from mpijax.core.typing import Float
from mpijax.datasets.phantoms.volumes import box_shares, prism_shares, volume_shares
from mpijax.system import Grid

ROD_LENGTHS = (20e-3, 17.5e-3, 15e-3, 8.75e-3, 5e-3)
"""Lengths of the snake's rods [m], from the first to the last."""

ROD_WIDTH = 2.5e-3
"""Sides of the rods' square sections [m]."""

_SPACING = 1e-5  # of the points that stand for the curve [m]; 1 mm away from it, distances are exact to 0.02 um


def spiral_phantom(
    grid: Grid,
    *,
    center: Any = (0.0, 0.0, 0.0),
    windings: float = 2.0,
    inner_diameter: float = 6e-3,
    outer_diameter: float = 20e-3,
    tube_width: float = 1.5e-3,
    thickness: float = 1.5e-3,
    concentration: float = 50.0,
    oversample: int = 16,
) -> Float[np.ndarray, " n"]:
    """The spiral phantom: a tube along an Archimedean spiral in xy, from the inside on the +x axis, counterclockwise.

    r(theta) = r_0 + (r_1 - r_0) theta / (2 pi windings),  0 <= theta <= 2 pi windings,
    r_0 = inner_diameter / 2 and r_1 = outer_diameter / 2 of the tube's center line.

    The tube has round ends in the plane and reaches from -thickness/2 to +thickness/2 along z. The papers print the two
    windings and the field of view of 29 x 29 mm, not the dimensions of the phantom: those here leave 3.5 mm between
    windings, 2 mm of them empty, so that two voxels of 1 mm lie in every gap.

    Args:
        grid: Voxel grid [m].
        center: Position of the spiral's center in the scanner [m].
        windings: Full turns.
        inner_diameter: Twice the radius of the center line at its inner end [m].
        outer_diameter: Twice the radius of the center line at its outer end [m].
        tube_width: Width of the tube in the plane [m].
        thickness: Extent along z [m].
        concentration: Inside the tube [mmol(Fe)/L].
        oversample: Sample points per voxel and axis of the plane, at the boundary.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Raises:
        ValueError: A length or a number of windings that is not positive, an outer diameter below the inner one.

    Source: A. Tsanda et al., neural implicit representations for grid-agnostic MPI reconstructions, and A. Tsanda et al.,
        Phys. Med. Biol. 71, 095029 (2026), Figure 2(c).
    """
    for name, value in (("windings", windings), ("inner_diameter", inner_diameter), ("tube_width", tube_width)):
        check_range(name, value, 1e-9, 1e3, "")
    check_range("outer_diameter", outer_diameter, inner_diameter, 10.0, "m", "It must exceed inner_diameter.")
    turn = 2 * np.pi * windings
    count = int(np.pi * outer_diameter * windings / _SPACING) + 2  # the curve is shorter than windings * pi * diameter
    theta = np.linspace(0, turn, count)
    radius = inner_diameter / 2 + (outer_diameter - inner_diameter) / 2 * theta / turn
    curve = cKDTree(np.stack([radius * np.cos(theta), radius * np.sin(theta)], axis=1))

    def section(points: np.ndarray) -> np.ndarray:
        return curve.query(points)[0] - tube_width / 2

    return concentration * prism_shares(grid, section, thickness, center, oversample)


def snake_phantom(grid: Grid, *, center: Any = (0.0, 0.0, 0.0), concentration: float = 50.0) -> Float[np.ndarray, " n"]:
    """The snake phantom: five rods of 2.5 x 2.5 mm^2 in xy, 20, 17.5, 15, 8.75 and 5 mm long, 414 uL.

    The rods follow one another end to end without overlap, each turned clockwise by 90 degrees against the one before.
    The arrangement is concluded from the lengths: 20, 17.5 and 15 mm fill three sides of a square of 20 mm, the center of
    which is the phantom's. Orientation and position in the scanner are not printed. Partial volumes are exact.

    Args:
        grid: Voxel grid [m].
        center: Position of the phantom's center in the scanner [m].
        concentration: Inside the rods [mmol(Fe)/L].

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Source: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), section 3.4 and Figure 2(a).
    """
    half = ROD_LENGTHS[0] / 2
    corner, share = np.array([-half, half, -ROD_WIDTH / 2]), np.zeros(grid.size)
    for i, length in enumerate(ROD_LENGTHS):
        along = np.array([(1, 0, 0), (0, -1, 0), (-1, 0, 0), (0, 1, 0)][i % 4])
        across = np.array([along[1], -along[0], 0])  # to the right
        opposite = corner + length * along + ROD_WIDTH * across
        low, high = np.minimum(corner, opposite), np.maximum(corner, opposite)
        share += box_shares(grid, low, high + [0, 0, ROD_WIDTH], center)
        corner = opposite
    return concentration * share


def rectangles_phantom(
    grid: Grid,
    *,
    center: Any = (0.0, 0.0, 0.0),
    sides: tuple[float, ...] = (40e-3, 30e-3, 20e-3, 10e-3),
    tube_width: float = 2e-3,
    concentration: float = 50.0,
) -> Float[np.ndarray, " n"]:
    """The nested rectangles: four square tubes around one center, in the xz plane.

    The tubes' sections are squares; partial volumes are exact. The paper prints their number, shape and plane; the sizes
    here are a choice.

    Args:
        grid: Voxel grid [m].
        center: Position of the phantom's center in the scanner [m].
        sides: Outer sides of the squares [m], at least twice ``tube_width`` each and apart.
        tube_width: Sides of the tubes' sections [m], also along y.
        concentration: Inside the tubes [mmol(Fe)/L].

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Raises:
        ValueError: A side shorter than twice the width, or squares whose tubes overlap.

    Source: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), section 3.4 and Figure 2(d).
    """
    check_range("tube_width", tube_width, 1e-9, 10.0, "m")
    ordered = np.sort(sides)
    check_range("sides", ordered, 2 * tube_width, 10.0, "m", "Every tube must fit into its square.")
    check_range("gaps between sides", np.diff(ordered), 2 * tube_width, 10.0, "m", "Tubes must not overlap.")

    def square(side: float) -> np.ndarray:
        high = np.array([side, tube_width, side]) / 2
        return box_shares(grid, -high, high, center)

    return concentration * np.sum([square(side) - square(side - 2 * tube_width) for side in sides], axis=0)


def stenosis_phantom(
    grid: Grid,
    *,
    center: Any = (0.0, 0.0, 0.0),
    spacing: float = 6.5e-3,
    concentration: float = 50.0,
    oversample: int = 16,
) -> Float[np.ndarray, " n"]:
    """Two tubes along x of 4 mm inner diameter: one 23 mm long at +y; one 21 mm long at -y with a stenosis, 505.8 uL.

    The stenosis is the central 5 mm, 2 mm wide. The tubes are round: on a slice the value is the mean over its thickness.

    Args:
        grid: Voxel grid [m].
        center: Position of the phantom's center, halfway between the tubes [m].
        spacing: Gap between the filled parts [m], 6 to 7 mm in the paper. Taken between the filled parts because the
            tubes are 8 mm wide outside, so that their axes are no nearer than that.
        concentration: Inside the tubes [mmol(Fe)/L].
        oversample: Sample points per voxel and axis, at the surface.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Raises:
        ValueError: A negative spacing.

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), section IV-A3 and Figure 14.
    """
    check_range("spacing", spacing, 0.0, 10.0, "m")
    radius, narrow = 2e-3, 1e-3
    offset = spacing / 2 + radius

    def level(points: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        whole = np.maximum(np.hypot(y - offset, z) - radius, np.abs(x) - 11.5e-3)
        around = np.hypot(y + offset, z)
        wide = np.max([around - radius, np.abs(x) - 10.5e-3, 2.5e-3 - np.abs(x)], axis=0)
        stenosis = np.maximum(around - narrow, np.abs(x) - 10.5e-3)
        return np.min([whole, wide, stenosis], axis=0)

    return concentration * volume_shares(grid, level, center, oversample)
