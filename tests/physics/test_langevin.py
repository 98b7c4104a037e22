import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax import physics
from tests.reference import physics as twin

X = np.concatenate([np.logspace(-8, 6, 57), [0.99999, 1.0, 1.00001, 0.3, 2.5]])


@pytest.mark.parametrize("dtype, bound", [("float32", 4e-7), ("float64", 2e-15)])
def test_langevin_matches_the_series_and_closed_form(dtype, bound):
    with jax.enable_x64(dtype == "float64"):
        got = np.asarray(physics.langevin(jnp.asarray(X, dtype)))
        assert got.dtype == dtype
        want = twin.langevin(X.astype(dtype).astype(float))
        # the twin itself loses digits where it switches
        assert np.max(np.abs(got / want - 1)) < max(bound, 2e-15)


def test_langevin_is_odd_bounded_and_zero_at_zero():
    x = jnp.asarray(np.linspace(-40, 40, 401), jnp.float32)
    value = physics.langevin(x)
    np.testing.assert_array_equal(value, -physics.langevin(-x))
    assert np.all(np.abs(value) < 1) and physics.langevin(0.0) == 0
    assert physics.langevin(jnp.float32(3e38)) == 1
    assert np.all(np.diff(value) > 0)


def test_ratio_and_moment_agree_with_langevin():
    xi = jnp.asarray(np.random.default_rng(0).normal(size=(50, 3)) * 3, jnp.float32)
    size = jnp.linalg.norm(xi, axis=1)
    moment = physics.langevin_moment(xi)
    np.testing.assert_allclose(jnp.linalg.norm(moment, axis=1), physics.langevin(size), rtol=2e-6)
    np.testing.assert_allclose(jnp.cross(moment, xi), 0, atol=2e-6)
    assert physics.langevin_ratio(jnp.float32(0)) == jnp.float32(1 / 3)


@pytest.mark.slow
def test_gradients_are_right_and_finite_at_zero_field():
    with jax.enable_x64(True):
        xi = jnp.asarray(np.random.default_rng(1).normal(size=(6, 3)) * 2)
        check_grads(jax.jit(physics.langevin_moment), (xi,), order=1, modes=("fwd", "rev"), rtol=1e-6)
        check_grads(jax.jit(physics.langevin), (jnp.array([0.0, 0.5, 3.0]),), order=2, modes=("fwd", "rev"), rtol=1e-6)
        jacobian = jax.jit(jax.jacrev(physics.langevin_moment))(jnp.zeros(3))
        np.testing.assert_allclose(jacobian, np.eye(3) / 3, atol=1e-15)  # initial susceptibility L'(0) = 1/3


def test_jit_vmap_and_eager_agree():
    xi = jnp.asarray(np.random.default_rng(2).normal(size=(7, 3)), jnp.float32)
    eager = physics.langevin_moment(xi)
    np.testing.assert_allclose(jax.jit(physics.langevin_moment)(xi), eager, rtol=3e-7)
    np.testing.assert_allclose(jax.vmap(physics.langevin_moment)(xi), eager, rtol=3e-7)


@pytest.mark.parametrize("dtype, bound", [("float32", 2e-5), ("float64", 5e-14)])
def test_the_given_derivative_of_the_ratio_is_its_derivative(dtype, bound):
    """Against the series of f' below s = 1 and extended-precision arithmetic above, and twice differentiable."""
    s = np.concatenate([np.geomspace(1e-6, 1e4, 40), [0.999, 1.0, 1.001, 0.0]]).astype(dtype)
    x = np.sqrt(s.astype(np.longdouble))
    safe = np.maximum(x, 0.5)
    f = (1 / np.tanh(safe) - 1 / safe) / safe
    far = (1 - 3 * f - safe**2 * f**2) / (2 * safe**2)
    z = s.astype(float)
    # d/ds of 1/3 - s/45 + 2 s^2/945 - s^3/4725 + 2 s^4/93555 - ..
    near = -1 / 45 + 4 * z / 945 - z**2 / 1575 + 8 * z**3 / 93555 - 1382 * 5 * z**4 / 638512875
    want = np.where(x > 0.5, far, near).astype(float)
    with jax.enable_x64(dtype == "float64"):
        got = jax.vmap(jax.grad(physics.langevin_ratio))(jnp.asarray(s))
        assert got.dtype == dtype
        second = jax.grad(jax.grad(physics.langevin_ratio))(jnp.asarray(0.0, dtype))
    tolerance = np.where(x > 0.5, bound, max(bound, 1e-7))  # the series stops at s^4
    assert np.max(np.abs(np.asarray(got) / want - 1) / tolerance) < 1
    np.testing.assert_allclose(second, 4 / 945, rtol=1e-5)
