"""The rotated field-free line against the one-dimensional Langevin signal it reduces to."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.system import field_free_line
from mpijax.viz.channels import Channels
from tests.reference import physics as twin

GRID = mj.Grid.create((6, 4, 1), (32e-3, 24e-3, 1e-3))
PARTICLE = mj.Particle.create(20e-9, saturation_magnetization=437676.0, temperature=300.0)


def one_dimensional(gradient, amplitude, angles, harmonics):
    """rfft/N of L(beta (G s + A sin wt)) with s the distance from the line: (angle, harmonic, voxel)."""
    positions = np.asarray(GRID.positions)
    phase = 2 * np.pi * np.arange(256) / 256
    beta = 437676.0 * np.pi / 6 * 20e-9**3 / (twin.BOLTZMANN * 300.0)
    rows = []
    for angle in angles:
        s = positions[:, 0] * -np.sin(angle) + positions[:, 1] * np.cos(angle)
        moment = twin.langevin(beta * (gradient * s[:, None] + amplitude * np.sin(phase)))
        rows.append((np.fft.rfft(moment, axis=1) / 256)[:, list(harmonics)].T)
    return np.array(rows)


def test_line_is_a_one_dimensional_langevin_signal():
    angles, harmonics = mj.line_angles(6), range(2, 10)
    np.testing.assert_allclose(np.degrees(mj.line_angles()), np.arange(0, 180, 3))
    with jax.enable_x64(True):
        matrix = mj.simulate_field_free_line(0.6, 0.6 * 16e-3, angles, PARTICLE, GRID)
        want = one_dimensional(0.6, 0.6 * 16e-3, angles, harmonics)
        values = np.asarray(matrix.values)
    assert values.shape == (6, 8, 24)
    np.testing.assert_allclose(matrix.frequencies, 23.2e3 * np.arange(2, 10))
    iron = 0.23153 / (3 * 5180) * GRID.voxel_volume
    volts = -twin.MU0 * 437676.0 * iron * 2j * np.pi * matrix.frequencies[:, None] * want * 256
    assert np.abs(values - volts).max() < 1e-12 * np.abs(volts).max()


def test_rows_carry_their_angle_through_selection_and_files(tmp_path):
    angles = mj.line_angles(4)
    matrix = mj.simulate_field_free_line(1.0, 16e-3, angles, PARTICLE, GRID, harmonics=(2, 3))
    index = matrix.row_index()
    np.testing.assert_allclose(index.angle, np.repeat(angles, 2))
    np.testing.assert_array_equal(index.frequency_index, [2, 3] * 4)
    part = matrix.select(channels=[1, 3])
    np.testing.assert_allclose(part.angles, angles[[1, 3]])
    mj.io.write_system_matrix(tmp_path / "line.mdf", part)
    back = mj.io.read_system_matrix(tmp_path / "line.mdf")
    np.testing.assert_allclose(back.row_index().angle, np.repeat(angles[[1, 3]], 2))
    np.testing.assert_array_equal(back.values, part.values)


def test_half_a_turn_mirrors_the_line():
    """Turned by pi, s changes sign: even harmonics too (m is odd, the sine drive shifts by half a period)."""
    a, b = mj.simulate_field_free_line(1.0, 16e-3, [0.3, 0.3 + np.pi], PARTICLE, GRID).values
    sign = np.where(np.arange(2, 10) % 2, 1, -1)[:, None]
    np.testing.assert_allclose(b, a * sign, atol=1e-5 * np.abs(a).max())


@pytest.mark.parametrize(
    "options",
    [
        {"anisotropy_constant": 2e3, "spatial_modulation": 1.0},
        {"anisotropy_constant": 2e3, "easy_axis": (0, 0, 1.0)},
        {"anisotropy_constant": -2e3, "easy_axis": (0, 0, 1.0)},
        {"size_spread": 0.1},
    ],
)
def test_every_particle_at_one_angle_is_the_ordinary_scanner(options):
    particle = mj.Particle.create(20e-9, **options)
    matrix = mj.simulate_field_free_line(0.8, 12e-3, [0.4], particle, GRID, harmonics=(2, 3))
    ordinary = mj.simulate_system_matrix(
        mj.Scanner.field_free_line(0.8, 0.4), matrix.sequence, matrix.particle, GRID, [2, 3]
    )
    largest = np.abs(ordinary.values).max()
    np.testing.assert_allclose(matrix.values, ordinary.values, atol=2e-6 * largest)


def test_equal_shapes_compile_once():
    for gradient in (0.5, 0.7):
        mj.simulate_field_free_line(gradient, 12e-3, mj.line_angles(3), PARTICLE, GRID)
    cached = field_free_line._rows._cache_size()
    mj.simulate_field_free_line(0.6, 10e-3, mj.line_angles(3), PARTICLE, GRID)
    assert field_free_line._rows._cache_size() == cached


def test_traced_parameters_and_anisotropic_particles():
    fluid = mj.Particle.create(20e-9, anisotropy_constant=2e3, spatial_modulation=1.0)

    def strongest(gradient):
        matrix = mj.simulate_field_free_line(gradient, gradient * 16e-3, mj.line_angles(2), fluid, GRID, harmonics=(3,))
        return abs(matrix.values * 1e9).max()

    assert np.isfinite(jax.jit(jax.grad(strongest))(0.7))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"harmonics": (0, 2)}, "integers from 1"),
        ({"harmonics": (2, 90)}, "256 samples"),
        ({"angles": [0, 90]}, "90 degrees is pi/2"),
        ({"gradient": 300.0}, "T/m"),
        ({"gradient": 0.0}, "not zero"),
        ({"amplitude": 0.0}, "not zero"),
        ({"angles": []}, "at least one angle"),
    ],
)
def test_bad_lines(options, message):
    arguments = {"gradient": 1.0, "amplitude": 16e-3, "angles": mj.line_angles(2)} | options
    with pytest.raises(ValueError, match=message):
        mj.simulate_field_free_line(**arguments, particle=PARTICLE, grid=GRID)


def test_the_line_like_its_sister():
    angles = np.array([0.2, 1.1, 2.5])
    old = mj.simulate_field_free_line(0.7, 9e-3, angles, PARTICLE, GRID, harmonics=(2, 3), frequency=25e3, samples=64)
    line, drive = mj.Scanner.field_free_line(0.7), mj.line_sequence(9e-3, 25e3, 64)
    new = mj.simulate_field_free_line(line, drive, PARTICLE, GRID, angles=angles, harmonics=(2, 3))
    np.testing.assert_array_equal(new.values, old.values)
    np.testing.assert_array_equal(new.angles, angles)
    turned = mj.simulate_field_free_line(
        mj.Scanner.field_free_line(0.7, 0.2), drive, PARTICLE, GRID, angles=angles - 0.2, harmonics=(2, 3)
    )
    np.testing.assert_allclose(turned.values, old.values, rtol=0, atol=2e-6 * np.abs(old.values).max())
    with pytest.raises(TypeError, match=r"Scanner.field_free_line\(gradient\)"):
        mj.simulate_field_free_line(0.7, 9e-3, PARTICLE, GRID)


def test_several_coils_at_each_angle():
    """Each angle is an ordinary scanner with the field of the line there and the coils where they are."""
    rng = np.random.default_rng(0)
    angles, coils = np.array([0.3, 1.4]), np.array([[0, 0, 1.0], [0.6, 0.8, 0], [0.3, 0, 0.5]])
    chain = rng.normal(size=(3, 33, 2)) @ [1, 1j]
    line = replace(mj.Scanner.field_free_line(0.7, receive_coils=coils), transfer_function=chain)
    grid, drive = mj.Grid.create((4, 3, 2), (16e-3, 12e-3, 8e-3)), mj.line_sequence(9e-3, samples=64)
    matrix = mj.simulate_field_free_line(line, drive, PARTICLE, grid, angles=angles, harmonics=(3, 2))
    assert matrix.values.shape == (6, 2, 24)
    np.testing.assert_array_equal(matrix.angles, np.repeat(angles, 3))
    for i, angle in enumerate(angles):
        scanner = replace(mj.Scanner.field_free_line(0.7, angle, coils), transfer_function=chain)
        one = mj.simulate_system_matrix(scanner, drive, PARTICLE, grid, np.array([3, 2]))
        part = matrix.values[3 * i : 3 * i + 3]
        np.testing.assert_allclose(part, one.values, rtol=0, atol=2e-6 * np.abs(one.values).max())
        np.testing.assert_array_equal(matrix.transfer_function[3 * i : 3 * i + 3], one.transfer_function)
    names = Channels(6, angles=matrix.angles).names
    assert len(set(names)) == 6 and names[4] == "angle 80.21 deg, coil 1"
    found = mj.reconstruction.reconstruct(matrix, matrix.measure(np.ones(24)), regularization=1e-8)
    assert found.value.shape == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="several receive coils"):
        mj.identification.fit_field_free_line(mj.simulate_field_free_line(line, drive, PARTICLE, GRID, angles=angles))


@pytest.mark.parametrize(
    "scanner, sequence, message",
    [
        (mj.Scanner.create((-1.0, -1.0, 2.0)), mj.line_sequence(9e-3), "no line in the x-y plane"),
        (mj.Scanner.field_free_line(0.7), mj.LissajousSequence.create((9e-3, 9e-3, 0)), "drives 2 axes"),
        (mj.Scanner.spectrometer(), mj.line_sequence(9e-3), "not zero"),
    ],
)
def test_scanners_and_drives_that_are_no_line(scanner, sequence, message):
    with pytest.raises(ValueError, match=message):
        mj.simulate_field_free_line(scanner, sequence, PARTICLE, GRID, angles=[0.1])
