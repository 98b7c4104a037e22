import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax.models.blocks.data_consistency import data_consistent

project = jax.jit(data_consistent)


def box_mean(fine, scale):
    b, y, x, c = fine.shape
    return np.asarray(fine).reshape(b, y // scale, scale, x // scale, scale, c).mean((2, 4))


def sample(scale=2, b=3, h=2, w=3):
    random = np.random.default_rng(0)
    return random.normal(size=(b, h * scale, w * scale, 2)), random.normal(size=(b, h, w, 2))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_without_noise_the_block_means_are_the_coarse_rows(scale):
    fine, coarse = (a.astype(np.float32) for a in sample(scale))
    np.testing.assert_allclose(box_mean(project(fine, coarse), scale), coarse, atol=1e-6)


def test_it_is_the_nearest_row_within_the_noise():
    """Against the minimum over a line search in the dual: a = (I + t D'D)^-1 (fine + t D'coarse) with t from the constraint."""
    with jax.enable_x64(True):
        fine, coarse = sample(2, b=1)
        epsilon = 0.7
        out = np.asarray(project(fine, coarse, epsilon))
    operator = np.kron(np.kron(np.kron(np.eye(2), [[0.5, 0.5]]), np.kron(np.eye(3), [[0.5, 0.5]])), np.eye(2))
    a, b = fine.reshape(-1), coarse.reshape(-1)

    def solve(t):
        return np.linalg.solve(np.eye(a.size) + t * operator.T @ operator, a + t * operator.T @ b)

    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.linalg.norm(operator @ solve(middle) - b) > epsilon else (low, middle)
    np.testing.assert_allclose(out.reshape(-1), solve(high), atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(operator @ out.reshape(-1) - b), epsilon, rtol=1e-10)


def test_each_row_has_its_own_noise_and_stays_as_it_is_within_it():
    fine, coarse = (a.astype(np.float32) for a in sample(2))
    norms = np.linalg.norm((coarse - box_mean(fine, 2)).reshape(3, -1), axis=1)
    epsilon = (norms * [0.5, 1.5, 0.0]).astype(np.float32)
    out = project(fine, coarse, epsilon)
    left = np.linalg.norm((coarse - box_mean(out, 2)).reshape(3, -1), axis=1)
    np.testing.assert_allclose(left, norms * [0.5, 1.0, 0.0], atol=1e-6)
    np.testing.assert_array_equal(out[1], fine[1])
    again = project(out, coarse, epsilon)
    np.testing.assert_allclose(again, out, atol=1e-6)  # a projection: the second time changes nothing


def test_a_global_phase_and_a_unit_pass_through():
    fine, coarse = sample(2)
    factor = 3.0 * np.exp(0.8j)

    def turned(rows):
        values = factor * (rows[..., 0] + 1j * rows[..., 1])
        return np.stack([values.real, values.imag], -1)

    with jax.enable_x64(True):
        out = project(turned(fine), turned(coarse), 3.0 * 0.7)
        expected = turned(np.asarray(project(fine, coarse, 0.7)))
    np.testing.assert_allclose(out, expected, atol=1e-12)


def test_without_noise_it_is_linear_in_both():
    (fine, coarse), (other, another) = sample(2), (a[::-1] for a in sample(2))
    with jax.enable_x64(True):
        whole = project(2 * fine - other, 2 * coarse - another)
        parts = 2 * project(fine, coarse) - project(other, another)
    np.testing.assert_allclose(whole, parts, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_gradient_is_finite_at_zero_residual(epsilon):
    _, coarse = (a.astype(np.float32) for a in sample(2))
    fine = np.repeat(np.repeat(coarse, 2, 1), 2, 2)
    weight = np.random.default_rng(1).normal(size=fine.shape).astype(np.float32)

    def loss(fine, coarse, epsilon):
        return jnp.sum(weight * project(fine, coarse, epsilon))

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(fine, coarse, jnp.float32(epsilon))
    assert all(bool(jnp.isfinite(g).all()) for g in gradients)
    blocks = np.repeat(np.repeat(box_mean(weight, 2), 2, 1), 2, 2)
    expected = weight if epsilon else weight - blocks  # of the identity, or of the projection
    np.testing.assert_allclose(gradients[0], expected, atol=1e-6)


def test_gradient_away_from_the_edge_of_the_ball():
    with jax.enable_x64(True):
        fine, coarse = sample(2, b=2, h=1, w=1)
        for epsilon in (0.3, 50.0):
            check_grads(jax.jit(project), (fine, coarse, jnp.asarray(epsilon)), order=1, modes=("fwd", "rev"))


@pytest.mark.parametrize("shape", [(1, 5, 6, 2), (1, 4, 9, 2), (1, 1, 1, 2)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="fine must have a whole multiple"):
        data_consistent(np.zeros(shape, np.float32), np.zeros((1, 2, 3, 2), np.float32))
