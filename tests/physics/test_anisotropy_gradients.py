import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax import physics
from tests.reference import anisotropy as twin

METHODS = ("mixture", "quadrature", "series")


@pytest.mark.parametrize("method", METHODS)
def test_gradients_agree_with_differences(method):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        xi, axis = jnp.asarray(rng.normal(size=(3, 3)) * 4), jnp.asarray(rng.normal(size=(3, 3)))
        alpha = jnp.asarray([0.3, 4.0, 18.0])

        @jax.jit
        def moment(xi, alpha, axis):
            return physics.anisotropic_moment(xi, alpha, axis, method)

        check_grads(moment, (xi, alpha, axis), order=1, modes=("fwd", "rev"), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_at_singular_points(method):
    """At zero field, along and across the axis and at alpha = 0 the Jacobian equals differences of the twin."""
    axis, step = np.array([0.0, 0.0, 1.0]), 1e-3
    fields = np.array([(0, 0, 0), (0, 0, 0), (0, 0, 3), (4, 0, 0), (4, 0, 0)], float)
    alphas = np.array([0.0, 7.0, 5.0, 0.0, 15.0])
    with jax.enable_x64(True):

        def moment(xi, alpha):
            return physics.anisotropic_moment(xi, alpha, axis, method)

        jacobians = jax.jit(jax.vmap(jax.jacrev(moment, argnums=(0, 1))))(fields, alphas)
    for xi, alpha, by_xi, by_alpha in zip(fields, alphas, *jacobians, strict=True):
        for i, e in enumerate(step * np.eye(3)):
            ahead, behind = (twin.vector_moment(xi + s * e, alpha, axis) for s in (1, -1))
            np.testing.assert_allclose(by_xi[:, i], (ahead - behind) / (2 * step), atol=2e-6)
        ahead, behind = (twin.vector_moment(xi, alpha + s * step, axis) for s in (1, -1))  # the twin takes any sign
        np.testing.assert_allclose(by_alpha, (ahead - behind) / (2 * step), atol=2e-6)


SINGULAR = [
    (0, 0, 0),
    (0, 0, 50),
    (0, 1e6, 0),
    (0, 1e6, 50),
    (0, 1e4, 50),
    (-1000, 0, 50),
    (1000, 1e-12, 1e-9),
    (0, 4, 50),
]


@pytest.mark.parametrize("method", ["mixture", "quadrature"])
def test_float32_jacobian_is_finite_and_accurate_at_the_edges(method):
    @jax.jit
    def jacobian(points):
        total = lambda i: lambda *x: jnp.sum(physics.axial_moment(*x, method=method)[i])  # noqa: E731
        return [jax.grad(total(i), argnums=(0, 1, 2))(*points) for i in (0, 1)]

    points = np.array(SINGULAR).T.astype(np.float32)
    single = np.array(jacobian([jnp.asarray(x) for x in points]), np.float64)
    with jax.enable_x64(True):
        double = np.array(jacobian([jnp.asarray(x, jnp.float64) for x in points]))
    assert np.all(np.isfinite(single)) and np.all(np.isfinite(double))
    np.testing.assert_allclose(single, double, atol=3e-6)


def test_reverse_mode_keeps_no_node():
    """The residuals of one evaluation are the six entries of the Jacobian, however many nodes there are."""
    u = jnp.linspace(-9.0, 9.0, 128)
    _, pullback = jax.vjp(lambda u, w, a: physics.axial_moment(u, w, a), u, u * u, jnp.abs(u))
    assert sum(leaf.size for leaf in jax.tree.leaves(pullback)) <= 12 * u.size


def test_gradient_reaches_a_broadcast_alpha():
    with jax.enable_x64(True):
        rng = np.random.default_rng(4)
        u, w, alpha = (jnp.asarray(x) for x in (rng.normal(size=(2, 5)), rng.uniform(0, 9, (2, 5)), [[1.0], [6.0]]))

        @jax.jit
        def objective(alpha):
            axial, ratio = physics.axial_moment(u, w, alpha, alpha_max=10.0)
            return jnp.sum(axial**2 + ratio)

        assert jax.grad(objective)(alpha).shape == (2, 1)
        check_grads(objective, (alpha,), order=1, modes=("fwd", "rev"), rtol=1e-6)
