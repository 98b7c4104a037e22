"""A large matrix on the host is prepared part by part, with the same result."""

import jax
import numpy as np
import pytest

from mpijax.reconstruction import weights
from mpijax.reconstruction.solvers.kaczmarz import factors
from mpijax.reconstruction.weights import relative_lambda, row_norm_weights

VOXELS, BLOCK = 10, 8


@pytest.fixture
def by_parts(monkeypatch):
    """Every matrix on the host counts as large; parts have two blocks."""

    def switch():
        monkeypatch.setattr(weights, "LARGE", 1)
        monkeypatch.setattr(weights, "PART", 2 * BLOCK * VOXELS * 8)

    return switch


@pytest.mark.parametrize("rows", [5, 37, 48])
@pytest.mark.parametrize("weighted", [False, True])
def test_factors_are_equal_bit_for_bit(by_parts, rows, weighted):
    rng = np.random.default_rng(0)
    matrix = (1e-9 * (rng.normal(size=(rows, VOXELS, 2)) @ [1, 1j])).astype(np.complex64)
    matrix[3] *= 100
    row_weights = rng.uniform(0.5, 2, rows) if weighted else None
    penalty = 1e-20 * rng.uniform(1, 2, VOXELS) if weighted else 1e-20
    options = {"row_weights": row_weights, "block_size": BLOCK}
    whole, relative = factors.kaczmarz_factor(matrix, penalty, **options), relative_lambda(matrix, 0.1, row_weights)
    by_parts()
    found = factors.kaczmarz_factor(matrix, penalty, **options)
    assert jax.tree.structure(found) == jax.tree.structure(whole)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(relative_lambda(matrix, 0.1, row_weights), relative, rtol=1e-6)


def test_norms_of_rows(by_parts):
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(37, VOXELS)).astype(np.float32)
    whole = row_norm_weights(matrix)
    by_parts()
    np.testing.assert_array_equal(row_norm_weights(matrix), whole)


def test_nan_and_zeros_are_still_refused(by_parts):
    by_parts()
    matrix = np.ones((20, VOXELS), np.complex64)
    matrix[17, 2] = np.nan
    with pytest.raises(ValueError, match="1 of 200 entries that are NaN"):
        factors.kaczmarz_factor(matrix, 1.0)
    with pytest.raises(ValueError, match="only zeros"):
        factors.kaczmarz_factor(0 * np.ones((20, VOXELS), np.complex64), 1.0)
