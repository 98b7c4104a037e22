"""Deconvolution with the known kernel against dense float64 twins, its derivatives, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.reconstruction import richardson_lucy, wiener_deconvolution
from mpijax.system import Grid, Particle, Scanner, convolve_linear, sampled_kernel, x_space_image

SHAPE = (9, 7)
RNG = np.random.default_rng(0)
OBJECT = np.where(RNG.uniform(size=SHAPE) < 0.3, RNG.uniform(size=SHAPE), 0)
with jax.enable_x64(True):
    KERNEL = np.asarray(sampled_kernel(SHAPE, jnp.asarray([0.9, 1.3]), 1))


def dense(kernel, shape=SHAPE):
    """A, column by column: what each pixel looks like."""
    rows, columns = shape
    a = np.zeros((rows * columns, rows * columns))
    for j in range(rows * columns):
        for i in range(rows * columns):
            y, x = i // columns - j // columns, i % columns - j % columns
            a[i, j] = kernel[y + rows - 1, x + columns - 1]
    return a


A = dense(KERNEL)
IMAGE = (A @ OBJECT.ravel()).reshape(SHAPE) + 0.01 * RNG.normal(size=SHAPE)


def tikhonov(image, regularization):
    damped = A @ A + regularization * KERNEL.sum() ** 2 * np.eye(len(A))
    return np.linalg.solve(damped, A @ image.ravel()).reshape(image.shape)


@pytest.mark.parametrize("axes", [0, 1, (0, 1)])
def test_imaging_is_symmetric(axes):
    """<A u, v> = <u, A v>, which both methods rest on."""
    u, v = RNG.normal(size=(2, *SHAPE))
    with jax.enable_x64(True):
        kernel = sampled_kernel(SHAPE, jnp.asarray([0.9, 1.3]), axes)
        left, right = np.vdot(convolve_linear(u, kernel), v), np.vdot(u, convolve_linear(v, kernel))
        np.testing.assert_allclose(
            convolve_linear(u, kernel).ravel(), dense(np.asarray(kernel)) @ u.ravel(), atol=1e-12
        )
    assert left == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("regularization", [1e-2, 1e-4])
def test_wiener_is_the_dense_solution(regularization):
    want = tikhonov(IMAGE, regularization)
    with jax.enable_x64(True):
        got = wiener_deconvolution(IMAGE, KERNEL, regularization, iterations=200)
        assert got.dtype == np.float64
    np.testing.assert_allclose(got, want, atol=1e-9 * np.abs(want).max())
    single = wiener_deconvolution(IMAGE.astype(np.float32), KERNEL.astype(np.float32), regularization, iterations=200)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, want, atol=1e-3 * np.abs(want).max())


def test_wiener_commutes_with_the_units():
    """The image twice as large, twice the object; the kernel twice as large, half the object; one lambda."""
    with jax.enable_x64(True):
        one = wiener_deconvolution(IMAGE, KERNEL, 1e-3)
        np.testing.assert_allclose(wiener_deconvolution(2 * IMAGE, KERNEL, 1e-3), 2 * one, rtol=1e-9)
        np.testing.assert_allclose(wiener_deconvolution(IMAGE, 2 * KERNEL, 1e-3), one / 2, rtol=1e-9)


def test_derivatives_of_wiener():
    """By the image: the dense matrix, transposed. By lambda: a difference of dense solutions."""
    weights = RNG.normal(size=SHAPE)
    regularization, step = 1e-3, 1e-6
    with jax.enable_x64(True):

        def value(image, regularization):
            return jnp.vdot(weights, wiener_deconvolution(image, KERNEL, regularization, iterations=200))

        by_image, by_lambda = jax.grad(value, (0, 1))(jnp.asarray(IMAGE), regularization)
    damped = A @ A + regularization * KERNEL.sum() ** 2 * np.eye(len(A))
    want = (A @ np.linalg.solve(damped, weights.ravel())).reshape(SHAPE)
    np.testing.assert_allclose(by_image, want, atol=1e-8 * np.abs(want).max())
    change = tikhonov(IMAGE, regularization + step) - tikhonov(IMAGE, regularization - step)
    assert float(by_lambda) == pytest.approx(np.vdot(weights, change) / (2 * step), rel=1e-5)


def test_derivative_before_convergence_is_that_of_the_minimum():
    """With few iterations it is nearer to that of the minimum than to that of the estimate, as the docstring says."""
    direction, step = RNG.normal(size=SHAPE), 1e-6
    with jax.enable_x64(True):

        def value(image):
            return jnp.sum(wiener_deconvolution(image, KERNEL, 1e-2, iterations=5) * OBJECT)

        got = np.vdot(jax.grad(value)(jnp.asarray(IMAGE)), direction)
        estimate = (value(IMAGE + step * direction) - value(IMAGE - step * direction)) / (2 * step)
    minimum = np.vdot(tikhonov(direction, 1e-2), OBJECT)
    assert abs(got - minimum) < 0.1 * abs(minimum) and abs(got - minimum) < abs(got - float(estimate))


def richardson_lucy_twin(image, iterations):
    image = np.maximum(image, 0).ravel()
    seen = A @ np.ones(len(A))
    c = np.full(len(A), image.mean() / seen.mean())
    for _ in range(iterations):
        c = c * (A @ (image / (A @ c))) / seen
    return c.reshape(SHAPE)


def test_richardson_lucy_is_its_twin():
    for iterations in (1, 20):
        want = richardson_lucy_twin(IMAGE, iterations)
        with jax.enable_x64(True):
            got = richardson_lucy(IMAGE, KERNEL, iterations=iterations)
            assert got.dtype == np.float64
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    single = richardson_lucy(IMAGE.astype(np.float32), KERNEL.astype(np.float32), iterations=20)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, want, atol=1e-4 * want.max())


def test_richardson_lucy_keeps_the_sum_of_the_image():
    """sum A c = sum y after every update, since A 1 . c A(y/Ac)/A 1 = Ac . y/Ac; the likelihood of counts does not decrease."""
    image = np.maximum(IMAGE, 0)
    likelihoods = []
    with jax.enable_x64(True):
        for iterations in (1, 2, 4, 8, 16, 32):
            found = np.asarray(richardson_lucy(IMAGE, KERNEL, iterations=iterations))
            seen = A @ found.ravel()
            assert found.min() >= 0
            assert seen.sum() == pytest.approx(image.sum(), rel=1e-9)
            likelihoods.append(np.sum(image.ravel() * np.log(seen) - seen))
    assert np.all(np.diff(likelihoods) > 0)


@pytest.mark.parametrize("image", [np.zeros(SHAPE, np.float32), np.full(SHAPE, -1, np.float32)])
def test_richardson_lucy_of_nothing_is_nothing(image):
    np.testing.assert_array_equal(richardson_lucy(image, KERNEL.astype(np.float32), iterations=3), np.zeros(SHAPE))


def test_wiener_of_nothing_is_nothing():
    zero = jnp.zeros(SHAPE)
    np.testing.assert_array_equal(wiener_deconvolution(zero, KERNEL.astype(np.float32), 1e-3), zero)
    gradient = jax.grad(lambda y: jnp.sum(wiener_deconvolution(y, KERNEL.astype(np.float32), 1e-3) ** 2))(zero)
    assert np.all(np.isfinite(gradient))


def test_single_precision_gradients_are_finite():
    image, kernel = jnp.asarray(IMAGE, jnp.float32), jnp.asarray(KERNEL, jnp.float32)

    def value(image, kernel):
        return jnp.sum(richardson_lucy(image, kernel, iterations=5) ** 2) + jnp.sum(
            wiener_deconvolution(image, kernel, 1e-3, iterations=10) ** 2
        )

    assert all(np.all(np.isfinite(g)) and np.any(g != 0) for g in jax.grad(value, (0, 1))(image, kernel))


def test_many_images_at_once():
    """Every image with its own kernel and lambda; few iterations, from one to the next rounding grows by orders of magnitude."""
    images = np.stack([IMAGE, IMAGE[::-1], 0 * IMAGE])
    kernels, values = np.stack([KERNEL, 2 * KERNEL, KERNEL]), np.array([1e-3, 1e-2, 1e-3])

    def both(image, kernel, value):
        return wiener_deconvolution(image, kernel, value, iterations=3), richardson_lucy(image, kernel, iterations=8)

    with jax.enable_x64(True):
        many = jax.vmap(both)(images, kernels, values)
        for i in range(3):
            for got, want in zip(many, both(images[i], kernels[i], values[i]), strict=True):
                np.testing.assert_allclose(got[i], want, atol=1e-8)


def holed(value):
    image = IMAGE.copy()
    image[2, 3] = value
    return image


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: wiener_deconvolution(holed(np.nan), KERNEL, 1e-3), "image has 1 of 63 entries that are NaN"),
        (lambda: richardson_lucy(holed(np.inf), KERNEL, iterations=2), "image has 1 of 63 entries that are NaN"),
        (lambda: richardson_lucy(IMAGE, KERNEL * np.nan, iterations=2), "kernel has 221 of 221 entries"),
        (lambda: wiener_deconvolution(IMAGE, KERNEL[4:13, 3:10], 1e-3), r"needs the full support \(17, 13\)"),
        (lambda: richardson_lucy(IMAGE, KERNEL.T, iterations=2), r"needs the full support \(17, 13\)"),
        (lambda: wiener_deconvolution(IMAGE, KERNEL - KERNEL.mean() - 1, 1e-3), "kernel sums to -2"),
        (lambda: richardson_lucy(IMAGE, 0 * KERNEL, iterations=2), "kernel sums to 0"),
        (lambda: wiener_deconvolution(IMAGE, KERNEL, -1e-3), "regularization = -0.001; allowed is 0"),
        (lambda: wiener_deconvolution(IMAGE, KERNEL, 1e-3, iterations=0), "iterations = 0"),
        (lambda: richardson_lucy(IMAGE, KERNEL, iterations=0), "iterations = 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_kernel_wider_than_the_field_of_view_is_refused():
    """Where the scanner is known; a sampled kernel does not know its width."""
    grid = Grid.create((40, 1, 40), (6e-3, 1e-3, 6e-3))
    with pytest.raises(
        ValueError, match="kernel of the x scan is .* mm wide along x, more than the field of view of 6 mm"
    ):
        x_space_image(Scanner.create((1.0, 0.0, -1.0)), Particle.create(22e-9), grid, np.zeros(1600), 0)
