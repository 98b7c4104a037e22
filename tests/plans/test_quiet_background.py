"""A background that is no more than noise is named; one that a scanner really has is not."""

import numpy as np
import pytest

import mpijax as mj
from mpijax.core.frames import stands_out
from mpijax.plans.quiet_background import background_advice
from tests import DATA


def noise(*shape):
    real, imaginary = np.random.default_rng(7).normal(size=(2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


@pytest.mark.parametrize("frames", [2, 3, 20])
def test_noise_alone_stands_out_once_in_a_hundred_times(frames):
    assert 0.008 < np.mean(stands_out(noise(frames, 40_000))) < 0.012  # four standard deviations of that share


NOTHING, EVERYWHERE = np.zeros(200), np.full(200, 2.0)
FEW_ROWS, ONE_ROW = np.where(np.arange(200) % 20 == 3, 1.0, 0), np.where(np.arange(200) == 77, 5.0, 0)


@pytest.mark.parametrize(
    ("offset", "advised"), [(NOTHING, True), (EVERYWHERE, False), (FEW_ROWS, False), (ONE_ROW, False)]
)
def test_a_line_says_that_the_background_is_noise(tmp_path, offset, advised):
    frequencies = np.arange(1, 201) * 1e3
    matrix = mj.SystemMatrix.create(
        noise(2, 200, 9), frequencies, mj.Grid.create((9, 1, 1), (9e-3, 1e-3, 1e-3)), n_samples=2 * 201,
        background=noise(20, 2, 200) + offset.astype(np.complex64),
    )  # fmt: skip
    mj.io.write_system_matrix(tmp_path / "sm.mdf", matrix)
    source = mj.io.open_system_matrix(tmp_path / "sm.mdf")
    assert (
        source.thinned(8 * 2 * 200 * 29 / 4).n_rows == source.n_rows // 4 == 100 and source.thinned(1e9).n_rows == 400
    )
    lines = background_advice(source.select(min_frequency=20.5e3))
    assert bool(lines) == advised
    if advised:
        assert (
            "--background none" in lines[0]
            and "20 background frames" in lines[0]
            and "of 360 rows, by chance in 4;" in lines[0]
        )


def test_the_background_of_a_scanner_is_heard():
    """In every second row of the head-sized scanner three empty rows suffice, and two of them foretell the third."""
    frames = mj.io.read_head_scanner_lines(DATA / "hamburg_headscanner_2018" / "systemMatrixNew.h5")[0].background[:, 0]
    assert np.mean(stands_out(frames)) > 0.3
    left = [np.abs(frames[i] - np.delete(frames, i, 0).mean(0)) ** 2 for i in range(len(frames))]
    without = np.abs(frames) ** 2
    assert np.median(np.sum(without, 0) / np.sum(left, 0)) > 3
