"""Brownian rotation against Debye, Langevin, dense matrices and its own symmetries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.physics import langevin
from mpijax.physics.dynamics.brown import brown_degree, brown_moment, brown_substeps, brown_time
from mpijax.physics.dynamics.operators import Harmonics, operators

SAMPLES, PERIOD = 64, 40e-6
AXES = np.array([[1.0, 0.3, -0.5], [0.2, -0.8, 0.6]])


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def field(offset, turn=1.0, size=1.0, samples=SAMPLES):
    """A field that turns in space."""
    phase = 2 * np.pi * (np.arange(samples) + offset) / samples
    return size * np.dot(turn, AXES.T @ np.stack([np.cos(phase), np.sin(phase)]))


def moment(static, drive=field, beta=4.0, tau=10e-6, degree=8, substeps=1, periods=3, samples=SAMPLES):
    parts, defect = brown_moment(
        jnp.asarray(static),
        drive,
        beta,
        tau,
        PERIOD / samples,
        samples,
        degree=degree,
        substeps=substeps,
        periods=periods,
    )
    return np.stack(parts), np.asarray(defect)


STATIC = np.array([[0.0, 0.0, 0.0], [0.5, -1.0, 0.7]])


def test_small_fields_obey_debye():
    tau, size = 10e-6, 1e-3
    found, _ = moment(np.zeros((1, 3)), lambda offset: field(offset, size=size), beta=1.0, tau=tau, periods=6)
    response = 1 / (1 + 2j * np.pi * tau / PERIOD)
    expected = np.fft.rfft(field(0.0, size=size))[:, 1] / 3 * response
    np.testing.assert_allclose(np.fft.rfft(found[:, 0])[:, 1], expected, rtol=1e-5)


def test_turned_fields_turn_the_moment_and_opposite_ones_reverse_it():
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    found, _ = moment(STATIC, degree=14, substeps=6)
    turned, _ = moment(STATIC @ turn.T, lambda offset: field(offset, turn), degree=14, substeps=6)
    np.testing.assert_allclose(turned, np.einsum("ij,jnt->int", turn, found), atol=1e-12)
    reverse, _ = moment(-STATIC, lambda offset: -field(offset), degree=14, substeps=6)
    np.testing.assert_allclose(reverse, -found, atol=1e-12)


def test_fast_rotation_approaches_langevin_in_first_order():
    xi = 4 * (STATIC.T[:, :, None] + field(0.0)[:, None])
    size = np.linalg.norm(xi, axis=0)
    equilibrium = xi / size * np.asarray(langevin(size))
    lag = [
        np.abs(moment(STATIC, tau=tau, degree=14, substeps=n, periods=0.1)[0] - equilibrium).max()  # 20 tau at least
        for tau, n in (
            (2e-7, brown_substeps(PERIOD / SAMPLES / 2e-7, 14, 12.0)),
            (1e-7, brown_substeps(PERIOD / SAMPLES / 1e-7, 14, 12.0)),
        )
    ]
    assert lag[0] < 0.1
    np.testing.assert_allclose(lag[0] / lag[1], 2, rtol=0.05)


def test_dense_matrices():
    """A few steps of the same method with the matrices of the operators module."""
    degree, tau, samples = 6, 20e-6, 8
    basis, parts = Harmonics.create(degree, degree), operators(degree, degree)
    places = basis.places()
    step = PERIOD / 64 / (2 * tau)
    drive = lambda offset: field(offset)[:, :samples]  # noqa: E731
    for voxel, static in enumerate(STATIC):
        matrices = [
            [
                parts["rest"] + sum(4 * (static + drive(o)[:, j])[i] * parts["xyz"[i]] for i in range(3))
                for j in range(samples)
            ]
            for o in (0, 0.5, 1)
        ]
        state, kept = np.eye(len(basis.degrees))[0], []
        for j in (np.arange(100 * samples)) % samples:
            kept.append([state[places[1, m]] / np.sqrt(3) for m in (1, -1, 0)])
            a, b, c = (part[j] for part in matrices)
            k1 = a @ state
            k2 = b @ (state + step / 2 * k1)
            k3 = b @ (state + step / 2 * k2)
            k4 = c @ (state + step * k3)
            state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        settled, _ = brown_moment(
            jnp.asarray(STATIC), drive, 4.0, tau, PERIOD / 64, samples, degree=degree, substeps=1, periods=99
        )  # fmt: skip
        np.testing.assert_allclose(np.stack(settled)[:, voxel].T, kept[-samples:], atol=1e-10)


def test_refinement_and_warm_up():
    found, defect = moment(STATIC, degree=brown_degree(9), substeps=brown_substeps(1 / 16, brown_degree(9), 9.0))
    fine, _ = moment(STATIC, degree=16, substeps=6, periods=6.5)
    assert defect.max() < 1e-4
    np.testing.assert_allclose(found, fine, atol=1e-4)


@pytest.mark.parametrize("size", [0.01, 1.0, 3.0, 9.0])
def test_steps_are_stable_in_weak_fields_too(size):
    """The largest interval that a number of steps is allowed for, over hundreds of samples."""
    degree = brown_degree(size)
    steps = np.linspace(0.01, 0.2, 2000)
    step = max(s for s in steps if brown_substeps(s, degree, size) == 2)
    still = lambda offset: np.full((3, 400), size / np.sqrt(3))  # noqa: E731
    found, _ = moment(np.zeros((1, 3)), still, 1.0, PERIOD / 400 / step, degree, substeps=2, periods=1, samples=400)
    np.testing.assert_allclose(found[:, 0, -1], langevin(size) / np.sqrt(3), atol=1e-4)


def test_gradients():
    weights = np.random.default_rng(1).normal(size=(3, 2, 16))

    def value(scale):
        parts, _ = brown_moment(
            jnp.asarray(STATIC), lambda o: field(o, samples=16), 4 * scale[0], 1e-5 * scale[1], PERIOD / 16, 16,
            degree=6, substeps=3, periods=1,
        )  # fmt: skip
        return jnp.sum(weights * jnp.stack(parts))

    one, size = jnp.ones(2), 1e-5
    compiled, slope = jax.jit(value), jax.jit(jax.grad(value))
    differences = [(compiled(one.at[i].add(size)) - compiled(one.at[i].add(-size))) / (2 * size) for i in range(2)]
    np.testing.assert_allclose(slope(one), differences, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(value))(one), differences, rtol=1e-6)
    np.testing.assert_allclose(compiled(one), value(one), rtol=1e-12)
    second = [(slope(one.at[i].add(size)) - slope(one.at[i].add(-size))) / (2 * size) for i in range(2)]
    np.testing.assert_allclose(jax.jit(jax.hessian(value))(one), second, rtol=1e-6)


def test_relaxation_time_and_bad_numbers():
    with jax.enable_x64(False):
        np.testing.assert_allclose(jax.jit(brown_time)(jnp.float32(40e-9)), 2.48513e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="brown_substeps"):
        moment(STATIC, substeps=0)
