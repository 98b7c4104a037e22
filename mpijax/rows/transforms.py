"""Separable linear maps of rows by one small dense matrix per axis, among them the orthonormal DCT-II.

On a CPU the matrix products are about five times faster than a DCT by FFT at the sizes of calibration grids.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.typing import Array, Float, Inexact

SMALLEST = 4
"""Voxels that an axis needs, unless it has one and is not used."""


def check_grid(name: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless (b, *s) has two or three spatial axes, each of at least 4 voxels or of one (not used)."""
    spatial = shape[1:]
    if len(spatial) not in (2, 3):
        raise ValueError(f"{name} has shape {shape}; expected rows (b, y, x) or (b, z, y, x).")
    if max(spatial) == 1 or any(1 != n < SMALLEST for n in spatial):
        raise ValueError(
            f"{name} has grids of {' x '.join(map(str, spatial))} voxels; every axis in use needs at least {SMALLEST} of them."
        )


def apply_matrices(
    images: Inexact[Array, " b *s"], matrices: Sequence[Float[np.ndarray, "_ _"]]
) -> Inexact[jax.Array, " b *t"]:
    """Apply one real matrix (out, in) along every axis but the first, in the precision of the images."""
    images = jnp.asarray(images)
    if jnp.iscomplexobj(images):
        return jax.lax.complex(apply_matrices(images.real, matrices), apply_matrices(images.imag, matrices))
    for axis, matrix in enumerate(matrices, start=1):
        weights = jnp.asarray(matrix, images.dtype)
        images = jnp.moveaxis(jnp.tensordot(images, weights, (axis, 1), precision="highest"), -1, axis)
    return images


@functools.lru_cache
def dct_matrix(n: int) -> Float[np.ndarray, "n n"]:
    """Orthonormal DCT-II: C_ki = sqrt((2 - delta_k0)/n) cos(pi k (i + 1/2)/n), float64, read-only."""
    matrix = np.sqrt(2 / n) * np.cos(np.pi / n * np.outer(np.arange(n), np.arange(n) + 0.5))
    matrix[0] = np.sqrt(1 / n)
    matrix.setflags(write=False)
    return matrix


def dct(images: Inexact[Array, " b *s"]) -> Inexact[jax.Array, " b *s"]:
    """Orthonormal DCT-II over every axis but the first."""
    return apply_matrices(images, [dct_matrix(n) for n in images.shape[1:]])


def inverse_dct(coefficients: Inexact[Array, " b *s"]) -> Inexact[jax.Array, " b *s"]:
    """Inverse of :func:`dct`, its transpose."""
    return apply_matrices(coefficients, [dct_matrix(n).T for n in coefficients.shape[1:]])
