"""Metrics against NumPy, scikit-image and their identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from skimage.metrics import structural_similarity

from mpijax import metrics


def images(seed, shape, complex_values=False):
    rng = np.random.default_rng(seed)
    real = rng.standard_normal(shape)
    return real + 1j * rng.standard_normal(shape) if complex_values else real


def skimage_ssim(a, b, data_range):
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(a, b, data_range=data_range, **settings)


@pytest.mark.parametrize("complex_values", [False, True])
@pytest.mark.parametrize("axis", [None, (-2, -1), 0])
def test_nrmse_is_the_frobenius_ratio_over_the_selected_entries(complex_values, axis):
    estimate, reference = images(0, (3, 5, 6), complex_values), images(1, (3, 5, 6), complex_values)
    mask = np.random.default_rng(2).random((3, 5, 6)) < 0.7
    mask[0] = True
    with jax.enable_x64(True):
        value = metrics.nrmse(estimate, reference, mask=mask, axis=axis)
    error = np.sqrt(np.sum(mask * np.abs(estimate - reference) ** 2, axis))
    np.testing.assert_allclose(value, error / np.sqrt(np.sum(mask * np.abs(reference) ** 2, axis)), rtol=1e-12)


def test_nrmse_known_values_and_zero_references():
    reference = np.array([[3.0, 4.0], [0.0, 0.0]])
    estimate = np.array([[3.0, 3.0], [0.0, 0.0]])
    np.testing.assert_allclose(metrics.nrmse(estimate, reference, axis=1), [0.2, 0.0], rtol=1e-6)
    assert metrics.nrmse(np.ones(3), np.zeros(3)) == np.inf
    assert np.isnan(metrics.nrmse(np.ones(3), np.ones(3), mask=np.zeros(3, bool)))


def test_integers_count_as_real_numbers_and_precision_is_kept():
    value = metrics.nrmse(np.array([1000, 3001]), np.array([1000, 3000]))
    assert float(value) == pytest.approx(1 / np.hypot(1000, 3000), rel=1e-6)
    with jax.enable_x64(True):
        assert metrics.nrmse(np.ones(3, np.float32), np.ones(3, np.float32)).dtype == np.float32


def test_reference_broadcasts_over_a_stack():
    estimate, reference = images(0, (4, 5, 6)), images(1, (5, 6))
    expected = [metrics.nrmse(e, reference) for e in estimate]
    np.testing.assert_allclose(metrics.nrmse(estimate, reference, axis=(-2, -1)), expected, rtol=1e-6)


def test_nrmse_range_counts_both_parts_of_complex_values():
    estimate, reference = images(0, (4, 6, 7), True), images(1, (4, 6, 7), True)
    stacked = [np.stack([x.real, x.imag], 0) for x in (estimate, reference)]
    rms = np.sqrt(np.mean((stacked[0] - stacked[1]) ** 2, (0, 2, 3)))
    expected = rms / (stacked[1].max((0, 2, 3)) - stacked[1].min((0, 2, 3)))
    np.testing.assert_allclose(metrics.nrmse_range(estimate, reference, axis=(1, 2)), expected, rtol=1e-5)
    mask = np.zeros((6, 7), bool)
    mask[2:4, 1:5] = True
    cut = metrics.nrmse_range(estimate[:, 2:4, 1:5], reference[:, 2:4, 1:5])
    np.testing.assert_allclose(metrics.nrmse_range(estimate, reference, mask=mask), cut, rtol=1e-6)
    assert metrics.nrmse_range(np.ones(4), np.ones(4)) == 0.0
    assert metrics.nrmse_range(np.ones(4), np.zeros(4)) == np.inf


@pytest.mark.parametrize("complex_values", [False, True])
def test_psnr_definition_and_default_peak(complex_values):
    estimate, reference = images(0, (3, 8, 8), complex_values), images(1, (3, 8, 8), complex_values)
    mean_square = np.mean(np.abs(estimate - reference) ** 2, (1, 2))
    expected = 10 * np.log10(np.abs(reference).max((1, 2)) ** 2 / mean_square)
    np.testing.assert_allclose(metrics.psnr(estimate, reference, axis=(1, 2)), expected, rtol=1e-5)
    np.testing.assert_allclose(
        metrics.psnr(estimate, reference, 1.0, axis=(1, 2)), -10 * np.log10(mean_square), rtol=1e-5
    )


def test_psnr_of_constant_error_and_of_exact_estimate():
    assert metrics.psnr(np.full(5, 0.9), np.ones(5)) == pytest.approx(20.0, abs=1e-4)
    assert metrics.psnr(np.ones(5), np.ones(5)) == np.inf
    mask = np.array([True, True, False])
    assert metrics.psnr(np.array([0.9, 1.1, 5.0]), np.array([1.0, 1.0, 50.0]), mask=mask) == pytest.approx(
        20.0, abs=1e-4
    )


@pytest.mark.parametrize("shape", [(11, 11), (17, 24)])
def test_ssim_equals_scikit_image(shape):
    reference = images(1, shape)
    estimate = reference + 0.3 * images(0, shape)
    with jax.enable_x64(True):
        value = metrics.ssim(estimate, reference, 2.0)
    assert float(value) == pytest.approx(skimage_ssim(estimate, reference, 2.0), abs=1e-12)
    assert float(metrics.ssim(estimate, reference, 2.0)) == pytest.approx(
        skimage_ssim(estimate, reference, 2.0), abs=1e-5
    )


def test_ssim_of_complex_stacks_is_the_mean_over_parts_with_one_range_per_image():
    reference = images(1, (2, 16, 13), True)
    estimate = reference + 0.2 * images(0, (2, 16, 13), True)
    ranges = np.array([2.0, 5.0])
    with jax.enable_x64(True):
        value = metrics.ssim(estimate, reference, ranges, axis=(-2, -1))
    expected = [
        np.mean([skimage_ssim(p(e), p(r), s) for p in (np.real, np.imag)])
        for e, r, s in zip(estimate, reference, ranges, strict=True)
    ]
    np.testing.assert_allclose(value, expected, atol=1e-12)


def test_ssim_mask_selects_window_centers():
    reference = images(1, (14, 15))
    estimate = reference + 0.3 * images(0, (14, 15))
    with jax.enable_x64(True):
        mask = np.zeros((14, 15), bool)
        mask[6, 8] = True
        value = metrics.ssim(estimate, reference, 2.0, mask=mask)
        cut = metrics.ssim(estimate[1:12, 3:14], reference[1:12, 3:14], 2.0)
    assert float(value) == pytest.approx(float(cut), abs=1e-13)


@pytest.mark.parametrize("shape", [(4, 10), (1, 12), (5, 5)])
def test_ssim_window_shrinks_on_small_grids(shape):
    reference = images(1, shape)
    assert float(metrics.ssim(reference, reference, 2.0)) == pytest.approx(1.0, abs=1e-6)
    assert float(metrics.ssim(reference + 0.5 * images(0, shape), reference, 2.0)) < 0.99
    window = min(11, min(shape) - 1 + min(shape) % 2)
    same = metrics.ssim(reference[..., : min(shape)], 2 * reference[..., : min(shape)], 2.0, window=window)
    assert float(metrics.ssim(reference[..., : min(shape)], 2 * reference[..., : min(shape)], 2.0)) == float(same)


def test_ssim_rejects_even_windows():
    with pytest.raises(ValueError, match="window = 8"):
        metrics.ssim(np.ones((12, 12)), np.ones((12, 12)), 1.0, window=8)


@pytest.mark.parametrize("complex_values", [False, True])
def test_best_scale_is_the_least_squares_factor(complex_values):
    estimate, reference = images(0, (6, 7), complex_values), images(1, (6, 7), complex_values)
    scale = metrics.best_scale(estimate, reference)
    expected = np.linalg.lstsq(estimate.reshape(-1, 1), reference.ravel(), rcond=None)[0][0]
    np.testing.assert_allclose(scale, expected, rtol=1e-5)
    assert jnp.iscomplexobj(scale) == complex_values
    factor = 2.0 - 1.5j if complex_values else -2.0
    np.testing.assert_allclose(metrics.best_scale(reference / factor, reference), factor, rtol=1e-5)
    assert metrics.best_scale(np.zeros(3), np.ones(3)) == 0.0


@pytest.mark.parametrize("metric", [metrics.nrmse, metrics.psnr, lambda a, b: metrics.ssim(a, b, 2.0)])
def test_gradients_and_jit(metric):
    with jax.enable_x64(True):
        estimate, reference = jnp.asarray(images(0, (6, 7))), jnp.asarray(images(1, (6, 7)))
        check_grads(jax.jit(lambda e: metric(e, reference)), (estimate,), order=1, modes=("rev",))
        np.testing.assert_allclose(jax.jit(metric)(estimate, reference), metric(estimate, reference), rtol=1e-12)


def test_gradient_is_finite_at_an_exact_estimate():
    reference = jnp.asarray(images(0, (3, 4)))
    np.testing.assert_array_equal(jax.grad(metrics.nrmse)(reference, reference), np.zeros((3, 4)))
    assert np.all(np.isfinite(jax.grad(metrics.nrmse)(jnp.ones(3), jnp.zeros(3))))


def test_bootstrap_resamples_groups_and_not_rows():
    """Four groups of equal rows: the interval is that of four numbers, however many rows repeat them."""
    key = jax.random.key(0)
    groups, values = np.repeat(np.arange(4), 50), np.repeat([1.0, 2.0, 3.0, 4.0], 50)
    mean, low, high = metrics.bootstrap_mean(values, groups, key=key)
    few = metrics.bootstrap_mean(np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4), key=key)
    assert (mean, low, high) == pytest.approx(few)
    assert mean == 2.5 and low == pytest.approx(1.5, abs=0.13) and high == pytest.approx(3.5, abs=0.13)
    _, narrow, wide = metrics.bootstrap_mean(values, np.arange(200), key=key)
    assert wide - narrow < 0.5 * (high - low)


def test_bootstrap_weighs_rows_and_says_where_it_knows_nothing():
    key = jax.random.key(0)
    assert metrics.bootstrap_mean(np.array([1.0, 1.0, 4.0]), np.array([5, 5, 7]), key=key)[0] == 2.0
    mean, low, high = metrics.bootstrap_mean(np.array([1.0, 3.0]), np.zeros(2, int), key=key)
    assert mean == 2.0 and np.isnan(low) and np.isnan(high)
    assert np.isnan(metrics.bootstrap_mean(np.zeros(0), np.zeros(0, int), key=key)).all()
    with pytest.raises(ValueError, match="one label per value"):
        metrics.bootstrap_mean(np.zeros(3), np.zeros(2, int), key=key)
    with pytest.raises(ValueError, match="level"):
        metrics.bootstrap_mean(np.zeros(3), np.arange(3), key=key, level=1.5)
