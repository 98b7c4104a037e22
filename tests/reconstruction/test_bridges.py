"""The matrix as an operator of other libraries: adjoint, shapes, derivatives, and what is shared."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import deepinv_physics, linear_pair


def matrix(shape=(4, 3, 1), seed=0, dtype=np.complex64):
    rng = np.random.default_rng(seed)
    grid = mj.Grid.create(shape, np.asarray(shape) * 1e-3)
    values = (rng.normal(size=(2, 5, grid.size)) + 1j * rng.normal(size=(2, 5, grid.size))).astype(dtype)
    mask = rng.random((2, 5)) > 0.3
    return mj.SystemMatrix.create(values, 1e3 * np.arange(5.0), grid, row_mask=mask, sample_concentration=7.0)


def data_of(made, seed=1, frames=()):
    rng = np.random.default_rng(seed)
    shape = (*frames, len(made.rows()))
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(made.values.dtype)


@pytest.mark.parametrize("shape", [(4, 3, 1), (4, 3, 2)])
def test_the_pair_is_adjoint_and_is_the_matrix(shape):
    made = matrix(shape)
    forward, adjoint = linear_pair(made)
    image = np.random.default_rng(2).random(shape[::-1]).astype(np.float32)
    data = data_of(made)
    np.testing.assert_allclose(forward(image), made @ image, rtol=1e-6)
    assert adjoint(data).shape == image.shape and adjoint(data).dtype == jnp.float32
    np.testing.assert_allclose(np.vdot(forward(image), data).real, np.vdot(image, adjoint(data)), rtol=1e-5)


def test_adjoint_in_double_precision():
    with jax.enable_x64(True):
        made = matrix(dtype=np.complex128)
        forward, adjoint = linear_pair(made)
        image, data = np.random.default_rng(2).random((1, 3, 4)), data_of(made)
        np.testing.assert_allclose(np.vdot(forward(image), data).real, np.vdot(image, adjoint(data)), rtol=1e-13)


def test_the_pair_passes_frames_compilation_and_derivatives():
    made = matrix()
    forward, adjoint = linear_pair(made)
    images = np.random.default_rng(3).random((5, 1, 3, 4)).astype(np.float32)
    data = data_of(made, frames=(5,))
    np.testing.assert_allclose(jax.vmap(forward)(images), forward(images), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lambda f, u: f(u))(adjoint, data), adjoint(data), rtol=1e-5)
    gradient = jax.grad(lambda x: 0.5 * jnp.sum(jnp.abs(forward(x) - data) ** 2))(images)
    np.testing.assert_allclose(gradient, adjoint(forward(images) - data), rtol=1e-4, atol=1e-6)
    program = jax.jit(lambda f, u: f(u)).lower(adjoint, data).as_text()
    assert 'dense<"' not in program  # the rows are an argument, no constant


def test_another_image_is_refused():
    forward, _ = linear_pair(matrix())
    with pytest.raises(ValueError, match=r"expected \(.., 1, 3, 4\)"):
        forward(np.ones((3, 4, 1), np.float32))


@pytest.mark.parametrize("shape", [(7,), (2, 2)])
def test_data_of_another_length_are_refused(shape):
    made = matrix()
    _, adjoint = linear_pair(made)
    for function in (adjoint, made.adjoint):
        with pytest.raises(
            ValueError, match=rf"data has shape .*; expected \(\.\., {len(made.rows())}\), one value for each"
        ):
            function(np.ones(shape))


def test_complex_images_are_refused():
    forward, _ = linear_pair(matrix())
    for apply in (forward, jax.jit(forward)):
        with pytest.raises(
            ValueError, match="image is complex64; this pair takes real images, complex ones are matrix @ image"
        ):
            apply(np.ones((1, 3, 4), np.complex64))


def test_without_deepinv_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install deepinv"):
        deepinv_physics(matrix())


@pytest.fixture
def torch():
    pytest.importorskip("deepinv")
    return pytest.importorskip("torch")


@pytest.mark.parametrize("shape, image_shape", [((4, 3, 1), (3, 4)), ((4, 3, 2), (2, 3, 4))])
def test_deepinv_applies_the_matrix(torch, shape, image_shape):
    made = matrix(shape)
    physics = deepinv_physics(made)
    x = torch.rand(2, 1, *image_shape)
    y = physics.A(x)
    expected = np.stack([made @ image.reshape(shape[::-1]) for image in x[:, 0].numpy()])
    np.testing.assert_allclose(y[:, 0] + 1j * y[:, 1], expected, rtol=1e-5)
    assert abs(physics.adjointness_test(x)) < 1e-4
    assert physics(x).shape == y.shape and physics.A_adjoint(y).shape == x.shape
    double = deepinv_physics(matrix(shape, dtype=np.complex128))
    assert abs(double.adjointness_test(x.double())) < 1e-12


def test_torch_differentiates_the_physics_and_the_rows_are_shared(torch):
    made = mj.SystemMatrix.create(matrix().values, 1e3 * np.arange(5.0), matrix().grid)
    physics = deepinv_physics(made)
    x = torch.rand(2, 1, 3, 4, requires_grad=True)
    y = torch.rand(2, 2, 10)
    (0.5 * (physics.A(x) - y).square().sum()).backward()
    torch.testing.assert_close(x.grad, physics.A_adjoint(physics.A(x) - y).detach(), rtol=1e-4, atol=1e-6)
    y.requires_grad_()
    physics.A_adjoint(y).sum().backward()
    torch.testing.assert_close(y.grad, physics.A(torch.ones(2, 1, 3, 4)), rtol=1e-4, atol=1e-6)
    assert physics.rows.data_ptr() == made.values.ctypes.data
    assert "rows" in dict(physics.named_buffers()) and not list(physics.parameters())


def test_deepinv_reconstructs_with_it(torch):
    import deepinv

    made = matrix()
    physics = deepinv_physics(made, noise_model=deepinv.physics.GaussianNoise(0.0))
    x = torch.rand(1, 1, 3, 4)
    found = physics.A_dagger(physics(x))
    torch.testing.assert_close(found, x, rtol=1e-2, atol=1e-2)
