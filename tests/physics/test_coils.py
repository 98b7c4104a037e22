import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax import physics
from tests.reference import physics as twin

CENTER, NORMAL, RADIUS = np.array([0.01, -0.02, 0.03]), np.array([1.0, -2.0, 0.5]), 0.07
POINTS = np.random.default_rng(0).uniform(-0.04, 0.04, (9, 3))


@pytest.mark.parametrize("dtype, bound", [("float32", 2e-6), ("float64", 1e-12)])
def test_oriented_loop_matches_the_trapezoid_rule(dtype, bound):
    with jax.enable_x64(dtype == "float64"):
        got = np.asarray(
            physics.loop_field(
                jnp.asarray(POINTS, dtype), RADIUS, jnp.asarray(CENTER, dtype), jnp.asarray(NORMAL, dtype)
            )
        )
    want = twin.circle_field(POINTS, RADIUS, CENTER, NORMAL)
    assert np.max(np.linalg.norm(got - want, axis=1) / np.linalg.norm(want, axis=1)) < bound


def test_loop_on_its_axis():
    with jax.enable_x64(True):
        z = np.array([0.0, 0.01, -0.2])
        got = physics.loop_field(
            jnp.asarray(np.stack([0 * z, 0 * z, z], 1)), 0.1, jnp.zeros(3), jnp.array([0, 0, 2.0]), current=3.0
        )
        want = 3 * twin.MU0 * 0.1**2 / 2 / (0.1**2 + z**2) ** 1.5
        np.testing.assert_allclose(got[:, 2], want, rtol=1e-12)
        np.testing.assert_allclose(got[:, :2], 0, atol=1e-25)


def test_loop_is_divergence_and_curl_free_also_on_the_axis():
    with jax.enable_x64(True):

        def field(r):
            return physics.loop_field(r[None], 0.1, jnp.zeros(3), jnp.array([0, 0, 1.0]))[0]

        for r in ([0.02, -0.03, 0.04], [0.0, 0.0, 0.05], [0.0, 0.0, 0.0]):
            jacobian = np.asarray(jax.jacrev(field)(jnp.array(r)))
            scale = np.abs(np.asarray(jax.jacrev(field)(jnp.array([0.02, -0.03, 0.04])))).max()
            assert abs(np.trace(jacobian)) < 1e-6 * scale
            assert np.max(np.abs(jacobian - jacobian.T)) < 1e-6 * scale
        check_grads(field, (jnp.array([0.02, -0.03, 0.04]),), order=1, modes=("fwd", "rev"), rtol=1e-6)


def test_polygon_converges_to_the_loop_at_second_order():
    with jax.enable_x64(True):
        exact = physics.loop_field(jnp.asarray(POINTS), 0.1, jnp.zeros(3), jnp.array([0, 0, 1.0]))
        errors = []
        for n in (64, 128):
            t = 2 * np.pi * np.arange(n + 1) / n
            vertices = np.stack([0.1 * np.cos(t), 0.1 * np.sin(t), 0 * t], 1)
            errors.append(np.max(np.abs(physics.polyline_field(jnp.asarray(POINTS), jnp.asarray(vertices)) - exact)))
        assert 3.5 < errors[0] / errors[1] < 4.5


def test_polyline_at_a_midpoint_is_finite_with_finite_gradient():
    vertices = jnp.array([[0.0, 0, 0], [1.0, 0, 0], [1.0, 1.0, 0]])
    point = jnp.array([[0.5, 0.0, 0.0]])
    value, gradient = jax.value_and_grad(lambda p: physics.polyline_field(p, vertices).sum())(point)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_polyline_needs_two_vertices():
    with pytest.raises(ValueError, match="at least 2"):
        physics.polyline_field(jnp.zeros((1, 3)), jnp.zeros((1, 3)))
