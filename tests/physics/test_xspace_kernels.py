"""The kernels of x-space theory against closed forms, their widths, and their behavior at zero field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.optimize import brentq

from mpijax.physics import xspace
from mpijax.physics.equilibrium import langevin_moment
from tests.reference import xspace as twin

XI = np.concatenate(
    [
        np.random.default_rng(0).normal(size=(30, 3)) * 4,
        [[0, 0, 0], [0, 0, 1], [1e-6, 0, 0], [0.7, 0.7, 0.1], [40, 9, 0]],
    ]
)


@pytest.mark.parametrize("dtype, bound", [("float32", 5e-7), ("float64", 2e-14)])
def test_jacobian_matches_the_closed_form_and_is_the_derivative_of_the_moment(dtype, bound):
    with jax.enable_x64(dtype == "float64"):
        xi = jnp.asarray(XI, dtype)
        got = jax.jit(xspace.langevin_jacobian)(xi)
        assert got.dtype == dtype
        want = np.stack([twin.jacobian(point) for point in np.asarray(xi, np.float64)])
        np.testing.assert_allclose(got, want, atol=bound)
        np.testing.assert_allclose(jax.jit(jax.vmap(jax.jacfwd(langevin_moment)))(xi), got, atol=bound)
        np.testing.assert_array_equal(
            xspace.langevin_jacobian(jnp.zeros(2, dtype)), np.eye(2, dtype=dtype) / np.asarray(3, dtype)
        )


def test_collinear_and_isotropic_kernels_are_forms_of_the_jacobian():
    with jax.enable_x64(True):
        xi, e = jnp.asarray(XI), np.array([0.6, 0.0, 0.8])
        jacobian = np.asarray(xspace.langevin_jacobian(xi))
        np.testing.assert_allclose(xspace.collinear_kernel(xi, e), e @ jacobian @ e, atol=1e-15)
        plane = xi[:, [0, 2]]
        both = sum(xspace.collinear_kernel(plane, axis) for axis in np.eye(2)) / 2
        np.testing.assert_allclose(xspace.isotropic_kernel(plane), both, atol=1e-15)
        size = np.linalg.norm(plane, axis=1)
        np.testing.assert_allclose(both, (twin.parallel(size) + twin.perpendicular(size)) / 2, atol=1e-14)
        # every axis counts once: the trace of J
        trace = sum(xspace.collinear_kernel(xi, axis) for axis in np.eye(3))
        size = np.linalg.norm(XI, axis=1)
        np.testing.assert_allclose(trace, twin.parallel(size) + 2 * twin.perpendicular(size), atol=1e-14)


def test_width_constants_are_the_roots_of_the_closed_forms():
    half = 1 / 6
    for constant, kernel in (
        (xspace.COLLINEAR_WIDTH, twin.parallel),
        (xspace.TRANSVERSE_WIDTH, twin.perpendicular),
        (xspace.ISOTROPIC_WIDTH, lambda x: (twin.parallel(x) + twin.perpendicular(x)) / 2),
    ):
        root = brentq(lambda x, kernel=kernel: float(kernel(x)) - half, 0.5, 20, xtol=1e-14)
        assert constant == pytest.approx(2 * root, rel=1e-12)


def test_full_widths_are_where_the_kernel_is_half_its_peak():
    gradient, beta = np.array([1.5, -2.5, 0.0]), 650.0
    with jax.enable_x64(True):
        for excitation in (0, 1, None):
            widths = np.asarray(xspace.full_widths(gradient, beta, excitation))
            assert widths[2] == np.inf
            np.testing.assert_array_equal(widths, xspace.full_widths(-gradient, beta, excitation))
            for axis in (0, 1):
                xi = beta * gradient * np.eye(3)[axis] * widths[axis] / 2
                if excitation is None:
                    value = xspace.isotropic_kernel(jnp.asarray(xi[:2]))
                else:
                    value = xspace.collinear_kernel(jnp.asarray(xi), np.eye(3)[excitation])
                assert value == pytest.approx(1 / 6, rel=1e-12)


def test_cosine_is_taken_in_field_space():
    """Under |G_z| = 2.5 |G_x| the diagonal of the image is not that of the field: 0.138 against 0.5 of the squared cosine."""
    field = 800.0 * np.array([1.0, -2.5]) * np.array([2e-3, 2e-3])
    size = np.linalg.norm(field)
    cosine = field[0] ** 2 / size**2
    assert cosine == pytest.approx(1 / (1 + 2.5**2))
    want = twin.parallel(size) * cosine + twin.perpendicular(size) * (1 - cosine)
    got = xspace.collinear_kernel(jnp.asarray(field, jnp.float32), np.array([1.0, 0.0]))
    np.testing.assert_allclose(got, want, rtol=3e-6)
    assert abs(got / ((twin.parallel(size) + twin.perpendicular(size)) / 2) - 1) > 0.3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_finite_at_zero_field(dtype):
    e = np.array([1.0, 0.0])

    def kernels(xi):
        return xspace.collinear_kernel(xi, e) + xspace.isotropic_kernel(xi)

    def all_at(xi):
        return kernels(xi), jax.grad(kernels)(xi), jax.jacfwd(jax.grad(kernels))(xi)

    with jax.enable_x64(dtype == "float64"):
        xi = jnp.concatenate([jnp.zeros((1, 2), dtype), jnp.asarray(XI[:, :2], dtype)])
        value, gradient, hessian = jax.jit(jax.vmap(all_at))(xi)
        assert value[0] == pytest.approx(2 / 3, rel=1e-6)
        np.testing.assert_array_equal(gradient[0], 0)
        # h_e = 1/3 - xi^2/45 - 2 xi_e^2/45, h = 1/3 - 2 xi^2/45 + ..
        np.testing.assert_allclose(hessian[0], -np.diag([10, 6]) / 45, rtol=1e-5)
        assert np.all(np.isfinite(gradient)) and np.all(np.isfinite(hessian))


def test_derivatives_match_finite_differences():
    with jax.enable_x64(True):
        xi = jnp.asarray(XI[[0, 5, 9, 33], :2])
        kernel = jax.jit(lambda x: xspace.collinear_kernel(x, np.array([0.6, 0.8])))
        check_grads(kernel, (xi,), order=1, modes=("fwd", "rev"), rtol=1e-6)
        check_grads(
            lambda g: xspace.full_widths(g, 500.0, 1), (jnp.array([2.0, -1.0]),), order=1, modes=("rev",), rtol=1e-6
        )
