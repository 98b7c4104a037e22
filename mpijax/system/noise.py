"""White noise on a system matrix."""

from dataclasses import replace

import jax

from mpijax.core.checks import check_range
from mpijax.core.typing import Scalar
from mpijax.physics.noise import complex_normal
from mpijax.system.matrix import SystemMatrix


def add_noise(
    system_matrix: SystemMatrix, sigma: Scalar, *, key: jax.Array, background_frames: int = 0
) -> SystemMatrix:
    """Add white circular complex Gaussian noise to every entry.

    Args:
        system_matrix: the matrix.
        sigma: complex standard deviation sqrt(E|n|^2) in the matrix's scale, scalar or per row (c, f).
        key: random key.
        background_frames: how many background frames of the same noise to record in ``background``.

    Returns:
        The noisy matrix, SNR unset.
    """
    check_range("sigma", sigma, 0, float("inf"), "")
    check_range("background_frames", background_frames, 0, 10**9, "")
    values = jax.numpy.asarray(system_matrix.values)
    sigma = jax.numpy.asarray(sigma, jax.numpy.finfo(values.dtype).dtype)
    body, empty = jax.random.split(key)
    noise = complex_normal(values.shape, sigma[..., None], key=body, dtype=values.dtype)
    background = None
    if background_frames:
        background = complex_normal((background_frames, *values.shape[:2]), sigma, key=empty, dtype=values.dtype)
    return replace(system_matrix, values=values + noise, background=background, snr=None)
