"""Calibration by compressed sensing: a small sample at random positions, and rows that are sparse in the Fourier domain."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_range, check_shape
from mpijax.core.typing import Array, Bool, Complex, Shaped
from mpijax.rows.filters import row_sigma
from mpijax.rows.inpainting import basis_pursuit, known_rows
from mpijax.rows.scaling import denormalize, normalize


def random_mask(shape: tuple[int, int], scale: int, *, key: jax.Array) -> Bool[np.ndarray, "y x"]:
    """Random positions of a fine grid, as many as a grid S times coarser has: exactly round(n / S^2) of n voxels.

    Args:
        shape: (y, x) of the fine grid.
        scale: S, fine voxels per coarse one and axis.
        key: of the draw.

    Returns:
        True = measured.

    Raises:
        ValueError: a scale below one, or so large that no position is left.

    Source: TranSMS paper, section IV-C2.
    """
    check_count("scale", scale)
    size = shape[0] * shape[1]
    count = round(size / scale**2)
    if count < 1:
        raise ValueError(
            f"scale = {scale} leaves no position of a grid of {shape[0]} x {shape[1]}; give a smaller one."
        )
    mask = np.zeros(size, bool)
    mask[np.asarray(jax.random.permutation(key, size))[:count]] = True
    return mask.reshape(shape)


def compressed_calibration(
    images: Complex[Array, "b y x"],
    known: Shaped[Array, "..."],
    *,
    sigma: Any = None,
    extension: int = 4,
    iterations: int = 1000,
    penalty: float = 1.0,
) -> Complex[jax.Array, "b y x"]:
    r"""Complete rows that a small sample measured at few positions by the sparsest Fourier spectrum that explains them.

    .. math:: \min_a\ \|F a\|_1 \quad\text{subject to}\quad \|M a - b\|_2 \le \epsilon, \qquad \epsilon = \sigma \sqrt{\text{count}}

    with F the unitary Fourier transform of a grid that reaches ``extension`` voxels further on every side, M the choice of the
    count known voxels. The rim lets rows end differently at opposite edges, which the transform would take for a jump; it is
    cut off again. Each row is divided by the largest modulus of its known voxels. ADMM
    (:func:`mpijax.rows.inpainting.basis_pursuit`) with soft threshold 1/penalty, 1000 iterations and penalty 1 as published.

    Args:
        images: rows (b, y, x); what they hold at unknown voxels is not read.
        known: True or 1 = measured (y, x), as from :func:`random_mask`.
        sigma: complex standard deviation of the noise of every row (b,), or one number [unit of the rows]; None = no noise,
            and the known voxels are kept.
        extension: rim [voxels].
        iterations: of ADMM.
        penalty: of ADMM, for rows of modulus one; it changes the speed alone.

    Returns:
        Complete rows that meet the constraint.

    Raises:
        ValueError: no known voxel, NaN or infinite values at known ones, a negative sigma or extension, no penalty, shapes that
            do not fit, or a grid with fewer than 4 voxels along an axis.

    Source: TranSMS paper, section IV-C2; S. Ilbey et al., IEEE TMI 38(9):2070 (2019).
    """
    check_count("iterations", iterations)
    check_count("extension", extension, 0)
    check_range("penalty", penalty, 1e-6, 1e6, "")
    if images.ndim != 3:
        raise ValueError(f"images has shape {images.shape}; expected rows (b, y, x).")
    check_shape("known", known, images.shape[1:])
    rows, _ = known_rows(images, known)
    rows = jnp.asarray(rows)
    return _complete(
        rows, jnp.asarray(known, bool), row_sigma(0.0 if sigma is None else sigma, rows), penalty, extension, iterations
    )


@functools.partial(jax.jit, static_argnames=("extension", "iterations"))
def _complete(
    rows: jax.Array, known: jax.Array, sigma: jax.Array, penalty: Any, extension: int, iterations: int
) -> jax.Array:
    data, scale = normalize(rows)
    epsilon = sigma / scale * jnp.sqrt(jnp.sum(known))
    rim = (extension, extension)
    wide, measured = jnp.pad(data, ((0, 0), rim, rim)), jnp.pad(known, (rim, rim))
    threshold = jnp.full_like(epsilon, 1 / penalty)
    completed, _ = basis_pursuit(wide, measured, epsilon, threshold, iterations, _fourier, _inverse_fourier)
    height, width = known.shape
    return denormalize(completed[:, extension : extension + height, extension : extension + width], scale)


def _fourier(images: jax.Array) -> jax.Array:
    return jnp.fft.fft2(images, norm="ortho")


def _inverse_fourier(spectra: jax.Array) -> jax.Array:
    return jnp.fft.ifft2(spectra, norm="ortho")
