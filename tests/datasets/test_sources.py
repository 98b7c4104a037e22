from dataclasses import replace

import jax
import numpy as np
import pytest

from mpijax.datasets import CoarseMeasurement, fine_sigma, simulated_source, whitened_images
from mpijax.datasets.samplers import FieldFreeLineItem, FieldFreeLineSet, InHouseItem, InHouseSet
from mpijax.datasets.samplers.in_house import SENSITIVE
from mpijax.datasets.sources import field_free_line_source


def test_coarse_snr_is_what_was_asked_for(few_held_out):
    """Mean power of the matrix over sigma_coarse^2: 30 dB of a sample of S x S voxels, whatever S."""
    for scale in (2, 4):
        source = field_free_line_source(scale, matrices=1)
        rows = source.rows
        task = CoarseMeasurement(scale, sample=source.sample, augment="none")
        drawn = rows(jax.random.key(0))
        _, _, sigma = task.measure(jax.random.key(1), drawn)
        # the coarse rows as measured: what their noise really is, and their power
        noisy, _, _ = task.measure(jax.random.key(1), drawn)
        clean, _, _ = task.measure(jax.random.key(1), replace(drawn, sigma=0 * drawn.sigma))
        noise = np.mean(np.abs(np.asarray(noisy) - np.asarray(clean)) ** 2)
        np.testing.assert_allclose(np.asarray(sigma) ** 2, noise, rtol=0.05)
        fine = np.asarray(rows.images)
        means = fine.reshape(-1, 32 // scale, scale, 32 // scale, scale).mean((2, 4))
        snr = [10 * np.log10(np.mean(np.abs(x) ** 2) / noise) for x in (fine, means)]
        assert abs(snr[0] - 30) < 0.2 and 28.8 < snr[1] < snr[0]
    assert fine_sigma(4, 20.0, "fine") == pytest.approx(0.1) and fine_sigma(4, 20.0) == pytest.approx(1.6)
    with pytest.raises(ValueError, match="snr_of"):
        fine_sigma(2, 30.0, "middle")


def test_the_published_split_and_held_out_harmonics(monkeypatch):
    """Counts alone: every matrix is the same one, which is simulated once."""
    matrix = FieldFreeLineSet.create(jax.random.key(0)).train[0].simulate()
    monkeypatch.setattr(FieldFreeLineItem, "simulate", lambda item: matrix)
    source = field_free_line_source(2, matrices=2, snr_db=None)
    assert source.rows.images.shape == (960, 32, 32) and not np.any(source.rows.sigma) and not source.rows.measured
    assert source.validation.images.shape == (30 * 9, 32, 32)
    with pytest.raises(ValueError, match="1 to 66"):
        field_free_line_source(2, matrices=67)


def test_every_matrix_has_unit_power():
    images = whitened_images(item.simulate() for item in InHouseSet().train[:2])
    assert images.shape == (2, 600, 16, 32)
    np.testing.assert_allclose(np.mean(np.abs(images) ** 2, axis=(1, 2, 3)), 1, rtol=1e-5)


def test_the_sensitive_region_lies_in_the_middle():
    inside = InHouseSet.sensitive()
    assert inside.shape == (16, 32) and inside.sum() == SENSITIVE[0] * SENSITIVE[1]
    assert inside[1:14, 4:27].all()
    matrix = InHouseItem(0.5).simulate()
    assert matrix.values.shape == (60, 10, 512) and float(matrix.frequencies[-1]) == pytest.approx(11 * 23.2e3)


@pytest.mark.parametrize("name", ["in-house", "lissajous", "vrfnet-1"])
def test_sources_give_batches(name):
    source = simulated_source(name, 2, batch_size=4)
    task = CoarseMeasurement(2, sample=source.sample, target=source.target)
    batch = jax.jit(source.batches(task, 4, jax.random.key(0)))(jax.random.key(0))
    fine = (16, 32) if name == "in-house" else (32, 32)
    assert batch["target"].shape == (4, *fine, 2) and batch["input"].shape == (4, fine[0] // 2, fine[1] // 2, 2)
    assert all(np.isfinite(value).all() for value in batch.values())
    assert np.all(np.asarray(batch["noise_level"]) > 0)
    # the network is asked for what was measured: block means of the target are the input, up to a few times the noise
    means = np.asarray(batch["target"]).reshape(4, fine[0] // 2, 2, fine[1] // 2, 2, 2).mean((2, 4))
    error = np.sqrt(np.mean(np.sum((means - np.asarray(batch["input"])) ** 2, -1), axis=(1, 2)))
    limit = 1e-5 if source.target == "noisy" else 1.3 * np.asarray(batch["noise_level"])
    assert np.all(error < limit)


def test_unknown_sources_are_refused():
    with pytest.raises(ValueError, match="source"):
        simulated_source("scanner", 2)
