import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import factorial, lpmv

from mpijax.physics import harmonic_gradients, solid_harmonics

POINTS = np.random.default_rng(0).normal(size=(7, 3)) * 0.6
DEGREE = 6


def textbook(points, degree):
    """Schmidt semi-normalized r^l P_l^m in spherical coordinates."""
    x, y, z = points.T
    r, phi = np.linalg.norm(points, axis=1), np.arctan2(y, x)
    columns = []
    for order in range(degree + 1):
        for m in range(-order, order + 1):
            k = abs(m)
            scale = np.sqrt((2 if k else 1) * factorial(order - k) / factorial(order + k)) * (-1) ** k
            angular = np.cos(k * phi) if m >= 0 else np.sin(k * phi)
            columns.append(scale * r**order * lpmv(k, order, z / r) * angular)
    return np.stack(columns, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(dtype):
    """To a few units of rounding of r^l, which bounds |Z_lm|."""
    want = textbook(POINTS, DEGREE)
    with jax.enable_x64(dtype == "float64"):
        got = solid_harmonics(jnp.asarray(POINTS, dtype), DEGREE)
        assert got.dtype == dtype and got.shape == (7, 49)
    bound = np.linalg.norm(POINTS, axis=1)[:, None] ** np.repeat(np.arange(7), 2 * np.arange(7) + 1)
    assert np.all(np.abs(want) <= bound * (1 + 1e-12))
    assert np.max(np.abs(np.asarray(got) - want) / bound) < 20 * np.finfo(dtype).eps


def test_numpy_and_jax_agree_and_the_first_degree_is_y_z_x():
    with jax.enable_x64(True):
        np.testing.assert_allclose(solid_harmonics(jnp.asarray(POINTS), 4), solid_harmonics(POINTS, 4), rtol=1e-13)
    np.testing.assert_array_equal(solid_harmonics(POINTS, 1)[:, 1:], POINTS[:, [1, 2, 0]])


def test_regular_at_the_origin():
    value = solid_harmonics(np.zeros((1, 3)), 3)
    np.testing.assert_array_equal(value[0], np.eye(16)[0])


def test_gradient_operator_is_the_derivative():
    operator = harmonic_gradients(DEGREE)
    with jax.enable_x64(True):
        jacobian = jax.vmap(jax.jacfwd(lambda p: solid_harmonics(p[None], DEGREE)[0]))(jnp.asarray(POINTS))
    got = np.einsum("nk,ikj->nji", solid_harmonics(POINTS, DEGREE - 1), operator)
    np.testing.assert_allclose(got, np.asarray(jacobian)[:, 1:], atol=1e-12)


def test_every_harmonic_has_no_laplacian():
    first, second = harmonic_gradients(DEGREE), harmonic_gradients(DEGREE - 1)
    laplacian = np.einsum("ikj,ijl->kl", second, first[:, 1:])
    assert np.abs(laplacian).max() < 1e-12 * np.abs(first).max() ** 2
