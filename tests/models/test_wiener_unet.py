"""The shipped denoiser: a local Wiener filter in the cosine domain, corrected by a U-Net."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.ndimage

from mpijax import models
from mpijax.models.unet import fill
from mpijax.models.wiener_unet import FIRST, LAST, MARGIN, ROUNDS, SMOOTHING, wiener_fill, wiener_filter
from tests.models.grids import call


def twin(image: np.ndarray, sigma: float) -> np.ndarray:
    """The filter of one real image in float64, on its own grid."""
    coefficients = scipy.fft.dctn(image, norm="ortho")

    def smooth(values):
        for axis in range(values.ndim):
            values = scipy.ndimage.correlate1d(values, SMOOTHING, axis=axis, mode="constant")
        return values

    local = smooth(coefficients**2) / smooth(np.ones_like(image))
    return scipy.fft.idctn(coefficients * np.maximum(0, 1 - MARGIN * sigma**2 / local), norm="ortho")


@pytest.mark.parametrize(("shape", "offset", "box"), [((5, 8), (2, 3), (9, 12)), ((4, 5, 6), (1, 0, 2), (6, 6, 9))])
def test_filter_is_that_of_the_numpy_twin_wherever_the_row_lies(shape, offset, box):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, *shape, 2)).astype(np.float32)
    sigma = np.array([0.6, 0.9], np.float32)
    place = (slice(None), *(slice(o, o + n) for o, n in zip(offset, shape, strict=True)))
    x, inside = np.zeros((2, *box, 2), np.float32), np.zeros((2, *box, 1), np.float32)
    x[place], inside[place] = images, 1
    out = np.array(wiener_filter(x, inside, sigma.reshape(-1, *[1] * (len(shape) + 1))))
    for i in range(2):
        for part in range(2):
            np.testing.assert_allclose(out[place][i, ..., part], twin(images[i, ..., part], sigma[i]), atol=3e-6)
    out[place] = 0
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("shape", [(5, 7), (4, 5, 6)])
def test_without_noise_the_untrained_network_is_the_identity(shape):
    network = models.create("wiener_unet", dimensions=len(shape), features=(8, 8), rngs=0)
    x = jax.random.normal(jax.random.key(0), (2, *shape, 2))
    np.testing.assert_allclose(call(network, x), x, atol=3e-6)
    assert float(jnp.sum(call(network, x, noise_level=jnp.array([1.0, 1.0])) ** 2)) < 0.8 * float(jnp.sum(x**2))


def test_neither_the_padding_nor_what_lies_in_it_changes_the_result():
    network = models.create("wiener_unet", features=(8, 8), rngs=0)
    kernel = network.backbone.last.kernel
    kernel[...] = 0.3 * jax.random.normal(jax.random.key(1), kernel[...].shape)
    x, level = jax.random.normal(jax.random.key(0), (2, 5, 7, 2)), jnp.array([0.1, 0.5])
    plain = call(network, x, noise_level=level)
    for box in ((8, 8), (16, 20)):
        padding = [(0, 0), (0, box[0] - 5), (0, box[1] - 7), (0, 0)]
        mask = jnp.pad(jnp.ones((2, 5, 7, 1)), padding)
        garbage = jnp.where(mask > 0, jnp.pad(x, padding), 1e3)
        out = call(network, garbage, mask=mask, noise_level=level)
        np.testing.assert_allclose(out[:, :5, :7], plain, atol=3e-6)
        np.testing.assert_array_equal(out * (1 - mask), 0)


def test_noise_of_a_sparse_row_is_reduced_before_any_training():
    """A product of two cosines under noise of 0.2 of its maximum: the filter gains more than 10 dB."""
    y, x = np.mgrid[:24, :20]
    clean = np.exp(0.5j) * np.cos(np.pi * (y + 0.5) * 5 / 24) * np.cos(np.pi * (x + 0.5) * 3 / 20)
    rng = np.random.default_rng(0)
    noisy = clean + 0.2 / np.sqrt(2) * (rng.normal(size=clean.shape) + 1j * rng.normal(size=clean.shape))
    network = models.create("wiener_unet", features=(8,), rngs=0)
    out = call(
        network,
        np.stack([noisy.real, noisy.imag], -1)[None].astype(np.float32),
        noise_level=np.array([0.2], np.float32),
    )
    after = np.asarray(out[0, ..., 0] + 1j * out[0, ..., 1])
    gain = 10 * np.log10(np.mean(np.abs(noisy - clean) ** 2) / np.mean(np.abs(after - clean) ** 2))
    assert gain > 10


def test_gradient_is_finite_for_an_empty_row():
    network = models.create("wiener_unet", features=(8,), rngs=0)
    energy = jax.jit(jax.grad(lambda x: jnp.sum(network(x, noise_level=jnp.array([0.1])) ** 2)))
    gradient = energy(jnp.zeros((1, 6, 6, 2)))
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    ("options", "message"), [({"scale": 2}, "does not upsample"), ({"dimensions": 1}, "dimensions = 1")]
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("wiener_unet", rngs=0, **options)


def smooth_row(shape: tuple[int, ...]) -> np.ndarray:
    """A real row with the structure of a mixing order: a product of Chebyshev-like waves that fades toward the edge."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    wave = np.prod([np.cos(4 * np.arccos(0.9 * a)) * np.exp(-(a**2)) for a in axes], axis=0)
    return np.stack([wave / np.abs(wave).max(), np.zeros(shape)], -1)[None].astype(np.float32)


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_annealed_filling_is_that_of_the_numpy_twin(sigma):
    x = smooth_row((16, 17))
    known = np.ones((1, 16, 17, 1), np.float32)
    known[:, 6:9] = 0
    known[:, 9, :5] = 0
    inside = np.ones_like(known)
    found = np.asarray(wiener_fill(x * known, known, inside, np.full((1, 1, 1, 1), sigma, np.float32)))
    values = np.asarray(fill(x * known, known, inside), np.float64)
    for level in FIRST * (max(sigma, LAST) / FIRST) ** (np.arange(ROUNDS) / (ROUNDS - 1)):
        filtered = np.stack([twin(values[0, ..., c], level / np.sqrt(2)) for c in range(2)], -1)[None]
        values = np.where(known > 0, x, filtered)
    np.testing.assert_allclose(found, values, atol=2e-5)
    missing = known == 0
    error, plain = (np.sqrt(np.mean((f - x)[..., :1][missing] ** 2)) for f in (found, fill(x * known, known, inside)))
    assert error < 0.8 * plain


def test_missing_voxels_are_not_read_and_gradients_reach_the_known_ones():
    network = models.create("wiener_unet", features=(8, 8), rngs=0)
    x, level = jnp.asarray(smooth_row((8, 9))), jnp.array([0.05])
    known = jnp.ones((1, 8, 9, 1)).at[:, 3, 2:7].set(0)
    mask = jnp.concatenate([known, jnp.ones_like(known)], -1)
    run = jax.jit(lambda x: network(x, mask=mask, noise_level=level))
    np.testing.assert_array_equal(run(x), run(jnp.where(known > 0, x, 1e3)))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(run(x)[:, 3] ** 2)))(x)
    assert np.all(np.isfinite(gradient)) and not np.any(np.where(known > 0, 0, gradient))
    assert float(jnp.abs(gradient[0, 2, 4]).max()) > 1e-3
