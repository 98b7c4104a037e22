"""Interpolation between cell-centered grids as small dense matrices, one per axis."""

import numpy as np

from mpijax.core.typing import Float


def keys_kernel(x: Float[np.ndarray, "*s"], a: float = -0.5) -> Float[np.ndarray, "*s"]:
    """Keys' cubic convolution kernel.

    k(x) = (a+2)|x|^3 - (a+3)|x|^2 + 1 for |x| <= 1, a|x|^3 - 5a|x|^2 + 8a|x| - 4a for 1 < |x| < 2, else 0.

    Args:
        x: Distance to the sample, in samples.
        a: Slope at |x| = 1; -1/2 reproduces quadratic polynomials.

    Returns:
        Weights of the shape of ``x``.

    Source: R. G. Keys, IEEE TASSP 29(6):1153 (1981), eq. 15.
    """
    x = np.abs(x)
    inner = ((a + 2.0) * x - (a + 3.0)) * x**2 + 1.0
    outer = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    return np.where(x <= 1.0, inner, np.where(x < 2.0, outer, 0.0))


def keys_matrix(n_in: int, n_out: int) -> Float[np.ndarray, "out in"]:
    """Matrix of bicubic (Keys, a = -1/2) resampling of one axis between two cell-centered grids of the same extent.

    Output cell i lies at (i + 1/2) n_in/n_out - 1/2 in input cells; borders are mirrored (half-sample symmetric); when
    the axis shrinks, the kernel is stretched by n_in/n_out against aliasing. This is MATLAB's ``imresize``.
    ``keys_matrix(h, H) @ image @ keys_matrix(w, W).T`` resamples an image.

    Args:
        n_in: Number of input cells.
        n_out: Number of output cells.

    Returns:
        Weights (n_out, n_in), float64; every row sums to one.

    Raises:
        ValueError: A size is smaller than one.
    """
    if n_in < 1 or n_out < 1:
        raise ValueError(f"n_in = {n_in}, n_out = {n_out}; both must be at least 1.")
    stretch = max(n_in / n_out, 1.0)
    centers = (np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5
    reach = int(np.ceil(2.0 * stretch)) + 1
    taps = np.floor(centers).astype(int)[:, None] + np.arange(-reach, reach + 1)
    weights = keys_kernel((centers[:, None] - taps) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    period = taps % (2 * n_in)
    mirrored = np.where(period < n_in, period, 2 * n_in - 1 - period)
    matrix = np.zeros((n_out, n_in))
    np.add.at(matrix, (np.arange(n_out)[:, None], mirrored), weights)
    return matrix
