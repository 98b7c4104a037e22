"""Particles with dynamics in the simulators: against the full equation, gradients, refusals."""

import inspect
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.physics.dynamics.table import alpha_axis, build_table, damping_axis, field_axes
from mpijax.system import simulate_rows

SCANNER = mj.Scanner.create((-1.0, -1.0, 2.0))
GRID = mj.Grid.create((2, 1, 1), (12e-3, 2e-3, 2e-3), (1e-3, 3e-3, 0.5e-3))
SEQUENCE = mj.LissajousSequence.create(
    (12e-3, 12e-3, 10e-3), dividers=(12, 10, 15), base_frequency=312.5e3, n_samples=240
)
PLANE = mj.LissajousSequence.create((12e-3, 12e-3, 0.0), dividers=(6, 5, 1), base_frequency=156.25e3, n_samples=240)
OBLIQUE = {"core_diameter": 22e-9, "anisotropy_constant": 4e3, "easy_axis": (1, 0.5, 0.2)}


def error(particle, sequence=SEQUENCE, scanner=SCANNER):
    """l2 error of k times the spectrum, and the spectra, of the fast engine against the full equation."""
    fast, full = (np.asarray(mj.moment_spectrum(scanner, sequence, particle, GRID, engine=e)) for e in ("auto", "full"))
    k = np.arange(fast.shape[1])[None, :, None]
    return np.linalg.norm(k * (fast - full)) / np.linalg.norm(k * full), fast, full


@pytest.mark.parametrize(
    "options",
    [
        OBLIQUE,
        {"core_diameter": 22e-9},
        {"core_diameter": 25e-9, "anisotropy_constant": 5e3, "easy_axis": (0, 1, 1)},
        {"core_diameter": 22e-9, "anisotropy_constant": 4e3, "spatial_modulation": 1.0},
    ],
    ids=["oblique", "isotropic", "alpha 10", "fluid"],
)
def test_neel_against_the_full_equation(options):
    """With precession, in three dimensions."""
    found, fast, full = error(mj.Particle.create(**options, dynamics=mj.Neel()))
    assert found < 2e-3
    still, *_ = error(mj.Particle.create(**options, dynamics=mj.Neel(time_scale=1e-3)))
    assert still < 2e-3
    assert np.abs(fast - full).max() < 2e-4 * np.abs(full).max()


def test_precession_has_the_full_equations_sense():
    """Out of the plane of field and axis the moment is precession alone: it changes its sign with the sense."""
    particle = mj.Particle.create(22e-9, anisotropy_constant=4e3, easy_axis=(1, 1, 0), dynamics=mj.Neel())
    flat = mj.Grid.create((2, 1, 1), (12e-3, 2e-3, 2e-3), (1e-3, 3e-3, 0.0))
    fast, full = (np.asarray(mj.moment_spectrum(SCANNER, PLANE, particle, flat, engine=e))[2] for e in ("auto", "full"))
    assert np.linalg.norm(full) > 1e-5
    assert np.linalg.norm(fast - full) < 0.05 * np.linalg.norm(full)


def test_brown_against_the_full_equation():
    particle = mj.Particle.create(25e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9, viscosity=2e-4))
    assert error(particle)[0] < 1e-4


@pytest.mark.slow
def test_traced_brown_is_that_of_its_range_and_nan_beyond():
    """16 us at 2.5 MS/s is the shortest time that the steps of traced particles are stable for."""
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0.0))

    def total(viscosity):
        dynamics = mj.Brown(hydrodynamic_diameter=40e-9, viscosity=viscosity)
        spectrum = mj.moment_spectrum(
            SCANNER, sequence, mj.Particle.create(20e-9, dynamics=dynamics), GRID, np.arange(1, 40)
        )
        return jnp.sum(jnp.abs(spectrum))

    traced, water = jax.jit(total), 1e-3 / 24.9  # Pa s of 1 us
    np.testing.assert_allclose(traced(16 * water), total(16 * water), rtol=1e-4)
    assert np.isnan(traced(8 * water)) and np.isfinite(total(8 * water))


@partial(jax.jit, static_argnames=("frequency", "samples"))
def one_dimensional(size, offset, tau, frequency, samples):
    """Moment of a sine drive along the axis, compiled once for all cases."""
    from mpijax.physics.fokker_planck import neel_steady_state  # noqa: PLC0415

    xi = lambda t: size * (offset + jnp.sin(2 * jnp.pi * frequency * t))  # noqa: E731
    return neel_steady_state(1 / frequency, samples, xi, 0.0, tau, order=32, rtol=1e-8)


@pytest.mark.parametrize(("viscosity", "offset"), [(2e-4, 0.0), (1e-3, 0.4)])
def test_brown_along_one_axis_is_the_one_dimensional_equation(viscosity, offset):
    """Legendre polynomials stepped by another method (diffrax), at alpha = 0 and Brown's time, with and without an offset."""
    pytest.importorskip("diffrax")
    amplitude, frequency, samples = 12e-3, 25e3, 128
    with jax.enable_x64(True):
        dynamics = mj.Brown(hydrodynamic_diameter=40e-9, viscosity=viscosity)
        particle = mj.Particle.create(25e-9, dynamics=dynamics)
        sequence = mj.LissajousSequence.create((amplitude, 0, 0), (1, 1, 1), frequency, "sine", n_samples=samples)
        scanner = mj.Scanner.spectrometer((offset * amplitude, 0, 0))
        spot = mj.Grid.create((1, 1, 1), (1e-3,) * 3)
        spectrum = mj.moment_spectrum(scanner, sequence, particle, spot, dtype="float64")
        found = np.fft.irfft(np.asarray(spectrum)[..., 0] * samples, samples)
        tau = 3 * viscosity * np.pi / 6 * 40e-9**3 / (1.380649e-23 * 293.0)
        exact = one_dimensional(float(particle.beta) * amplitude, offset, tau, frequency, samples)
    np.testing.assert_allclose(found[0], exact, atol=1e-4)
    assert np.abs(found[1:]).max() < 1e-12 < 0.1 < np.ptp(found[0])


def test_a_shell_and_a_diameter_are_the_same_particle(monkeypatch):
    monkeypatch.setattr("mpijax.system.particle.SIZE_NODES", 3)  # each with a shell and a diameter of its own
    one, two = (
        mj.Particle.create(25e-9, size_spread=0.05, dynamics=mj.Brown(viscosity=1e-3, **options))
        for options in ({"hydrodynamic_diameter": 40e-9}, {"shell_thickness": 7.5e-9})
    )
    spectra = [mj.moment_spectrum(SCANNER, PLANE, p, GRID, np.arange(20)) for p in (one, two)]
    np.testing.assert_allclose(*spectra, atol=1e-6)
    single = mj.Particle.create(25e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9))
    assert np.abs(spectra[0] - mj.moment_spectrum(SCANNER, PLANE, single, GRID, np.arange(20))).max() > 1e-3


def test_enough_sizes(monkeypatch):
    """Twice the nodes over the sizes change the spectrum by less than 1e-3 of its largest value."""
    particle = mj.Particle.create(
        16e-9, anisotropy_constant=4e3, easy_axis=(1, 0.5, 0.2), size_spread=0.1, dynamics=mj.Neel()
    )
    few = np.asarray(mj.moment_spectrum(SCANNER, PLANE, particle, GRID))
    monkeypatch.setattr("mpijax.system.particle.SIZE_NODES", 32)
    many = np.asarray(mj.moment_spectrum(SCANNER, PLANE, particle, GRID, np.arange(few.shape[1])))
    assert np.abs(few - many).max() < 1e-3 * np.abs(many).max()


def test_equilibrium_is_the_limit():
    options = {"core_diameter": 20e-9, "anisotropy_constant": 4e3, "easy_axis": (1, 0.5, 0.2)}
    rest = mj.moment_spectrum(SCANNER, PLANE, mj.Particle.create(**options), GRID)
    far, near = (
        np.abs(
            mj.moment_spectrum(SCANNER, PLANE, mj.Particle.create(**options, dynamics=mj.Neel(time_scale=s)), GRID)
            - rest
        )
        for s in (0.1, 0.01)
    )
    assert 0.05 < near.max() / far.max() < 0.2


def test_gradients():
    """Forward and reverse mode against differences, in double precision."""

    def loss(values):
        diameter, constant, amplitude, ratio, damping = values
        dynamics = mj.Neel(damping, gyromagnetic_ratio=ratio * 1.76e11, table=table)
        particle = mj.Particle.create(
            diameter * 1e-9, anisotropy_constant=constant * 1e3, easy_axis=(1, 0.5, 0.2), dynamics=dynamics
        )
        sequence = mj.LissajousSequence.create(
            jnp.stack([amplitude, amplitude, 0 * amplitude]) * 1e-3, active=(True, True, False),
            dividers=(6, 5, 1), base_frequency=156.25e3, n_samples=240,
        )  # fmt: skip
        spectrum = mj.moment_spectrum(SCANNER, sequence, particle, GRID, np.arange(1, 30))
        return jnp.sum(jnp.abs(spectrum * np.arange(1, 30)[:, None]) ** 2)

    with jax.enable_x64(True):
        table = mj.physics.neel_table()
        at = jnp.array([21.0, 4.0, 12.0, 1.0])
        fixed = lambda x: loss((*x, 0.1))  # noqa: E731
        both, step = jax.jit(jax.value_and_grad(fixed)), 1e-4
        reverse, forward = both(at)[1], jax.jit(jax.jacfwd(fixed))(at)
        differences = [(both(at.at[i].add(step))[0] - both(at.at[i].add(-step))[0]) / (2 * step) for i in range(4)]
    np.testing.assert_allclose(reverse, forward, rtol=1e-9)
    np.testing.assert_allclose(reverse, differences, rtol=1e-4)


def test_the_damping_is_differentiated_in_a_table_of_several():
    weak = mj.LissajousSequence.create((4e-3, 4e-3, 0.0), dividers=(6, 5, 1), base_frequency=156.25e3, n_samples=240)
    spot = mj.Grid.create((1, 1, 1), (1e-3,) * 3)
    alpha = 3.0
    table = build_table(damping_axis(0.03, 1.0), alpha_axis(alpha, alpha), field_axes(5.0), margin=0)
    options = {"core_diameter": 20e-9, "easy_axis": (1, 0.5, 0.2)}
    unit = float(mj.Particle.create(**options, anisotropy_constant=1e3).alpha)

    def loss(damping):
        dynamics = mj.Neel(damping, table=table, gyromagnetic_ratio=2e10)
        particle = mj.Particle.create(**options, anisotropy_constant=alpha / unit * 1e3, dynamics=dynamics)
        return jnp.sum(
            jnp.abs(mj.moment_spectrum(SCANNER, weak, particle, spot, np.arange(1, 20)) * np.arange(1, 20)[:, None])
            ** 2
        )

    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(loss))
        for damping in (0.1, 0.4):
            step = 1e-4 * damping
            difference = (both(damping + step)[0] - both(damping - step)[0]) / (2 * step)
            np.testing.assert_allclose(both(damping)[1], difference, rtol=1e-4)


def test_a_table_of_one_damping_cannot_be_differentiated():
    def loss(damping, **options):
        particle = mj.Particle.create(**OBLIQUE, dynamics=mj.Neel(damping, **options))
        return jnp.sum(jnp.abs(mj.moment_spectrum(SCANNER, PLANE, particle, GRID, np.arange(3))))

    for options in ({}, {"table": mj.physics.neel_table()}):
        with pytest.raises(ValueError, match=r"damping (is traced|varies).*neel_table"):
            jax.grad(partial(loss, **options))(0.1)


def test_rows_of_a_traced_setup():
    """As training draws them; jitted and not, padded voxels zero."""
    particle = mj.Particle.create(**OBLIQUE, dynamics=mj.Neel())

    def rows(scale):
        setup = mj.Setup(
            scanner=SCANNER, sequence=PLANE, particle=particle, extent=jnp.array([3, 2, 1]),
            fov=jnp.array([12e-3, 8e-3, 1e-3]) * scale, center=jnp.zeros(3),
        )  # fmt: skip
        return simulate_rows(setup, (4, 3, 1), np.arange(2, 20))

    found, valid = jax.jit(rows)(1.0)
    grid = mj.Grid.create((3, 2, 1), (12e-3, 8e-3, 1e-3))
    want = mj.moment_spectrum(SCANNER, PLANE, particle, grid, np.arange(2, 20))
    want = want * (-2j * np.pi * PLANE.frequencies[2:20])[:, None]
    np.testing.assert_allclose(found[..., valid], want, atol=1e-5 * np.abs(want).max())
    assert not np.any(found[..., ~valid])
    with pytest.raises(ValueError, match="nodes=None"):
        simulate_rows(
            mj.Setup(SCANNER, PLANE, particle, np.array([3, 2, 1]), np.full(3, 0.01), np.zeros(3)), (4, 3, 1), nodes=8
        )


def test_a_receiver_that_filters():
    """Twice the samples leave no aliases: the low bins are those of a sampling four times as fine."""
    particle = mj.Particle.create(25e-9, anisotropy_constant=5e3, easy_axis=(1, 1, 0), dynamics=mj.Neel())
    plain, twice, four = (
        np.asarray(mj.simulate_system_matrix(SCANNER, PLANE, particle, GRID, oversampling=n).values) for n in (1, 2, 4)
    )
    high = slice(60, None)
    assert plain.shape == four.shape
    assert np.linalg.norm((twice - four)[:, high]) < 0.2 * np.linalg.norm((plain - four)[:, high])
    low = slice(1, 12)
    np.testing.assert_allclose(plain[:, low], four[:, low], atol=0.02 * np.abs(four).max())


def test_a_traced_diameter_stays_in_single_precision():
    """beta tau holds the sixth power of the diameter, 1e-47 m^6: as compiled as outside, with its derivative."""

    def total(diameter):
        particle = mj.Particle.create(diameter, anisotropy_constant=4e3, easy_axis=(1, 0.5, 0.2), dynamics=mj.Neel())
        return jnp.sum(jnp.abs(mj.moment_spectrum(SCANNER, PLANE, particle, GRID, np.arange(1, 20))))

    value, gradient = jax.jit(jax.value_and_grad(total))(20e-9)
    np.testing.assert_allclose(value, total(20e-9), rtol=1e-4)
    slope = jax.jit(jax.jacfwd(total))(20e-9)
    np.testing.assert_allclose(gradient, slope, rtol=1e-3)
    np.testing.assert_allclose(slope, (total(20.2e-9) - total(19.8e-9)) / 0.4e-9, rtol=0.05)


def test_a_field_free_line_settles_at_every_angle():
    scanner, sequence = mj.Scanner.field_free_line(2.0), mj.line_sequence(12e-3)
    particle = mj.Particle.create(22e-9, anisotropy_constant=4e3, easy_axis=(1, 0, 1), dynamics=mj.Neel())
    grid = mj.Grid.create((3, 2, 1), (8e-3, 6e-3, 1e-3))
    call = partial(mj.simulate_field_free_line, scanner, sequence, grid=grid, angles=[0.3], harmonics=(2, 3))
    line = call(particle)
    turned = mj.moment_spectrum(scanner.turned(0.3), sequence, particle, grid, np.array([2, 3]))[2]
    scale = line.values[0] / turned
    np.testing.assert_allclose(scale[0] / scale[0, 0], 1, atol=1e-3)
    stiff = mj.Particle.create(24e-9, anisotropy_constant=6.6e3, easy_axis=(1, 0, 1), dynamics=mj.Neel())
    with pytest.warns(UserWarning, match="blocked"):
        mj.simulate_field_free_line(
            scanner,
            mj.line_sequence(0.5e-3),
            stiff,
            mj.Grid.create((1, 1, 1), (1e-3,) * 3),
            angles=[0.3],
            harmonics=(2,),
            dwell_time=5e-5,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(particle, dwell_time=1.0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"anisotropy_constant": 3e3, "dynamics": mj.Neel()}, "easy_axis"),
        ({"anisotropy_constant": -3e3, "easy_axis": (1, 0, 0), "dynamics": mj.Neel()}, "K >= 0"),
        ({"dynamics": mj.Neel(damping=0)}, "damping"),
        ({"dynamics": mj.Brown(hydrodynamic_diameter=40e-9, viscosity=0.89)}, "1 cP"),
        ({"dynamics": mj.Brown(hydrodynamic_diameter=10e-9)}, "shell"),
        ({"dynamics": mj.Brown()}, "either"),
        ({"dynamics": mj.Brown(hydrodynamic_diameter=40)}, "meters"),
        ({"anisotropy_constant": 3e3, "easy_axis": (1, 0, 0), "dynamics": mj.Brown(shell_thickness=5e-9)}, "leave out"),
    ],
)  # fmt: skip
def test_a_particle_that_cannot_be(options, says):
    with pytest.raises(ValueError, match=says):
        mj.Particle.create(**options)


@pytest.mark.parametrize(
    ("dynamics", "says"),
    [
        (mj.Brown(shell_thickness=5e-9, effort=(20, 2, -1.0)), "expected \\(degree"),
        (mj.Brown(shell_thickness=5e-9, effort=(0, 2, 4.0)), "expected \\(degree"),
    ],
)
def test_an_effort_that_is_none(dynamics, says):
    with pytest.raises(ValueError, match=says):
        mj.Particle.create(dynamics=dynamics)


def test_a_class_is_no_dynamics():
    with pytest.raises(TypeError, match="expected mj.Neel"):
        inspect.unwrap(mj.Particle.with_dynamics)(mj.Particle.create(), mj.Neel)


def test_traced_brown_that_has_not_settled_is_nan_however_weak_its_signal():
    weak, grid = mj.LissajousSequence.create((1e-3, 1e-3, 0)), mj.Grid.create((2, 1, 1), (2e-3, 1e-3, 1e-3))

    def spectrum(viscosity):
        slow = mj.Particle.create(15e-9, dynamics=mj.Brown(hydrodynamic_diameter=137e-9, viscosity=viscosity))
        return mj.moment_spectrum(SCANNER, weak, slow, grid)

    assert np.isnan(np.asarray(jax.jit(spectrum)(1e-3))).all()


def test_a_degree_too_small_is_nan():
    coarse = mj.Particle.create(25e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9, effort=(4, 2, 4.0)))
    assert np.isnan(np.asarray(mj.moment_spectrum(SCANNER, PLANE, coarse, GRID))).all()


def test_dynamics_of_another_kind():
    """The sentence; where annotations are checked the call does not get so far, so it is asked for what is written."""
    sentence = r"^dynamics is 'neel'; expected mj\.Neel\(damping=0\.1\), mj\.Brown\(.*\) or None\.$"
    with pytest.raises(TypeError, match=sentence):
        inspect.unwrap(mj.Particle.with_dynamics)(mj.Particle.create(), "neel")


def test_what_the_fast_engine_refuses():
    particle = mj.Particle.create(**OBLIQUE, dynamics=mj.Neel())
    fast = mj.LissajousSequence.create((12e-3, 12e-3, 0.0), dividers=(6, 5, 1), base_frequency=156.25e5, n_samples=240)
    with pytest.raises(ValueError, match="turns too fast.*engine='full'"):
        mj.moment_spectrum(SCANNER, fast, particle, GRID)
    with pytest.raises(ValueError, match="remembers"):
        mj.moment_spectrum(SCANNER, PLANE, particle, GRID, engine="separable")
    wide = mj.Particle.create(18e-9, anisotropy_constant=5e3, easy_axis=(1, 0, 0), size_spread=0.2, dynamics=mj.Neel())
    with pytest.raises(ValueError, match="% of the moment"):
        mj.moment_spectrum(SCANNER, PLANE, wide, GRID)
    strong = mj.Particle.create(30e-9, dynamics=mj.Neel())
    with pytest.raises(ValueError, match="table of Neel rotation reaches"):
        mj.moment_spectrum(mj.Scanner.create((-20.0, -20.0, 40.0)), PLANE, strong, GRID)
    with pytest.raises(ValueError, match="engine 'full'"):
        mj.moment_spectrum(SCANNER, PLANE, mj.Particle.create(20e-9), GRID, engine="full")
    slow = mj.Particle.create(25e-9, dynamics=mj.Brown(hydrodynamic_diameter=400e-9, viscosity=0.1))
    with pytest.raises(ValueError, match="too slowly"):
        mj.moment_spectrum(SCANNER, PLANE, slow, GRID)
