"""The L-curve and the discrepancy principle against brute force in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.reconstruction import discrepancy, l_curve, randomized_svd, relative_lambda, tikhonov
from tests.reconstruction.test_low_rank import falling
from tests.reconstruction.test_tikhonov_methods import MATRIX, PROBLEMS, minimizer, mpi  # noqa: F401  (fixture)


def noisy(shape=(40, 25), noise=1e-3, seed=1):
    rng = np.random.default_rng(seed)
    matrix = falling(*shape)
    image = np.exp(-(((np.arange(shape[1]) - 8) / 3) ** 2))
    error = noise * (rng.normal(size=(shape[0], 2)) @ [1, 1j])
    return matrix, matrix @ image + error, image, np.linalg.norm(error)


def norms(matrix, data, lam, weights=None, constraint=None):
    x = minimizer(matrix, data, lam, weights, constraint)
    weights = 1 if weights is None else weights
    return np.linalg.norm(weights * (matrix @ x - data)), np.linalg.norm(x)


@pytest.mark.parametrize("constraint", [None, "real"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_norms_are_those_of_the_minimizers(problem, constraint):
    matrix, data, weights = PROBLEMS[problem]
    lambdas = np.array([1e-3, 0.3, 20.0])
    with jax.enable_x64(True):
        curve = l_curve(matrix, data, lambdas=lambdas, row_weights=weights, constraint=constraint)
    expected = [norms(matrix, data, lam, weights, constraint) for lam in lambdas]
    # the residual of a real image is that of the stacked real problem, the same number
    np.testing.assert_allclose(np.stack([curve.residual_norm, curve.solution_norm], 1), expected, rtol=1e-9)
    np.testing.assert_allclose(curve.lambdas, lambdas, rtol=1e-14)


def test_curvature_and_corner_are_those_of_differences():
    """Central differences of the curve on a fine grid in float64, and its largest value."""
    matrix, data, *_ = noisy()
    scale = np.linalg.norm(matrix) ** 2 / 25
    logs = np.linspace(np.log(1e-8 * scale), np.log(10 * scale), 4001)
    with jax.enable_x64(True):
        curve = l_curve(matrix, data, lambdas=np.exp(logs))
        default = l_curve(matrix, data)
    u, v = np.log(curve.residual_norm), np.log(curve.solution_norm)
    du, dv = np.gradient(u, logs), np.gradient(v, logs)
    expected = (du * np.gradient(dv, logs) - np.gradient(du, logs) * dv) / (du**2 + dv**2) ** 1.5
    curvature = np.asarray(curve.curvature)
    np.testing.assert_allclose(curvature[5:-5], expected[5:-5], rtol=2e-3, atol=2e-3)
    assert default.interior and len(default.lambdas) == 121
    np.testing.assert_allclose(np.asarray(default.lambdas)[[0, -1]], [1e-8 * scale, 10 * scale], rtol=1e-9)
    corner = np.exp(logs[5:-5][np.argmax(expected[5:-5])])
    np.testing.assert_allclose(default.regularization, corner, rtol=0.02)
    np.testing.assert_allclose(default.corner, norms(matrix, data, float(default.regularization)), rtol=1e-8)


def test_the_corner_of_two_plateaus_is_where_the_filter_of_the_noise_closes():
    """Signal at s = 1, noise of |beta| = 1e-4 at s = 1e-4: the curve is an L with its corner in between."""
    matrix = np.diag([1.0, 1e-4]).astype(np.complex64)
    curve = l_curve(matrix, np.array([1.0, 1e-2], np.complex64))
    assert 1e-7 < curve.regularization < 1e-1
    assert curve.corner[0] == pytest.approx(1e-2, rel=0.2) and curve.corner[1] == pytest.approx(1.0, rel=0.2)


@pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
@pytest.mark.parametrize("constraint", [None, "real"])
def test_discrepancy_is_met(shape, constraint):
    matrix, data, _, noise = noisy(shape)
    target = 1.2 * noise
    with jax.enable_x64(True):
        double = discrepancy(matrix, data, noise, safety=1.2, constraint=constraint)
    single = discrepancy(matrix.astype("c8"), data.astype("c8"), noise, safety=1.2, constraint=constraint)
    for solution, tolerance in ((double, 1e-8), (single, 1e-4)):
        residual, length = norms(matrix, data, float(solution.value), None, constraint)
        np.testing.assert_allclose(residual, target, rtol=tolerance)
        np.testing.assert_allclose(solution.stats["residual_norm"], target, rtol=tolerance)
        np.testing.assert_allclose(solution.stats["solution_norm"], length, rtol=max(tolerance, 1e-3))


def test_frames_share_one_lambda():
    matrix, data, *_ = noisy()
    frames, lambdas = np.stack([data, 2 * data[::-1]]), np.array([1e-4, 1e-2, 1.0])
    with jax.enable_x64(True):
        curve = l_curve(matrix, frames, lambdas=lambdas)
        target = float(curve.residual_norm[1])
        found = discrepancy(matrix, frames, target)
    each = np.array([[norms(matrix, frame, lam) for frame in frames] for lam in lambdas])
    expected = np.sqrt(np.sum(each**2, axis=1))
    np.testing.assert_allclose(np.stack([curve.residual_norm, curve.solution_norm], 1), expected, rtol=1e-9)
    np.testing.assert_allclose(found.value, 1e-2, rtol=1e-8)


def test_what_cannot_be_attained_is_an_error_or_data():
    matrix, data, *_ = noisy()
    for noise in (1e-6, 2 * np.linalg.norm(data)):
        with pytest.raises(ValueError, match="is not the residual of any lambda: residuals go from"):
            discrepancy(matrix, data, noise)
    solve = jax.jit(discrepancy)
    low, high, inside = (solve(matrix, data, noise) for noise in (1e-6, 2 * np.linalg.norm(data), 1e-2))
    assert low.value == 0 and np.isinf(high.value) and np.isfinite(inside.value)
    assert [bool(s.stats["attainable"]) for s in (low, high, inside)] == [False, False, True]
    np.testing.assert_allclose(low.stats["residual_norm"], low.stats["least_residual"])
    np.testing.assert_allclose(high.stats["residual_norm"], np.linalg.norm(data), rtol=1e-6)
    assert high.stats["solution_norm"] == 0


@pytest.mark.parametrize("constraint", [None, "real"])
def test_chosen_images_are_near_the_best(mpi, constraint):  # noqa: F811
    """Simulated matrix in volts, 3 % noise: the image error is within 1.5 (L-curve) and 2 (discrepancy) of the best."""
    matrix, _ = mpi
    rng = np.random.default_rng(5)
    image = np.zeros(132)
    image[[40, 41, 66, 67, 78]] = [1, 1, 2, 2, 1]
    clean = matrix.astype(complex) @ image
    noise = 0.03 * np.sqrt(np.mean(np.abs(clean) ** 2) / 2) * (rng.normal(size=(len(clean), 2)) @ [1, 1j])
    data = (clean + noise).astype(np.complex64)

    @jax.jit
    def error(lam):
        value = tikhonov(matrix, data, lam, constraint=constraint).value
        return jnp.linalg.norm(jnp.real(value) - image) / np.linalg.norm(image)

    best = min(error(relative_lambda(matrix, r)) for r in np.logspace(-6, 1, 29))
    curve = l_curve(matrix, data, constraint=constraint)
    chosen = discrepancy(matrix, data, np.linalg.norm(noise), constraint=constraint)
    assert curve.interior
    assert error(curve.regularization) < 1.5 * best
    assert error(chosen.value) < 2 * best


def test_a_compressed_problem_has_the_same_corner():
    matrix, data, *_ = noisy()
    with jax.enable_x64(True):
        found = randomized_svd(matrix, 20, key=jax.random.key(0))
        low = discrepancy(found.matrix, found.compress(data), 5e-3)
        u = np.asarray(found.u)
        missed = np.linalg.norm(data - u @ (u.conj().T @ data))
        full = discrepancy(matrix, data, np.hypot(5e-3, missed))
    np.testing.assert_allclose(low.value, full.value, rtol=1e-3)


def test_errors():
    matrix, data, *_ = noisy()
    with pytest.raises(ValueError, match="expected a vector of at least 3"):
        l_curve(matrix, data, lambdas=np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="must rise strictly"):
        l_curve(matrix, data, lambdas=np.array([1.0, 3.0, 2.0]))
    with pytest.raises(ValueError, match="lambdas"):
        l_curve(matrix, data, lambdas=np.array([0.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match="constraint = 'nonnegative'"):
        l_curve(matrix, data, constraint="nonnegative")
    with pytest.raises(ValueError, match="has only zeros"):
        l_curve(0 * matrix, data)
    with pytest.raises(ValueError, match="noise_norm = -1"):
        discrepancy(matrix, data, -1.0)
    with pytest.raises(ValueError, match="data has shape"):
        discrepancy(MATRIX, data, 1.0)
