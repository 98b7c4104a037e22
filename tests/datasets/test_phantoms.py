"""The Open MPI phantoms against their volumes, sections, and the published CAD files."""

import numpy as np
import pytest

from mpijax.datasets.phantoms import (
    CUBE_CENTERS,
    CUBE_CONCENTRATIONS,
    LENGTH,
    TUBE_SLOPES,
    concentration_phantom,
    resolution_phantom,
    shape_phantom,
)
from mpijax.system import Grid
from tests import DATA

CAD = DATA / "openmpi_phantoms_cad"
MICROLITER = 1e-9


def content(phantom, grid):
    """Integral of the concentration [mmol/L uL]."""
    return phantom.sum() * float(grid.voxel_volume) / MICROLITER


def test_shape_volume_and_profile():
    grid = Grid.create((24, 22, 22), (24e-3, 11e-3, 11e-3))
    phantom = shape_phantom(grid, oversample=6)
    assert content(phantom, grid) / 50 == pytest.approx(683.9, rel=1e-3)
    sections = grid.to_image(phantom).sum((0, 1)) / 50 * 0.25  # mm^2
    x = np.arange(-11.5, 12)
    radius = 1 + np.tan(np.deg2rad(10)) * (x + 11)
    np.testing.assert_allclose(sections[1:-1], (np.pi * radius**2)[1:-1], rtol=0.02)
    np.testing.assert_array_equal(sections[[0, -1]], 0)


def test_resolution_sections_hold_five_tubes_where_they_do_not_touch():
    grid = Grid.create((232, 22, 112), (23.2e-3, 22e-3, 11.2e-3), center=(-2.4e-3, 0, 1e-3))
    phantom = resolution_phantom(grid, oversample=2)
    sections = grid.to_image(phantom).sum((0, 2)) / 50 * 0.01  # mm^2, one per mm along y
    np.testing.assert_allclose(sections[10:], 5 * np.pi / 4, rtol=0.02)
    assert np.pi / 4 < sections[0] < 2.5 * np.pi / 4  # they start in one point
    assert np.all(np.diff(sections) > -0.02)
    volumes = 5 * np.pi * 0.25 * 22, content(phantom, grid) / 50
    assert 0.9 * volumes[0] < volumes[1] < volumes[0]


def test_tubes_lie_at_their_angles():
    grid = Grid.create((240, 1, 200), (28e-3, 1e-4, 14e-3), center=(-2e-3, 9e-3, 1e-3))
    image = grid.to_image(resolution_phantom(grid, oversample=1))[:, 0] > 25
    positions = grid.to_image(grid.positions.T)[:, :, 0]
    for angle_x, angle_z in ((0, 0), (20, 0), (-30, 0), (0, 15), (0, -10)):
        x, z = 20e-3 * np.tan(np.deg2rad([angle_x, angle_z]))
        near = (positions[0] - x) ** 2 + (positions[2] - z) ** 2 < (0.8e-3) ** 2
        assert (image & near).sum() * grid.voxel_volume / 1e-4 == pytest.approx(np.pi * 0.25e-6, rel=0.05)
        assert positions[0][image & near].mean() == pytest.approx(x, abs=5e-5)
        assert positions[2][image & near].mean() == pytest.approx(z, abs=5e-5)


@pytest.mark.parametrize("shape", [(19, 19, 19), (7, 9, 5), (40, 33, 27)])
def test_concentration_cubes_hold_8_microliters_on_any_grid(shape):
    grid = Grid.create(shape, (38e-3, 37e-3, 19e-3), center=(0.3e-3, 0, 0))
    phantom = concentration_phantom(grid)
    assert content(phantom, grid) == pytest.approx(8 * CUBE_CONCENTRATIONS.sum(), rel=1e-6)
    octant = np.sign(grid.positions)
    for cube, level in zip(CUBE_CENTERS, CUBE_CONCENTRATIONS, strict=True):
        if shape == (40, 33, 27):
            inside = np.all(octant == np.sign(cube), axis=1)
            assert phantom[inside].max() <= level * (1 + 1e-9)
    corner = {tuple(np.round(c * 1e3).astype(int)): v for c, v in zip(CUBE_CENTERS, CUBE_CONCENTRATIONS, strict=True)}
    assert corner[6, 6, 3] == 44.4 and corner[6, -6, 3] == 100.0 and corner[-6, 6, -3] == 5.85


def test_partial_volumes_agree_between_grids():
    coarse = Grid.create((12, 12, 6), (24e-3, 24e-3, 12e-3))
    fine = coarse.refine((4, 4, 4))
    value = fine.to_image(shape_phantom(fine, oversample=4)).reshape(6, 4, 12, 4, 12, 4).mean((1, 3, 5))
    np.testing.assert_allclose(coarse.to_image(shape_phantom(coarse, oversample=16)), value, atol=1e-4)


def test_center_moves_the_phantom():
    grid = Grid.create((30, 30, 10), (30e-3, 30e-3, 10e-3))
    moved = grid.to_image(concentration_phantom(grid, center=(1e-3, -2e-3, 0)))
    np.testing.assert_allclose(moved, np.roll(grid.to_image(concentration_phantom(grid)), (1, -2), (2, 1)), atol=1e-5)


def test_oversample_must_be_positive():
    with pytest.raises(ValueError, match="oversample = 0"):
        shape_phantom(Grid.create((2, 2, 2), (1e-2, 1e-2, 1e-2)), oversample=0)


def read_surface(name):
    """Triangles (n, 3, 3) of a closed surface, in mm."""
    with np.load(CAD / name) as file:
        return 1e-3 * file["micrometers"][file["triangles"]]


def in_material(triangles, points):
    """Winding number of a closed surface around points > 1/2, by the solid angles of its triangles."""
    result = []
    for point in points:
        a, b, c = np.moveaxis(triangles - point, 1, 0)
        la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
        triple = np.einsum("ij,ij->i", a, np.cross(b, c))
        dot = [np.einsum("ij,ij->i", u, v) for u, v in ((a, b), (b, c), (c, a))]
        solid = 2 * np.arctan2(triple, la * lb * lc + dot[0] * lc + dot[1] * la + dot[2] * lb)
        result.append(solid.sum() / (4 * np.pi) > 0.5)
    return np.array(result)


def test_resolution_geometry_is_the_cavity_of_the_cad_file():
    """The file's axes are (y, z, x) of the scanner frame here; the tubes start at (2, 8.5, 15.85) mm."""
    triangles = read_surface("Phantom1_Resolution.npz")
    along = 1e3 * LENGTH * np.array([0.55, 0.75, 0.95])
    around = np.array([[0, 0], [0.35, 0], [-0.35, 0], [0, 0.35], [0, -0.35]])
    beside = 0.75 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])

    def points(offsets):
        axes = along[:, None, None, None] * TUBE_SLOPES[:, None] * [1, 1] + offsets  # (3, 5, k, 2): x, z
        y = np.broadcast_to(along[:, None, None], axes.shape[:-1])
        return (np.stack([y, axes[..., 1], axes[..., 0]], -1) + [2.0, 8.5, 15.85]).reshape(-1, 3)

    assert not np.any(in_material(triangles, points(around)))
    assert np.all(in_material(triangles, points(beside)))


def test_shape_geometry_is_the_cavity_of_the_cad_file():
    """The file's axes are (y, z, x); the wide face lies at x = 2 mm and the tip, towards the mount, at 24 mm."""
    triangles = read_surface("Phantom3_Shape.npz")
    angle = np.linspace(0, 2 * np.pi, 7)[:-1] + 0.2
    for depth in (3.0, 10.0, 19.0):
        radius = 1 + np.tan(np.deg2rad(10)) * (24 - depth)
        circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
        assert not np.any(in_material(triangles, [12.0, 7.5, depth] + (radius - 0.1) * circle))
        assert np.all(in_material(triangles, [12.0, 7.5, depth] + (radius + 0.1) * circle))
    np.testing.assert_array_equal(in_material(triangles, [[12, 7.5, 1.8], [12, 7.5, 2.2], [12, 7.0, 24.2]]), [1, 0, 1])


def test_concentration_geometry_is_the_cavity_of_the_cad_file():
    """The file's axes are (y, x, z); the centers of the cubes lie around (12, 12, 7.5) mm, 12 x 12 x 6 mm apart."""
    triangles = read_surface("Phantom2_Concentration.npz")
    cubes = 1e3 * CUBE_CENTERS[:, [1, 0, 2]] + [12.0, 12.0, 7.5]
    corners = np.stack(np.meshgrid(*3 * [[-1, 1]]), -1).reshape(-1, 3)
    assert not np.any(in_material(triangles, (cubes[:, None] + 0.9 * corners).reshape(-1, 3)))
    assert np.all(in_material(triangles, (cubes[:, None] + 1.15 * corners).reshape(-1, 3)))
