"""Spectral-leakage correction: what the window does to signals that repeat and to those that do not."""

import numpy as np
import pytest

from mpijax.system import correct_leakage
from mpijax.system.leakage import leakage_window

V = 96


def twin(frames):
    """The definition, sample by sample."""
    out = np.empty_like(frames)
    count = len(frames)
    for i in range(count):
        near = [j for j in (i - 1, i, i + 1) if 0 <= j < count]
        long = len(near) * V
        for v in range(V):
            weights = [
                (1 - np.cos(2 * np.pi * (part * V + v) / (long - 1))) * long / (long - 1) for part in range(len(near))
            ]
            out[i, ..., v] = sum(w * frames[j][..., v] for w, j in zip(weights, near, strict=True)) / len(near)
    return out


def tone(frequency, frames=5, phase=0.3):
    """cos at ``frequency`` [bins] through consecutive frames."""
    return np.cos(2 * np.pi * frequency * np.arange(frames * V) / V + phase).reshape(frames, V)


def test_it_is_the_sum_over_neighbors_times_one_window():
    frames = np.random.default_rng(0).normal(size=(4, 2, V))
    np.testing.assert_allclose(correct_leakage(frames), twin(frames), rtol=1e-12, atol=1e-12)
    assert correct_leakage(frames.astype(np.float32)).dtype == np.float32


def test_a_single_frame_is_left_alone():
    frames = np.random.default_rng(0).normal(size=(1, 3, V))
    np.testing.assert_array_equal(correct_leakage(frames), frames)


@pytest.mark.parametrize("parts, bound", [(3, 0.14), (2, 0.51)])
def test_gain_of_what_repeats(parts, bound):
    for samples in (V, 1632):
        gain = leakage_window(parts, samples).sum(0)
        assert gain.mean() == pytest.approx(1, abs=1e-13)
        assert bound - 0.02 < samples * np.abs(gain - 1).max() < bound


def test_a_periodic_signal_passes():
    frames = np.repeat(np.random.default_rng(0).normal(size=(1, V)), 4, 0)
    assert np.all(np.abs(correct_leakage(frames) - frames) <= 0.51 / V * np.abs(frames))


def test_a_tone_between_bins_leaks_less():
    spectra, corrected = (np.abs(np.fft.rfft(x)) for x in (tone(20.4), correct_leakage(tone(20.4))))
    far = np.abs(np.arange(V // 2 + 1) - 20.4) > 4
    inner, edge = slice(1, 4), [0, 4]
    gains = [spectra[i][..., far].max() / corrected[i][..., far].max() for i in (inner, edge)]
    assert gains[0] > 200 and gains[1] > 5
    energy = np.sum(spectra[inner][:, far] ** 2) / np.sum(corrected[inner][:, far] ** 2)
    assert energy > 5e4


@pytest.mark.parametrize(
    "frames, message",
    [
        (np.zeros(V), "frames, .., samples"),
        (np.zeros((3, 1)), "at least 2"),
        (np.zeros((3, V), complex), "time samples"),
    ],
)
def test_refusals(frames, message):
    with pytest.raises(ValueError, match=message):
        correct_leakage(frames)


@pytest.mark.parametrize("dtype", [np.int16, np.int64])
def test_integers_are_corrected_as_numbers(dtype):
    counts = np.random.default_rng(1).integers(-1000, 1000, size=(3, 2, V)).astype(dtype)
    corrected = correct_leakage(counts)
    assert corrected.dtype == np.float64
    np.testing.assert_array_equal(corrected, correct_leakage(counts.astype(float)))
    assert np.abs(corrected[1]).max() > 0
    assert correct_leakage(counts[:1]).dtype == np.float64
