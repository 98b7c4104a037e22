"""Rows estimated from guides, and what is told of their errors."""

import numpy as np
import pytest

from mpijax.identification.per_matrix import Guides
from mpijax.restoration.guides import Estimator

ROWS, VOXELS, GUIDES = 600, 40, 3
SIGMA = 0.4


def complex_normal(rng, *shape):
    return ((rng.standard_normal((*shape, 2)) @ [1, 1j]) / np.sqrt(2)).astype(np.complex64)


@pytest.fixture(scope="module")
def estimator():
    """With guides of length one per voxel and coefficients of known variances; the last fifth of the positions is missing."""
    rng = np.random.default_rng(0)
    basis = complex_normal(rng, ROWS, GUIDES, VOXELS)
    known = np.arange(VOXELS) < 32
    seen = basis * known
    gram = np.conj(seen) @ seen.swapaxes(1, 2)
    return Estimator(basis, basis, known, gram, np.array([1.0, 0.04, 0.5, 0.3, 0.01, 0.2]))


def drawn(estimator, rng, beyond=0.0):
    """Rows whose coefficients have the estimator's variances, and what is measured of them."""
    c = rng.standard_normal((ROWS, 2 * GUIDES)) * np.sqrt(estimator.variances)
    rows = np.einsum("mg,mgn->mn", c[:, :GUIDES] + 1j * c[:, GUIDES:], estimator.seen)
    rows = (rows + beyond * complex_normal(rng, *rows.shape)).astype(np.complex64)
    return rows, rows + SIGMA * complex_normal(rng, *rows.shape)


def test_the_error_of_an_estimate_is_as_large_as_told(estimator):
    rows, values = drawn(estimator, np.random.default_rng(1))
    numbers, sigma = np.arange(ROWS), np.full(ROWS, SIGMA)
    told = estimator.told(numbers, values, estimator.known, sigma)
    estimate = told[..., 0] + 1j * told[..., 1]
    np.testing.assert_allclose(estimate, estimator.estimate(numbers, values, estimator.known, sigma)[0], atol=1e-4)
    error, expected = np.mean(np.abs(estimate - rows) ** 2, axis=0), np.mean(told[..., 4] ** 2, axis=0)
    np.testing.assert_allclose(error, expected, rtol=0.3)
    assert abs(error.mean() / expected.mean() - 1) < 0.04
    # another sign of a row changes that of its estimate, and not the error
    turned = estimator.told(numbers, -values, estimator.known, sigma)
    np.testing.assert_allclose(turned[..., :4], -told[..., :4], atol=1e-4)
    np.testing.assert_allclose(turned[..., 4:], told[..., 4:], rtol=1e-3, atol=1e-4)


def test_the_fitted_row_has_one_factor(estimator):
    _, values = drawn(estimator, np.random.default_rng(2))
    told = estimator.told(np.arange(ROWS), values, estimator.known, np.full(ROWS, SIGMA))
    row, known = estimator.seen[5, 0], estimator.known
    factor = np.linalg.lstsq(row[known, None], values[5, known], rcond=None)[0][0]
    np.testing.assert_allclose(told[5, :, 2] + 1j * told[5, :, 3], factor * row, atol=1e-4)


@pytest.mark.parametrize("beyond", [0.0, 0.6])
def test_what_no_guide_explains_is_told(estimator, beyond):
    _, values = drawn(estimator, np.random.default_rng(3), beyond)
    told = estimator.told(np.arange(ROWS), values, estimator.known, np.full(ROWS, SIGMA))
    # what lies along the guides is explained by them: of 32 positions 2.5 of 3 guides' worth
    assert abs(np.mean(told[:, 0, 5] ** 2) - 0.92 * beyond**2) < 0.03 * (1 + beyond)


def test_the_misfit_of_all_rows_is_told():
    rng = np.random.default_rng(4)
    guides = Guides(complex_normal(rng, 40, VOXELS), complex_normal(rng, 2, 40, VOXELS))
    known, sigma = np.ones(VOXELS, bool), np.full(40, SIGMA)
    noise = SIGMA * complex_normal(rng, 40, VOXELS)

    def misfit(rows):
        told = Estimator.learned(guides, guides, rows, known, sigma).told(np.arange(40), rows, known, sigma)
        assert np.ptp(told[..., 6]) == 0
        return (told[0, 0, 6] / SIGMA) ** 2

    assert misfit(guides.rows + noise) < 0.07
    assert abs(misfit(guides.rows + 0.8 * complex_normal(rng, 40, VOXELS) + noise) - 4 * 0.95) < 0.4
