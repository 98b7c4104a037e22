"""Upsampling of larger grids in overlapping patches: partition of unity, seams, borders, data consistency."""

import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.restoration.patches import patch_weights, upsample_by_patches
from mpijax.rows import bicubic, channels_to_complex, complex_to_channels, consistent_bicubic, denormalize, normalize


def rows(b, h, w, dtype=np.complex64, seed=0):
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(b, h, w)) + 1j * draw.normal(size=(b, h, w))).astype(dtype)


def plain(scale):
    return lambda coarse, sigma=None: bicubic(coarse, scale)


@pytest.mark.parametrize(
    ("length", "patch", "overlap"), [(32, 16, 8), (23, 8, 4), (9, 8, 7), (13, 5, 0), (8, 8, 4), (40, 7, 3), (5, 1, 0)]
)
def test_weights_add_up_to_one_and_fall_smoothly_to_the_seams(length, patch, overlap):
    starts, weights = patch_weights(length, patch, overlap)
    assert starts[0] == 0 and starts[-1] == length - patch and np.all(np.diff(starts) <= patch - overlap)
    total = np.zeros(length)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + patch] += weight
    np.testing.assert_allclose(total, 1, rtol=0, atol=4e-16)
    assert np.all(weights >= 0)
    margin = overlap // 4
    assert not weights[1:, :margin].any() and not weights[:-1, patch - margin :].any()
    assert weights[0, 0] == 1 or overlap == patch - 1
    steps = np.abs(np.diff(weights, axis=1))
    assert overlap < 8 or steps.max() < 0.4


@pytest.mark.parametrize("scale", [2, 4])
def test_a_method_of_short_reach_does_not_see_the_seams(scale):
    coarse = rows(2, 21, 27)  # Keys' kernel reaches two coarse cells, a quarter of the overlap
    found = upsample_by_patches(plain(scale), coarse, scale, patch=(16, 12), overlap=(8, 8), batch_size=5)
    np.testing.assert_allclose(found, bicubic(coarse, scale), atol=2e-6)
    narrow = upsample_by_patches(plain(scale), coarse, scale, patch=(16, 12), overlap=(4, 4))
    error = np.abs(narrow - np.asarray(bicubic(coarse, scale))).reshape(2, -1)
    assert 1e-3 < error.max() < 1


def test_constant_rows_stay_constant_and_ramps_stay_those_of_the_whole_grid():
    constant = np.full((1, 11, 9), 2 - 1j, np.complex64)
    np.testing.assert_allclose(upsample_by_patches(plain(2), constant, 2, patch=(4, 6)), 2 - 1j, atol=1e-6)
    y, x = np.mgrid[:20, :17]
    ramp = (0.5 * y - 1j * x + 3)[None].astype(np.complex64)
    found = upsample_by_patches(plain(2), ramp, 2, patch=(8, 8), overlap=(4, 4))[0, 4:-4, 4:-4]
    fine_y, fine_x = (np.mgrid[:40, :34] + 0.5) / 2 - 0.5
    # a ramp is lost within two cells of a patch's edge; of these an overlap of four cells discards one
    error = np.abs(found - (0.5 * fine_y - 1j * fine_x + 3)[4:-4, 4:-4])
    assert 1e-4 < error.max() < 0.02
    exact = upsample_by_patches(plain(2), ramp, 2, patch=(12, 12), overlap=(8, 8))[0, 4:-4, 4:-4]
    np.testing.assert_allclose(exact, (0.5 * fine_y - 1j * fine_x + 3)[4:-4, 4:-4], atol=1e-5)


def test_a_patch_as_large_as_the_grid_is_the_upsampler_itself():
    coarse, sigma = rows(5, 6, 9), np.arange(5, dtype=np.float32)
    seen = []

    def upsampler(part, level):
        seen.append((part.shape, np.array(level)))
        return consistent_bicubic(part, 2) * (1 + jnp.asarray(level))[:, None, None]

    want = upsampler(coarse, sigma)
    found = upsample_by_patches(upsampler, coarse, 2, patch=(6, 9), sigma=sigma)
    np.testing.assert_array_equal(found, want)
    assert found.dtype == np.complex64
    seen.clear()
    found = upsample_by_patches(upsampler, coarse, 2, patch=(6, 9), sigma=sigma, batch_size=3)
    np.testing.assert_allclose(found, want, atol=1e-5)
    assert [shape for shape, _ in seen] == [(3, 6, 9), (3, 6, 9)]
    np.testing.assert_array_equal(seen[1][1], [3, 4, 4])  # the last batch is filled up with its last row


def test_smaller_grids_are_continued_by_their_edges():
    coarse = rows(2, 5, 11)
    seen = []

    def nearest(part, sigma):
        assert sigma is None
        seen.append(part)
        return np.repeat(np.repeat(part, 2, axis=1), 2, axis=2)

    found = upsample_by_patches(nearest, coarse, 2, patch=(8, 6))
    np.testing.assert_allclose(found, np.repeat(np.repeat(coarse, 2, axis=1), 2, axis=2), rtol=1e-6)
    first = np.pad(coarse, ((0, 0), (1, 2), (0, 0)), mode="edge")[0, :, :6]
    np.testing.assert_array_equal(seen[0][0], first)


def test_block_means_of_consistent_patches_stay_those_of_the_data():
    coarse = rows(1, 13, 10, np.complex128)
    noise = np.random.default_rng(1)

    def consistent(part, sigma):
        """Whatever it adds, different in every patch, its block means are the data."""
        fine = np.repeat(np.repeat(part, 4, axis=1), 4, axis=2)
        fine = fine + noise.normal(size=fine.shape)
        means = fine.reshape(len(part), part.shape[1], 4, part.shape[2], 4).mean((2, 4))
        return fine + np.repeat(np.repeat(part - means, 4, axis=1), 4, axis=2)

    found = upsample_by_patches(consistent, coarse, 4, patch=(6, 6))
    means = found.reshape(1, 13, 4, 10, 4).mean((2, 4))
    np.testing.assert_allclose(means, coarse, atol=1e-14)


def test_patches_of_nearly_nothing_do_not_explode():
    coarse = rows(1, 8, 24)
    coarse[:, :, 8:12] *= 1e-30
    coarse[:, :, 12:] = 0

    def upsampler(rows, sigma=None):
        scaled, unit = normalize(rows)
        channels = jnp.tanh(complex_to_channels(scaled))
        return denormalize(channels_to_complex(jnp.repeat(jnp.repeat(channels, 2, axis=1), 2, axis=2)), unit)

    found = upsample_by_patches(upsampler, coarse, 2, patch=(8, 4))
    assert np.isfinite(found).all()
    assert np.abs(found[:, :, 20:24]).max() < 1e-29 and not found[:, :, 28:].any()
    assert np.abs(found).max() <= np.abs(coarse).max() * (1 + 1e-6)


def test_errors_say_what_fits():
    coarse = rows(2, 8, 8)
    for options, message in (
        ({"patch": (4, 4), "overlap": (4, 2)}, "not below patch"),
        ({"patch": (4, 0)}, "patch = 0"),
        ({"patch": (4,)}, "coarse cells along y and x"),
        ({"patch": (4, 4), "overlap": (-1, 0)}, "overlap = -1"),
        ({"patch": (4, 4), "sigma": np.ones(3, np.float32)}, r"one per row, \(2,\)"),
        ({"patch": (4, 4), "sigma": -1.0}, "sigma = -1.0"),
        ({"patch": (4, 4), "batch_size": 0}, "batch_size = 0"),
    ):
        with pytest.raises(ValueError, match=message):
            upsample_by_patches(plain(2), coarse, 2, **options)
    with pytest.raises(ValueError, match=r"the upsampler's result has shape \(18, 16, 16\); expected \(18, 8, 8\)"):
        upsample_by_patches(plain(4), coarse, 2, patch=(4, 4))
    coarse[0, 1, 1] = np.nan
    with pytest.raises(ValueError, match="coarse has 1 of 128 entries"):
        upsample_by_patches(plain(2), coarse, 2, patch=(4, 4))
