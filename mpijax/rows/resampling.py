"""Resampling of images by small dense matrices, one per axis: bicubic (Keys), bilinear, strided or box alignment."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice
from mpijax.core.interpolation import keys_kernel, keys_matrix
from mpijax.core.typing import Array, Float, Inexact

Size = int | tuple[int, ...]
"""An integer factor for the last two axes, or the output shape of the last ``len(size)`` axes."""


def bicubic(images: Inexact[Array, "..."], size: Size, *, sampling: str = "box") -> Inexact[jax.Array, "..."]:
    """Bicubic resampling (Keys, a = -1/2) with half-sample symmetric borders, real and imaginary parts alike.

    ``sampling`` says where the coarse samples lie on the fine grid. "box": coarse cell j covers its fine cells,
    output i reads the input at (i + 1/2) n_in/n_out - 1/2, which is MATLAB's ``imresize``. "stride": coarse sample j
    *is* fine sample s j and output i reads the input at i/s (integer factors s only); the known samples are kept.

    Args:
        images: Values (..., y, x) or (..., z, y, x).
        size: Integer factor s for the last two axes, or output shape of the last axes.
        sampling: "box" for coarse values that are means over blocks, "stride" for every s-th value.

    Returns:
        Resampled values.

    Raises:
        ValueError: An unknown sampling, a size that does not fit the images, or, with "stride", a shape that is not
            reached by an integer factor.

    Source: R. G. Keys, IEEE TASSP 29(6):1153 (1981), eq. 15.
    """
    check_choice("sampling", sampling, ("box", "stride"))
    return _resample(images, size, keys_matrix if sampling == "box" else stride_matrix)


def bilinear(images: Inexact[Array, "..."], size: Size) -> Inexact[jax.Array, "..."]:
    """Linear interpolation per axis between cell centers, constant beyond the outermost ones.

    Output i reads the input at (i + 1/2) n_in/n_out - 1/2. Meant for upsampling: there is no filter against aliasing.

    Args:
        images: Values (..., y, x) or (..., z, y, x).
        size: Integer factor for the last two axes, or output shape of the last axes.

    Returns:
        Resampled values.

    Raises:
        ValueError: A size that does not fit the images.
    """
    return _resample(images, size, linear_matrix)


def replicate(images: Inexact[Array, "..."], scale: int | tuple[int, ...]) -> Inexact[jax.Array, "..."]:
    """Repeat each value over its block of fine cells, the right inverse of the box mean.

    Args:
        images: Values (..., y, x) or (..., z, y, x).
        scale: Integer factor for the last two axes, or one per trailing axis.

    Returns:
        Values on the grid ``scale`` times finer.
    """
    scales = (scale, scale) if isinstance(scale, int) else scale
    images = jnp.asarray(images)
    for axis, s in zip(range(-len(scales), 0), scales, strict=True):
        images = jnp.repeat(images, s, axis=axis)
    return images


def stride_matrix(n_in: int, n_out: int) -> Float[np.ndarray, "out in"]:
    """Keys interpolation of one axis from samples at fine indices 0, s, 2s, ...: output i reads the input at i/s.

    Args:
        n_in: Number of coarse samples, ceil(n_out / s).
        n_out: Number of fine samples.

    Returns:
        Weights (n_out, n_in), float64; rows s j select sample j.

    Raises:
        ValueError: No integer factor s takes n_out fine samples to n_in.
    """
    s = -(-n_out // n_in)
    if n_out < n_in or -(-n_out // s) != n_in:
        raise ValueError(
            f"{n_in} samples are not every s-th of {n_out} for any integer s; with sampling='stride' n samples grow to "
            "between (n - 1) s + 1 and n s."
        )
    centers = np.arange(n_out) / s
    taps = np.floor(centers).astype(int)[:, None] + np.arange(-1, 3)
    period = taps % (2 * n_in)
    mirrored = np.where(period < n_in, period, 2 * n_in - 1 - period)
    matrix = np.zeros((n_out, n_in))
    np.add.at(matrix, (np.arange(n_out)[:, None], mirrored), keys_kernel(centers[:, None] - taps))
    return matrix


def linear_matrix(n_in: int, n_out: int) -> Float[np.ndarray, "out in"]:
    """Linear interpolation of one axis between two cell-centered grids of the same extent, clamped at the ends.

    Args:
        n_in: Number of input cells.
        n_out: Number of output cells.

    Returns:
        Weights (n_out, n_in), float64; every row sums to one.
    """
    centers = np.clip((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5, 0, n_in - 1)
    return np.maximum(0.0, 1.0 - np.abs(centers[:, None] - np.arange(n_in)))


def _resample(images: Array, size: Size, matrix) -> jax.Array:
    images = jnp.asarray(images)
    n_axes = 2 if isinstance(size, int) else len(size)
    if images.ndim < n_axes:
        raise ValueError(f"size = {size} resamples {n_axes} axes; images has shape {images.shape}.")
    shape = tuple(n * size for n in images.shape[-2:]) if isinstance(size, int) else tuple(size)
    if any(n < 1 for n in shape):
        raise ValueError(f"size = {size}; the output shape {shape} must be positive.")
    matrices = [matrix(n, m) for n, m in zip(images.shape[images.ndim - n_axes :], shape, strict=True)]
    apply = functools.partial(_apply_along_last_axes, matrices)
    if jnp.iscomplexobj(images):
        return jax.lax.complex(apply(images.real), apply(images.imag))
    return apply(images)


def _apply_along_last_axes(matrices: list[np.ndarray], images: jax.Array) -> jax.Array:
    for axis, matrix in zip(range(-len(matrices), 0), matrices, strict=True):
        weights = jnp.asarray(matrix, images.dtype)
        images = jnp.moveaxis(jnp.matmul(jnp.moveaxis(images, axis, -1), weights.T, precision="highest"), -1, axis)
    return images
