"""The first look at calibrations with bins in any order, failed positions and frames, and silent channels."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from mpijax.io import write_system_matrix
from mpijax.viz import complex_to_rgb, inspect_figure
from mpijax.viz.slices import plot_slices
from mpijax.viz.style import limits, save
from tests.viz.test_inspect_line import calibration


def drawn(matrix, path):
    """What the figure of a matrix shows: points, pictures, maps and titles, each in the order of its panel."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_system_matrix(path, matrix)
        figure = inspect_figure(path)
        save(figure, path.with_suffix(".png"), dpi=40)
    found = []
    for axes in figure.axes:
        points = [np.asarray(sorted(map(tuple, line.get_xydata()))) for line in axes.get_lines()]
        pictures = [np.asarray(image.get_array()) for image in axes.get_images()]
        maps = [np.asarray(mesh.get_array()) for mesh in axes.collections if isinstance(mesh, QuadMesh)]
        found.append((axes.get_title(), points, pictures + maps))
    return found


@pytest.mark.parametrize("shape", [(6, 5, 1), (7, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("frames, seed", [(4, 0), (0, 1)])
def test_bins_in_any_order_draw_the_same(tmp_path, shape, frames, seed):
    matrix = calibration(3, shape, frames=frames)
    order = np.random.default_rng(seed).permutation(6)
    moved = replace(
        matrix,
        values=np.asarray(matrix.values)[:, order],
        frequencies=np.asarray(matrix.frequencies)[order],
        frequency_indices=np.asarray(matrix.frequency_indices)[order],
        snr=None if matrix.snr is None else np.asarray(matrix.snr)[:, order],
        background=None if matrix.background is None else np.asarray(matrix.background)[:, :, order],
    )
    for want, found in zip(drawn(matrix, tmp_path / "a.mdf"), drawn(moved, tmp_path / "a.mdf"), strict=True):
        assert found[0] == want[0]
        for a, b in zip(want[1] + want[2], found[1] + found[2], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-9)


def test_failed_positions_are_gray(tmp_path):
    matrix = calibration(3, (6, 5, 1), frames=8)
    values = np.array(matrix.values)
    values[..., 7] = np.nan
    pictures = drawn(replace(matrix, values=values), tmp_path / "a.mdf")
    shown = [picture for title, _, images in pictures for picture in images if picture.shape == (5, 6, 3)]
    assert len(shown) == 6
    for picture in shown:
        np.testing.assert_array_equal(picture[1, 1], 0.5)
        assert np.delete(picture.reshape(30, 3), 7, axis=0).max() > 0.6  # full brightness is that of the others


def test_a_silent_channel_is_left_out_by_its_name(tmp_path):
    matrix = calibration(3, (6, 5, 1))
    values = np.array(matrix.values)
    values[1] = 0
    write_system_matrix(tmp_path / "a.mdf", replace(matrix, values=values))
    with pytest.warns(UserWarning, match="zero in every row: y"):
        figure = inspect_figure(tmp_path / "a.mdf")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["channel x", "channel z"]
    titles = [axes.get_title() for axes in figure.axes]
    assert any("channel z" in title for title in titles) and not any("channel y" in title for title in titles)


def test_rows_that_are_masked_are_not_shown(tmp_path):
    matrix = calibration(2, (6, 5, 1))
    mask = np.ones((2, 6), bool)
    mask[:, 0] = False
    titles = [title for title, _, _ in drawn(replace(matrix, row_mask=mask), tmp_path / "a.mdf")]
    assert not any(title.startswith("25.00 kHz") for title in titles)
    assert any(title.startswith("50.00 kHz") for title in titles)


def test_scales_end_at_finite_values():
    image = np.array([[np.nan, 1.0, -np.inf], [3.0, np.inf, -2.0]])
    assert limits(image) == (-2.0, 3.0) and limits(np.full(3, np.nan)) == (0.0, 0.0)
    colors = complex_to_rgb(np.where(np.isfinite(image), image + 0j, image))
    np.testing.assert_array_equal(colors[~np.isfinite(image)], 0.5)
    assert np.all(np.isfinite(colors)) and colors[1, 0].max() > 0.6
    from mpijax.system import Grid

    figure = plot_slices(image[None], Grid.create((3, 2, 1), (1, 1, 1)))
    assert figure.axes[0].get_images()[0].get_clim() == (0, 3)
