"""Galleries and learned row weights: what the axes show, and refusals."""

import numpy as np
import pytest

from experiments.figures.row_weights import plot_row_weights
from mpijax.viz import plot_gallery


def test_gallery_shares_one_scale_and_keeps_each_extent():
    images = {
        "a": (np.eye(4), (-1, 1, -1, 1), "xy"),
        "b": (3 * np.ones((4, 6)), (-3, 3, -2, 2), "xz"),
        "c": (np.zeros((2, 2)), (0, 1, 0, 1), "xy"),
    }
    figure = plot_gallery(images, columns=2)
    panels = figure.axes[:4]
    assert [axes.get_title() for axes in panels] == ["a", "b", "c", ""]
    assert not panels[3].axison and panels[1].get_ylabel() == "z / mm"
    drawn = [axes.images[0] for axes in panels[:3]]
    assert {image.get_clim() for image in drawn} == {(0, 3)}
    assert list(drawn[1].get_extent()) == [-3, 3, -2, 2]
    np.testing.assert_array_equal(drawn[0].get_array(), np.eye(4))
    assert drawn[2].colorbar.extend == "neither"
    below = plot_gallery({"a": (np.eye(4) - 0.5, (-1, 1, -1, 1), "xy")}).axes[0].images[0]
    assert below.colorbar.extend == "min" and below.get_clim()[0] == 0
    with pytest.raises(ValueError, match="images is empty"):
        plot_gallery({})


def test_row_weights_over_frequency_and_snr():
    factors = np.array([0.5, 1.0, 4.0])
    frequencies, snr = np.array([1e5, 2e5, 3e5]), np.array([3.0, 300.0, 30.0])
    figure = plot_row_weights(factors, frequencies, snr, np.array([2, 8, 0]))
    left, right = figure.axes[:2]
    np.testing.assert_allclose(left.collections[0].get_offsets(), np.stack([frequencies / 1e3, factors], 1))
    np.testing.assert_allclose(right.collections[0].get_offsets(), np.stack([snr, factors], 1))
    assert left.get_yscale() == right.get_xscale() == "log"
