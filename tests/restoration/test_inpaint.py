import jax
import numpy as np
import pytest
from scipy.fft import dctn, idctn
from scipy.optimize import minimize
from skimage.restoration import inpaint_biharmonic

from mpijax.rows.filters import dct_filter, local_wiener
from mpijax.rows.inpainting import biharmonic_inpaint, compressed_sensing, inpaint_denoise, wiener_inpaint


def smooth(shape, dtype=np.complex128):
    axes = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    first, last = axes[0], axes[-1]
    return (np.cos(3 * first) * np.sin(2 * last + 1) + 1j * np.exp(-4 * (first - 0.4) ** 2 - 2 * last**2)).astype(dtype)


def noise(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


@pytest.mark.parametrize("shape", [(13, 11), (7, 6, 8)])
def test_biharmonic_is_that_of_scikit_image(shape):
    image = smooth(shape)
    masks = np.random.default_rng(1).random((3, *shape)) > 0.2
    filled = biharmonic_inpaint(np.where(masks, image, np.nan), masks)
    for row, mask in zip(filled, masks, strict=True):
        for got, part in ((row.real, image.real), (row.imag, image.imag)):
            clipped = np.clip(got, part[mask].min(), part[mask].max())  # scikit-image clips what it filled
            np.testing.assert_allclose(clipped, inpaint_biharmonic(part, ~mask), atol=1e-12)
    np.testing.assert_array_equal(filled[masks], np.broadcast_to(image, filled.shape)[masks])


def test_one_mask_for_all_rows_and_a_slice_as_a_volume():
    images = np.stack([smooth((8, 9)), noise((8, 9))]).astype(np.complex64)
    mask = np.ones((8, 9), bool)
    mask[2:5, 3:7] = mask[0, 0] = False
    filled = biharmonic_inpaint(images, mask)
    assert filled.dtype == np.complex64
    np.testing.assert_array_equal(filled, biharmonic_inpaint(images, np.stack([mask, mask])))
    np.testing.assert_array_equal(filled[:, None], biharmonic_inpaint(images[:, None], mask[None]))
    np.testing.assert_array_equal(biharmonic_inpaint(images, np.ones((8, 9), bool)), images)


@pytest.mark.parametrize("shape", [(12, 14), (9, 10, 9)])
def test_a_cubic_is_continued_exactly(shape):
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    cubic = (1 + axes[0] ** 3 - 2 * axes[0] * axes[1] + 1j * axes[-1] ** 2 * axes[0] - 0.5j * axes[1])[None]
    mask = np.ones(shape, bool)
    mask[tuple(slice(3, n - 3) for n in shape)] = False
    np.testing.assert_allclose(biharmonic_inpaint(cubic, mask), cubic, atol=1e-10)


def test_inpaint_denoise_beats_either_half():
    clean, sigma = smooth((24, 20)), 0.1
    mask = np.ones(clean.shape, bool)
    mask[7:12, 4:9] = False
    noisy = (clean + sigma * noise((6, 24, 20))).astype(np.complex64)
    restored = inpaint_denoise(noisy, mask, sigma)
    filled = biharmonic_inpaint(noisy, mask)

    def error(rows, where):
        return np.mean(np.abs(np.asarray(rows) - clean)[:, where] ** 2)

    assert error(restored, mask) < 0.2 * error(filled, mask)
    assert error(restored, ~mask) < 0.8 * error(filled, ~mask)
    np.testing.assert_allclose(restored, inpaint_denoise(np.where(mask, noisy, np.nan), mask, sigma), atol=1e-6)
    once = inpaint_denoise(noisy, mask, sigma, rounds=1)
    np.testing.assert_array_equal(once, dct_filter(filled, sigma, rule="garrote"))
    whole = np.ones_like(mask)
    np.testing.assert_array_equal(inpaint_denoise(noisy, whole, sigma), dct_filter(noisy, sigma, rule="garrote"))


def spectrum(image):
    return dctn(image.real, norm="ortho") + 1j * dctn(image.imag, norm="ortho")


def test_wiener_filling_keeps_clean_voxels_and_units_and_is_the_filter_where_nothing_is_missing():
    images = 1e-13 * np.stack([smooth((12, 14)), 1j * smooth((12, 14)).real]).astype(np.complex64)
    known = np.ones((12, 14), bool)
    known[4:6] = known[9, 3] = False
    filled = np.asarray(wiener_inpaint(np.where(known, images, np.nan), known, 0.0))
    np.testing.assert_allclose(filled[:, known], images[:, known], atol=1e-5 * np.abs(images).max())
    twice = np.asarray(wiener_inpaint(2 * np.where(known, images, 7), known, 0.0))
    np.testing.assert_allclose(twice, 2 * filled, atol=1e-5 * np.abs(images).max())
    noisy = images + (1e-14 * noise(images.shape)).astype(np.complex64)
    whole = wiener_inpaint(noisy, np.ones((12, 14), bool), 1e-14)
    np.testing.assert_allclose(whole, local_wiener(noisy, 1e-14), atol=1e-6 * np.abs(images).max())


def test_compressed_sensing_reaches_the_optimum_of_a_general_solver():
    """The equality-constrained problem over the unknown values alone, by a quasi-Newton method on a smoothed norm."""
    image = (smooth((4, 5)) + 0.2 * noise((4, 5))).astype(np.complex128)
    mask = np.random.default_rng(2).random((4, 5)) > 0.4
    unknown = np.count_nonzero(~mask)

    def row(parameters):
        full = image.copy()
        full[~mask] = parameters[:unknown] + 1j * parameters[unknown:]
        return full

    def objective(parameters):
        coefficients = spectrum(row(parameters))
        modulus = np.sqrt(np.abs(coefficients) ** 2 + 1e-10)
        slope = coefficients / modulus
        gradient = (idctn(slope.real, norm="ortho") + 1j * idctn(slope.imag, norm="ortho"))[~mask]
        return modulus.sum(), np.concatenate([gradient.real, gradient.imag])

    best = minimize(objective, np.zeros(2 * unknown), jac=True, method="BFGS", options={"gtol": 1e-5, "maxiter": 2000})
    with jax.enable_x64(True):
        got = np.asarray(compressed_sensing(image[None], mask, 0.0, iterations=2000))[0]
    least = np.abs(spectrum(row(best.x))).sum()
    assert abs(np.abs(spectrum(got)).sum() / least - 1) < 1e-4
    np.testing.assert_allclose(got[mask], image[mask], atol=1e-6)


def test_thirty_per_cent_of_a_smooth_row_are_enough():
    rng = np.random.default_rng(3)
    coefficients = np.zeros((3, 16, 18), np.complex128)
    for row in coefficients:
        row[rng.integers(0, 6, 5), rng.integers(0, 6, 5)] = noise(5, rng.integers(99)) + 1
    clean = np.stack([idctn(c.real, norm="ortho") + 1j * idctn(c.imag, norm="ortho") for c in coefficients])
    masks = rng.random(clean.shape) < 0.3
    got = np.asarray(compressed_sensing(clean.astype(np.complex64), masks, 0.0))
    assert np.linalg.norm(got - clean) < 0.02 * np.linalg.norm(clean)
    assert np.linalg.norm(biharmonic_inpaint(clean, masks) - clean) > 0.1 * np.linalg.norm(clean)

    sigma = 0.05 * np.abs(clean).max()
    noisy = np.where(masks, clean + sigma * noise(clean.shape, 4), np.nan).astype(np.complex64)
    got = np.asarray(compressed_sensing(noisy, masks, np.full(3, sigma)))
    for row, data, mask in zip(got, noisy, masks, strict=True):  # the noise is explained, not more
        assert np.linalg.norm((row - data)[mask]) == pytest.approx(sigma * np.sqrt(mask.sum()), rel=0.01)
    np.testing.assert_array_equal(compressed_sensing(noisy, masks, 1e3), 0)


def test_scale_does_not_matter():
    image, mask = smooth((6, 7), np.complex64)[None], np.random.default_rng(5).random((6, 7)) > 0.5
    tiny = (image * 1e-25).astype(np.complex64)
    for fill in (biharmonic_inpaint, lambda x, k: compressed_sensing(x, k, 0.0)):
        np.testing.assert_allclose(np.asarray(fill(tiny, mask)) * 1e25, fill(image, mask), atol=1e-4)


def test_bad_requests():
    images = smooth((5, 6), np.complex64)[None].repeat(2, 0)
    mask = np.ones((2, 5, 6), bool)
    mask[1] = False
    for fill in (
        biharmonic_inpaint,
        lambda x, k: inpaint_denoise(x, k, 0.1),
        lambda x, k: compressed_sensing(x, k, 0.1),
    ):
        with pytest.raises(ValueError, match="1 rows have no known voxel, row 1 first"):
            fill(images, mask)
        with pytest.raises(ValueError, match="known has shape"):
            fill(images, mask[:, :4])
        with pytest.raises(ValueError, match="NaN or infinite"):
            fill(np.where(images == images[0, 0, 0], np.nan, images), np.ones((5, 6), bool))
        with pytest.raises(ValueError, match="at least 4"):
            fill(images[:, :3], np.ones((3, 6), bool))
    with pytest.raises(ValueError, match="rounds = 0"):
        inpaint_denoise(images, mask[0], 0.1, rounds=0)
    with pytest.raises(ValueError, match="iterations = 0"):
        compressed_sensing(images, mask[0], 0.1, iterations=0)
