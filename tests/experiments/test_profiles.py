"""Line profiles: what is drawn is what was given."""

import numpy as np
import pytest

from experiments.figures.profiles import plot_profiles
from mpijax.viz import save


def test_markers_are_the_measured_values_after_one_phase(tmp_path):
    x = np.linspace(0.1, 0.2, 5)
    real = np.array([[1.0, -2, 3, 4, 0], [0, 1, 2, 1, 0], [1, 1, 1, 1, 2]])
    phase = np.exp(1j * np.array([0.3, 1.2, -0.7]))[:, None]
    figure = plot_profiles(
        {"a": (x, real * phase), "b": (x, 0.5 * real * phase)},
        {"a": (x, real * phase), "b": (x, 0.5 * real * phase)},
        ["2", "3", "4"],
    )
    first = figure.axes[0]
    drawn = np.asarray(first.lines[0].get_ydata())
    np.testing.assert_allclose(np.abs(drawn), np.abs(real[0]) / 4, atol=1e-12)
    np.testing.assert_allclose(first.lines[1].get_ydata(), 0, atol=1e-12)
    np.testing.assert_allclose(first.lines[2].get_ydata(), drawn, atol=1e-12)
    np.testing.assert_allclose(first.lines[3].get_ydata(), drawn / 2, atol=1e-12)
    np.testing.assert_allclose(first.lines[0].get_xdata(), x * 1e3)
    save(figure, tmp_path / "profiles.png")
    assert (tmp_path / "profiles.png").stat().st_size > 1000


def test_every_line_needs_a_curve_and_every_row_a_title():
    x, rows = np.arange(3.0), np.ones((2, 3)) + 0j
    with pytest.raises(ValueError, match="no fitted curve"):
        plot_profiles({"a": (x, rows)}, {}, ["1", "2"])
    with pytest.raises(ValueError, match="1 titles are given for 2 rows"):
        plot_profiles({"a": (x, rows)}, {"a": (x, rows)}, ["1"])
