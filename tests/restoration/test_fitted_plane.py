"""Planes of a field-free point made finer by one particle that is fitted to all coarse rows."""

from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax.identification.per_matrix import told
from mpijax.identification.per_matrix.facts import box_sample
from mpijax.identification.per_matrix.numbers import names_of
from mpijax.identification.per_matrix.rows import STEP_POINTS, Physics, value_and_slopes
from mpijax.identification.per_matrix.starts import dictionary
from mpijax.rows.degradation import degrade

pytestmark = pytest.mark.usefixtures("optimized")

NOISE = 0.02
SCANNER = mj.Scanner.create(gradient=(-0.9, -1.1, 2.0))
SEQUENCE = mj.LissajousSequence.create(amplitude=(10e-3, 11e-3, 0.0), active=(True, True, False))
BINS = np.arange(3, 60, 3)
FINE = mj.Grid.create((16, 16, 1), (24e-3, 22e-3, 1e-3))


@pytest.fixture(scope="module", autouse=True)
def parts_of_one_size():
    """Short and long searches simulate parts of as many positions: their programs are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STEP_POINTS, False, 64)
        yield


@pytest.mark.parametrize("nodes", [2, 3])
def test_means_over_a_sample_are_those_over_the_rectangle(nodes):
    x, y, z = box_sample((2.0, 4.0), nodes).T
    for i, j in [(0, 0), (1, 0), (2, 0), (0, 2), (3, 0), (1, 1), (2, 1)]:
        # the mean of x^i y^j over |x| < 1, |y| < 2
        exact = (1 / (i + 1) if i % 2 == 0 else 0) * (2.0**j / (j + 1) if j % 2 == 0 else 0)
        np.testing.assert_allclose(np.mean(x**i * y**j), exact, atol=1e-6)
    assert not z.any()


def test_signals_are_averaged_over_the_sample():
    sample = box_sample((1e-3, 2e-3), 2)
    small, filled = (told(SCANNER, SEQUENCE, FINE, s) for s in (np.zeros((1, 3)), sample))
    physics, start, names = Physics.equilibrium(), dictionary()[0], names_of(small, False)
    points = small.points[40:45]
    arguments = start, BINS, physics, names  # the program of the fit
    zero = np.zeros(len(names))

    def rows(facts, at):
        return value_and_slopes(zero, facts, arguments[0], at, *arguments[1:])

    averaged = rows(filled, points)
    single = rows(small, (points[:, None] + sample).reshape(-1, 3))
    for mean, parts in zip(averaged, single, strict=True):
        assert mean.shape[-1] == len(points)
        expected = parts.reshape(*parts.shape[:-1], len(points), 4).mean(axis=-1)
        np.testing.assert_allclose(mean, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.fixture(scope="module")
def fine():
    matrix = mj.simulate_system_matrix(SCANNER, SEQUENCE, mj.Particle.create(21e-9), FINE, BINS)
    peak = np.abs(np.asarray(matrix.values)).max(axis=-1)
    return replace(matrix, row_mask=peak > 1e-2 * peak.max())


def coarse_of(fine):
    """2 x 2 block means with white noise of ``NOISE``."""
    images = np.asarray(fine.grid.to_image(fine.rows()))[:, 0]
    seen = np.asarray(degrade(images, (2, 2), "box")).reshape(len(images), -1)
    sigma = NOISE * np.abs(seen).max(axis=1)
    drawn = np.random.default_rng(0).standard_normal((2, *seen.shape)) * sigma[:, None] / np.sqrt(2)
    return fine.with_rows((seen + drawn[0] + 1j * drawn[1]).astype(np.complex64), FINE.coarsen((2, 2, 1))), sigma


def test_finer_rows_come_close_to_the_truth(fine, monkeypatch):
    monkeypatch.setattr("mpijax.identification.per_matrix.identify.dictionary", lambda: dictionary()[::4])
    matrix, sigma = coarse_of(fine)
    solution = mj.restore(matrix, "upsample", method="fitted", sampling="box", noise_std=sigma, identify="equilibrium")
    bicubic = mj.restore(matrix, "upsample", method="bicubic", sampling="box", noise_std=sigma)
    truth = np.asarray(fine.rows())
    np.testing.assert_allclose(solution.value.grid.positions, FINE.positions, atol=1e-7)

    def error(found):
        return np.linalg.norm(np.asarray(found.value.rows()) - truth) / np.linalg.norm(truth)

    assert error(solution) < 0.01 < 0.05 < error(bicubic)
    assert "core diameter" in solution.stats.identification
    assert solution.stats.trusted.mean() > 0.9


def test_what_cannot_be_fitted_is_refused(fine):
    matrix, sigma = coarse_of(fine)
    with pytest.raises(ValueError, match="does not say drive amplitudes"):
        mj.restore(replace(matrix, sequence=None), "upsample", method="fitted", noise_std=sigma)
    volume = mj.simulate_system_matrix(
        SCANNER, SEQUENCE, mj.Particle.create(21e-9), mj.Grid.create((4, 4, 4), (0.02,) * 3), BINS[:3]
    )
    with pytest.raises(ValueError, match="planes"):
        mj.restore(volume, "upsample", method="fitted", noise_std=1e-9)
    with pytest.raises(ValueError, match="fewer than 6 rows lie well above the noise"):
        mj.restore(matrix, "upsample", method="fitted", noise_std=sigma * 100)
