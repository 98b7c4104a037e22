"""Spiral, snake, rectangles, stenosis, dots, characters and vessels: analytic volumes, positions, agreement of grids."""

from functools import partial

import jax
import numpy as np
import pytest

from mpijax.datasets import phantoms
from mpijax.datasets.phantoms.tubes import ROD_LENGTHS
from mpijax.system import Grid

CUBIC_MM = 1e-9
FLAT_EDGE = np.array([28e-3, 28e-3, 4e-3])


def spiral_volume():
    """Length of the center line by quadrature times the width, and the two half-round ends."""
    theta = np.linspace(0, 4 * np.pi, 100_001)
    pitch = (20e-3 - 6e-3) / 2 / (4 * np.pi)
    speed = np.hypot(3e-3 + pitch * theta, pitch)
    return (np.trapezoid(speed, theta) * 1.5e-3 + np.pi * 0.75e-3**2) * 1.5e-3 / CUBIC_MM


VOLUMES = {  # phantom, volume [mm^3], field of view [mm], narrowest part [mm] or 0 where partial volumes are exact
    "spiral": (phantoms.spiral_phantom, spiral_volume(), (28, 28, 4), 1.5),
    "snake": (phantoms.snake_phantom, sum(ROD_LENGTHS) * 1e3 * 2.5**2, (28, 28, 4), 0),
    "rectangles": (phantoms.rectangles_phantom, 2 * sum(s**2 - (s - 4) ** 2 for s in (40, 30, 20, 10)), (44, 4, 44), 0),
    "stenosis": (phantoms.stenosis_phantom, np.pi * (4 * 23 + 4 * 16 + 1 * 5), (28, 28, 6), 2),
    "character": (partial(phantoms.text_phantom, text="I"), (8 + np.pi / 4) * 1.5, (28, 28, 4), 1),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_volume_is_the_analytic_one_on_every_grid(name):
    """To the distance of the sample points over the narrowest part, or to rounding."""
    phantom, volume, fov, narrowest = VOLUMES[name]
    for shape, center in (((25, 24, 22), (0, 0, 0)), ((41, 33, 1), (0.1e-3, 0, 0)), ((150, 160, 50), (0, 0.1e-3, 0))):
        grid = Grid.create(shape, np.array(fov) * 1e-3 + 0.2e-3, center=center)
        sampling = {"oversample": 8} if narrowest else {}
        value = phantom(grid, concentration=20.0, **sampling)
        assert value.shape == (grid.size,) and value.min() >= -1e-9 and value.max() <= 20 * (1 + 1e-9)
        content = value.sum() * float(grid.voxel_volume) / CUBIC_MM / 20
        spacing = max(length / n for length, n in zip(fov, shape, strict=True)) / 8
        assert content == pytest.approx(volume, rel=spacing / narrowest if narrowest else 1e-6)


def test_dots_hold_their_concentrations():
    grid = Grid.create((140, 140, 2), FLAT_EDGE)
    value = phantoms.dots_phantom(grid, oversample=4)
    content = value.sum() * float(grid.voxel_volume) / CUBIC_MM
    assert content == pytest.approx(sum(phantoms.DOT_CONCENTRATIONS) * np.pi * 1.5**2 * 1.5, rel=0.05 / 3)
    place = np.argmax(grid.to_image(value)[0][70])
    assert grid.positions[place, 0] == pytest.approx(8e-3, abs=1.5e-3)  # the first dot lies on the +x axis
    two = phantoms.dots_phantom(grid, positions=[[0, 0], [0, 5e-3]], diameter=[2e-3, 4e-3], concentration=[10, 30])
    image = grid.to_image(two)[0] / 0.375  # a slice is 2 mm thick, of which the dots fill 0.75 mm
    assert image[70, 70] == pytest.approx(10) and image[95, 70] == pytest.approx(30)
    assert image.max() == pytest.approx(30)


ALL = {name: partial(entry[0]) for name, entry in VOLUMES.items()} | {
    "dots": phantoms.dots_phantom,
    "text": partial(phantoms.text_phantom, text="R2 D2", height=5e-3),
    "vessels": partial(phantoms.vessel_phantom, key=jax.random.key(3)),
    "vessels in space": partial(phantoms.vessel_phantom, key=jax.random.key(4), dimensions=3),
}


EXACT = ("snake", "rectangles")


@pytest.mark.parametrize("name", ALL)
def test_mean_over_a_finer_grid_is_the_coarse_grid(name):
    """With the same sample points: oversample 6 on voxels and oversample 2 on their thirds."""
    coarse = Grid.create((13, 11, 9), (30e-3, 29e-3, 25e-3), center=(1e-4, -2e-4, 3e-4))
    fine = coarse.refine((3, 3, 3))
    phantom = partial(ALL[name], center=(0.3e-3, 0.2e-3, 0.1e-3))
    few, many = ({}, {}) if name in EXACT else ({"oversample": 2}, {"oversample": 6})
    value = fine.to_image(phantom(fine, **few)).reshape(9, 3, 11, 3, 13, 3).mean((1, 3, 5))
    np.testing.assert_allclose(coarse.to_image(phantom(coarse, **many)), value, atol=1e-4 if name in EXACT else 1e-9)


@pytest.mark.parametrize("name", ALL)
def test_center_moves_the_phantom(name):
    # the grid is shifted a little, so that no sample point lies on an edge, where rounding decides
    grid = Grid.create((31, 33, 15), (31e-3, 33e-3, 15e-3), center=(1.37e-5, 2.11e-5, 0.71e-5))
    sampling = {} if name in EXACT else {"oversample": 3}
    still, moved = (grid.to_image(ALL[name](grid, center=c, **sampling)) for c in ((0, 0, 0), (1e-3, -2e-3, 1e-3)))
    np.testing.assert_allclose(moved[1:, :-2, 1:], still[:-1, 2:, :-1], atol=1e-4 if name in EXACT else 1e-9)


def test_spiral_winds_twice_with_the_stated_radii():
    grid = Grid.create((400, 1, 1), (24e-3, 20e-6, 1e-3))
    value = phantoms.spiral_phantom(grid)
    x = np.asarray(grid.positions)[:, 0] * 1e3
    edges = x[:-1][np.diff((value > 25).astype(int)) == 1], x[1:][np.diff((value > 25).astype(int)) == -1]
    middle = (edges[0] + edges[1]) / 2  # center lines on the x axis, at theta = 3 pi, pi, 0, 2 pi and 4 pi
    np.testing.assert_allclose(middle, [-8.25, -4.75, 3, 6.5, 10], atol=0.1)
    np.testing.assert_allclose(edges[1] - edges[0], 1.5, atol=0.15)


def test_text_is_read_from_left_to_right_and_upright():
    grid = Grid.create((60, 40, 1), (20e-3, 12e-3, 1.5e-3))
    image = grid.to_image(phantoms.text_phantom(grid, "LT"))[0]
    left, right = image[:, :30], image[:, 30:]
    assert left[:20].sum() > 1.5 * left[20:].sum()  # the foot of the L
    assert right[20:].sum() > 1.2 * right[:20].sum()  # the bar of the T
    for glyph in phantoms.GLYPHS:
        assert phantoms.text_phantom(grid, glyph, oversample=2).sum() > 0
        points = phantoms.GLYPHS[glyph].replace("|", " ").split()
        assert all(len(p) == 2 and 0 <= int(p[0]) <= 4 and 0 <= int(p[1]) <= 6 for p in points)


def test_vessels_are_a_function_of_the_key():
    grid = Grid.create((40, 40, 1), (24e-3, 24e-3, 1e-3))
    first, again, other = (
        phantoms.vessel_phantom(grid, key=jax.random.key(k), oversample=3, concentration=1.0) for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.linalg.norm(first - other) > 0.3 * np.linalg.norm(first)
    assert first.max() == pytest.approx(1)
    occupied = np.asarray(grid.positions)[first > 0]
    assert 16e-3 < np.ptp(occupied, axis=0).max() < 20e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(phantoms.spiral_phantom, outer_diameter=5e-3), "outer_diameter = 0.005 m"),
        (partial(phantoms.spiral_phantom, windings=0), "windings = 0"),
        (partial(phantoms.rectangles_phantom, sides=(10e-3, 7e-3)), "gaps between sides"),
        (partial(phantoms.stenosis_phantom, spacing=-1e-3), "spacing"),
        (partial(phantoms.dots_phantom, positions=[[0, 0]]), r"positions has shape \(1, 2\)"),
        (partial(phantoms.dots_phantom, diameter=0), "diameter = 0"),
        (partial(phantoms.text_phantom, text="a-b"), "text = 'a-b'"),
        (partial(phantoms.text_phantom, text=" "), "text = ' '"),
        (partial(phantoms.vessel_phantom, key=jax.random.key(0), dimensions=4), "dimensions = 4"),
        (partial(phantoms.vessel_phantom, key=jax.random.key(0), extent=1e-3), "extent = 0.001"),
        (partial(phantoms.spiral_phantom, oversample=0), "oversample = 0"),
        (partial(phantoms.spiral_phantom, thickness=0), "thickness = 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(Grid.create((2, 2, 2), (1e-2, 1e-2, 1e-2)))
