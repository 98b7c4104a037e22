import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.fft import dctn, idctn

from mpijax import models
from mpijax.rows.filters import THRESHOLDS, dct_filter, local_wiener
from mpijax.rows.transforms import dct, dct_matrix, inverse_dct


def rows(shape, seed=0, dtype=np.complex64):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def reference(image, level, rule):
    """One row, coefficient by coefficient."""
    coefficients = dctn(image.real, norm="ortho") + 1j * dctn(image.imag, norm="ortho")
    shrunk = np.zeros_like(coefficients)
    for index, c in np.ndenumerate(coefficients):
        r = abs(c) / level
        if r > 1:
            shrunk[index] = c * {"soft": 1 - 1 / r, "hard": 1, "garrote": 1 - 1 / r**2}[rule]
    return idctn(shrunk.real, norm="ortho") + 1j * idctn(shrunk.imag, norm="ortho")


@pytest.mark.parametrize("shape", [(2, 5, 8), (2, 4, 5, 6), (2, 1, 6, 4)])
def test_the_transform_is_orthonormal_and_that_of_scipy(shape):
    images = rows(shape)
    axes = tuple(range(1, len(shape)))
    want = dctn(images.real, axes=axes, norm="ortho") + 1j * dctn(images.imag, axes=axes, norm="ortho")
    np.testing.assert_allclose(dct(images), want, atol=1e-5)
    np.testing.assert_allclose(inverse_dct(dct(images)), images, atol=1e-5)
    np.testing.assert_allclose(dct_matrix(7) @ dct_matrix(7).T, np.eye(7), atol=1e-14)


@pytest.mark.parametrize("rule", list(THRESHOLDS))
def test_every_rule_against_a_loop_over_coefficients(rule):
    images, sigma = rows((3, 6, 7)), np.array([0.2, 0.5, 1.0])
    filtered = np.asarray(dct_filter(images, sigma, rule=rule))
    want = [reference(image, THRESHOLDS[rule] * s, rule) for image, s in zip(images, sigma, strict=True)]
    np.testing.assert_allclose(filtered, want, atol=2e-5)
    assert filtered.dtype == np.complex64
    np.testing.assert_allclose(
        dct_filter(images, 0.5, threshold=1.0, rule=rule), [reference(i, 0.5, rule) for i in images], atol=2e-5
    )


@pytest.mark.parametrize("rule", list(THRESHOLDS))
def test_scale_phase_and_limits(rule):
    images = rows((2, 5, 6))
    filtered = dct_filter(images, 0.3, rule=rule)
    turned = 1e-25 * np.exp(0.7j)
    np.testing.assert_allclose(
        np.asarray(dct_filter((images * turned).astype(np.complex64), 0.3e-25, rule=rule)) / turned, filtered, atol=1e-4
    )
    np.testing.assert_allclose(dct_filter(images, 0.0, rule=rule), images, atol=1e-5)
    np.testing.assert_allclose(dct_filter(images, 1e3, rule=rule), 0, atol=1e-12)
    assert np.all(np.asarray(dct_filter(np.zeros((1, 4, 4), np.complex64), 0.0, rule=rule)) == 0)


def test_the_garrote_removes_more_error_than_the_soft_threshold():
    y, x = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 20), indexing="ij")
    clean = np.exp(1j * x) * np.sin(9 * y) * np.exp(-8 * (x - 0.5) ** 2)
    sigma = 0.1
    noisy = (clean + sigma / np.sqrt(2) * rows((8, 24, 20), 1)).astype(np.complex64)
    error = {rule: np.mean(np.abs(dct_filter(noisy, sigma, rule=rule) - clean) ** 2) for rule in THRESHOLDS}
    assert error["garrote"] < error["soft"] / 2 < sigma**2 / 4


def test_derivatives_of_a_row_with_empty_coefficients():
    with jax.enable_x64(True):
        image = jnp.asarray(rows((1, 4, 4), 3, np.complex128)).at[0, :, 2:].set(0)

        def power(real, sigma):
            return jnp.sum(jnp.abs(dct_filter(real + 0.5j * real, sigma, rule="garrote")) ** 2)

        check_grads(power, (image.real, jnp.array([0.1])), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)
        gradient = jax.grad(power)(jnp.zeros((1, 4, 4)), jnp.array([0.1]))
        assert np.all(np.isfinite(gradient))


def test_bad_requests():
    images = rows((2, 5, 6))
    with pytest.raises(ValueError, match="rule = 'firm'"):
        dct_filter(images, 0.1, rule="firm")
    with pytest.raises(ValueError, match="at least 4"):
        dct_filter(rows((2, 3, 6)), 0.1)
    with pytest.raises(ValueError, match=r"expected rows \(b, y, x\)"):
        dct_filter(rows((6, 6)), 0.1)
    with pytest.raises(ValueError, match="one per row"):
        dct_filter(images, np.ones(3))
    with pytest.raises(ValueError, match="sigma"):
        dct_filter(images, -0.1)


@pytest.mark.parametrize("shape", [(2, 6, 8), (2, 4, 5, 6)])
def test_local_wiener_filter_is_the_untrained_network_and_commutes_with_scale_and_phase(shape):
    images, sigma = rows(shape), np.array([0.8, 1.3], np.float32)
    network = models.create("wiener_unet", dimensions=len(shape) - 1, features=(4,), rngs=0)
    channels = np.stack([images.real, images.imag], -1)
    out = np.asarray(local_wiener(images, sigma))
    want = np.asarray(network(channels, noise_level=sigma))
    np.testing.assert_allclose(out, want[..., 0] + 1j * want[..., 1], atol=5e-6)
    turn = 1e-9 * np.exp(0.7j)
    np.testing.assert_allclose(local_wiener((turn * images).astype(np.complex64), 1e-9 * sigma) / turn, out, atol=2e-5)
    np.testing.assert_allclose(local_wiener(images, 0.0), images, atol=5e-6)


def test_local_wiener_filter_gains_on_the_garrote_where_coefficients_lie_together():
    y, x = np.mgrid[:20, :24]
    clean = np.exp(-(((x - 11) / 5) ** 2) - ((y - 8) / 4) ** 2) * np.cos(0.9 * x + 0.5 * y) * np.exp(0.4j)
    noisy = (clean + 0.1 * rows((4, *clean.shape))).astype(np.complex64)
    sigma = 0.1 * np.sqrt(2)
    errors = [
        np.mean(np.abs(f - clean) ** 2) for f in (local_wiener(noisy, sigma), dct_filter(noisy, sigma, rule="garrote"))
    ]
    assert errors[0] < 0.6 * errors[1]
