"""Reading measurements: layouts, averages and backgrounds."""

from dataclasses import replace

import numpy as np
import pytest

from mpijax import io
from mpijax.io.mdf import measurement as mdf_measurement
from tests.io.mdf_files import BANDWIDTH, K, V, calibration, measurement, random_complex
from tests.reference import mdf as reference


def signal(seed=0, frames=7, periods=6):
    return np.random.default_rng(seed).normal(size=(frames, periods, 2, V)).astype(np.float32)


def test_time_domain_frames_and_background(tmp_path):
    data = signal()
    path = measurement(tmp_path / "a.mdf", data, [2, 6])
    found = io.read_measurement(path)
    spectra = np.fft.rfft(data.astype(np.float64))
    np.testing.assert_allclose(found.values, spectra[[0, 1, 3, 4, 5]], atol=2e-6)
    np.testing.assert_allclose(found.background, spectra[[2, 6]], atol=2e-6)
    assert found.values.dtype == np.complex64 and found.n_samples == V and found.bandwidth == BANDWIDTH
    assert not found.background_corrected
    mean = io.read_measurement(path, background="mean")
    np.testing.assert_allclose(mean.values, spectra[[0, 1, 3, 4, 5]] - spectra[[2, 6]].mean(0), atol=4e-6)
    assert mean.background_corrected
    drifting = io.read_measurement(path, background="interpolate", frames=[2, 3], average_frames=2)
    empty = spectra[[2, 6]]
    expected = (spectra[3] + spectra[4]) / 2 - (0.625 * empty[0] + 0.375 * empty[1])  # at the mean time 3.5 of 2 .. 6
    np.testing.assert_allclose(drifting.values, expected[None], atol=4e-6)


def test_interpolation_is_the_reference_formula_for_equidistant_frames(tmp_path):
    data = signal(frames=9, periods=1)
    path = measurement(tmp_path / "a.mdf", data, [0, 4, 8])
    spectra = np.fft.rfft(data.astype(np.float64))
    frames = [1, 2, 3, 5, 6, 7]
    expected = spectra[frames] - reference.interpolated_background(frames, [0, 4, 8], spectra[[0, 4, 8]])
    np.testing.assert_allclose(io.read_measurement(path, background="interpolate").values, expected, atol=4e-6)


@pytest.mark.parametrize("slab", [2**25, 2000, 1])
def test_averages_are_means_of_consecutive_ones(tmp_path, monkeypatch, slab):
    monkeypatch.setattr(mdf_measurement, "SLAB_BYTES", slab)
    data = signal()
    path = measurement(tmp_path / "a.mdf", data)
    spectra = np.fft.rfft(data.astype(np.float64))
    found = io.read_measurement(path, frames=slice(0, 7), average_frames=3, average_periods=2)
    expected = spectra[:6].reshape(2, 3, 3, 2, 2, K).mean((1, 3))
    np.testing.assert_allclose(found.values, expected, atol=2e-6)
    assert found.metadata["/acquisition/numAverages"] == 60
    chosen = io.read_measurement(path, frames=[5, 0], periods=[4, 1, 0])
    np.testing.assert_allclose(chosen.values, spectra[[5, 0]][:, [4, 1, 0]], atol=2e-6)
    np.testing.assert_allclose(io.read_measurement(path, frames=-1, periods=3).values, spectra[-1:, 3:4], atol=2e-6)


def test_layouts_of_spectra(tmp_path):
    spectra = random_complex(0, 4, 3, 2, K)
    transformed = {"measurement__isFourierTransformed": np.int8(1)}
    plain = io.read_measurement(measurement(tmp_path / "a.mdf", spectra, [3], **transformed))
    np.testing.assert_array_equal(plain.values, spectra[:3])
    fast = measurement(
        tmp_path / "b.mdf", np.moveaxis(spectra, 0, -1), [3], **transformed, measurement__isFastFrameAxis=np.int8(1)
    )
    np.testing.assert_array_equal(io.read_measurement(fast, periods=[2, 0]).values, spectra[:3, [2, 0]])
    bins = np.array([1, 4, 5])
    chosen = {"measurement__isFrequencySelection": np.int8(1), "measurement__frequencySelection": bins + 1}
    some = io.read_measurement(measurement(tmp_path / "c.mdf", spectra[..., bins], **transformed, **chosen))
    assert some.frequency_indices.tolist() == bins.tolist()
    np.testing.assert_array_equal(some.values, spectra[..., bins])


def test_raw_integers_are_converted_once(tmp_path):
    counts = np.random.default_rng(0).integers(-3000, 3000, (2, 1, 2, V), np.int16)
    factors = np.array([[2e-3, 0.5], [3e-3, -0.25]])
    path = measurement(tmp_path / "a.mdf", counts, acquisition__receiver__dataConversionFactor=factors)
    expected = np.fft.rfft(counts * factors[:, 0, None] + factors[:, 1, None])
    np.testing.assert_allclose(io.read_measurement(path).values, expected, rtol=1e-4, atol=1e-4)
    spectra = np.fft.rfft(counts)
    path = measurement(
        tmp_path / "b.mdf",
        spectra,
        measurement__isFourierTransformed=np.int8(1),
        acquisition__receiver__dataConversionFactor=factors,
    )
    np.testing.assert_allclose(io.read_measurement(path).values, expected, rtol=1e-10, atol=1e-10)


def test_transfer_function_and_rows_of_a_matrix(tmp_path):
    transfer = random_complex(1, 2, K, dtype=np.complex128)
    transfer[0, 0] = 0
    fields = {"acquisition__receiver__transferFunction": transfer}
    data = signal()
    found = io.read_measurement(measurement(tmp_path / "a.mdf", data, **fields))
    spectra = np.fft.rfft(data.astype(np.float64))
    inverse = np.divide(1, transfer, out=np.zeros_like(transfer), where=transfer != 0)
    np.testing.assert_allclose(found.values, spectra * inverse, rtol=1e-4, atol=1e-5)
    assert found.transfer_function_corrected
    assert not io.read_measurement(tmp_path / "a.mdf", apply_transfer_function=False).transfer_function_corrected
    system = calibration(tmp_path / "s.mdf", random_complex(2, 1, 2, K, 12), **fields)
    matrix = io.read_system_matrix(system, min_frequency=3e5)
    rows = found.rows(matrix.row_index(), period=1)
    np.testing.assert_array_equal(rows, found.values[:, 1, :, 2:].reshape(7, -1))


def test_empty_scan(tmp_path):
    data, empty = signal(0), signal(1, frames=3)
    path, scan = measurement(tmp_path / "a.mdf", data), measurement(tmp_path / "e.mdf", empty, [0, 1, 2])
    found = io.read_measurement(path, empty_scan=scan, average_periods=3)
    spectra, background = (np.fft.rfft(x.astype(np.float64)).reshape(-1, 2, 3, 2, K).mean(2) for x in (data, empty))
    np.testing.assert_allclose(found.values, spectra - background.mean(0), atol=4e-6)
    assert found.background_corrected and found.background.shape == (3, 2, 2, K)
    one = measurement(tmp_path / "o.mdf", signal(1, 3, 1))
    assert io.read_measurement(path, empty_scan=one).values.shape == (7, 6, 2, K)
    with pytest.raises(io.MDFError, match="does not match"):
        io.read_measurement(path, empty_scan=measurement(tmp_path / "x.mdf", signal(1, 3, 2)))
    with pytest.raises(ValueError, match="subtracted once"):
        io.read_measurement(path, empty_scan=scan, background="mean")


def test_refusals(tmp_path):
    data = signal()
    path = measurement(tmp_path / "a.mdf", data)
    for arguments, message in (
        ({"frames": [9]}, "frames 0 to 6"),
        ({"periods": 6}, "periods 0 to 5"),
        ({"average_frames": 8}, "only 7 frames"),
        ({"average_frames": 0}, "whole number of at least 1"),
        ({"background": "mean"}, "empty_scan="),
        ({"background": "first"}, "allowed"),
        ({"apply_transfer_function": True}, "no transfer function"),
    ):
        with pytest.raises(ValueError, match=message):
            io.read_measurement(path, **arguments)
    data[3, 2, 1, 5] = np.nan
    path = measurement(tmp_path / "b.mdf", data)
    with pytest.raises(ValueError, match=f"{K} of the {7 * 6 * 2 * K} spectral values"):
        io.read_measurement(path)
    assert io.read_measurement(path, frames=[0, 1]).values.shape == (2, 6, 2, K)


def test_periods_with_their_own_offset_fields_travel(tmp_path):
    offsets = np.repeat(np.arange(6.0).reshape(2, 1, 3), 3, axis=0) * 1e-3
    path = measurement(tmp_path / "a.mdf", signal(), acquisition__offsetField=offsets)
    found = io.read_measurement(path, average_periods=3)
    io.write_measurement(tmp_path / "b.mdf", found)
    info = io.read_info(tmp_path / "b.mdf")
    np.testing.assert_array_equal(info.offset_fields, offsets[[0, 3]])
    assert info.strengths.shape == (2, 3, 1) and info.driven == 2
    assert info.sequence.cycles == io.read_info(path).sequence.cycles
    with pytest.raises(ValueError, match="offset field differs among the periods"):
        io.read_measurement(path, average_periods=2)
    shorter = replace(found, values=found.values[:, :1], background=None)
    with pytest.raises(io.MDFError, match="for 2 periods, but there are 1"):
        io.write_measurement(tmp_path / "c.mdf", shorter)
