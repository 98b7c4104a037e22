"""Compressed sensing with a Fourier basis on an extended grid against a primal-dual twin."""

import jax
import numpy as np
import pytest

from mpijax.rows.sparse_fourier import compressed_calibration, random_mask


def noise(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def smooth(shape=(7, 8)):
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return np.cos(3 * y + 1) * np.exp(-(x**2)) + 1j * x * y


def spectrum_norm(wide):
    return np.abs(np.fft.fft2(wide, norm="ortho")).sum()


def primal_dual(data, known, epsilon, iterations=6000):
    """min |F a|_1 subject to |M a - b| <= epsilon by Chambolle and Pock's iteration, numpy float64; a on the whole grid."""
    a = ahead = np.zeros_like(data)
    p, q, tau = np.zeros_like(data), np.zeros_like(data), 0.99 / np.sqrt(2)  # |(F, M)|^2 <= 2
    for _ in range(iterations):
        p = p + tau * np.fft.fft2(ahead, norm="ortho")
        p = p / np.maximum(1, np.abs(p))
        r = np.where(known, q + tau * (ahead - data), 0)
        q = r * max(0, 1 - tau * epsilon / max(np.linalg.norm(r), 1e-300))
        new = a - tau * (np.fft.ifft2(p, norm="ortho") + q)
        ahead, a = 2 * new - a, new
    return a


def test_mask_has_as_many_positions_as_a_coarser_grid():
    for shape, scale, count in (((32, 32), 2, 256), ((32, 32), 8, 16), ((13, 23), 4, 19), ((5, 6), 1, 30)):
        mask = random_mask(shape, scale, key=jax.random.key(0))
        assert mask.shape == shape and mask.dtype == bool and mask.sum() == count
    masks = [random_mask((32, 32), 2, key=jax.random.key(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[0], masks[2])
    for part in (masks[0][:16], masks[0][:, :16], masks[0][::2]):  # 128 expected, 9.8 the standard deviation
        assert abs(part.sum() - 128) < 50


@pytest.mark.parametrize("sigma", [None, 0.1])
def test_the_optimum_of_a_primal_dual_method(sigma):
    rows = np.stack([smooth(), 3e-9 * (smooth() + 0.2 * noise((7, 8)))])
    known = random_mask((7, 8), 2, key=jax.random.key(3))
    known[2:4] = True
    scales = np.array([np.abs(row[known]).max() for row in rows])
    std = None if sigma is None else sigma * scales
    with jax.enable_x64(True):
        got = np.asarray(compressed_calibration(rows, known, sigma=std, extension=2, iterations=2000))
        whole = np.asarray(compressed_calibration(rows, known, sigma=std, extension=0, iterations=2000))
    for extension, result in ((2, got), (0, whole)):
        for row, found, scale in zip(rows, result, scales, strict=True):
            epsilon = 0 if sigma is None else sigma * np.sqrt(known.sum())
            wide = np.pad(np.where(known, row, 0) / scale, extension)
            mask = np.pad(known, extension)
            want = primal_dual(wide, mask, epsilon)
            inner = want[extension : extension + 7, extension : extension + 8]
            assert np.linalg.norm(found / scale - inner) < 1e-3 * np.linalg.norm(inner)
            distance = np.linalg.norm((found - row)[known]) / scale
            assert distance == pytest.approx(epsilon, rel=1e-9, abs=1e-9)
            if extension == 0:
                assert spectrum_norm(found / scale) == pytest.approx(spectrum_norm(want), rel=1e-4)


def test_a_row_that_is_sparse_on_the_extended_grid_is_recovered():
    """Waves of the 40 x 40 grid are not periodic on the 32 x 32 one: without the rim they are not found."""
    spectrum = np.zeros((3, 40, 40), np.complex128)
    rng = np.random.default_rng(0)
    for row in spectrum:
        row[rng.integers(0, 40, 6), rng.integers(0, 40, 6)] = noise(6, rng.integers(99)) + 2
    rows = np.fft.ifft2(spectrum, norm="ortho")[:, 4:-4, 4:-4].astype(np.complex64)
    known = random_mask((32, 32), 2, key=jax.random.key(1))

    def error(**options):
        found = compressed_calibration(np.where(known, rows, np.nan), known, **options)
        return np.linalg.norm(np.asarray(found) - rows) / np.linalg.norm(rows)

    assert error(iterations=300) < 1e-4
    assert error(iterations=300, extension=0) > 0.05
    assert error(iterations=300, penalty=0.3) < 1e-4  # another speed, the same row


def test_empty_rows_and_rows_within_their_noise():
    rows = np.stack([np.zeros((8, 9)), smooth((8, 9)), 1e-25 * smooth((8, 9))]).astype(np.complex64)
    known = random_mask((8, 9), 2, key=jax.random.key(0))
    found = np.asarray(compressed_calibration(rows, known, iterations=50))
    assert np.all(np.isfinite(found)) and not found[0].any()
    np.testing.assert_allclose(found[:, known], rows[:, known], rtol=1e-5)
    np.testing.assert_allclose(found[2] * 1e25, found[1], atol=1e-5)
    silent = np.asarray(compressed_calibration(rows, known, sigma=np.array([1.0, 1e3, 1e3]), iterations=300))
    assert np.abs(silent[1]).max() < 1e-3 * np.abs(rows[1]).max() and np.all(np.isfinite(silent))
    everything = compressed_calibration(rows, np.ones((8, 9), bool), iterations=50)
    np.testing.assert_allclose(everything, rows, rtol=1e-5, atol=1e-7)


def test_bad_requests():
    rows, known = smooth((8, 9))[None], np.ones((8, 9), bool)
    for options, message in (
        ({"known": np.zeros((8, 9), bool)}, "no known voxel"),
        ({"known": known[:7]}, "known has shape"),
        ({"images": np.full((1, 8, 9), np.nan + 0j)}, "NaN or infinite"),
        ({"images": rows[:, :3], "known": known[:3]}, "at least 4"),
        ({"sigma": -1.0}, "sigma = -1"),
        ({"sigma": np.ones(3)}, r"sigma has shape \(3,\)"),
        ({"extension": -1}, "extension = -1"),
        ({"iterations": 0}, "iterations = 0"),
        ({"penalty": 0.0}, "penalty = 0"),
    ):
        with pytest.raises(ValueError, match=message):
            compressed_calibration(**{"images": rows, "known": known} | options)
    with pytest.raises(ValueError, match="leaves no position"):
        random_mask((8, 8), 16, key=jax.random.key(0))
    with pytest.raises(ValueError, match="scale = 0"):
        random_mask((8, 8), 0, key=jax.random.key(0))
