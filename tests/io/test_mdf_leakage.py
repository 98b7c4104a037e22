"""Spectral-leakage correction while reading."""

import numpy as np
import pytest

from mpijax import io
from mpijax.system import correct_leakage
from tests.io.mdf_files import K, V, measurement, random_complex


def signal(seed=0, frames=9, periods=1):
    return np.random.default_rng(seed).normal(size=(frames, periods, 2, V)).astype(np.float32)


def test_runs_of_frames_are_corrected_by_themselves(tmp_path):
    data = signal()
    path = measurement(tmp_path / "a.mdf", data, [4, 5])
    found = io.read_measurement(path, correct_leakage=True)
    exact = data.astype(np.float64)
    foreground = np.concatenate([correct_leakage(exact[:4]), correct_leakage(exact[6:])])
    np.testing.assert_allclose(found.values, np.fft.rfft(foreground), atol=4e-6)
    np.testing.assert_allclose(found.background, np.fft.rfft(correct_leakage(exact[4:6])), atol=4e-6)
    some = io.read_measurement(path, correct_leakage=True, frames=[1, 6], average_frames=2)  # neighbors are read too
    np.testing.assert_allclose(some.values, found.values[[1, 6]].mean(0, keepdims=True), atol=4e-6)
    assert some.averages == 2


def test_what_has_been_corrected_is_not_corrected_twice(tmp_path):
    data = signal()
    path = measurement(tmp_path / "a.mdf", data, measurement__isSpectralLeakageCorrected=np.int8(1))
    np.testing.assert_allclose(io.read_measurement(path, correct_leakage=True).values, np.fft.rfft(data), atol=4e-6)
    first = io.read_measurement(measurement(tmp_path / "b.mdf", data), correct_leakage=True)
    io.write_measurement(tmp_path / "c.mdf", first)
    assert io.read_info(tmp_path / "c.mdf").flags["isSpectralLeakageCorrected"]
    again = io.read_measurement(tmp_path / "c.mdf", correct_leakage=True)
    np.testing.assert_array_equal(again.values, first.values)


def test_an_empty_scan_is_corrected_alike(tmp_path):
    data, empty = signal(0), signal(1, 3)
    path, scan = measurement(tmp_path / "a.mdf", data), measurement(tmp_path / "e.mdf", empty)
    found = io.read_measurement(path, empty_scan=scan, correct_leakage=True)
    expected = correct_leakage(data.astype(float)) - correct_leakage(empty.astype(float)).mean(0)
    np.testing.assert_allclose(found.values, np.fft.rfft(expected), atol=5e-6)


def test_refusals(tmp_path):
    spectra = measurement(
        tmp_path / "a.mdf", random_complex(0, 3, 1, 2, K), measurement__isFourierTransformed=np.int8(1)
    )
    with pytest.raises(ValueError, match="stores spectra"):
        io.read_measurement(spectra, correct_leakage=True)
    with pytest.raises(ValueError, match="2 periods per frame"):
        io.read_measurement(measurement(tmp_path / "b.mdf", signal(periods=2)), correct_leakage=True)
