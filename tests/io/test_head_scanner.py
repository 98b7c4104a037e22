"""A real MDF 2.0 file, as a laboratory wrote it."""

import h5py
import numpy as np

from mpijax import io
from tests import DATA

PATH = DATA / "hamburg_headscanner_2018" / "systemMatrix.mdf"


def test_header():
    info = io.read_info(PATH)
    assert (info.version, info.n_periods, info.n_samples, info.n_channels) == ("2.0", 1, 152, 1)
    assert info.is_calibration and info.calibration.size == (9, 1, 1) and info.driven == 1
    assert {"/calibration/snr", "/measurement/isSparsityTransformed", "/calibration/deltaSampleSize"} <= set(info.lacks)
    assert "/acquisition/numPeriodsPerFrame" not in info.lacks  # spelled numPeriods
    assert any("gradient is zero" in remark for remark in info.remarks)
    text = io.describe(info)
    for part in ("system matrix, MDF 2.0", "25.699 kHz, 5 mT", "field of view 90 x 1 x 1 mm", "no background frames"):
        assert part in text


def test_bins_are_harmonics():
    matrix = io.read_system_matrix(PATH)
    assert matrix.sequence.cycles == (1, 0, 0) and matrix.values.dtype == np.complex64
    np.testing.assert_allclose(matrix.frequencies[:3], np.arange(3) * 125e6 / 4864, rtol=1e-12)
    with h5py.File(PATH) as file:
        scale, offset = file["/acquisition/receiver/dataConversionFactor"][0]
        volts = file["/measurement/data"][:, 0, 0].astype(np.float64) * scale + offset
    expected = np.fft.rfft(volts).T
    np.testing.assert_allclose(matrix.values[0], expected, rtol=2e-5, atol=1e-5)
    strongest = np.abs(matrix.values[0, 1:]).max(1)
    assert np.argmax(strongest) == 0


def test_rewritten_file_is_complete(tmp_path):
    matrix = io.read_system_matrix(PATH)
    io.write_system_matrix(tmp_path / "new.mdf", matrix)
    again = io.read_system_matrix(tmp_path / "new.mdf")
    np.testing.assert_array_equal(again.values, matrix.values)
    assert again.metadata == matrix.metadata and again.grid.shape == matrix.grid.shape
    np.testing.assert_array_equal([again.grid.fov, again.grid.center], [matrix.grid.fov, matrix.grid.center])
    info = io.read_info(tmp_path / "new.mdf")
    assert not any(path.startswith(("/measurement", "/acquisition/drivefield", "/experiment")) for path in info.lacks)


def test_read_as_a_measurement():
    found = io.read_measurement(PATH, average_frames=9)
    matrix = io.read_system_matrix(PATH)
    np.testing.assert_allclose(found.values[0, 0], matrix.values.mean(-1), rtol=1e-4, atol=1e-6)
