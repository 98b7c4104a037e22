"""Plug-and-play reconstruction: ADMM with any denoiser in the place of a proximal operator."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial
from jax.typing import ArrayLike

from mpijax.core.checks import check_count, check_range, check_shape
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Inexact, Num, Shaped
from mpijax.reconstruction.inputs import check_problem
from mpijax.reconstruction.prox import safe_norm
from mpijax.reconstruction.scaling import Scaled, number, shift
from mpijax.reconstruction.solvers.admm.factor import admm_factor, check_nonnegative, unit_frames
from mpijax.reconstruction.solvers.admm.iteration import matmul, or_one, rows


def plug_and_play(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    image_shape: tuple[int, ...],
    denoiser: Callable[..., Array],
    *,
    regularization: ArrayLike | Scaled,
    rho: ArrayLike = 0.01,
    iterations: int = 100,
    relaxation: float = 1.0,
    row_weights: Shaped[Array, "..."] | None = None,
) -> Solution[dict[str, Any], jax.Array]:
    r"""ADMM for 1/2 |W(Ax - b)|^2 + lambda R(x) with a denoiser as the proximal operator of R.

    .. math:: z = \text{denoiser}(v, \lambda/\rho), \qquad v \leftarrow v + a (x - z)

    .. math:: x = (A^H W^2 A + \rho I)^{-1} (A^H W^2 b + \rho (2z - v))

    in the order z, x, v.

    ``denoiser(image, strength)`` takes one image (nz, ny, nx), in the unit of the result, and returns one of the same
    shape. It stands for argmin_z 1/2 |z - image|^2 + strength R(z); seen as a removal of Gaussian noise, ``strength``
    is the variance of that noise. With the proximal operator of the L1 norm or of total variation the result is that of
    ``admm``. For other denoisers convergence depends on them: look at stats["history"].

    The denoiser is traced once inside the loop and mapped over frames by ``jax.vmap``. A JAX function may close over
    its parameters; ``jax.tree_util.Partial(function, parameters)`` has them as arguments instead, so that gradients
    reach them and other parameters need no new compilation. Any other Python function runs through
    ``jax.pure_callback(function, jax.ShapeDtypeStruct(image.shape, image.dtype), image, strength,
    vmap_method="sequential")`` in a wrapper. Reverse-mode differentiable where the denoiser is.

    Args:
        matrix: A, (m, n), complex as a rule.
        data: b, (m,) or (frames, m).
        image_shape: (nx, ny, nz) = grid.shape.
        denoiser: function of image and strength.
        regularization: lambda >= 0, absolute, as ``l1`` and ``tv`` of ``admm``.
        rho: > 0, in units of the squared scale of WA (the power of two above its spectral norm). It sets the step and,
            with lambda, the strength.
        iterations: number of iterations.
        relaxation: a, between 0 and 2; 1 is plain ADMM.
        row_weights: diagonal of W (m,).

    Returns:
        Solution: value z, real (n,) or (frames, n); stats "residual" = |W(Az - b)| / |Wb| per frame, "history" =
        |x - z| / |z| per iteration, (iterations,) or (iterations, frames), and "strength".

    Raises:
        ValueError: wrong shapes, a negative lambda, NaN or infinite entries, a denoiser that changes the shape.
        TypeError: real data for a complex matrix, or complex data for a real one; a denoiser that is no function or whose
            result is not one real array.

    Source: Venkatakrishnan et al., IEEE GlobalSIP (2013) 945; in MPI: Askin et al.,
        PP-MPI, Machine Learning for Medical Image Reconstruction (2022), LNCS 13587.
    """
    matrix, data = check_problem(matrix, data)
    check_shape("regularization", regularization, ())
    check_nonnegative("regularization", regularization)
    check_range("relaxation", relaxation, 0, 2, "")
    check_count("iterations", iterations)
    factors = admm_factor(matrix, image_shape, total_variation=False, rho=rho, row_weights=row_weights)
    check_denoiser(denoiser, jax.ShapeDtypeStruct(tuple(image_shape)[::-1], factors.gram.dtype))
    if not isinstance(denoiser, Partial):
        denoiser = Partial(denoiser)
    regularization = number(regularization, factors.gram.dtype)
    value, stats = _run(factors, data, denoiser, regularization, relaxation, iterations=int(iterations))
    return Solution(value, stats)


def check_denoiser(denoiser: Any, image: jax.ShapeDtypeStruct) -> None:
    """Raise unless a denoiser makes a real image of the same shape, by tracing it.

    Raises:
        ValueError: another shape.
        TypeError: no function, or a result that is not one real array.
    """
    if not callable(denoiser):
        raise TypeError(f"denoiser = {denoiser!r}; expected a function of an image (nz, ny, nx) and a strength.")
    given = jax.eval_shape(denoiser, image, jax.ShapeDtypeStruct((), image.dtype))
    if not hasattr(given, "shape"):
        raise TypeError(f"the denoiser returns {type(given).__name__}; expected one array of shape {image.shape}.")
    if given.shape != image.shape:
        raise ValueError(
            f"the denoiser returns shape {given.shape} for an image of shape {image.shape}; they must agree."
        )
    if jnp.issubdtype(given.dtype, jnp.complexfloating):
        raise TypeError(f"the denoiser returns {given.dtype} for an image of {image.dtype}; return real values.")


@partial(jax.jit, static_argnames="iterations")
def _run(factors, data, denoiser, regularization, relaxation, *, iterations):
    scaled = unit_frames(data, factors.row_weights, factors.parts.dtype)
    b, unit = scaled.value, scaled.exponent - factors.exponent
    strength = regularization.within(2 * factors.exponent) / factors.rho
    pull = matmul(b, factors.parts) / factors.rho
    volume = (len(b), *factors.image_shape[::-1])

    def denoise(v):
        clean = jax.vmap(denoiser, in_axes=(0, None))(shift(v, unit).reshape(volume), strength)
        return shift(jnp.asarray(clean, b.dtype).reshape(v.shape), -unit)

    def step(v, _):
        z = denoise(v)
        x = rows(factors.inverse, pull + 2 * z - v)
        gap = lax.stop_gradient(safe_norm(x - z) / or_one(safe_norm(z)))
        return v + relaxation * (x - z), gap

    v, history = lax.scan(step, jnp.zeros_like(pull), None, length=iterations)
    z = denoise(v)
    residual = lax.stop_gradient(safe_norm(matmul(z, factors.parts.T) - b) / or_one(safe_norm(b)))
    frames = data.shape[:-1]
    stats = {
        "residual": residual.reshape(frames),
        "history": history.reshape(iterations, *frames),
        "strength": strength,
    }
    return shift(z, unit).reshape(*frames, z.shape[-1]), stats
