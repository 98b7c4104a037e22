"""`mpijax fit` on a file with background frames."""

import jax
import numpy as np

import mpijax as mj
from tests.test_cli import run


def test_fits_a_file_and_writes_a_finer_one(capsys, tmp_path):
    sequence = mj.LissajousSequence.create((5e-3, 0, 0), dividers=(32, 32, 32), base_frequency=8e5, n_samples=32)
    scanner = mj.Scanner.create((0.25, -0.125, -0.125), (-2e-3, 0, 0), receive_coils=((1, 0, 0),))
    grid = mj.Grid.create((9, 1, 1), (90e-3, 10e-3, 10e-3))
    clean = mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(22e-9), grid)
    sigma = 1e-3 * np.sqrt(np.mean(np.abs(clean.values[0, 3]) ** 2))
    matrix = mj.add_noise(clean, sigma, key=jax.random.key(0), background_frames=12)
    mj.io.write_system_matrix(tmp_path / "line.mdf", matrix)
    status, text = run(
        capsys, "fit", tmp_path / "line.mdf", "-o", tmp_path / "fine.mdf", "--shape", 27, 1, 1, "--min-frequency", 40
    )
    assert status == 0 and "grid 9 x 1 x 1 -> 27 x 1 x 1" in text and "core_diameter" in text
    diameter, std = (float(word) for word in text.split("core_diameter")[1].split("nm")[0].split("+-"))
    assert abs(diameter - 22) < 4 * std < 1
    fine = mj.io.read_system_matrix(tmp_path / "fine.mdf")
    here = np.asarray(fine.values)[:, fine.frequency_indices >= 2][..., 1::3]
    np.testing.assert_allclose(
        here[0, :3], np.asarray(clean.values)[0, 2:5], atol=0.01 * np.abs(clean.values[0, 2:5]).max()
    )
    assert fine.grid.shape == (27, 1, 1)


def test_says_what_is_missing(capsys, tmp_path):
    sequence = mj.LissajousSequence.create((5e-3, 0, 0), dividers=(8, 8, 8), base_frequency=8e5, n_samples=8)
    grid = mj.Grid.create((3, 1, 1), (30e-3, 10e-3, 10e-3))
    matrix = mj.SystemMatrix.create(np.ones((1, 5, 3)) + 0j, sequence.frequencies, grid, n_samples=8, sequence=sequence)
    mj.io.write_system_matrix(tmp_path / "bare.mdf", matrix)
    status, text = run(capsys, "fit", tmp_path / "bare.mdf", "--snr-threshold", 0)
    assert status == 2 and "--gradient" in text
    status, text = run(capsys, "fit", tmp_path / "bare.mdf", "-o", tmp_path)
    assert status == 2 and "is a folder" in text
    status, text = run(
        capsys, "fit", tmp_path / "bare.mdf", "--snr-threshold", 0, "--gradient", 1, 1, -2, "--free", "diameter"
    )
    assert status == 2 and "unknown free parameters" in text
