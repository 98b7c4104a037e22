"""Classical upsampling: data consistency in the limit, exact recovery of a known filter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.rows.degradation import box_mean
from mpijax.rows.linear import apply_linear_filter, consistent_bicubic, fit_linear_filter
from mpijax.rows.resampling import bicubic, replicate


def rows(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def residual(fine, coarse, scale):
    return np.linalg.norm(box_mean(fine, scale) - coarse, axis=(-2, -1))


@pytest.mark.parametrize("scale", [2, 4])
def test_back_projection_converges_to_the_data(scale):
    coarse = rows((2, 6, 8))
    with jax.enable_x64(True):
        errors = [residual(consistent_bicubic(coarse, scale, iterations=k), coarse, scale) for k in (0, 1, 10, 200)]
        np.testing.assert_allclose(consistent_bicubic(coarse, scale, iterations=0), bicubic(coarse, scale), atol=1e-15)
    assert np.all(errors[0] > errors[1]) and np.all(errors[1] > errors[2])
    assert np.all(errors[3] < 1e-10 * np.linalg.norm(coarse, axis=(-2, -1)))


def test_back_projection_improves_smooth_rows():
    grid = (np.arange(32) + 0.5) / 16 - 1
    row = np.cos(3 * np.arccos(grid))[:, None] * np.cos(4 * np.arccos(grid))
    coarse = box_mean(row, 4)
    assert np.linalg.norm(consistent_bicubic(coarse, 4) - row) < 0.9 * np.linalg.norm(bicubic(coarse, 4) - row)


def test_tolerance_stops_at_the_noise_of_each_row():
    coarse = rows((3, 6, 6)).astype(np.complex64)
    epsilon = np.array([0.0, 0.2, 100.0], np.float32)
    fine = consistent_bicubic(coarse, 2, iterations=100, epsilon=epsilon)
    np.testing.assert_allclose(residual(fine, coarse, 2)[:2], epsilon[:2], atol=1e-3)
    np.testing.assert_allclose(fine[2], bicubic(coarse[2], 2), atol=1e-6)
    gradient = jax.grad(lambda b: jnp.sum(jnp.abs(consistent_bicubic(b, 2, iterations=2, epsilon=0.1)) ** 2))(
        jnp.zeros((4, 4))
    )
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("complex_values", [False, True])
def test_a_known_filter_is_recovered(scale, complex_values):
    coarse = rows((20, 7, 9)) if complex_values else rows((20, 7, 9)).real
    weights = np.random.default_rng(1).standard_normal((scale, scale, 3, 3))
    with jax.enable_x64(True):
        fine = np.asarray(apply_linear_filter(coarse, weights))
    fitted = fit_linear_filter(coarse, fine, scale, size=3, ridge=0.0, chunk=7)
    np.testing.assert_allclose(fitted, weights, atol=1e-11)
    wider = fit_linear_filter(coarse, fine, scale, size=5, ridge=0.0)
    np.testing.assert_allclose(wider[:, :, 1:-1, 1:-1], weights, atol=1e-11)


def test_filter_equals_its_formula_with_mirrored_borders():
    coarse, weights = rows((4, 5)), np.random.default_rng(1).standard_normal((2, 2, 3, 3))
    fine = apply_linear_filter(coarse, weights)
    padded = np.pad(coarse, 1, mode="symmetric")
    for i, j in ((0, 0), (3, 9), (7, 4)):
        patch = padded[i // 2 : i // 2 + 3, j // 2 : j // 2 + 3]
        np.testing.assert_allclose(fine[i, j], np.sum(weights[i % 2, j % 2] * patch), rtol=1e-5)


def test_bicubic_is_one_of_the_filters():
    coarse = rows((30, 8, 8))
    with jax.enable_x64(True):
        fine = np.asarray(bicubic(coarse, 2))
        weights = fit_linear_filter(coarse, fine, 2, size=5, ridge=0.0)
        np.testing.assert_allclose(apply_linear_filter(coarse, weights), fine, atol=1e-11)


def test_the_fit_beats_bicubic_on_its_own_rows_and_identity_size_one():
    fine = np.asarray(bicubic(rows((10, 4, 4)), 4)) * 1.5
    coarse = np.asarray(box_mean(fine, 2))
    weights = fit_linear_filter(coarse, fine, 2)
    fitted = np.linalg.norm(apply_linear_filter(coarse, weights) - fine)
    assert fitted < np.linalg.norm(bicubic(coarse, 2) - fine)
    ones = fit_linear_filter(coarse, np.asarray(replicate(coarse, 2)), 2, size=1)
    np.testing.assert_allclose(ones, 1.0, atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="size = 4"):
        fit_linear_filter(rows((1, 4, 4)), rows((1, 8, 8)), 2, size=4)
    with pytest.raises(ValueError, match=r"need \(1, 8, 8\)"):
        fit_linear_filter(rows((1, 4, 4)), rows((1, 8, 9)), 2)
