"""Neel relaxation against equilibrium, Langevin, Debye and a separate time stepper."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.physics import axial_moment, langevin

pytest.importorskip("diffrax")
from mpijax.physics.fokker_planck import neel_moment, neel_steady_state, neel_time  # noqa: E402

TAU = 14e-9


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@functools.partial(jax.jit, static_argnames=("order", "samples"))
def steady(amplitude, offset, alpha, frequency, order=32, samples=64):
    """Moment of a sine drive, and the equilibrium moment of the same field."""

    def xi(t):
        return amplitude * (offset + jnp.sin(2 * jnp.pi * frequency * t))

    field = xi(jnp.arange(samples) / (samples * frequency))
    moment = neel_steady_state(1 / frequency, samples, xi, alpha, TAU, order=order)
    return moment, axial_moment(field, jnp.zeros_like(field), alpha, method="quadrature")[0]


def harmonic(moment, n=1):
    """Coefficient of exp(i 2 pi n t/T) relative to that of the sine itself."""
    return np.fft.rfft(np.asarray(moment))[n] / len(moment) * 2j


def test_relaxation_time():
    np.testing.assert_allclose(neel_time(20e-9), 1.4083e-8, rtol=1e-4)
    np.testing.assert_allclose(neel_time(20e-9, damping=10.0), neel_time(20e-9, damping=0.1), rtol=1e-12)
    particle = mj.Particle.create(20e-9, dynamics=mj.Neel(damping=0.3, time_scale=2.0, gyromagnetic_ratio=1e11))
    expected = neel_time(20e-9, damping=0.3) * 2.0 * 1.76
    np.testing.assert_allclose(particle.dynamics.time(particle), expected, rtol=1e-6)
    with jax.enable_x64(False):
        np.testing.assert_allclose(jax.jit(neel_time)(jnp.float32(20e-9)), 1.4083e-8, rtol=1e-4)


@jax.jit
def relax(start, end, alpha, times):
    """Moment after a step of the field right after time 0."""
    return neel_moment(times, lambda t: jnp.where(t > 0, end, start), alpha, TAU, order=24)


@pytest.mark.parametrize("alpha", [0.0, 4.0, -6.0])
def test_a_constant_field_ends_in_equilibrium(alpha):
    """From zero field the moment relaxes to the equilibrium model's and stays there."""
    moment = relax(0.0, 3.0, alpha, TAU * jnp.array([0.0, 1.0, 300.0, 400.0]))
    expected, _ = axial_moment(3.0, 0.0, alpha, method="quadrature")
    assert abs(float(moment[0])) < 1e-12 < float(moment[1]) < float(expected)
    np.testing.assert_allclose(moment[2:], expected, atol=1e-6)


def test_free_relaxation_is_exponential():
    """A field switched off: d<P_1>/dt = -<P_1>/tau without anisotropy."""
    moment = relax(2.0, 0.0, 0.0, TAU * jnp.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_allclose(moment, langevin(2.0) * np.exp([0, -1, -2, -3]), atol=1e-6)


@pytest.mark.parametrize("w_tau", [0.1, 1.0, 5.0])
def test_weak_fields_follow_debye(w_tau):
    """Without anisotropy <m> = xi/(3 (1 + i w tau)): smaller, and behind the field."""
    amplitude = 1e-2
    moment, _ = steady(amplitude, 0.0, 0.0, w_tau / (2 * np.pi * TAU))
    response = harmonic(moment) / amplitude
    np.testing.assert_allclose(response, 1 / (3 * (1 + 1j * w_tau)), rtol=1e-4)
    assert response.imag < 0


def test_a_slow_drive_is_langevin():
    moment, equilibrium = steady(6.0, 0.5, 0.0, 10.0)
    field = 6.0 * (0.5 + np.sin(2 * np.pi * np.arange(64) / 64))
    np.testing.assert_allclose(moment, langevin(field), atol=2e-6)  # the lag itself: 2 pi f tau xi L' = 9e-7 xi L'
    np.testing.assert_allclose(equilibrium, langevin(field), atol=1e-10)


def test_anisotropy_lags_and_dissipates():
    """The loop of m over xi is run so that its area, the heat of a period, is positive; and the barrier adds to the lag."""
    frequency = 24.5e3
    phase = 2 * np.pi * np.arange(64) / 64
    lags = []
    for alpha in (0.0, 3.0):
        moment, equilibrium = steady(6.0, 0.0, alpha, frequency)
        heat = -6.0 * np.mean(np.cos(phase) * np.asarray(moment))
        assert heat > 0
        np.testing.assert_allclose(np.mean(np.cos(phase) * np.asarray(equilibrium)), 0, atol=1e-10)
        lags.append(-np.angle(harmonic(moment)))
    assert 0 < lags[0] < lags[1]


def test_polynomials_converge():
    """16 polynomials are enough for |xi| + 2 alpha = 8: exp(-16^2/16) = 1e-7."""
    reference, _ = steady(4.0, 0.5, 1.0, 24.5e3)
    half, _ = steady(4.0, 0.5, 1.0, 24.5e3, order=16)
    np.testing.assert_allclose(half, reference, atol=1e-6)


def on_a_grid(amplitude, offset, alpha, frequency, cells, steps):
    """An independent stepper: conservative finite volumes in x, implicit midpoint in time, 60 periods."""
    edges = np.linspace(-1, 1, cells + 1)
    x, inner, h = (edges[1:] + edges[:-1]) / 2, edges[1:-1], 2 / cells
    step = 1 / (frequency * steps)
    propagators = []
    for j in range(steps):
        xi = amplitude * (offset + np.sin(2 * np.pi * (j + 0.5) / steps))
        drift = (2 * alpha * inner + xi) / 2
        right, left = (1 - inner**2) * (1 / h + drift) / h, (1 - inner**2) * (1 / h - drift) / h
        flow = np.diag(right, -1) + np.diag(left, 1)  # entry (i, j): from cell j into cell i
        half = (flow - np.diag(flow.sum(0))) * step / (4 * TAU)
        propagators.append(np.linalg.solve(np.eye(cells) - half, np.eye(cells) + half))
    density = np.ones(cells) / cells
    for _ in range(60):
        means = []
        for propagator in propagators:
            means.append(x @ density)
            density = propagator @ density
    return np.array(means)


def test_steady_state_of_a_slow_barrier_is_that_of_many_periods():
    moment, _ = steady(5.0, 0.3, 7.0, 200e3)
    coarse, fine = (on_a_grid(5.0, 0.3, 7.0, 200e3, cells, 256)[::4] for cells in (50, 100))
    assert np.abs(fine - moment).max() < np.abs(coarse - moment).max() / 3  # the grid's own error, of order h^2
    np.testing.assert_allclose(moment, fine + (fine - coarse) / 3, atol=1e-3)


@pytest.mark.slow
def test_a_transient_settles_where_the_steady_state_is():
    frequency = 24.5e3

    def xi(t):
        return 6.0 * jnp.sin(2 * jnp.pi * frequency * t)

    times = jnp.arange(3 * 16 + 1) / (16 * frequency)
    transient = neel_moment(times, xi, 3.0, TAU, order=24)
    settled, _ = steady(6.0, 0.0, 3.0, frequency, order=24, samples=16)
    np.testing.assert_allclose(transient[32:48], settled, atol=1e-6)
    np.testing.assert_allclose(transient[40:48], -transient[32:40], atol=1e-6)  # half-wave symmetry


def test_bad_input_and_a_missing_dependency(monkeypatch):
    times = jnp.array([0.0, 1e-6])
    with pytest.raises(ValueError, match="at least 2 are needed"):
        neel_moment(times[:1], jnp.sin, 1.0, TAU)
    with pytest.raises(ValueError, match="Legendre polynomials"):
        neel_moment(times, jnp.sin, 1.0, TAU, order=1)
    with pytest.raises(ValueError, match="positive relative tolerance"):
        neel_steady_state(1e-6, 8, jnp.sin, 1.0, TAU, rtol=0.0)
    monkeypatch.setitem(sys.modules, "diffrax", None)
    with pytest.raises(ImportError, match=r"pip install mpijax\[dynamics\]"):
        neel_moment(times, jnp.sin, 1.0, TAU)
