"""The lines of the head-sized scanner: layout, background, and what is refused."""

import h5py
import numpy as np
import pytest

from mpijax import io
from tests import DATA

PATH = DATA / "hamburg_headscanner_2018" / "systemMatrixNew.h5"


def write(path, matrix):
    with h5py.File(path, "w") as file:
        file["matrix"] = matrix


def test_background_is_interpolated_over_the_rows(tmp_path):
    t = np.arange(152) / 152
    drift = np.arange(30)[:, None] * np.cos(2 * np.pi * 3 * t)  # linear in time: known exactly up to the last empty row
    signal = np.zeros((30, 1))
    signal[[5, 17, 28]] = 7.0
    write(tmp_path / "lines.h5", drift + signal * np.sin(2 * np.pi * 2 * t))
    first, second, third = io.read_head_scanner_lines(tmp_path / "lines.h5")
    for line, position in ((first, 4), (second, 6)):
        expected = np.zeros((77, 9), complex)
        expected[2, position] = -7j * 76
        np.testing.assert_allclose(line.values[0], expected, atol=1e-9)
    np.testing.assert_allclose(third.values[0, 3], np.arange(1, 10) * 76, atol=1e-9)  # held after row 20
    np.testing.assert_allclose(third.values[0, 2, 7], -7j * 76, atol=1e-9)
    assert first.background.shape == (3, 1, 77)
    np.testing.assert_allclose(first.grid.positions[:, 0], np.arange(116, 197, 10) * 1e-3, rtol=1e-12)
    np.testing.assert_allclose(first.frequencies[2], 2 * 25699.0, rtol=1e-6)
    assert first.sequence.cycles == (1, 0, 0) and first.sequence.bandwidth == pytest.approx(3.90625e6 / 2)


def test_what_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.read_head_scanner_lines(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("x")
    with pytest.raises(io.MDFError, match="not an HDF5 file"):
        io.read_head_scanner_lines(tmp_path / "text.h5")
    write(tmp_path / "short.h5", np.zeros((29, 152)))
    with pytest.raises(io.MDFError, match=r"shape \(29, 152\); expected lines of 10 rows"):
        io.read_head_scanner_lines(tmp_path / "short.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["S"] = 1
    with pytest.raises(io.MDFError, match="no matrix"):
        io.read_head_scanner_lines(tmp_path / "other.h5")


def test_measured_file():
    lines = io.read_head_scanner_lines(PATH)
    strength = [np.linalg.norm(line.values[0], axis=1) for line in lines]
    assert len(lines) == 3 and all(np.argmax(s) == 2 for s in strength)  # the fundamental is filtered out
    assert strength[1][2] > max(strength[0][2], strength[2][2])  # the middle line is the nearest
