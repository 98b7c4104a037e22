"""The first look at a calibration of many angles or channels, and of a single voxel."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from mpijax.io import write_system_matrix
from mpijax.system import Grid, LissajousSequence, SystemMatrix, line_angles
from mpijax.viz import inspect_figure
from mpijax.viz.style import save


def calibration(channels, shape, angles=None, frames=4):
    rng = np.random.default_rng(0)
    grid = Grid.create(shape, (0.03, 0.03, 0.002))
    noise = rng.standard_normal((frames + grid.size, channels, 6, 2)) @ [1e-3, 1e-3j]
    peaks = 10.0 ** -np.arange(6)[:, None] * (1 + np.arange(channels)[:, None, None])
    sequence = LissajousSequence.create(
        (0.01, 0, 0), dividers=(1, 1, 1), base_frequency=25e3, n_samples=16, active=(True, False, False)
    )
    return SystemMatrix.create(
        peaks + np.moveaxis(noise[frames:], 0, -1),
        25e3 * np.arange(1, 7),
        grid,
        frequency_indices=np.arange(1, 7),
        n_samples=16,
        snr=1e3 * peaks[..., 0] if frames else None,
        background=noise[:frames] if frames else None,
        sequence=sequence,
        angles=angles,
    )


def draw(matrix, tmp_path):
    """The figure as it is written, where any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_system_matrix(tmp_path / "a.mdf", matrix)
        figure = inspect_figure(tmp_path / "a.mdf")
        save(figure, tmp_path / "a.png", dpi=50)
    return figure


def labels(figure):
    return [axes.get_ylabel() for axes in figure.axes]


def test_many_angles_share_a_color_bar_and_one_drift_map(tmp_path):
    figure = draw(calibration(60, (4, 3, 1), line_angles(60)), tmp_path)
    assert figure.get_figheight() < 8 and len(figure.axes) < 20
    assert labels(figure).count("angle / deg") == 2
    titles = [axes.get_title() for axes in figure.axes]
    # the SNR grows with the angle and shrinks with the harmonic
    assert "angle 177 deg\nharmonic 1" in titles
    assert {f"harmonic {k}" for k in range(1, 7)} == {t.partition("\n")[2] for t in titles if t.startswith("angle")}
    assert sum("median over the 60 angles" in title for title in titles) == 1
    entries = [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    assert entries == ["steady noise"]


def test_many_channels_are_numbered_and_few_angles_named(tmp_path):
    assert labels(draw(calibration(8, (4, 3, 1)), tmp_path)).count("receive channel") == 2
    few = draw(calibration(2, (4, 3, 1), np.radians([0.0, 36.0])), tmp_path)
    legend = few.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["angle 0 deg", "angle 36 deg"]
    assert "angle 36 deg\nharmonic 1" in [axes.get_title() for axes in few.axes]


@pytest.mark.parametrize("angles", [None, line_angles(7)])
@pytest.mark.parametrize("frames", [0, 4])
def test_a_single_voxel_is_a_spectrum(tmp_path, angles, frames):
    matrix = calibration(3 if angles is None else len(angles), (1, 1, 1), angles, frames)
    figure = draw(matrix, tmp_path)
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == "modulus of the harmonic"]
    assert len(axes.get_lines()) == matrix.n_channels
    for line, row in zip(axes.get_lines(), matrix.values[..., 0], strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.abs(row), rtol=1e-6)
        np.testing.assert_allclose(line.get_xdata(), 25 * np.arange(1, 7), atol=12)


def test_silence_alone_is_refused(tmp_path):
    matrix = calibration(3, (1, 1, 1), frames=0)
    write_system_matrix(tmp_path / "a.mdf", replace(matrix, values=0 * matrix.values))
    with pytest.raises(ValueError, match="all rows are zero or NaN; there is nothing to draw"):
        inspect_figure(tmp_path / "a.mdf")
