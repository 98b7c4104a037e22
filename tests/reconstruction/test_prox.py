"""Proximal operators against minimization by search, their identities, and their derivatives at kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from mpijax.reconstruction.prox import (
    ball_factor,
    group_soft_threshold,
    nonnegative_soft_threshold,
    safe_norm,
    soft_threshold,
)

T = 0.7


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_scalar_proxes_by_search_on_a_grid():
    grid = np.linspace(-3, 3, 60001)
    for v in (-2.0, -T, -0.3, 0.0, 0.3, T, 1.9):
        quadratic = 0.5 * (grid - v) ** 2
        best = grid[np.argmin(T * np.abs(grid) + quadratic)]
        np.testing.assert_allclose(soft_threshold(jnp.array(v), T), best, atol=1e-4)
        cost = np.where(grid >= -1e-12, T * np.abs(grid) + quadratic, np.inf)
        np.testing.assert_allclose(nonnegative_soft_threshold(jnp.array(v), T), grid[np.argmin(cost)], atol=1e-4)
        np.testing.assert_allclose(nonnegative_soft_threshold(jnp.array(v)), max(v, 0))


@pytest.mark.parametrize("v", [[2.0, -1.0], [0.3, 0.4], [0.0, 0.0], [0.1, -3.0]])
def test_group_threshold_by_minimization(v):
    v = np.array(v)
    found = minimize(lambda z: T * np.hypot(*z) + 0.5 * np.sum((z - v) ** 2), v / 2 + 0.01, method="Nelder-Mead",
                     options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 2000})  # fmt: skip
    np.testing.assert_allclose(group_soft_threshold(v[:, None], T)[:, 0], found.x, atol=1e-6)


def project_ball(v, center, radius):
    """The nearest point of a ball, as ADMM shortens the data's deviation."""
    return center + ball_factor(safe_norm(v - center), radius)[..., None] * (v - center)


def test_ball_by_minimization_and_by_its_conditions():
    center, v = np.array([1.0, -1.0, 0.5]), np.array([3.0, 1.0, -2.0])
    found = minimize(lambda z: np.sum((z - v) ** 2), center, method="SLSQP", options={"ftol": 1e-14},
                     constraints={"type": "ineq", "fun": lambda z: 1.5**2 - np.sum((z - center) ** 2)})  # fmt: skip
    nearest = project_ball(v, center, 1.5)
    np.testing.assert_allclose(nearest, found.x, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(nearest - center), 1.5)
    np.testing.assert_array_equal(project_ball(v, center, 9.0), v)
    np.testing.assert_array_equal(project_ball(v, center, 0.0), center)


def test_moreau_identities():
    v = np.random.default_rng(0).normal(size=(2, 50)) * 2
    # v - prox is the projection on the dual norm's ball
    np.testing.assert_allclose(v - soft_threshold(v, T), np.clip(v, -T, T), atol=1e-15)
    dual = v - group_soft_threshold(v, T)
    np.testing.assert_allclose(dual.T, project_ball(v.T, np.zeros(2), T), atol=1e-14)
    np.testing.assert_allclose(v - nonnegative_soft_threshold(v), -nonnegative_soft_threshold(-v))


def test_firmly_nonexpansive():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 40))
    for prox in (
        lambda v: soft_threshold(v, T),
        lambda v: nonnegative_soft_threshold(v, T),
        lambda v: group_soft_threshold(v, T),
        lambda v: project_ball(v, np.zeros(40), 2.0),
    ):
        change = np.asarray(prox(a) - prox(b))
        assert np.sum(change**2) <= np.sum(change * (a - b)) + 1e-12


def test_derivatives_are_finite_at_kinks():
    zero, edge = np.zeros((2, 1)), np.array([[T], [0.0]])
    for v in (zero, edge):
        for threshold in (0.0, T):
            for prox in (soft_threshold, nonnegative_soft_threshold, group_soft_threshold):
                gradient = jax.grad(lambda v, t, prox=prox: jnp.sum(prox(v, t)), (0, 1))(jnp.array(v), threshold)
                assert np.all(np.isfinite(np.concatenate([np.ravel(g) for g in gradient])))
    ball = jax.jacobian(project_ball, (0, 1, 2))
    for radius in (0.0, 1.0):
        assert all(np.all(np.isfinite(j)) for j in ball(jnp.zeros(3), jnp.zeros(3), radius))
    assert jax.grad(lambda v: safe_norm(v))(jnp.zeros(3)).tolist() == [0, 0, 0]
