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

        slope = jax.jit(jax.jacrev(field))
        for r in ([0.02, -0.03, 0.04], [0.0, 0.0, 0.05], [0.0, 0.0, 0.0]):
            jacobian = np.asarray(slope(jnp.array(r)))
            scale = np.abs(np.asarray(slope(jnp.array([0.02, -0.03, 0.04])))).max()
            assert abs(np.trace(jacobian)) < 1e-6 * scale
            assert np.max(np.abs(jacobian - jacobian.T)) < 1e-6 * scale
        check_grads(jax.jit(field), (jnp.array([0.02, -0.03, 0.04]),), order=1, modes=("fwd", "rev"), rtol=1e-6)


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


RECTANGLE = np.array([[-0.05, -0.03, 0], [0.05, -0.03, 0], [0.05, 0.03, 0], [-0.05, 0.03, 0], [-0.05, -0.03, 0]])


@pytest.mark.parametrize("dtype, bound", [("float32", 5e-6), ("float64", 1e-7)])
def test_segments_are_exact_for_straight_lines(dtype, bound):
    """A rectangle of four corners against the midpoint sum over each side in 4000 pieces."""
    t = np.linspace(0, 1, 4001)[:-1, None]
    fine = np.concatenate([a + t * (b - a) for a, b in zip(RECTANGLE[:-1], RECTANGLE[1:], strict=True)])
    with jax.enable_x64(True):
        want = physics.polyline_field(jnp.asarray(POINTS), jnp.asarray(np.concatenate([fine, fine[:1]])), current=2.0)
    with jax.enable_x64(dtype == "float64"):
        got = physics.segments_field(jnp.asarray(POINTS, dtype), jnp.asarray(RECTANGLE, dtype), current=2.0)
        assert got.dtype == dtype
    assert np.abs(np.asarray(got) - np.asarray(want)).max() < bound * np.abs(np.asarray(want)).max()


def test_center_of_a_rectangle():
    """B = 2 mu0 I sqrt(a^2 + b^2)/(pi a b) for sides a, b."""
    got = np.asarray(physics.segments_field(jnp.zeros((1, 3)), jnp.asarray(RECTANGLE)))[0]
    np.testing.assert_allclose(got, [0, 0, 2 * twin.MU0 * np.hypot(0.1, 0.06) / (np.pi * 0.1 * 0.06)], rtol=1e-6)


def test_segments_on_their_own_line_are_finite_with_finite_gradient():
    vertices = jnp.array([[0.0, 0, 0], [1.0, 0, 0]])
    points = jnp.array([[0.5, 0, 0], [0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [-1.0, 0, 0]])
    value, gradient = jax.value_and_grad(lambda p: physics.segments_field(p, vertices).sum())(points)
    assert value == 0 and np.all(np.isfinite(gradient))


def test_segments_gradient_and_vertices_needed():
    with jax.enable_x64(True):
        points, vertices = jnp.asarray(POINTS[:3]), jnp.asarray(RECTANGLE[:3])
        scaled = jax.jit(lambda p, v: 1e6 * physics.segments_field(p, v))
        check_grads(scaled, (points, vertices), order=1, modes=("rev",), eps=1e-6, rtol=1e-6)
    with pytest.raises(ValueError, match="at least 2"):
        physics.segments_field(jnp.zeros((1, 3)), jnp.zeros((1, 3)))


def test_coils_in_series():
    from mpijax import LoopCoil, PolylineCoil, SeriesCoil

    loop = LoopCoil(0.05, np.zeros(3), np.array([0.0, 0, 1]))
    frame = PolylineCoil(RECTANGLE + [0, 0, 0.04])
    points = jnp.asarray(POINTS, jnp.float32)
    got = SeriesCoil((loop, frame), (10, -4)).field(points)
    want = 10 * loop.field(points) - 4 * frame.field(points)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-11)
    np.testing.assert_allclose(frame.field(points), physics.segments_field(points, jnp.asarray(frame.vertices)))
