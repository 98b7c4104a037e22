"""Tikhonov against stacked least squares in NumPy, and the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax.reconstruction import relative_lambda, tikhonov, whitening_weights
from tests.reference import kaczmarz as reference

MATRIX, DATA, *_ = reference.problem()
LAM = 0.3


def wide_problem():
    rng = np.random.default_rng(2)
    return rng.normal(size=(7, 13)) + 1j * rng.normal(size=(7, 13)), DATA[:7]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("lam", [0.0, LAM])
def test_tall_matrix(lam):
    solution = tikhonov(MATRIX, DATA, lam)
    expected = reference.tikhonov(MATRIX, DATA, lam)
    assert reference.error(solution.value, expected) < 1e-12
    residual = np.linalg.norm(MATRIX @ expected - DATA) / np.linalg.norm(DATA)
    np.testing.assert_allclose(solution.stats["residual"], residual, rtol=1e-12)


@pytest.mark.parametrize("lam", [0.0, LAM])
def test_wide_matrix(lam):
    matrix, data = wide_problem()
    solution = tikhonov(matrix, data, lam)
    assert reference.error(solution.value, reference.tikhonov(matrix, data, lam)) < 1e-12
    if lam == 0:  # the image of least norm that explains the data
        assert solution.stats["residual"] < 1e-12


def test_frames_and_transforms():
    for matrix, data in ((MATRIX, DATA), wide_problem()):
        frames = np.stack([data, 2j * data, 0 * data])
        together = tikhonov(matrix, frames, LAM)
        alone = [tikhonov(matrix, frame, LAM) for frame in frames]
        np.testing.assert_allclose(together.value, [s.value for s in alone], atol=1e-13)
        np.testing.assert_allclose(together.stats["residual"], [s.stats["residual"] for s in alone], atol=1e-13)
        lams = jnp.array([0.1, 0.5])
        mapped = jax.jit(jax.vmap(lambda lam, m=matrix, d=data: tikhonov(m, d, lam).value))(lams)
        np.testing.assert_allclose(mapped, [tikhonov(matrix, data, lam).value for lam in lams], atol=1e-13)


@pytest.mark.parametrize("problem", [(MATRIX, DATA), wide_problem()], ids=["tall", "wide"])
def test_gradients(problem):
    matrix, data = problem

    def loss(real, imag, data, lam):
        value = tikhonov(real + 1j * imag, data * (1 + 1j), lam).value
        return jnp.sum(jnp.cos(value.real) + jnp.sin(value.imag))

    check_grads(jax.jit(loss), (matrix.real, matrix.imag, data.real, LAM), order=1, modes=["rev"], eps=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_single_precision(shape):
    """Ill-conditioned as system matrices are: the normal equations alone are 7e-4 (tall) and 7e-5 (wide) away."""
    rng = np.random.default_rng(3)
    left, _, right = np.linalg.svd(rng.normal(size=shape) + 1j * rng.normal(size=shape), full_matrices=False)
    matrix = ((left * np.logspace(0, -6, 40)) @ right).astype(np.complex64)
    data = matrix @ np.ones(shape[1], np.complex64)
    lam = np.float32(relative_lambda(matrix, 1e-3))
    solution = tikhonov(matrix, data, lam)
    assert solution.value.dtype == np.complex64
    expected = reference.tikhonov(matrix.astype(np.complex128), data.astype(np.complex128), float(lam))
    assert reference.error(solution.value, expected) < 1e-5


def test_errors():
    with pytest.raises(ValueError, match="data has shape"):
        tikhonov(MATRIX, DATA[:3], LAM)
    with pytest.raises(ValueError, match="data has 12 NaN"):
        tikhonov(MATRIX, DATA * np.nan, LAM)
    with pytest.raises(ValueError, match="matrix has 96 of 96 entries"):
        tikhonov(np.full_like(MATRIX, np.inf), DATA, LAM)
    with pytest.raises(ValueError, match="regularization = -0.1"):
        tikhonov(MATRIX, DATA, -0.1)


def test_whitening_weights():
    np.testing.assert_allclose(whitening_weights(np.array([2.0, 1.0, 4.0])), [0.5, 1, 0.25])
    with pytest.raises(ValueError, match="noise_std"):
        whitening_weights(np.array([2.0, 0.0]))
