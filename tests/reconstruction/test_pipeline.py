from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj

GRID = mj.Grid.create((6, 5, 1), (18e-3, 15e-3, 1e-3))


@pytest.fixture(scope="module")
def setting():
    """A matrix of a 50 mmol/L sample, an image, and its data in two frames, the second with a background."""
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0))
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=400)
    particle = mj.Particle.create(25e-9)
    matrix = mj.simulate_system_matrix(scanner, sequence, particle, GRID, np.arange(2, 120), concentration=50.0)
    matrix = matrix.select(channels=[0, 1])
    concentration = np.zeros(30)
    concentration[[8, 15, 16]] = [10.0, 30.0, 20.0]  # mmol/L
    signal = np.einsum("cfn,n->cf", np.asarray(matrix.values), concentration / 50.0)
    data = np.stack([signal, 2 * signal])[:, None]
    return matrix, concentration, measurement(data, matrix)


def measurement(values, matrix, **extra):
    return mj.Measurement.create(
        values,
        matrix.frequencies,
        frequency_indices=matrix.frequency_indices,
        n_samples=matrix.n_samples,
        bandwidth=matrix.bandwidth,
        **extra,
    )


@pytest.mark.parametrize("solver, weights", [("tikhonov", None), ("tikhonov", "row_norm"), ("kaczmarz", None)])
def test_images_come_out_in_mmol_per_liter(setting, solver, weights):
    matrix, concentration, data = setting
    solution = mj.reconstruction.reconstruct(
        matrix, data, solver=solver, regularization=1e-6, sweeps=300, row_weights=weights
    )
    image = np.asarray(solution.value)
    assert image.shape == (2, 1, 5, 6)
    np.testing.assert_allclose(image[0, 0].reshape(-1), concentration, atol=1.0)
    np.testing.assert_allclose(image[1], 2 * image[0], rtol=1e-3, atol=0.05)


def test_lambda_is_relative_to_the_weighted_matrix(setting):
    matrix, _, data = setting
    solution = mj.reconstruction.reconstruct(
        matrix, data, solver="tikhonov", regularization=0.1, row_weights="row_norm"
    )
    rows = np.asarray(matrix.rows())
    used = np.count_nonzero(np.linalg.norm(rows, axis=1))
    assert float(solution.stats["lambda"]) == pytest.approx(0.1 * used / 30, rel=1e-4)


def test_empty_scan_is_subtracted_once(setting):
    matrix, _, data = setting
    background = (0.3 - 0.1j) * np.abs(data.values).max() * np.ones_like(data.values[:1])
    dirty = measurement(data.values + background, matrix)
    empty = measurement(np.repeat(background, 3, 0), matrix)
    options = {"solver": "tikhonov", "regularization": 1e-4}
    clean = mj.reconstruction.reconstruct(matrix, data, **options).value
    np.testing.assert_allclose(
        mj.reconstruction.reconstruct(matrix, dirty, empty=empty, **options).value, clean, atol=0.05
    )
    assert np.max(np.abs(mj.reconstruction.reconstruct(matrix, dirty, **options).value - clean)) > 1
    with pytest.raises(ValueError, match="already subtracted"):
        mj.reconstruction.reconstruct(matrix, replace(dirty, background_corrected=True), empty=empty)


def test_whitening_uses_background_frames_of_matrix_or_measurement(setting):
    matrix, _, data = setting
    sigma = np.where(np.arange(118) % 2, 1e-9, 3e-9) * np.ones((2, 1))
    noisy = mj.add_noise(matrix, sigma, key=jax.random.key(0), background_frames=400)
    result = mj.reconstruction.reconstruct(noisy, data, solver="tikhonov", row_weights="whitening")
    rows = np.asarray(noisy.rows()) * (1e-9 / noisy.row_values(noisy.noise_std).clip(1e-12))[:, None]
    assert np.all(np.isfinite(result.value))
    ratio = float(result.stats["lambda"]) / (1e-2 * np.linalg.norm(rows) ** 2 / 30)
    assert ratio == pytest.approx(1, abs=0.3)  # weights are 1 at the least noise, which is a sample estimate
    with pytest.raises(ValueError, match="background frames"):
        mj.reconstruction.reconstruct(matrix, data, row_weights="whitening")
    frames = np.asarray(noisy.background)[:, None]
    from_data = mj.reconstruction.reconstruct(matrix, replace(data, background=frames), row_weights="whitening")
    assert np.all(np.isfinite(from_data.value))


def test_matrix_and_data_must_belong_together(setting):
    matrix, _, data = setting
    with pytest.raises(ValueError, match="not corrected for"):
        mj.reconstruction.reconstruct(replace(matrix, transfer_function_corrected=True), data)
    with pytest.raises(ValueError, match="samples per period"):
        mj.reconstruction.reconstruct(replace(matrix, n_samples=402), data)
    with pytest.raises(ValueError, match="NaN or infinite"):
        bad = np.array(data.values)
        bad[1, 0, 0, 3] = np.nan
        mj.reconstruction.reconstruct(matrix, replace(data, values=bad))
    with pytest.raises(ValueError, match="'kaczmarz', 'tikhonov'"):
        mj.reconstruction.reconstruct(matrix, data, solver="magic")
    with pytest.raises(ValueError, match="the empty scan has channel 0"):
        mj.reconstruction.reconstruct(matrix, data, empty=replace(data, values=data.values[:, :, :1]))
