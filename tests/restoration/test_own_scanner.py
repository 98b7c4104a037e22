"""Calibrations like that of a file: what is simulated is what the file was simulated with."""

from dataclasses import replace

import h5py
import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.datasets import noise_for_peak_snr, presets
from mpijax.restoration import like
from mpijax.system import add_noise, simulate_rows

NUMBERS = {
    "shape": (6, 5, 1), "fov": (28e-3, 24e-3, 1e-3), "gradient": (-1.5, -1.0, 2.5), "amplitude": (13e-3, 12e-3, 0.0),
    "dividers": (20, 18, 19), "base_frequency": 2e6,
}  # fmt: skip
PRESET = presets.preset("2d", **NUMBERS)


@pytest.fixture(scope="module")
def clean():
    return PRESET.simulate()


def written(matrix, path, peak_snr=1000.0, frames=20):
    noisy = add_noise(matrix, noise_for_peak_snr(matrix, peak_snr), key=jax.random.key(0), background_frames=frames)
    mj.io.write_system_matrix(path, noisy)
    return path


@pytest.fixture
def file(clean, tmp_path):
    return written(clean, tmp_path / "sm.mdf")


def without(path, *names):
    with h5py.File(path, "r+") as stored:
        for name in names:
            del stored[name]


def test_what_is_drawn_is_the_scan_of_the_file(clean, file):
    own = like(file)
    setup = own.calibrations.prior.draw(jax.random.key(0))
    assert setup.grid().shape == clean.grid.shape and own.calibrations.dimensions == 2
    rows, _ = simulate_rows(
        replace(setup, particle=mj.Particle.create(PRESET.core_diameter)), clean.grid.shape, clean.frequency_indices
    )
    scale = np.abs(clean.values).max() / np.abs(rows).max()
    assert mj.metrics.nrmse(np.asarray(rows) * scale, clean.values) < 1e-4
    assert "6 x 5 x 1 voxels on 28 x 24 x 1 mm" in own.remarks[0] and "100, 111.1 kHz" in own.remarks[0]


def test_noise_and_orders_are_those_of_the_rows(clean, tmp_path):
    quiet, loud = (like(written(clean, tmp_path / f"{snr:g}.mdf", snr)) for snr in (3e4, 10.0))
    assert quiet.calibrations.max_order > loud.calibrations.max_order
    rows = np.abs(np.asarray(clean.rows())).max(1)
    expected = float(noise_for_peak_snr(clean, 10.0)) / rows[rows > 0]
    assert loud.noise_range[0] == 0
    assert loud.noise_range[1] == pytest.approx(expected[expected < 0.3].max(), rel=0.35)
    assert loud.pairs("inpaint").noise_range == loud.noise_range


def test_without_background_frames_the_rows_tell_their_noise(clean, tmp_path):
    path = written(clean, tmp_path / "none.mdf", frames=0)
    assert "from the rows themselves" in like(path).remarks[1]


def test_what_a_file_lacks_is_named_with_its_options_and_taken_by_hand(file):
    whole = like(file).calibrations.prior
    without(file, "/acquisition/gradient", "/acquisition/drivefield/strength", "/acquisition/drivefield/divider")
    with pytest.raises(
        ValueError, match=r"lacks the gradient .*, the drive amplitudes .* and the drive frequencies"
    ) as told:
        like(file)
    assert "give them by hand: --gradient, --amplitude, --dividers (in Python gradient=" in str(told.value)
    assert "\n" not in str(told.value) and "--shape" not in str(told.value)
    given = {name: NUMBERS[name] for name in ("gradient", "amplitude", "dividers")}
    found = like(file, **given).calibrations.prior
    np.testing.assert_allclose(found.gradient, whole.gradient)
    assert (found.dividers, found.n_samples, found.ticks) == (whole.dividers, whole.n_samples, whole.ticks)


def test_frequencies_that_contradict_the_period_are_refused(file):
    with pytest.raises(ValueError, match="repeat after 0.063 ms, but a period of .* lasts 0.09 ms"):
        like(file, dividers=(21, 18, 19))


def test_a_measurement_tells_the_scanner_but_no_grid(clean, tmp_path):
    scan = clean.as_measurement(np.asarray(clean.values)[None, None, :, :, 0].repeat(2, 0))
    mj.io.write_measurement(tmp_path / "scan.mdf", scan)
    with pytest.raises(ValueError, match=r"lacks the voxels .* and the field of view .*: --shape, --fov"):
        like(tmp_path / "scan.mdf")
    own = like(tmp_path / "scan.mdf", shape=(6, 5, 1), fov=NUMBERS["fov"])
    assert own.noise_range == (0.0, 0.3) and own.calibrations.prior.dividers == (20, 18, 19)


def test_what_cannot_be_learned_is_refused(clean, file, tmp_path):
    with pytest.raises(ValueError, match="'upsample' is trained on rows of one grid"):
        like(file).pairs("upsample")
    with pytest.raises(ValueError, match="no row stands above the noise"):
        like(written(clean, tmp_path / "noise.mdf", 0.01))
    with pytest.raises(ValueError, match="rows on planes along x and y"):
        like(file, shape=(6, 1, 1))
    mj.io.write_system_matrix(tmp_path / "line.mdf", presets.preset("line", shape=(4, 4, 1)).simulate())
    with pytest.raises(ValueError, match="a field-free line that turns"):
        like(tmp_path / "line.mdf")
