"""Randomized SVD against NumPy's, and reconstruction from a compressed matrix within its error bound."""

import jax
import numpy as np
import pytest

from mpijax.reconstruction import randomized_svd, relative_lambda, tikhonov
from tests.reconstruction.test_tikhonov_methods import mpi  # noqa: F401  (fixture)
from tests.reference import kaczmarz as reference

KEY = jax.random.key(3)


def falling(m, n, decay=0.5, seed=0):
    """Complex matrix with singular values decay^i."""
    rng = np.random.default_rng(seed)
    left, _, right = np.linalg.svd(rng.normal(size=(m, n)) + 1j * rng.normal(size=(m, n)), full_matrices=False)
    return (left * decay ** np.arange(min(m, n))) @ right


@pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
def test_against_numpy(shape):
    matrix = falling(*shape)
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    with jax.enable_x64(True):
        found = randomized_svd(matrix, 12, key=KEY)
        compressed = np.asarray(found.matrix)
    found = jax.tree.map(np.asarray, found)
    np.testing.assert_allclose(found.s, s[:12], rtol=1e-8)
    np.testing.assert_allclose((found.u * found.s) @ found.vh, (u[:, :12] * s[:12]) @ vh[:12], atol=1e-8)
    np.testing.assert_allclose(found.u.conj().T @ found.u, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(found.vh @ found.vh.conj().T, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(compressed, found.u.conj().T @ matrix, atol=1e-8)
    exact = np.linalg.norm(s[12:]) / np.linalg.norm(s)
    assert exact / 2 < found.discarded < 2 * exact  # an estimate from ten random vectors


def test_a_full_rank_discards_nothing():
    matrix = falling(9, 6)
    with jax.enable_x64(True):
        found = randomized_svd(matrix, 6, key=KEY)
        assert found.discarded < 1e-14
        np.testing.assert_allclose((found.u * found.s) @ found.vh, matrix, atol=1e-14)


def test_the_compressed_image_is_within_the_bound(mpi):  # noqa: F811
    """|x - x_k| <= |E| |b - A x_k| / lambda for real images too, on a simulated matrix."""
    matrix, data = mpi
    lam = float(relative_lambda(matrix, 1e-1))
    full = np.asarray(tikhonov(matrix, data, lam, constraint="real").value, float)
    errors = []
    for rank in (20, 100):
        x = tikhonov(matrix, data, lam, constraint="real", method="low_rank", rank=rank, key=KEY).value
        found = randomized_svd(matrix, rank, key=KEY)
        apart = tikhonov(found.matrix, found.compress(data), lam, constraint="real").value
        np.testing.assert_allclose(x, apart, atol=1e-4 * np.abs(full).max())
        x, u = np.asarray(x, float), np.asarray(found.u, complex)
        left_out = np.linalg.norm(1e13 * (matrix - u @ (u.conj().T @ matrix)), 2)
        residual = np.linalg.norm(1e13 * (data - matrix.astype(complex) @ x))
        error = np.linalg.norm(x - full)
        assert error < left_out * residual / (1e26 * lam) + 1e-5 * np.linalg.norm(full)
        errors.append(error / np.linalg.norm(full))
    assert errors[1] < 1e-3 < errors[0]


def test_compressed_frames_and_what_is_refused():
    matrix = falling(12, 8)
    found = randomized_svd(matrix, 3, key=KEY)
    frames = np.stack([matrix[:, 0], 2j * matrix[:, 1]])
    expected = frames @ np.asarray(found.u).conj()
    np.testing.assert_allclose(found.compress(frames), expected, atol=1e-5)
    np.testing.assert_allclose(found.compress(frames[0]), expected[0], atol=1e-5)
    with pytest.raises(ValueError, match="data has shape"):
        found.compress(frames[:, :-1])
    with pytest.raises(ValueError, match="rank = 9; a matrix of shape"):
        randomized_svd(matrix, 9, key=KEY)
    with pytest.raises(ValueError, match="matrix has 1 of 96"):
        randomized_svd(np.where(np.arange(96).reshape(12, 8) == 5, np.nan, matrix), 3, key=KEY)


def test_the_gradient_with_fixed_singular_vectors_is_the_full_one_at_full_rank():
    matrix, data, *_ = reference.problem()
    with jax.enable_x64(True):

        def loss(method, real, lam):
            extra = {"rank": 8, "key": KEY} if method == "low_rank" else {}
            value = tikhonov(real + 1j * matrix.imag, data, lam, method=method, **extra).value
            return (abs(value - 1) ** 2).sum()

        full, low = (jax.grad(loss, (1, 2))(method, matrix.real, 0.3) for method in ("primal", "low_rank"))
    np.testing.assert_allclose(low[1], full[1], rtol=1e-9)
