"""Harmonics, loop and point-spread function of a point sample, against closed forms and the full equation of motion."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.identification import spectrum
from mpijax.physics.xspace import COLLINEAR_WIDTH
from tests import DATA

POINT = mj.Grid.create((1, 1, 1), (2e-3, 2e-3, 2e-3))
AMPLITUDE, FREQUENCY = 20e-3, 25e3
SEQUENCE = mj.LissajousSequence.create((AMPLITUDE, 0, 0), (1, 1, 1), FREQUENCY, n_samples=256, phase=(0.7, 0, 0))
TURNING = mj.Particle.create(22.5e-9, anisotropy_constant=5e3, easy_axis=(1, 0, 0), dynamics=mj.Neel())
FLUID = mj.Particle.create(25e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9, viscosity=0.5e-3, collinear=True))


def simulated(particle, scanner=None, sequence=SEQUENCE, grid=POINT):
    with jax.enable_x64(True):
        scanner = mj.Scanner.spectrometer() if scanner is None else scanner
        matrix = mj.simulate_system_matrix(scanner, sequence, particle, grid, concentration=100.0)
        return jax.tree.map(np.asarray, matrix)


def noisy(matrix, sigma, frames, background, seed=0):
    """Frames of the only voxel of a matrix, and background frames, with complex noise of this standard deviation."""
    rng = np.random.default_rng(seed)
    shape = (frames + background, 1, *matrix.values.shape[:2])
    noise = sigma / np.sqrt(2) * (rng.normal(size=(*shape, 2)) @ [1, 1j])
    signal = np.asarray(matrix.values)[..., 0]
    return matrix.as_measurement(signal + noise[:frames], noise[frames:] if background else None)


def langevin(x):
    x = np.where(np.abs(x) < 1e-4, 1e-4, x)
    return 1 / np.tanh(x) - 1 / x


@pytest.fixture(scope="module")
def still():
    return spectrum(simulated(mj.Particle.create(20e-9)))


def test_equilibrium_is_the_langevin_curve(still):
    beta = float(mj.Particle.create(20e-9).beta)
    loop = still.loop
    expected = langevin(beta * loop.field) / langevin(beta * AMPLITUDE)
    np.testing.assert_allclose(loop.moment, expected, atol=1e-4)
    assert abs(loop.coercive_field) < 1e-9 and abs(loop.remanence) < 1e-6 and abs(loop.peak_field) < 1e-6
    assert loop.width == pytest.approx(COLLINEAR_WIDTH / beta, rel=1e-3)
    assert still.resolution(2.5) == pytest.approx(loop.width / 2.5)
    with pytest.raises(ValueError, match="gradient"):
        still.resolution()
    assert set(still.orders[still.held]) == set(range(1, 2 * still.held.sum(), 2)) and still.even_to_odd == 0
    np.testing.assert_allclose(still.lags[still.held], 0, atol=1e-3)
    assert still.a5_to_a3 == still["a5_to_a3"] == pytest.approx(0.4085, abs=1e-3)
    assert not still.absolute and still.sigma is None and still.stds == {} and len(still.notes) == 2


@pytest.mark.parametrize("particle", [TURNING, FLUID], ids=["neel", "brown"])
def test_loops_of_dynamics_are_those_of_the_full_equation(particle):
    found = spectrum(simulated(particle))
    full = mj.moment_spectrum(
        mj.Scanner.spectrometer(),
        mj.LissajousSequence.create((AMPLITUDE, 0, 0), (1, 1, 1), FREQUENCY, "sine", n_samples=128),
        particle,
        POINT,
        engine="full",
    )
    moment = np.fft.irfft(np.asarray(full)[0, :, 0] * 128, 128)  # over A sin(w t)
    here = found.loop.moment[:: len(found.loop.moment) // 128]
    np.testing.assert_allclose(here, moment / np.abs(moment).max(), atol=5e-3)
    rise = np.flatnonzero((moment[:-1] < 0) & (moment[1:] >= 0))[0]
    t = rise + moment[rise] / (moment[rise] - moment[rise + 1])
    assert found.loop.coercive_field == pytest.approx(AMPLITUDE * np.sin(2 * np.pi * t / 128), rel=0.01)
    assert found.loop.coercive_field > 2e-3 and found.loop.remanence > 0.3 and found.lags[2] > 0.3


def test_the_moment_is_absolute_once_the_chain_is_divided_out(still):
    rng = np.random.default_rng(1)
    chain = rng.normal(size=(3, len(SEQUENCE.frequencies), 2)) @ [1, 1j]
    matrix = simulated(mj.Particle.create(20e-9), mj.Scanner.spectrometer(transfer_function=chain))
    found = spectrum(matrix)
    assert found.absolute and "no transfer function" not in " ".join(found.notes)
    iron = 100.0 * 0.23153 / (3 * 5180) * float(POINT.voxel_volume)  # m^3 of magnetite
    largest = 474e3 * iron * langevin(float(mj.Particle.create(20e-9).beta) * AMPLITUDE)
    assert np.abs(found.loop.moment).max() == pytest.approx(largest, rel=1e-3)
    np.testing.assert_allclose(found.lags[found.held], 0, atol=1e-3)
    turned = spectrum(replace(matrix, values=-np.asarray(matrix.values)))
    assert "sign is turned" in turned.notes[-1]
    np.testing.assert_allclose(turned.moment, found.moment)


def test_a_place_in_a_selection_field_is_an_offset():
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0))
    grid = mj.Grid.create((3, 1, 1), (12e-3, 2e-3, 2e-3))
    matrix = simulated(mj.Particle.create(20e-9), scanner, grid=grid)
    found = spectrum(matrix, position=(3.5e-3, 0, 0))  # the nearest voxel: 4 mm
    offset = spectrum(simulated(mj.Particle.create(20e-9), mj.Scanner.spectrometer((-4e-3, 0, 0))))
    np.testing.assert_allclose(found.static_field, (-4e-3, 0, 0))
    np.testing.assert_allclose(found.moment, offset.moment, atol=1e-9)
    even = found.held & (found.orders % 2 == 0)
    np.testing.assert_allclose(np.abs(found.lags[even]), np.pi / 2, atol=2e-2)
    assert found.even_to_odd > 0.1 and np.isnan(found.loop.coercive_field) and found.gradient == -1
    beta = float(mj.Particle.create(20e-9).beta)
    assert found.loop.width == pytest.approx(COLLINEAR_WIDTH / beta, rel=1e-3)
    assert found.resolution() == found.loop.width
    one = matrix.as_measurement(np.asarray(matrix.values)[None, None, :, :, 2])
    with pytest.raises(ValueError, match="give the position"):
        spectrum(one)
    np.testing.assert_allclose(spectrum(one, position=(4e-3, 0, 0)).moment, found.moment)
    with pytest.raises(ValueError, match="3 voxels"):
        spectrum(matrix)
    with pytest.raises(ValueError, match="beyond the grid"):
        spectrum(matrix, position=(7e-3, 0, 0))


def test_uncertainties_are_those_of_repetitions():
    matrix = simulated(TURNING)
    sigma = 2e-3 * np.abs(np.asarray(matrix.values)).max()
    frames = spectrum(noisy(matrix, sigma, 40, 0))
    empty = spectrum(noisy(matrix, sigma, 1, 40))
    assert empty.sigma[2] == pytest.approx(np.sqrt(40) * frames.sigma[2], rel=0.3)
    corrected = spectrum(noisy(matrix, sigma, 1, 2).subtract_background())
    assert corrected.sigma is not None
    assert set(range(1, 15, 2)) <= set(empty.orders[empty.held]) and empty.held.sum() < 30
    repeated = [spectrum(noisy(matrix, sigma, 1, 40, seed)) for seed in range(1, 25)]
    for name in ("a5_to_a3", "coercive_field", "remanence"):
        values = [one[name] if name in one else one.loop[name] for one in repeated]
        assert np.std(values) == pytest.approx(np.mean([one.stds[name] for one in repeated]), rel=0.5), name
    lags = np.std([one.lags[0] for one in repeated])
    assert lags == pytest.approx(float(np.mean([one.lag_stds[0] for one in repeated])), rel=0.5)


def test_without_the_fundamental_there_is_no_loop():
    found = spectrum(simulated(TURNING), first=2)
    whole = spectrum(simulated(TURNING))
    assert found.loop is None and "fundamental is missing" in " ".join(found.notes)
    assert found.a5_to_a3 == pytest.approx(whole.a5_to_a3) and np.abs(found.moment).max() == pytest.approx(1)


def test_two_driven_axes_ask_for_one():
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), (3, 4, 1), 75e3, n_samples=192)
    matrix = simulated(mj.Particle.create(20e-9), sequence=sequence)
    with pytest.raises(ValueError, match=r"2 axes are driven \(x, y\); choose"):
        spectrum(matrix)
    found = spectrum(matrix, axis=1)
    assert (found.axis, found.channel, found.others, found.frequency) == (1, 1, "x", pytest.approx(75e3 / 4))
    assert "averaged over its phase" in " ".join(found.notes) and set(found.orders[found.held][:3]) == {1, 3, 5}
    with pytest.raises(ValueError, match="is not driven"):
        spectrum(matrix, axis=2)
    with pytest.raises(ValueError, match="driven as well"):
        mj.identification.fit_spectrum(found)


def test_bad_input_is_one_sentence():
    matrix = simulated(mj.Particle.create(20e-9))
    signal = np.abs(np.asarray(matrix.values)).max()
    with pytest.raises(ValueError, match="above the noise in channel 0: is there a sample"):
        spectrum(noisy(replace(matrix, values=0 * np.asarray(matrix.values)), signal, 20, 0))
    with pytest.raises(ValueError, match="above the noise"):
        spectrum(replace(matrix, values=0 * np.asarray(matrix.values)))
    with pytest.raises(ValueError, match="channel 5 is not among the receivers 0, 1, 2"):
        spectrum(matrix, channel=5)
    with pytest.raises(ValueError, match="no harmonic of 25 kHz from order 200"):
        spectrum(matrix, first=200)
    with pytest.raises(ValueError, match="do not say what the drive field is"):
        spectrum(mj.Measurement.create(np.ones((1, 1, 1, 5)) + 0j, np.arange(5.0), n_samples=8))
    with pytest.raises(ValueError, match="rotating field-free line"):
        spectrum(replace(matrix, angles=np.zeros(3)))
    with pytest.raises(ValueError, match="position has shape"):
        spectrum(matrix, position=(0.0, 0.0))
    with pytest.raises(ValueError, match="NaN"):
        spectrum(replace(matrix, values=np.nan * np.asarray(matrix.values)))
    with pytest.raises(TypeError, match="source"):
        spectrum([])
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda values: spectrum(replace(matrix, values=values)).moment)(matrix.values)


def test_periods_of_one_field_are_averaged():
    matrix = simulated(mj.Particle.create(20e-9))
    values = np.asarray(matrix.values)[None, None, :, :, 0]
    both = mj.Measurement.create(
        np.concatenate([1.1 * values, 0.9 * values], 1), matrix.frequencies, sequence=SEQUENCE, n_samples=256
    )
    np.testing.assert_allclose(spectrum(both).signal, spectrum(matrix).signal, rtol=1e-9)
    twice = spectrum(replace(both, values=both.values.repeat(2, 0)))
    assert twice.sigma is None and twice.loop.width == pytest.approx(spectrum(matrix).loop.width)


def test_a_measured_calibration():
    matrix = mj.io.read_system_matrix(DATA / "hamburg_headscanner_2018" / "systemMatrix.mdf")
    found = spectrum(matrix, position=np.asarray(matrix.grid.center))
    assert found.frequency == pytest.approx(25.699e3, rel=1e-4) and found.amplitude == pytest.approx(5e-3)
    assert found.channel == 0 and found.held.sum() == 75 and not found.absolute


def test_measured_harmonics_behind_a_filter():
    """Of a sample beside the field-free point the even harmonics lie a quarter of a turn from their odd neighbors."""
    line = mj.io.read_head_scanner_lines(DATA / "hamburg_headscanner_2018" / "systemMatrixNew.h5")[1]
    found = spectrum(line, position=line.grid.center, first=2)
    assert found.loop is None and set(range(2, 17)) <= set(found.orders[found.held])
    lags = dict(zip(found.orders.tolist(), np.degrees(found.lags).tolist(), strict=True))
    for even in (6, 8, 10, 12):
        assert (lags[even - 1] + lags[even + 1]) / 2 - lags[even] == pytest.approx(90, abs=6)
