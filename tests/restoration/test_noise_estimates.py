from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax.restoration.noise import background_noise, estimate_noise, pooled_noise, row_noise
from tests.restoration.matrices import UNIT, noisy, smooth_matrix


def white(shape, sigma, seed=0):
    rng = np.random.default_rng(seed)
    return ((rng.normal(size=shape) + 1j * rng.normal(size=shape)) * sigma / np.sqrt(2)).astype(np.complex64)


def wave(shape):
    axes = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    return (np.cos(12 * axes[0] + 1j) * np.exp(-6 * (axes[-1] - 0.5) ** 2)).astype(np.complex64)


@pytest.mark.parametrize("shape,bias", [((4, 4), 0.15), ((9, 12), 0.06), ((32, 32), 0.02), ((8, 9, 7), 0.02)])
def test_white_noise_is_found_with_little_bias(shape, bias):
    sigma = np.repeat([0.05, 0.3], 200)
    estimates = estimate_noise(
        white((400, *shape), 1.0) * sigma[:, None, None].reshape(-1, *(1,) * len(shape)).astype("f4")
    )
    ratio = estimates / sigma
    assert abs(np.median(ratio) - 1) < bias
    assert np.std(ratio) < 1.6 / np.sqrt(np.prod(shape))  # an estimate that knew there is no signal has 0.5 / sqrt(n)
    assert estimates.dtype == np.float32


def test_a_signal_hardly_counts():
    image = wave((24, 20))
    for sigma in (0.06, 0.3):
        estimates = estimate_noise(image * 4 + white((50, 24, 20), sigma))
        assert abs(np.mean(estimates) / sigma - 1) < 0.1
    assert estimate_noise(image[None])[0] < 2e-3 * np.max(np.abs(image))


@pytest.mark.parametrize("kind", ["block", "scattered", "lattice"])
def test_unknown_voxels_are_left_out(kind):
    sigma, shape = 0.1, (20, 18)
    rows = wave(shape) + white((60, *shape), sigma)
    known = np.ones(shape, bool)
    if kind == "block":
        known[7:10] = False
        known[10, :8] = False
    elif kind == "scattered":
        known = np.random.default_rng(1).random(shape) > 0.1
    else:
        known = np.zeros(shape, bool)
        known[::2, ::2] = True
    estimates = estimate_noise(np.where(known, rows, np.nan), known)
    assert abs(np.median(estimates) / sigma - 1) < 0.15
    if kind == "lattice":
        np.testing.assert_array_equal(estimates, estimate_noise(rows[:, ::2, ::2]))


def test_a_mask_per_row_and_a_single_slice():
    rows = wave((8, 9)) + white((3, 8, 9), 0.1)
    known = np.ones((3, 8, 9), bool)
    known[1, 2:4] = False
    got = estimate_noise(rows, known)
    np.testing.assert_allclose(got[[0, 2]], estimate_noise(rows)[[0, 2]], rtol=1e-5)
    np.testing.assert_allclose(got[1], estimate_noise(rows[1:2], known[1])[0], rtol=1e-5)
    np.testing.assert_allclose(estimate_noise(rows[:, None], known[:, None]), got, rtol=1e-5)


def test_rows_without_fluctuation_and_any_unit():
    constant = np.full((2, 5, 6), 3 - 4j, np.complex64)
    constant[1] = 0
    np.testing.assert_allclose(estimate_noise(constant), 0, atol=1e-5)
    rows = white((4, 6, 6), 1.0)
    np.testing.assert_allclose(estimate_noise(rows * np.complex64(1e-25)), estimate_noise(rows) * 1e-25, rtol=1e-4)
    np.testing.assert_allclose(estimate_noise(rows * np.complex64(1j)), estimate_noise(rows), rtol=1e-5)


def test_bad_requests():
    with pytest.raises(ValueError, match="at least 4"):
        estimate_noise(np.ones((1, 3, 9), np.complex64))
    with pytest.raises(ValueError, match="NaN or infinite"):
        estimate_noise(np.full((1, 5, 5), np.nan, np.complex64))
    with pytest.raises(ValueError, match="no known voxel"):
        estimate_noise(np.ones((1, 5, 5), np.complex64), np.zeros((5, 5), bool))


def test_background_frames_say_the_noise_of_a_voxel():
    grid = mj.Grid.create((30, 20, 1), (30e-3, 20e-3, 1e-3), (0, 0, 0))
    sigma = np.array([[1, 2, 3], [4, 5, 6.0]])
    matrix = mj.SystemMatrix.create(
        (white((2, 3, grid.size), 1.0, 1) * sigma[..., None]).astype(np.complex64),
        np.arange(3) * 1e3,
        grid,
        n_samples=8,
        bandwidth=4e3,
        row_mask=np.array([[False, True, True], [True, True, True]]),
        background=(white((2000, 2, 3), 1.0, 2) * sigma + 7j).astype(np.complex64),
    )
    got = background_noise(matrix)
    np.testing.assert_allclose(got, sigma.reshape(-1)[1:], rtol=0.06)
    np.testing.assert_allclose(estimate_noise(np.asarray(grid.to_image(matrix.rows()))), got, rtol=0.15)
    assert background_noise(replace(matrix, background=None)) is None
    tiny = replace(matrix, background=np.asarray(matrix.background) * np.complex64(1e-30))
    np.testing.assert_allclose(background_noise(tiny), got * 1e-30, rtol=1e-4)


@pytest.mark.parametrize("level", [0.06, 0.1, 0.3])
def test_five_frames_and_the_row_together_know_the_noise(level):
    matrix = mj.simulate_system_matrix(
        mj.Scanner.create(gradient=(-1.0, -1.0, 2.0)),
        mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0)),
        mj.Particle.create(20e-9, anisotropy_constant=3500.0, spatial_modulation=0.8),
        mj.Grid.create((13, 11, 1), (34e-3, 30e-3, 1e-3)),
    )
    images = np.asarray(matrix.images()).reshape(-1, 11, 13)
    peak = np.abs(images).max((1, 2))
    strong = np.argsort(peak)[-300:]
    images = images[strong] / peak[strong, None, None]
    own = estimate_noise((images + white(images.shape, level)).astype(np.complex64)).astype(float)
    measured = np.std(white((5, 300), level, 1), axis=0, ddof=1)
    assert np.std(measured) > 0.2 * level
    sigma, frames = pooled_noise(measured, own, 5, 143)
    assert frames == 20 and abs(np.mean(sigma) / level - 1) < 0.1 and np.std(sigma) < 0.15 * level
    assert pooled_noise(measured, own, 5, 16)[1] == 9
    fine_structure = np.full(300, 0.009)
    np.testing.assert_array_equal(pooled_noise(measured * 1e-3, fine_structure, 5, 143)[0], measured * 1e-3)


def test_twenty_frames_are_enough():
    matrix = noisy(smooth_matrix(empty=0), 0.1, frames=20)
    images = np.asarray(matrix.images()).reshape(24, 10, 12)
    unit, known = np.full(24, UNIT), np.ones((10, 12), bool)
    noise = row_noise(matrix, images / UNIT, known, None, unit)
    np.testing.assert_allclose(noise.sigma, background_noise(matrix) / UNIT, rtol=1e-6)
    assert (noise.source, noise.frames, noise.from_rows) == ("noise from 20 background frames", 20, False)
    fewer = replace(matrix, background=np.asarray(matrix.background)[:6])
    noise = row_noise(fewer, images / UNIT, known, None, unit)
    assert noise.source == "noise from 6 background frames and the rows themselves"
    assert noise.frames == 20 and noise.from_rows
    sigma = noise.sigma
    assert np.all(np.abs(sigma / 0.1 - 1) < 0.5) and np.std(sigma) < np.std(background_noise(fewer) / UNIT)
