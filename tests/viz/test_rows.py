"""The color code of complex rows and their figure."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from mpijax.system import Grid, LissajousSequence, SystemMatrix, line_sequence
from mpijax.viz import complex_to_rgb, plot_rows
from mpijax.viz.rows import CHROMA, CONE_TO_RGB, LIGHTNESS, OKLAB_TO_CONE


def rows(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def texts(axes):
    return [a.get_title() for a in axes]


def test_zero_is_black_and_the_peak_is_bright():
    colors = complex_to_rgb(np.array([0, 0.5, 1, 1j, 5]), 1.0)
    np.testing.assert_array_equal(colors[0], 0)
    np.testing.assert_array_equal(colors[2], colors[4])  # beyond the peak the phase still shows
    assert np.all(colors[1] < colors[2]) and colors.min() >= 0 and colors.max() <= 1
    np.testing.assert_array_equal(complex_to_rgb(np.zeros((2, 3))), 0)


def test_full_circle_fits_the_gamut_without_clipping():
    phase = np.linspace(0, 2 * np.pi, 361)
    cones = LIGHTNESS + CHROMA * np.stack([np.cos(phase), np.sin(phase)], -1) @ OKLAB_TO_CONE.T
    linear = cones**3 @ CONE_TO_RGB.T
    assert linear.min() > 0 and linear.max() < 1
    np.testing.assert_allclose(LIGHTNESS**3 * CONE_TO_RGB.sum(1), LIGHTNESS**3, rtol=1e-6)  # no chroma is gray


def test_brightness_follows_the_modulus_whatever_the_phase():
    values = np.linspace(0.1, 1, 10)[:, None] * np.exp(1j * np.linspace(0, 2 * np.pi, 60))
    lightness = rgb2lab(complex_to_rgb(values, 1.0))[..., 0]
    assert np.all(np.diff(lightness, axis=0) > 0)
    assert lightness[-1].std() < 0.05 * lightness[-1].mean()


def test_hue_is_the_phase():
    angles = rgb2lab(complex_to_rgb(np.exp(1j * np.linspace(-np.pi, np.pi, 25)[:-1]), 1.0))
    hue = np.unwrap(np.arctan2(angles[:, 2], angles[:, 1]))
    assert np.all(np.diff(hue) > 0) and hue[-1] - hue[0] < 2 * np.pi
    assert not np.allclose(complex_to_rgb(np.array(1.0)), complex_to_rgb(np.array(-1.0), 1.0), atol=0.2)


def test_columns_name_their_rows_and_methods_their_error():
    true = rows((3, 6, 8))
    figure = plot_rows(
        {"measured": true, "coarse": true[:, ::2, ::2], "halved": 0.5 * true},
        frequencies=np.array([52.3e3, 77.25e3, 1e5]),
        mixing_orders=np.array([[1, 1, 0], [3, 0, 0], [-2, 6, 1]]),
        channels=["x", "x", "z"],
        extent=(-12, 12, -9, 9),
    )
    figure.canvas.draw()
    titles = texts(figure.axes)
    assert titles[:3] == [
        "52.30 kHz\n(1, 1, 0)\nchannel x",
        "77.25 kHz\n(3, 0, 0)\nchannel x",
        "100.00 kHz\n(−2, 6, 1)\nchannel z",
    ]
    assert titles.count("nRMSE 50.0 %") == 3
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 3 * 3 + 3 + 1  # methods, errors, the wheel
    np.testing.assert_allclose(images[0].get_array(), complex_to_rgb(true[0]))
    errors = images[9:12]
    assert len({image.get_clim() for image in errors}) == 1
    np.testing.assert_allclose(max(image.get_array().max() for image in errors), 0.5)
    assert any("error of\nhalved" in axes.get_ylabel() for axes in figure.axes)
    assert [bar.get_ylabel() for axes in figure.axes for bar in axes.child_axes] == ["|error| / row maximum"]


def matrix_of(values, sequence, angles=None):
    """Bins 2 and 5 of a sequence, on a grid of 4 x 3 voxels that does not lie in the center."""
    grid = Grid.create((4, 3, 1), (8e-3, 6e-3, 1e-3), (1e-3, 0, 0))
    bins = np.array([2, 5])
    frequencies = [bins[0] * 1e3, np.nan]
    return SystemMatrix.create(
        values, frequencies, grid, frequency_indices=bins, n_samples=64, sequence=sequence, angles=angles
    )


def test_a_matrix_gives_titles_and_edges():
    values = rows((3, 2, 12))
    matrix = matrix_of(values, LissajousSequence.create((12e-3, 12e-3, 0), dividers=(5, 2, 1), n_samples=64))
    images = {"measured": values.reshape(6, 3, 4)[[3, 0]]}
    figure = plot_rows(images, matrix=matrix.select(channels=[0, 2]), chosen=[3, 0])
    assert texts(figure.axes)[:2] == ["bin 5\n(0, 1, 0)\nchannel 2", "2.00 kHz\n(1, 0, 0)\nchannel 0"]
    assert list(figure.axes[0].images[0].get_extent()) == [-3, 5, -3, 3]
    figure = plot_rows(images, matrix=matrix, chosen=np.array([3, 0]), channels="zx", extent=(0, 1, 0, 1))
    assert texts(figure.axes)[0] == "bin 5\n(0, 1, 0)\nchannel z"
    assert list(figure.axes[0].images[0].get_extent()) == [0, 1, 0, 1]


def test_rows_of_a_rotating_line_are_told_by_angle_and_harmonic():
    values = rows((2, 2, 12))
    matrix = matrix_of(values, line_sequence(24e-3, samples=64), np.radians([0, 42]))
    figure = plot_rows({"simulated": values.reshape(4, 3, 4)}, matrix=matrix)
    assert texts(figure.axes)[:4:3] == ["2.00 kHz\nharmonic 2\nangle 0 deg", "bin 5\nharmonic 5\nangle 42 deg"]


def test_images_with_gaps_have_no_error():
    true = rows((2, 8, 8))
    broken = true.copy()
    broken[:, 3, 3] = np.nan
    figure = plot_rows({"true": true, "broken": broken, "filled": 0.9 * true})
    figure.canvas.draw()
    assert [text for text in texts(figure.axes) if "nRMSE" in text] == ["nRMSE 10.0 %"] * 2
    assert "error of\nbroken" not in [axes.get_ylabel() for axes in figure.axes]


def test_one_method_and_zero_rows_draw():
    figure = plot_rows({"empty": np.zeros((1, 4, 4), complex)})
    figure.canvas.draw()
    assert len(figure.axes) == 2


def test_errors():
    with pytest.raises(ValueError, match="reference = 'truth'"):
        plot_rows({"a": rows((1, 4, 4))}, reference="truth")
    with pytest.raises(ValueError, match="as many rows"):
        plot_rows({"a": rows((1, 4, 4)), "b": rows((2, 4, 4))})
    with pytest.raises(ValueError, match="images holds"):
        plot_rows({})
    matrix = matrix_of(rows((2, 2, 12)), None)
    with pytest.raises(ValueError, match="hold 1 rows, the matrix keeps 4"):
        plot_rows({"a": rows((1, 3, 4))}, matrix=matrix)
    with pytest.raises(ValueError, match="hold 1 rows, chosen names 2"):
        plot_rows({"a": rows((1, 3, 4))}, matrix=matrix, chosen=[0, 1])
    with pytest.raises(ValueError, match="give matrix"):
        plot_rows({"a": rows((1, 3, 4))}, chosen=[0])
