"""Spectral leakage: a Hann window over consecutive frames, folded back to the length of one."""

import numpy as np

from mpijax.core.typing import Array, Float, Shaped


def leakage_window(parts: int, samples: int) -> Float[np.ndarray, "p v"]:
    """One Hann window over ``parts`` frames of V samples, divided by their number.

    w_n = (1 - cos(2 pi n / (pV - 1))) pV / (pV - 1) / p,  n = 0 .. pV - 1

    The window's mean is 1/p, so the sum over the parts has mean 1. It differs from 1 by the slow ripple that the -1 in
    the denominator leaves: at most 0.14/V for three parts and 0.51/V for two. A signal that repeats from frame to frame
    therefore passes with this relative error.

    Args:
        parts: number of consecutive frames p.
        samples: V per frame.

    Returns:
        Weights of sample v of part i, (p, V).

    Source: the window of MPIFiles.jl's spectral-leakage correction.
    """
    length = parts * samples
    window = (1 - np.cos(2 * np.pi * np.arange(length) / (length - 1))) * length / (length - 1)
    return window.reshape(parts, samples) / parts


def correct_leakage(frames: Shaped[Array, "..."]) -> Float[np.ndarray, "frames *batch v"]:
    """Suppress what does not repeat from frame to frame and so leaks into all bins of the spectrum.

    u'_i = w_0 u_(i-1) + w_1 u_i + w_2 u_(i+1) with the thirds w of one Hann window over three frames; the first and the
    last frame use two frames and the halves of a window over two. A single frame is returned as it is.

    Args:
        frames: time samples of consecutive frames, without a gap in time between them.

    Returns:
        Corrected frames, same shape; double precision for integers, else the precision of the frames.

    Raises:
        ValueError: no samples, fewer than two per frame, or complex values.

    Source: the spectral-leakage correction of MPIFiles.jl.
    """
    frames = np.asarray(frames)
    if frames.ndim < 2 or frames.shape[-1] < 2 or not len(frames):
        raise ValueError(f"frames has shape {frames.shape}; expected (frames, .., samples) with at least 2 samples.")
    if np.iscomplexobj(frames):
        raise ValueError("frames is complex; leakage is corrected on time samples, before the Fourier transform.")
    return np.stack([windowed(frames[max(i - 1, 0) : i + 2]) for i in range(len(frames))])


def windowed(neighbors: np.ndarray) -> np.ndarray:
    """The sum of one to three consecutive frames (p, .., V), each times its part of one window; one passes unchanged."""
    if not np.issubdtype(neighbors.dtype, np.floating):
        neighbors = neighbors.astype(np.float64)
    if len(neighbors) == 1:
        return neighbors[0]
    window = leakage_window(len(neighbors), neighbors.shape[-1]).astype(neighbors.dtype)
    return np.einsum("p...v,pv->...v", neighbors, window)
