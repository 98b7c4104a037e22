"""Anisotropic and polydisperse particles in the simulator, against quadrature in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from tests.reference import physics as twin
from tests.reference.anisotropy import moments

SCANNER = mj.Scanner.create((0.9, 1.3, -2.2))
GRID = mj.Grid.create((3, 2, 1), (30e-3, 24e-3, 1e-3), (1e-3, -0.5e-3, 0.0))
AMPLITUDE = np.array([10e-3, 12e-3, 0.0])


def reference(particle, sequence, alpha, axis):
    """rfft(m)/N at every position, one at a time, (3, f, n)."""
    beta = float(particle.beta)
    with jax.enable_x64(True):
        drive = np.asarray(sequence.drive_field())
    out = []
    for position, a, n in zip(np.asarray(GRID.positions), alpha, axis, strict=True):
        xi = beta * ((np.asarray(SCANNER.gradient) @ position)[:, None] + drive)
        u = n @ xi
        across = xi - u * n[:, None]
        _, parallel, ratio = moments(u, np.sum(across**2, axis=0), a).T
        m = parallel * n[:, None] + ratio * across
        out.append(np.fft.rfft(m, axis=1) / sequence.n_samples)
    return np.stack(out, -1)


@pytest.mark.parametrize("waveform", ["cosine", "sine"])
def test_immobilized_particles(waveform):
    axis = np.array([1.0, -2.0, 3.0]) / np.sqrt(14)
    particle = mj.Particle.create(20e-9, anisotropy_constant=3500.0, easy_axis=5 * axis)
    np.testing.assert_allclose(particle.easy_axis, axis)
    sequence = mj.LissajousSequence.create(AMPLITUDE, waveform=waveform, n_samples=400)
    want = reference(particle, sequence, np.full(6, float(particle.alpha)), np.tile(axis, (6, 1)))
    assert np.abs(want[2]).max() > 1e-2  # an oblique axis turns the moment out of the plane
    with jax.enable_x64(True):
        got = np.asarray(mj.moment_spectrum(SCANNER, sequence, particle, GRID))
    assert np.abs(got - want).max() < 1e-10 * np.abs(want).max()
    single = np.asarray(mj.moment_spectrum(SCANNER, sequence, particle, GRID))
    assert np.abs(single - want).max() < 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("given", [None, 8e-3])
def test_fluid_particles_and_their_reference_field(given):
    particle = mj.Particle.create(20e-9, anisotropy_constant=3500.0, spatial_modulation=0.8, reference_field=given)
    sequence = mj.LissajousSequence.create(AMPLITUDE, n_samples=400)
    field = np.asarray(GRID.positions) @ np.asarray(SCANNER.gradient)
    strength = np.linalg.norm(field, axis=1)
    full = strength.max() if given is None else given
    alpha = float(particle.alpha) * np.minimum(strength / full, 1) ** 0.8
    with jax.enable_x64(True):
        matrix = mj.simulate_system_matrix(SCANNER, sequence, particle, GRID)
        got = np.asarray(mj.moment_spectrum(SCANNER, sequence, particle, GRID))
        part = mj.Grid.create((1, 1, 1), (1e-3, 1e-3, 1e-3), np.asarray(GRID.positions)[2])
        alone = np.asarray(mj.moment_spectrum(SCANNER, sequence, matrix.particle, part))
    want = reference(particle, sequence, alpha, field / strength[:, None])
    assert np.abs(got - want).max() < 1e-10 * np.abs(want).max()
    assert float(matrix.particle.reference_field) == pytest.approx(full)  # stored, so that a part of the grid keeps it
    np.testing.assert_allclose(alone[..., 0], got[..., 2], atol=1e-12)


def test_fluid_particle_where_the_field_vanishes():
    particle = mj.Particle.create(20e-9, anisotropy_constant=3500.0, spatial_modulation=0.5)
    alpha, axis = particle.local_anisotropy(jnp.array([[0.0, 0, 0], [0, 3e-3, 4e-3]]), 5e-3)
    np.testing.assert_allclose(alpha, [0, float(particle.alpha)], rtol=1e-6)
    np.testing.assert_allclose(axis, [[1, 0, 0], [0, 0.6, 0.8]], rtol=1e-6)

    def energy(gradient):
        scanner = mj.Scanner.create(gradient * jnp.array([1.0, 1.0, -2.0]))
        grid = mj.Grid.create((3, 3, 1), (20e-3, 20e-3, 1e-3))  # the middle voxel is the field-free point
        sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=64)
        return jnp.sum(jnp.abs(mj.moment_spectrum(scanner, sequence, particle, grid)) ** 2)

    assert np.isfinite(jax.grad(energy)(1.0))


def test_an_easy_plane():
    """K < 0: the moment avoids the axis, so it is smaller along it than the Langevin moment."""
    sequence = mj.LissajousSequence.create((12e-3, 0, 0), dividers=(100, 1, 1), n_samples=128)
    fundamental = {}
    for constant in (-5000.0, 0.0, 5000.0):
        anisotropy = {"anisotropy_constant": constant, "easy_axis": (1.0, 0, 0)} if constant else {}
        spectrum = mj.moment_spectrum(
            mj.Scanner.spectrometer(), sequence, mj.Particle.create(20e-9, **anisotropy), GRID
        )
        fundamental[constant] = abs(spectrum[0, 1, 0])
    assert fundamental[-5000.0] < fundamental[0.0] < fundamental[5000.0]


@pytest.mark.parametrize("spread, bound", [(0.1, 1e-9), (0.3, 1e-5)])
def test_log_normal_sizes_are_averaged_by_volume(spread, bound):
    """Against a histogram of 4,001 diameters weighted by number and volume."""
    sequence = mj.LissajousSequence.create((12e-3, 0, 0), dividers=(100, 1, 1), n_samples=64)
    particle = mj.Particle.create(18e-9, size_spread=spread)
    offset = np.array([4e-3, 0, 0])
    with jax.enable_x64(True):
        got = np.asarray(mj.moment_spectrum(mj.Scanner.spectrometer(offset), sequence, particle, GRID))[0, :, 0]
    logs = np.linspace(-8, 8, 4001) * spread
    diameters = 18e-9 * np.exp(logs + 3 * spread**2)  # centered where the volume is
    number = np.exp(-0.5 * (np.log(diameters / 18e-9) / spread) ** 2)
    weights = number * diameters**3
    field = offset[0] + 12e-3 * np.cos(2 * np.pi * np.arange(64) / 64)
    beta = 474e3 * np.pi / 6 * diameters**3 / (twin.BOLTZMANN * 293.0)
    moment = weights / weights.sum() @ twin.langevin(beta[:, None] * field)
    want = np.fft.rfft(moment) / 64
    assert np.abs(got - want).max() < bound


def test_sizes_and_anisotropy_together():
    options = {"anisotropy_constant": 2000.0, "easy_axis": (0, 1.0, 0)}
    sequence = mj.LissajousSequence.create(AMPLITUDE, n_samples=64)
    narrow = mj.moment_spectrum(SCANNER, sequence, mj.Particle.create(18e-9, size_spread=0.01, **options), GRID)
    one = mj.moment_spectrum(SCANNER, sequence, mj.Particle.create(18e-9, **options), GRID)
    assert 0 < np.abs(narrow - one).max() < 2e-3
    derivative = jax.grad(
        lambda s: jnp.abs(
            mj.moment_spectrum(SCANNER, sequence, mj.Particle.create(18e-9, size_spread=s, **options), GRID)[0, 16, 0]
        )
    )(0.1)
    assert np.isfinite(derivative) and derivative != 0


def test_the_bound_of_alpha_is_static_and_fits():
    for constant, bound in ((1e3, 5.0), (6e3, 10.0), (2e4, 21.0), (4e4, 50.0)):
        particle = mj.Particle.create(20e-9, anisotropy_constant=constant, easy_axis=(0, 0, 1.0))
        assert particle.alpha_bound == bound and float(particle.alpha) <= bound
    traced = jax.jit(lambda k: mj.Particle.create(anisotropy_constant=k, easy_axis=(0, 0, 1.0)).alpha_bound + 0 * k)
    assert traced(1e3) == 50.0


def test_rows_of_a_drawn_setup_in_a_padded_box():
    """Traced extents: the same rows as the whole simulator, zero beyond; compiled once for every size."""
    fluid = mj.Particle.create(22e-9, anisotropy_constant=3e3, spatial_modulation=0.7)
    sequence = mj.LissajousSequence.create(AMPLITUDE, n_samples=128)
    bins, traces = np.array([3, 20, 33]), []

    @jax.jit
    def rows(extent):
        traces.append(1)
        setup = mj.Setup(SCANNER, sequence, fluid, extent, np.array([30e-3, 24e-3, 1e-3]), np.array([1e-3, 0, 0]))
        return mj.system.simulate_rows(setup, (6, 5, 1), bins)

    for extent in ((6, 5, 1), (4, 3, 1), (1, 5, 1)):
        values, valid = rows(jnp.array(extent))
        setup = mj.Setup(SCANNER, sequence, fluid, extent, np.array([30e-3, 24e-3, 1e-3]), np.array([1e-3, 0, 0]))
        grid = setup.grid()
        want = np.asarray(mj.moment_spectrum(SCANNER, sequence, fluid, grid, bins))
        want = want * (-2j * np.pi * sequence.frequencies[bins])[:, None]
        inside = np.zeros((5, 6), bool)
        inside[: extent[1], : extent[0]] = True
        np.testing.assert_array_equal(np.asarray(valid), inside.reshape(-1))
        np.testing.assert_allclose(values[..., inside.reshape(-1)], want, atol=2e-6 * np.abs(want).max())
        assert not np.any(values[..., ~inside.reshape(-1)])
    assert len(traces) == 1
    with pytest.raises(TypeError, match="extent is traced"):
        jax.jit(lambda e: mj.Setup(SCANNER, sequence, fluid, e, np.ones(3), np.zeros(3)).grid().fov)(jnp.ones(3))
