"""The L-curve shows the curve, its corner and its curvature."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mpijax.reconstruction import l_curve
from mpijax.viz import plot_l_curve


def curve():
    rng = np.random.default_rng(0)
    matrix = np.diag(0.5 ** np.arange(12)).astype(np.complex64)
    noise = 1e-2 * rng.normal(size=12)
    return l_curve(matrix, (np.diag(matrix) + noise).astype(np.complex64))


def test_curve_and_corner():
    chosen = curve()
    figure = plot_l_curve(chosen)
    figure.canvas.draw()
    left, right = figure.axes
    assert (left.get_xscale(), left.get_yscale(), right.get_yscale()) == ("log", "log", "linear")
    line, corner = left.get_lines()
    np.testing.assert_allclose(line.get_xdata(), chosen.residual_norm)
    np.testing.assert_allclose(line.get_ydata(), chosen.solution_norm)
    np.testing.assert_allclose(corner.get_xydata()[0], chosen.corner)
    assert left.get_legend().get_texts()[0].get_text() == f"corner, λ = {float(chosen.regularization):.2g}"
    np.testing.assert_allclose(right.get_lines()[0].get_xydata(), np.stack([chosen.lambdas, chosen.curvature], 1))
    np.testing.assert_allclose(right.get_lines()[1].get_xdata(), float(chosen.regularization))


def test_a_curve_without_corner_says_so():
    chosen = curve()
    assert plot_l_curve(chosen).axes[0].get_title() == ""
    assert plot_l_curve(replace(chosen, interior=False)).axes[0].get_title() == "no corner inside the range"
    with pytest.raises(ValueError, match="zero somewhere"):
        plot_l_curve(replace(chosen, solution_norm=0 * chosen.solution_norm))


def test_labels_of_a_short_axis_do_not_overlap():
    chosen = curve()
    short = np.geomspace(2.1e-5, 4.4e-4, len(chosen.lambdas))
    figure = plot_l_curve(replace(chosen, residual_norm=short, corner=(short[1], chosen.corner[1])))
    figure.canvas.draw()
    labels = [label for label in figure.axes[0].get_xticklabels(which="both") if label.get_text()]
    edges = sorted((box.x0, box.x1) for box in (label.get_window_extent() for label in labels))
    assert len(edges) > 2
    assert all(right <= left for (_, right), (left, _) in itertools.pairwise(edges))
