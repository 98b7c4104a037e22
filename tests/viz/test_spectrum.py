"""The picture of a spectrum shows its harmonics, lags, loop and point-spread function."""

import numpy as np

import mpijax as mj
from mpijax.identification import SpectrumFit, spectrum
from mpijax.viz import plot_spectrum
from tests.identification.test_spectroscopy import noisy, simulated


def sample(first=1):
    matrix = simulated(mj.Particle.create(20e-9))
    return spectrum(noisy(matrix, 1e-3 * np.abs(matrix.values).max(), 10, 0), first=first)


def fit_of(found):
    return SpectrumFit(
        name="Neel", particle=mj.Particle.create(), random_axes=False, parameters={}, stds={}, residual=0.1, chi2=2.0,
        orders=found.orders, moment=found.moment, loop=spectrum(simulated(mj.Particle.create(20e-9))).loop,
    )  # fmt: skip


def test_measured_curves():
    found = sample()
    figure = plot_spectrum(found, gradient=2.0)
    figure.canvas.draw()
    sizes, lags, loop, spread = figure.axes
    (points,) = (line for line in sizes.get_lines() if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_ydata(), np.abs(found.moment[found.held]))
    assert sizes.get_yscale() == "log" and "m" in sizes.get_ylabel()
    np.testing.assert_allclose(lags.get_lines()[0].get_ydata(), np.degrees(found.lags[found.held]))
    np.testing.assert_allclose(loop.get_lines()[0].get_xydata().T, [1e3 * found.loop.field, found.loop.moment])
    assert f"{1e3 * found.loop.width / 2:.3g} mm at 2 T/m" in spread.get_title()
    names = [text.get_text() for text in sizes.get_legend().get_texts()]
    assert names == ["measured, odd", "noise"]


def test_fits_are_drawn_and_named_even_without_a_loop():
    found = sample(first=2)
    figure = plot_spectrum(found, (fit_of(found),))
    figure.canvas.draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][-1] == r"Néel ($\chi^2$ 2)"
    assert "fundamental is missing" in figure.axes[2].get_title() and len(figure.axes[3].get_lines()) == 1
