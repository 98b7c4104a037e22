"""Deconvolution of x-space images with the known kernel, the object confined to the field of view.

The image of an object c is y = A c, a linear convolution with the kernel h on its full support, of which the field of view is
kept. h is even along every axis, so A is symmetric, and both methods apply nothing but A. :mod:`mpijax.reconstruction` exports
them; they live here because training data are made with them.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_finite, check_range, is_concrete
from mpijax.core.typing import Array, Float
from mpijax.system.scans.xspace import convolve_linear


def wiener_deconvolution(
    image: Float[Array, "y x"],
    kernel: Float[Array, "_ _"],
    regularization: Any,
    *,
    iterations: int = 30,
) -> Float[jax.Array, "y x"]:
    r"""The Wiener estimate of an object from its image, for white noise and a white object.

    .. math:: \min_c\ \|A c - y\|^2 + \lambda \left( \sum h \right)^2 \|c\|^2

    By conjugate gradients, from zero. A filter in Fourier space is the same away from the border; here what left the field of
    view is not taken for zero. Few iterations smooth: what they have not reached yet stays out.

    The derivative is that of the minimum, found by as many iterations (:func:`jax.scipy.sparse.linalg.cg`). At convergence it
    is exact. Before, it is not that of the estimate returned: on 9 x 7 pixels with lambda = 1e-4, after 10 iterations, it is 20 %
    off the one and 30 % off the other.

    Before convergence rounding counts: it grows from one iteration to the next. The smaller lambda, the later it is forgotten.

    Args:
        image: what is seen, y.
        kernel: h, even, on the full support of 2 N - 1 pixels per axis (:func:`mpijax.system.sampled_kernel`).
        regularization: lambda >= 0, dimensionless: (noise over signal)^2 for an object of unit rms seen at gain sum h.
        iterations: of conjugate gradients, at most.

    Returns:
        c, in the unit of y over that of h; negative values are possible.

    Raises:
        ValueError: pixels that are not finite, a kernel of another support or whose sum is not positive, a negative
            regularization, or no iteration.

    Source: Wiener, Extrapolation, interpolation, and smoothing of stationary time series (1949); conjugate gradients: Hestenes
        and Stiefel, J. Res. Natl. Bur. Stand. 49, 409 (1952).
    """
    check_count("iterations", iterations)
    check_range("regularization", regularization, 0.0, 1e12, "")
    image, kernel = _checked(image, kernel)
    return _conjugate_gradients(image, kernel, jnp.asarray(regularization, image.dtype), iterations=iterations)


@partial(jax.jit, static_argnames="iterations")
def _conjugate_gradients(image: jax.Array, kernel: jax.Array, regularization: Any, *, iterations: int) -> jax.Array:
    gain = jnp.sum(kernel)
    kernel = kernel / gain

    def normal(c: jax.Array) -> jax.Array:
        return convolve_linear(convolve_linear(c, kernel), kernel) + regularization * c

    right = convolve_linear(image, kernel)
    tolerance = 10 * float(jnp.finfo(right.dtype).eps)
    return jax.scipy.sparse.linalg.cg(normal, right, tol=tolerance, maxiter=iterations)[0] / gain


def richardson_lucy(
    image: Float[Array, "y x"], kernel: Float[Array, "_ _"], *, iterations: int
) -> Float[jax.Array, "y x"]:
    r"""Multiplicative deconvolution of a non-negative image, from a constant.

    .. math:: c \leftarrow \frac{c}{A 1} \cdot A \frac{y}{A c}

    Negative pixels count as zero. The fewer iterations, the smoother the result: they are its regularization.

    Args:
        image: what is seen, y.
        kernel: h, even and positive, on the full support of 2 N - 1 pixels per axis.
        iterations: number of updates.

    Returns:
        c >= 0, in the unit of y over that of h.

    Raises:
        ValueError: pixels that are not finite, a kernel of another support or whose sum is not positive, or no iteration.

    Source: Richardson, JOSA 62(1):55 (1972); Lucy, AJ 79:745 (1974).
    """
    check_count("iterations", iterations)
    return _multiplied(*_checked(image, kernel), iterations=iterations)


@partial(jax.jit, static_argnames="iterations")
def _multiplied(image: jax.Array, kernel: jax.Array, *, iterations: int) -> jax.Array:
    image = jnp.maximum(image, 0)
    ones = jnp.ones_like(image)
    seen = convolve_linear(ones, kernel)
    least = jnp.finfo(image.dtype).eps * jnp.max(image) + jnp.finfo(image.dtype).tiny

    def update(_: Any, c: jax.Array) -> jax.Array:
        ratio = image / jnp.maximum(convolve_linear(c, kernel), least)
        return c * jnp.maximum(convolve_linear(ratio, kernel), 0) / seen

    return jax.lax.fori_loop(0, iterations, update, ones * jnp.mean(image) / jnp.mean(seen))


def _checked(image: Any, kernel: Any) -> tuple[jax.Array, jax.Array]:
    """Both in their common dtype."""
    check_finite("image", image)
    check_finite("kernel", kernel)
    if is_concrete(kernel) and not np.sum(kernel) > 0:
        raise ValueError(f"kernel sums to {np.sum(kernel):.3g}; a kernel of the image has a positive sum.")
    dtype = jnp.result_type(image, kernel)
    return jnp.asarray(image, dtype), jnp.asarray(kernel, dtype)
