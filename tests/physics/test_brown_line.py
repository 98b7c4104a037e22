"""Brownian rotation in a field of one direction, against the engine of any direction and against limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import mpijax as mj
from mpijax.physics.dynamics.brown import brown_degree, brown_moment, brown_periods, brown_substeps
from mpijax.physics.dynamics.brown_line import brown_line_moment, brown_line_substeps

SAMPLES, PERIOD = 152, 1 / 25.7e3
STATIC = np.linspace(-3.6, 3.6, 5)  # in units of the reduced field: beta = 1
CHANGE = 2 * np.pi * 2 / SAMPLES


def cosine(offset, amplitude=2.0):
    return amplitude * jnp.cos(2 * np.pi * (np.arange(SAMPLES) + offset) / SAMPLES)


def on_the_line(tau, amplitude=2.0, static=STATIC, degree=10, beta=1.0):
    return brown_line_moment(
        jnp.asarray(static), lambda offset: cosine(offset, amplitude), beta, tau, PERIOD / SAMPLES,
        degree=degree, substeps=brown_line_substeps(PERIOD / SAMPLES / tau, CHANGE),
    )  # fmt: skip


@pytest.mark.parametrize("tau", [1.5e-6, 25e-6])
def test_agrees_with_the_engine_of_any_direction(tau):
    degree = brown_degree(5.6) + 4
    with jax.enable_x64(True):
        static = jnp.zeros((5, 3)).at[:, 2].set(STATIC)
        general, _ = brown_moment(
            static, lambda o: jnp.zeros((3, SAMPLES)).at[2].set(cosine(o)), 1.0, tau, PERIOD / SAMPLES, SAMPLES,
            degree=degree, substeps=brown_substeps(PERIOD / SAMPLES / tau, degree, 5.6), periods=brown_periods(PERIOD / tau),
        )  # fmt: skip
        assert np.abs(on_the_line(tau) - general[2]).max() < 2e-5  # exp(-12) of the other's transients


def test_fast_rotation_is_equilibrium_to_first_order():
    with jax.enable_x64(True):
        xi = STATIC[:, None] + np.asarray(cosine(0.0))
        langevin = 1 / np.tanh(xi) - 1 / xi
        errors = [np.abs(on_the_line(tau) - langevin).max() for tau in (1e-7, 5e-8)]
    assert errors[0] < 0.02 and errors[0] / errors[1] == pytest.approx(2, rel=0.02)


def test_weak_fields_obey_debye():
    with jax.enable_x64(True):
        tau, amplitude = 6e-6, 1e-3
        first = np.fft.rfft(on_the_line(tau, amplitude, np.zeros(1))[0])[1] / SAMPLES * 2
    assert first == pytest.approx(amplitude / 3 / (1 + 2j * np.pi / PERIOD * tau), rel=1e-5)


def test_steps_are_fine_enough_for_stiff_particles():
    with jax.enable_x64(True):
        coarse = on_the_line(1e-7)
        fine = brown_line_moment(jnp.asarray(STATIC), cosine, 1.0, 1e-7, PERIOD / SAMPLES, degree=14, substeps=16)
    assert np.abs(coarse - fine).max() < 2e-5


def test_derivatives_in_both_modes():
    with jax.enable_x64(True):

        @jax.jit
        def moments(numbers):
            tau, amplitude, shift, beta = numbers
            return on_the_line_traced(tau * 1e-6, amplitude, STATIC + shift, beta)[:, ::19]

        check_grads(moments, (jnp.array([6.0, 2.0, 0.3, 1.1]),), order=1, modes=("fwd", "rev"), rtol=1e-6, atol=1e-8)


def on_the_line_traced(tau, amplitude, static, beta):
    return brown_line_moment(static, lambda o: cosine(o, amplitude), beta, tau, PERIOD / SAMPLES, degree=8, substeps=2)


SCANNER = mj.Scanner.create((-1.0, -1.0, 2.0))
SEQUENCE = mj.LissajousSequence.create((0, 8e-3, 0), dividers=(102, 96, 99), n_samples=96)
LINE = mj.Grid.create((1, 5, 1), (1e-3, 20e-3, 1e-3))


def test_a_matrix_on_a_line_is_that_of_the_general_engine():
    general = mj.Particle.create(22e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9))
    line = mj.Particle.create(22e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9, collinear=True))
    want, found = (np.asarray(mj.moment_spectrum(SCANNER, SEQUENCE, core, LINE)) for core in (general, line))
    assert np.abs(want[1]).max() > 0.1
    np.testing.assert_allclose(found, want, atol=3e-5)


def test_a_field_across_is_nan_and_a_second_axis_refused():
    line = mj.Particle.create(22e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9, collinear=True))
    wide = np.asarray(mj.moment_spectrum(SCANNER, SEQUENCE, line, mj.Grid.create((3, 1, 1), (6e-3, 1e-3, 1e-3))))
    assert np.isnan(wide[..., [0, 2]]).all() and np.isfinite(wide[..., 1]).all()
    plane = mj.LissajousSequence.create((8e-3, 8e-3, 0))
    with pytest.raises(ValueError, match="2 driven axes"):
        mj.moment_spectrum(SCANNER, plane, line, LINE)
