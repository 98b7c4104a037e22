"""The network that corrects an estimate from fitted rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax import models
from mpijax.models.guided_unet import GUIDES
from mpijax.models.unet import rotate
from mpijax.models.wiener_unet import wiener_filter
from tests.models.grids import call


def drawn(shape=(2, 9, 7)):
    """Rows, guides and noise levels."""
    keys = jax.random.split(jax.random.key(0), 2)
    return jax.random.normal(keys[0], (*shape, 2)), jax.random.normal(keys[1], (*shape, GUIDES)), jnp.array([0.3, 0.6])


def trained(**options):
    """A network whose last layer is not zero."""
    network = models.create("guided_unet", features=(8, 8), rngs=0, **options)
    kernel = network.backbone.last.kernel
    kernel[...] = 0.3 * jax.random.normal(jax.random.key(1), kernel[...].shape)
    return network


def test_untrained_it_adds_half_of_what_the_filter_finds_beside_the_estimate():
    x, guides, level = drawn()
    network = models.create("guided_unet", features=(8,), rngs=0)
    out = call(network, x, noise_level=level, guides=guides)
    estimate = guides[..., :2]
    # the filter works on real and imaginary part in the phase of the estimate
    re, im = estimate[..., 0], estimate[..., 1]
    phase = jnp.angle(jnp.sum((re + 1j * im) ** 2, (1, 2))) / 2
    sigma = (level / jnp.sqrt(2)).reshape(-1, 1, 1, 1)
    filtered = wiener_filter(rotate(x - estimate, -phase), jnp.ones((*x.shape[:-1], 1)), sigma)
    np.testing.assert_allclose(out, estimate + rotate(filtered, phase) / 2, atol=1e-5)


def test_a_good_estimate_without_noise_stays():
    x, guides, _ = drawn()
    network = trained()
    np.testing.assert_allclose(call(network, x, guides=guides.at[..., :2].set(x)), x, atol=1e-5)


def test_the_phase_of_a_row_is_a_convention():
    x, guides, level = drawn()
    network, turn = trained(), jnp.array([0.1, -0.1])
    turned = jnp.concatenate([rotate(guides[..., :2], turn), rotate(guides[..., 2:4], turn), guides[..., 4:]], -1)
    plain = call(network, x, noise_level=level, guides=guides)
    out = call(network, rotate(x, turn), noise_level=level, guides=turned)
    np.testing.assert_allclose(out, rotate(plain, turn), atol=2e-5)


def test_neither_the_padding_nor_what_lies_in_it_changes_the_result():
    x, guides, level = drawn()
    network = trained()
    plain = call(network, x, noise_level=level, guides=guides)
    padding = [(0, 0), (0, 7), (0, 5), (0, 0)]
    mask = jnp.pad(jnp.ones((*x.shape[:-1], 1)), padding)
    rows, told = (jnp.pad(a, padding, constant_values=3.0) for a in (x, guides))
    out = call(network, rows, mask=mask, noise_level=level, guides=told)
    np.testing.assert_allclose(out[:, :9, :7], plain, atol=1e-5)
    np.testing.assert_array_equal(out * (1 - mask), 0)


def test_missing_voxels_are_not_read():
    x, guides, level = drawn()
    known = jnp.ones((*x.shape[:-1], 1)).at[:, ::2, 1].set(0)
    network = trained()
    first = call(network, x, mask=known, noise_level=level, guides=guides)
    second = call(network, jnp.where(known > 0, x, jnp.nan), mask=known, noise_level=level, guides=guides)
    np.testing.assert_array_equal(first, second)


def test_it_does_not_upsample():
    with pytest.raises(ValueError, match="scale = 2"):
        models.create("guided_unet", scale=2, rngs=0)
