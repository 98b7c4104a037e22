"""Finite differences against dense matrices; adjoints and bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.reconstruction import FiniteDifference
from tests.reference.primal_dual import differences

SHAPES = [(5, 4, 1), (4, 3, 5), (1, 6, 1), (2, 1, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_dense_matrix(shape):
    operator, dense = FiniteDifference(shape), differences(shape)
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, p = rng.normal(size=(3, dense.shape[1])), rng.normal(size=(3, *dense.shape[:2]))
        np.testing.assert_allclose(operator(x), np.einsum("dij,fj->fdi", dense, x), atol=1e-14)
        np.testing.assert_allclose(operator.adjoint(p), np.einsum("dij,fdi->fj", dense, p), atol=1e-14)
        np.testing.assert_allclose(jnp.vdot(operator(x), p), jnp.vdot(x, operator.adjoint(p)), rtol=1e-12)
        np.testing.assert_allclose(operator.matrix("float64"), np.einsum("dij,dik->jk", dense, dense), atol=1e-14)
    assert operator.directions == len(dense)


def test_constant_images_have_no_differences_and_x_is_fastest():
    np.testing.assert_array_equal(FiniteDifference((4, 3, 2))(np.ones(24, np.float32)), 0)
    ramp = np.tile(np.arange(4, dtype=np.float32), 6)
    along_x, along_y, along_z = FiniteDifference((4, 3, 2))(ramp)
    np.testing.assert_array_equal(along_x.reshape(6, 4), [[1, 1, 1, 0]] * 6)
    np.testing.assert_array_equal([along_y, along_z], np.zeros((2, 24)))


def test_bad_shapes():
    with pytest.raises(ValueError, match="nx ny nz = 20"):
        FiniteDifference((5, 5, 1))(np.zeros(20, np.float32))
    with pytest.raises(ValueError, match="expected \\(nx, ny, nz\\)"):
        FiniteDifference((5, 4))(np.zeros(20, np.float32))
    with pytest.raises(ValueError, match="one entry for every axis"):
        FiniteDifference((5, 4, 1)).adjoint(np.zeros((3, 20), np.float32))
