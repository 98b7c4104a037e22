"""Slices show the voxels' own values where they are."""

import numpy as np
import pytest

from mpijax import viz
from mpijax.system import Grid

FLAT = Grid.create((4, 3, 1), (8e-3, 9e-3, 1e-3), (1e-3, 0, 0))
VOLUME = Grid.create((4, 3, 5), (8e-3, 9e-3, 30e-3))


def image(grid, seed=0):
    return np.random.default_rng(seed).random(grid.shape[::-1])


def shown(figure):
    """Array, extent, axis labels and color limits of every image, row by row."""
    found = []
    for axes in figure.axes:
        for drawn in axes.images:
            found.append((np.asarray(drawn.get_array()), drawn.get_extent(), axes, drawn.get_clim()))
    return found


def test_a_flat_grid_is_one_panel_in_millimeters():
    values = image(FLAT)
    figure = viz.plot_slices(values, FLAT)
    [(array, extent, axes, limits)] = shown(figure)
    np.testing.assert_array_equal(array, values[0])
    np.testing.assert_allclose(extent, [-3, 5, -4.5, 4.5])
    assert limits == (0, values.max()) and axes.get_xlabel() == "x / mm" and axes.get_ylabel() == "y / mm"
    assert axes.get_aspect() == 1 and "mmol(Fe)/L" in [a.get_ylabel() for a in figure.axes]
    assert [t.get_text() for t in axes.texts] == ["2 mm"]


def test_the_scale_bar_is_as_long_as_it_says():
    [(_, extent, axes, _)] = shown(viz.plot_slices(image(FLAT), FLAT))
    [bar] = axes.lines
    share = np.ptp(bar.get_xdata())
    assert share * (extent[1] - extent[0]) == pytest.approx(2.0)


@pytest.mark.parametrize("shape, labels", [((4, 1, 5), ("x / mm", "z / mm")), ((1, 3, 5), ("y / mm", "z / mm"))])
def test_flat_grids_across_other_axes(shape, labels):
    grid = Grid.create(shape, (4e-3, 3e-3, 5e-3))
    values = image(grid)
    [(array, _, axes, _)] = shown(viz.plot_slices(values, grid))
    np.testing.assert_array_equal(array, values.squeeze())
    assert (axes.get_xlabel(), axes.get_ylabel()) == labels


def test_a_volume_is_cut_through_its_largest_value():
    values = image(VOLUME)
    values[3, 1, 2] = 7
    panels = shown(viz.plot_slices(values, VOLUME))
    for (array, _, _, limits), cut in zip(panels, (values[3], values[:, 1], values[:, :, 2]), strict=True):
        np.testing.assert_array_equal(array, cut)
        assert limits == (0, 7)
    x, y = panels[0][2].lines[-2].get_xdata()[0], panels[0][2].lines[-1].get_ydata()[0]
    positions = VOLUME.to_image(np.asarray(VOLUME.positions)[:, 0])
    assert x == pytest.approx(1e3 * positions[3, 1, 2]) and y == pytest.approx(0)


def test_methods_share_the_scale_and_the_cut():
    first, second = image(VOLUME), 3 * image(VOLUME, 1)
    first[3, 1, 2] = 2
    figure = viz.plot_slices({"a": first, "b": second - 0.1}, VOLUME)
    panels = shown(figure)
    assert len(panels) == 6 and {limits for *_, limits in panels} == {(0, (second - 0.1).max())}
    np.testing.assert_array_equal(panels[1][0], second[3] - 0.1)
    assert [axes.get_title() for _, _, axes, _ in panels[:2]] == ["a", "b"]


def test_a_line_of_voxels_and_an_empty_image():
    grid = Grid.create((6, 1, 1), (6e-3, 1e-3, 1e-3))
    [(array, _, axes, limits)] = shown(viz.plot_slices(np.zeros((1, 1, 6)), grid))
    assert array.shape == (1, 6) and limits == (0, 1) and axes.get_yticks().size == 0


def test_bad_images_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        viz.plot_slices({}, FLAT)
    with pytest.raises(ValueError, match=r"shape \(3, 4, 1\); a grid of shape \(4, 3, 1\) has \(1, 3, 4\)"):
        viz.plot_slices(image(FLAT).reshape(3, 4, 1), FLAT)
