"""Averages and backgrounds of measurements in memory."""

from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj


def measurement(frames=7, periods=6, seed=0, **extra):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(frames, periods, 2, 5)) + 1j * rng.normal(size=(frames, periods, 2, 5))
    return mj.Measurement.create(values, np.arange(5) * 1e4, n_samples=8, **extra)


def test_averages_are_means_of_consecutive_ones():
    data = measurement(metadata={"/acquisition/numAverages": 10}, background=measurement(4, seed=1).values)
    found = data.average(frames=3, periods=2)
    np.testing.assert_allclose(found.values, data.values[:6].reshape(2, 3, 3, 2, 2, 5).mean((1, 3)))
    np.testing.assert_allclose(found.background, data.background.reshape(4, 3, 2, 2, 5).mean(2))
    assert found.averages == 3 and found.metadata["/acquisition/numAverages"] == 60
    assert found.average(frames=2).averages == 6


def test_background_is_interpolated_in_time():
    slope, offset = np.random.default_rng(2).normal(size=(2, 6, 2, 5))
    data = measurement()
    times, empty_times = np.array([0.5, 1, 3, 7, 9, 10, 12]), np.array([0.0, 0, 4, 10])

    def drift(t):
        return offset + slope * np.clip(t, 0, 10)

    jitter = np.array([1, -1, 0, 0])[:, None, None, None]  # the two at the same time count as their mean
    empty = np.stack([drift(t) for t in empty_times]) + jitter
    dirty = replace(data, values=data.values + np.stack([drift(t) for t in times]), background=empty + 0j)
    clean = dirty.subtract_background(times=times, background_times=empty_times)
    np.testing.assert_allclose(clean.values, data.values, atol=1e-12)
    np.testing.assert_allclose(clean.background.mean(0), 0, atol=1e-12)
    mean = dirty.subtract_background()
    np.testing.assert_allclose(mean.values, dirty.values - empty.mean(0), atol=1e-12)
    assert mean.background_corrected and clean.background_corrected


def test_an_empty_scan_is_subtracted():
    data, empty = measurement(), measurement(3, seed=1)
    found = data.subtract_background(empty)
    np.testing.assert_allclose(found.values, data.values - empty.values.mean(0))
    assert found.background.shape == empty.values.shape
    assert data.average(frames=6).subtract_background(empty.average(frames=3)).averages == 2


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: m.average(frames=8), "only 7 frames"),
        (lambda m: m.average(periods=0), "periods = 0"),
        (lambda m: m.subtract_background(), "no background frames"),
        (lambda m: replace(m, background_corrected=True).subtract_background(m), "already subtracted"),
        (lambda m: m.subtract_background(replace(m, background_corrected=True)), "empty scan's background"),
        (lambda m: m.subtract_background(replace(m, n_samples=9)), "differs from the measurement"),
        (lambda m: m.subtract_background(replace(m, values=m.values[:, :2])), "only frames may"),
        (lambda m: m.subtract_background(replace(m, values=np.nan * m.values)), "NaN"),
        (lambda m: m.subtract_background(m, times=np.arange(7)), "or neither"),
        (lambda m: m.subtract_background(m, times=np.arange(6), background_times=np.arange(7)), "times has shape"),
        (lambda m: m.rows(mj.system.RowIndex(np.array([0]), np.array([1])), 6), "periods 0 to 5"),
        (lambda m: m.rows(mj.system.RowIndex(np.array([0]), np.array([1])), -1), "periods 0 to 5"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(measurement())
