"""Simulated measurements of phantoms."""

import jax
import numpy as np
import pytest

from mpijax import io
from mpijax.datasets.measurements import PHANTOMS, phantom_on, simulate_measurement
from mpijax.datasets.presets import preset
from mpijax.system import Grid

KEY = jax.random.key(0)
GRID = Grid.create((6, 5, 4), (12e-3, 10e-3, 4e-3), (1e-3, 0, -0.5e-3))


def concentration():
    values = 50 * np.random.default_rng(0).random(GRID.size).astype(np.float32)
    values[30:90] = 0  # two slices without iron
    return values


def test_the_signal_is_the_matrix_times_the_concentration():
    chosen, c = preset("2d"), concentration()
    found = simulate_measurement(chosen, c, GRID, key=KEY, frames=2)
    matrix = chosen.simulate(GRID)
    expected = np.asarray(matrix.values, np.complex128) @ (c / 100.0)  # calibrated with 100 mmol/L in one voxel
    assert found.values.shape == (2, 1, 3, 817) and found.background is None
    for frame in found.values[:, 0]:
        assert np.linalg.norm(frame - expected) < 1e-5 * np.linalg.norm(expected)
    assert (found.n_samples, found.bandwidth) == (matrix.n_samples, matrix.bandwidth)


def test_noise_and_background_frames():
    c, sigma = np.zeros(GRID.size), 1e-9
    found = simulate_measurement(preset("2d"), c, GRID, key=KEY, sigma=sigma, frames=3, background_frames=4)
    for frames in (found.values, found.background):
        assert np.std(frames) == pytest.approx(sigma, rel=0.03)
    assert found.background.shape == (4, 1, 3, 817) and not np.allclose(found.values[0], found.values[1], atol=0)


def test_the_file_says_which_fields_made_it(tmp_path):
    found = simulate_measurement(preset("2d"), concentration(), GRID, key=KEY)
    io.write_measurement(tmp_path / "a.mdf", found)
    info = io.read_info(tmp_path / "a.mdf")
    np.testing.assert_allclose(np.diagonal(info.gradient), [-1, -1, 2])
    np.testing.assert_allclose(info.strength.ravel(), [12e-3, 12e-3, 0])
    assert info.sequence is not None and info.experiment["isSimulation"] == 1
    again = io.read_measurement(tmp_path / "a.mdf")
    np.testing.assert_array_equal(again.values, np.asarray(found.values))


@pytest.mark.parametrize("name", PHANTOMS)
@pytest.mark.parametrize("shape", [(20, 20, 1), (10, 10, 9)])
def test_every_phantom_lies_in_the_presets_fields_of_view(name, shape):
    grid = Grid.create(shape, (30e-3, 30e-3, 1e-3 if shape[2] == 1 else 19e-3))
    center = (0, 0, 3e-3) if name == "concentration" and shape[2] == 1 else (0, 0, 0)  # its layers lie at z = +-3 mm
    values = phantom_on(name, grid, center=center, key=KEY)
    assert values.shape == (grid.size,) and values.min() >= 0 and values.max() > 1


def test_bad_input():
    with pytest.raises(ValueError, match="'spiral'"):
        phantom_on("horse", GRID, key=KEY)
    with pytest.raises(ValueError, match="outside the field of view of 12 x 10 x 4 mm"):
        phantom_on("spiral", GRID, center=(0.5, 0, 0), key=KEY)
    with pytest.raises(ValueError, match=r"concentration has shape \(3,\)"):
        simulate_measurement(preset("2d"), np.ones(3), GRID, key=KEY)
    with pytest.raises(ValueError, match="frames = 0"):
        simulate_measurement(preset("2d"), concentration(), GRID, key=KEY, frames=0)
