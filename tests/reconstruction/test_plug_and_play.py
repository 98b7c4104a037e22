"""Plug-and-play: with the proximal operator of a penalty it is ADMM; denoisers in JAX and in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.ndimage import gaussian_filter

from mpijax.reconstruction import FiniteDifference, admm, plug_and_play
from mpijax.reconstruction.prox import group_soft_threshold, nonnegative_soft_threshold
from mpijax.reconstruction.solvers.denoised import check_denoiser
from tests.reconstruction.test_admm import IMAGE, PLANE, A, B, distance


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def total_variation(image, strength):
    """Prox of strength * isotropic TV by projected gradient on the dual, over one image."""
    operator = FiniteDifference(image.shape[::-1])
    v = image.reshape(-1)

    def step(p, _):
        p = p + operator(v - operator.adjoint(p)) / (4 * operator.directions)
        return p - group_soft_threshold(p, strength), None

    p, _ = jax.lax.scan(step, operator(jnp.zeros_like(v)), None, length=200)
    return (v - operator.adjoint(p)).reshape(image.shape)


def smooth(image, width):
    """A binomial filter of relative width along y and x, edges repeated."""
    for axis in (-2, -1):
        padded = jnp.pad(image, [(1, 1) if a == axis % 3 else (0, 0) for a in range(3)], mode="edge")
        size = image.shape[axis]
        parts = [jax.lax.slice_in_dim(padded, k, k + size, axis=axis % 3) for k in range(3)]
        image = (1 - width) * parts[1] + width * 0.5 * (parts[0] + parts[2])
    return image


def test_prox_of_l1_gives_admm():
    found = plug_and_play(A, B, PLANE, nonnegative_soft_threshold, regularization=2.0, iterations=400)
    expected = admm(A, B, PLANE, l1=2.0, tolerance=1e-9, iterations=20000)
    assert distance(found.value, expected.value) < 1e-5
    np.testing.assert_allclose(found.stats["residual"], expected.stats["residual"], rtol=1e-5)
    assert found.stats["history"].shape == (400,) and found.stats["history"][-1] < 1e-6


def test_prox_of_total_variation_gives_admm():
    found = plug_and_play(A, B, PLANE, total_variation, regularization=1.5, rho=0.1, iterations=200, relaxation=1.5)
    expected = admm(A, B, PLANE, tv=1.5, constraint="real", tolerance=1e-9, iterations=20000)
    assert distance(found.value, expected.value) < 1e-4


def test_frames_and_parameters_of_a_denoiser():
    frames = np.stack([B, 2 * B])
    options = {"regularization": 1.0, "iterations": 20}
    filtered = plug_and_play(A, frames, PLANE, lambda image, _: smooth(image, 0.2), **options)
    assert filtered.value.shape == (2, 30) and filtered.stats["history"].shape == (20, 2)
    np.testing.assert_allclose(filtered.value[1], 2 * filtered.value[0], atol=1e-10)  # this filter is linear
    denoiser = lambda width: Partial(lambda width, image, _: smooth(image, width), width)  # noqa: E731
    one = plug_and_play(A, B, PLANE, denoiser(0.2), **options)
    np.testing.assert_allclose(one.value, filtered.value[0], atol=1e-10)

    def error(width):
        return jnp.sum((plug_and_play(A, B, PLANE, denoiser(width), **options).value - IMAGE) ** 2)

    slope = jax.grad(error)(0.2)
    np.testing.assert_allclose(slope, (error(0.2 + 1e-5) - error(0.2 - 1e-5)) / 2e-5, rtol=1e-5)


def test_a_denoiser_outside_of_jax():
    def outside(image, strength):
        return jax.pure_callback(
            lambda image, _: gaussian_filter(np.asarray(image), (0, 0.5, 0.5)).astype(image.dtype),
            jax.ShapeDtypeStruct(image.shape, image.dtype), image, strength, vmap_method="sequential",
        )  # fmt: skip

    found = plug_and_play(A, B, PLANE, outside, regularization=1.0, rho=0.3, iterations=5).value

    a, b = np.concatenate([A.real, A.imag]), np.concatenate([B.real, B.imag])
    scale = 2.0 ** np.ceil(np.log2(np.linalg.norm(a, 2)))
    rho, v = 0.3 * scale**2, np.zeros(30)
    denoise = lambda v: gaussian_filter(v.reshape(PLANE[::-1]), (0, 0.5, 0.5)).ravel()  # noqa: E731
    for _ in range(5):
        z = denoise(v)
        v = v + np.linalg.solve(a.T @ a + rho * np.eye(30), a.T @ b + rho * (2 * z - v)) - z
    np.testing.assert_allclose(found, denoise(v), rtol=1e-9)


def test_strength_is_regularization_over_rho():
    seen = plug_and_play(A, B, PLANE, lambda image, strength: image, regularization=3.0, rho=0.3, iterations=1)
    scale = 2.0 ** np.ceil(np.log2(np.linalg.norm(np.concatenate([A.real, A.imag]), 2)))
    np.testing.assert_allclose(seen.stats["strength"], 3.0 / (0.3 * scale**2))


def test_bad_input():
    identity = lambda image, strength: image  # noqa: E731
    with pytest.raises(ValueError, match="returns shape \\(30,\\) for an image of shape \\(1, 5, 6\\)"):
        plug_and_play(A, B, PLANE, lambda image, strength: image.ravel(), regularization=1.0)
    with pytest.raises(ValueError, match="regularization = -1.0"):
        plug_and_play(A, B, PLANE, identity, regularization=-1.0)
    with pytest.raises(TypeError, match="the data are real"):
        plug_and_play(A, B.real, PLANE, identity, regularization=1.0)
    image = jax.ShapeDtypeStruct((1, 5, 6), np.float64)
    with pytest.raises(TypeError, match="denoiser = 'tv'; expected a function"):
        check_denoiser("tv", image)
    with pytest.raises(TypeError, match="returns complex128 for an image of float64"):
        plug_and_play(A, B, PLANE, lambda image, strength: 1j * image, regularization=1.0)
    with pytest.raises(TypeError, match="returns tuple; expected one array"):
        check_denoiser(lambda image, strength: (image, strength), image)
